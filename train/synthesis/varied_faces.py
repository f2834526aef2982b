"""Faces as they are shown while the model that ships learns: varied, and bare ones with masks put on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from inference.preprocess import CROP_MARGIN
from train.synthesis.augment import compress, degrade, relight
from train.synthesis.cut_masks import CutMask, cut_mask, put_mask
from train.synthesis.distractions import (
    put_beard,
    put_collar,
    put_glasses,
    put_head_cloth,
    put_in_front,
    put_scarf,
    put_thing_in_front,
)
from train.synthesis.framed_faces import CLASSES, FramedFace
from train.synthesis.landmarks import MOST_TURNED as MOST_TURNED_PAINTED
from train.synthesis.landmarks import face_axes, to_px
from train.synthesis.painted_masks import Worn, cut_fabric, paint_mask
from train.synthesis.things import Thing
from transport.frame import Box

BATCH = 64
CLASS_SHARES = (0.38, 0.45, 0.17)  # of what is drawn; masks put on them then turn bare faces into the other two
MASKED_SHARE = 0.5  # of the bare faces with landmarks
CUT_SHARE = 0.6  # of these, with a real mask cut out of another picture
WAYS_WORN: tuple[Worn, ...] = ("well", "under_nose", "on_chin", "off_one_ear", "above_mouth", "on_eyes")
CHANCES_WORN = (0.32, 0.34, 0.2, 0.08, 0.04, 0.02)
GLASSES_SHARE, HEAD_CLOTH_SHARE = 0.08, 0.07  # of all faces with landmarks
BEARD_SHARE = 0.15  # of the bare ones, before masks are put on them
COLLAR_SHARE, SCARF_SHARE, IN_FRONT_SHARE, THING_SHARE = 0.08, 0.08, 0.08, 0.12  # of the bare ones that stay bare
LEAST_SEEN = 0.03  # of the picture, that a mask must cover
CHIN = np.array([(0.0, 1.65)])  # in the units of painted_masks


class Wardrobe(NamedTuple):
    """What bare faces are dressed with: pieces (48, 64, 3) of fabric, whole masks, other bare faces, things to hold."""

    fabrics: Sequence[np.ndarray]
    masks: Sequence[CutMask]
    bare: Sequence[np.ndarray]
    things: Sequence[Thing]


def wardrobe_of(faces: Sequence[FramedFace], things: Sequence[Thing]) -> Wardrobe:
    """All that can be had from the pictures of the faces, and the things."""
    masked = [(face.picture, face.landmarks) for face in faces if face.label == 0 and face.landmarks is not None]
    return Wardrobe(
        [cut_fabric(picture, landmarks) for picture, landmarks in masked],
        [mask for picture, landmarks in masked if (mask := cut_mask(picture, landmarks)) is not None],
        [face.picture for face in faces if face.label == CLASSES.index("no_mask")],
        things,
    )


def draw_batches(
    faces: Sequence[FramedFace], wardrobe: Wardrobe, steps: int, size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Varied faces (64, size, size, 3) uint8 BGR and labels (64,) int64, for each step."""
    chances = chances_of(faces)
    for _ in range(steps):
        chosen = rng.choice(len(faces), BATCH, p=chances)
        drawn = [vary(faces[index], wardrobe, size, rng) for index in chosen]
        yield np.stack([picture for picture, _ in drawn]), np.array([label for _, label in drawn], np.int64)


def chances_of(faces: Sequence[FramedFace]) -> np.ndarray:
    """Chance of each face: classes by CLASS_SHARES, in a class its sources by the root of their size."""
    counts = Counter((face.label, face.source) for face in faces)
    weights = np.array([counts[face.label, face.source] ** -0.5 for face in faces])
    labels = np.array([face.label for face in faces])
    for label, share in enumerate(CLASS_SHARES):
        weights[labels == label] *= share / weights[labels == label].sum()
    return weights / weights.sum()


def vary(face: FramedFace, wardrobe: Wardrobe, size: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """One variation of a face (size, size, 3) uint8 BGR, perhaps with a mask put on it, and its label."""
    picture, label = face.picture, face.label
    if face.landmarks is not None:
        if rng.random() < GLASSES_SHARE:
            picture = put_glasses(picture, face.landmarks, rng)
        if rng.random() < HEAD_CLOTH_SHARE:
            picture = put_head_cloth(picture, face.landmarks, wardrobe.fabrics, rng)
        if label == CLASSES.index("no_mask"):
            picture, label = dress(picture, face.landmarks, wardrobe, rng)
    picture = reframe(picture, face.box, size, rng)
    picture = degrade(relight(picture, rng), rng)
    if rng.random() < 0.4:
        picture = compress(picture, rng)
    return picture, label


def dress(
    picture: np.ndarray, landmarks: np.ndarray, wardrobe: Wardrobe, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """A bare face (H, W, 3) uint8 BGR with a mask, or with something near it that is none; and its label."""
    if rng.random() < BEARD_SHARE:
        picture = put_beard(picture, landmarks, rng)
    if rng.random() >= MASKED_SHARE:
        if rng.random() < COLLAR_SHARE:
            picture = put_collar(picture, landmarks, wardrobe.fabrics, rng)
        if rng.random() < IN_FRONT_SHARE:
            picture = put_in_front(picture, wardrobe.bare[int(rng.integers(len(wardrobe.bare)))], rng)
        if rng.random() < SCARF_SHARE:
            picture = put_scarf(picture, landmarks, wardrobe.fabrics, rng)
        if wardrobe.things and rng.random() < THING_SHARE:
            picture = put_thing_in_front(picture, landmarks, wardrobe.things, rng)
        return picture, CLASSES.index("no_mask")
    worn = WAYS_WORN[rng.choice(len(WAYS_WORN), p=CHANCES_WORN)]
    if worn in ("on_chin", "off_one_ear") and to_px(CHIN, landmarks)[0, 1] > picture.shape[0]:
        worn = "under_nose"  # tight crops end above the chin: the mask would not be in the picture
    masked = put_on(picture, landmarks, worn, wardrobe, rng)
    if (masked != picture).any(axis=2).mean() < LEAST_SEEN:  # it hangs beside the picture
        worn, masked = "under_nose", put_on(picture, landmarks, "under_nose", wardrobe, rng)
    return masked, CLASSES.index("mask" if worn == "well" else "wrong_mask")


def put_on(
    picture: np.ndarray, landmarks: np.ndarray, worn: Worn, wardrobe: Wardrobe, rng: np.random.Generator
) -> np.ndarray:
    """The bare face with a mask, a real one or a painted one."""
    turned = abs(face_axes(landmarks)[2]) > MOST_TURNED_PAINTED
    if wardrobe.masks and (turned or rng.random() < CUT_SHARE):
        return put_mask(picture, landmarks, worn, wardrobe.masks, rng)
    return paint_mask(picture, landmarks, worn, rng, wardrobe.fabrics)


def reframe(picture: np.ndarray, box: Box, size: int, rng: np.random.Generator) -> np.ndarray:
    """The crop (size, size, 3) that a detector off by a tenth and a head held askew would give, or its mirror image.

    As in live crops, what lies outside of the picture is cut off and the rest stretched.
    """
    height, width = picture.shape[:2]
    longest = max(box.width, box.height)
    half = CROP_MARGIN * longest / 2 * math.exp(rng.uniform(-0.17, 0.15)) * rng.uniform(0.96, 1.04, 2)
    centre = (
        np.array([box.x + box.width / 2, box.y + box.height / 2]) + rng.uniform((-0.1, -0.05), (0.1, 0.1)) * longest
    )
    low = np.maximum(centre - half, 0)
    high = np.maximum(np.minimum(centre + half, (width, height)), low + 1)
    scale = np.diag(size / (high - low))
    angle = math.radians(rng.uniform(-18, 18)) if rng.random() < 0.7 else 0.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mirror = np.diag([rng.choice([-1.0, 1.0]), 1.0])
    linear = mirror @ scale @ turn
    shift = size / 2 - 0.5 - linear @ ((low + high) / 2 - 0.5)
    matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
