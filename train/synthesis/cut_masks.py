"""Real masks, cut out of the pictures of masked faces and put on bare ones: well, too low, or too high."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np

from train.synthesis.landmarks import face_axes, to_px
from train.synthesis.painted_masks import hang

Put = Literal["well", "under_nose", "on_chin", "off_one_ear", "above_mouth", "on_eyes"]

SHEET_PX = 128  # side of the picture that a mask is kept in
SHEET = np.array([(-1.6, -0.8), (1.6, -0.8), (-1.6, 2.4)])  # its corners in face units, see painted_masks.mask_shape
SHEET_UNITS = 3.2
CUT_STEPS = 4
LEAST_AREA, MOST_AREA = 0.9, 3.2  # square units; half a mask, or mask and background
LEAST_SOLID = 0.88  # of the convex hull around it
HIGHEST, LOWEST = 0.02, 0.62  # its upper edge in the middle: higher it is hair and skin, too, lower it is worn badly
SIMILAR_TURN = 0.12  # of the heads that it came from and goes to
MOST_TURNED = 0.5  # of a head on which a mask is put
LEAST_REACH = 0.7  # of the half of a face to its side, for its ear to be seen


class CutMask(NamedTuple):
    """A mask (128, 128, 4) uint8 BGR and cover, seen as on a face that looks straight out of the picture.

    In face units: `middle` of the mask's width, `top` and `bottom` of its height there; `turned` is how far the nose of
    the head was sideways.
    """

    sheet: np.ndarray
    middle: float
    top: float
    bottom: float
    turned: float


def cut_mask(crop: np.ndarray, landmarks: np.ndarray) -> CutMask | None:
    """The mask of a masked face (H, W, 3) uint8 BGR; None where what is found does not look like one.

    By GrabCut (Rother, Kolmogorov and Blake, 2004), told that there is cloth before the mouth and none at the eyes.
    """
    matrix = cv2.getAffineTransform(to_px(SHEET, landmarks).astype(np.float32), to_sheet(SHEET))
    sheet = cv2.warpAffine(crop, matrix, (SHEET_PX, SHEET_PX), borderMode=cv2.BORDER_REPLICATE)
    _, _, turned = face_axes(landmarks)
    middle, left, right = 0.8 * turned, max(1.05 + 1.2 * turned, 0.25), max(1.05 - 1.2 * turned, 0.25)
    guess = np.full((SHEET_PX, SHEET_PX), cv2.GC_BGD, np.uint8)
    for value, half in (
        (cv2.GC_PR_BGD, [(1.1, 0.1), (1.1, 1.5), (0.6, 2.0)]),
        (cv2.GC_PR_FGD, [(0.0, 0.3), (0.75, 0.55), (0.75, 1.3), (0.45, 1.65)]),
        (cv2.GC_FGD, [(0.4, 0.75), (0.4, 1.25)]),
    ):
        outline = [(middle + right * x, y) for x, y in half] + [(middle - left * x, y) for x, y in reversed(half)]
        cv2.fillPoly(guess, [to_sheet(np.array(outline)).round().astype(np.int32)], value)
    cv2.grabCut(sheet, guess, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), CUT_STEPS, cv2.GC_INIT_WITH_MASK)
    cover = ((guess == cv2.GC_FGD) | (guess == cv2.GC_PR_FGD)).astype(np.uint8)
    cover = cv2.morphologyEx(cover, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    cover = cv2.morphologyEx(cover, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    count, pieces, sizes, _ = cv2.connectedComponentsWithStats(cover)
    if count < 2:
        return None
    cover = (pieces == 1 + sizes[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    area = float(cover.sum()) * (SHEET_UNITS / SHEET_PX) ** 2
    hull = cv2.convexHull(cv2.findNonZero(cover))
    solid = float(cover.sum()) / max(cv2.contourArea(hull), 1.0)
    edges = np.flatnonzero(cover[:, int(to_sheet(np.array([(middle, 0.0)]))[0, 0])])
    if not len(edges):
        return None
    top, bottom = (edges[[0, -1]] + (0, 1)) * SHEET_UNITS / SHEET_PX + SHEET[0, 1]
    if not (LEAST_AREA <= area <= MOST_AREA and solid >= LEAST_SOLID and HIGHEST <= top <= LOWEST):
        return None
    return CutMask(np.dstack([sheet, 255 * cover]), middle, float(top), float(bottom), turned)


def put_mask(
    crop: np.ndarray, landmarks: np.ndarray, put: Put, masks: Sequence[CutMask], rng: np.random.Generator
) -> np.ndarray:
    """A copy of the crop (H, W, 3) uint8 BGR of a bare face with one of the masks on it, off a head turned likewise."""
    _, down, turned = face_axes(landmarks)
    nose = float((landmarks[2] - landmarks[:2].mean(axis=0)) @ down / max(down @ down, 1.0))
    mask, side = choose(masks, turned, rng)
    if put in ("under_nose", "on_chin"):
        mask = mask._replace(sheet=sagging(mask, rng.uniform(0, 0.25)))
    height = mask.bottom - mask.top
    top, tall = {
        "well": (min(mask.top + rng.uniform(-0.08, 0.08), nose - 0.15), rng.uniform(0.9, 1.1)),
        "under_nose": (nose + rng.uniform(0.04, 0.32), rng.uniform(0.65, 1.0)),
        "on_chin": (rng.uniform(1.05, 1.55), rng.uniform(0.35, 0.8)),
        "above_mouth": (rng.uniform(0.12, 0.35), rng.uniform(0.45, 0.55) / height),
        "on_eyes": (rng.uniform(-0.75, -0.35), rng.uniform(0.8, 1.15) / height),
        "off_one_ear": (rng.uniform(0.2, 0.4), rng.uniform(0.75, 1.0)),
    }[put]
    wide = rng.uniform(0.95, 1.25) * (rng.uniform(0.75, 1.0) if put == "on_chin" else 1.0)
    tilt = rng.uniform(-0.12, 0.12)
    # from the sheet's face units to those of this face
    corners = SHEET - (mask.middle, mask.top)
    corners = corners * (side * wide, tall) + corners[:, :1] * (0, side * wide * tilt)
    corners += (0.8 * turned + rng.uniform(-0.06, 0.06), top)
    if put == "off_one_ear":
        ear = rng.choice([1.05 - 1.2 * turned, -1.05 - 1.2 * turned])
        corners = hang(corners, np.array([0.8 * turned + 1.1 * ear, 0.5]), rng)
    matrix = cv2.getAffineTransform(to_sheet(SHEET), to_px(corners, landmarks).astype(np.float32))
    worn = cv2.warpAffine(mask.sheet, matrix, crop.shape[1::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT)
    cloth = worn[..., :3] * rng.uniform(0.8, 1.2, 3 if rng.random() < 0.3 else 1) + rng.uniform(-12, 12)
    eye_distance = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    cover = cv2.GaussianBlur(worn[..., 3], (0, 0), max(0.3, rng.uniform(0.008, 0.03) * eye_distance))
    below: np.ndarray = crop.copy()
    if put != "off_one_ear" and rng.random() < 0.5:  # ear loops
        draw_loops(below, landmarks, top + 0.25 * tall * height, cloth[worn[..., 3] > 0], rng)
    if rng.random() < 0.5:  # and a shadow of the edge
        shadow = cv2.GaussianBlur(cover, (0, 0), 0.06 * eye_distance + 0.3)[..., None] / np.float32(255)
        below = (below * (1 - rng.uniform(0, 0.5) * shadow)).astype(np.uint8)
    weight = cover[..., None] / np.float32(255)
    return (below * (1 - weight) + cloth.clip(0, 255) * weight).astype(np.uint8)


def choose(masks: Sequence[CutMask], turned: float, rng: np.random.Generator) -> tuple[CutMask, float]:
    """A mask off a head that is turned so far, and 1; or one off a head turned the other way, and -1: its mirror."""
    turns = np.array([mask.turned for mask in masks])
    apart = np.stack([np.abs(turns - turned), np.abs(turns + turned)])
    fitting = np.argwhere(apart <= max(SIMILAR_TURN, float(np.sort(apart, axis=None)[: len(masks) // 20 + 1][-1])))
    mirrored, number = fitting[int(rng.integers(len(fitting)))]
    return masks[int(number)], -1.0 if mirrored else 1.0


def sagging(mask: CutMask, depth: float) -> np.ndarray:
    """Its sheet when its sides are that much higher than its middle, in face units: ears still hold them."""
    columns = SHEET[0, 0] + (np.arange(SHEET_PX) + 0.5) * SHEET_UNITS / SHEET_PX
    raised = depth * np.clip(np.abs(columns - mask.middle) / 0.9, 0, 1) ** 2 * SHEET_PX / SHEET_UNITS
    rows, places = np.mgrid[:SHEET_PX, :SHEET_PX].astype(np.float32)
    return cv2.remap(mask.sheet, places, rows + np.float32(raised), cv2.INTER_LINEAR)


def draw_loops(
    crop: np.ndarray, landmarks: np.ndarray, height: float, cloth: np.ndarray, rng: np.random.Generator
) -> None:
    """Lines from the sides of a mask at that height, in face units, to the ears; `cloth` (N, 3) is its colours."""
    if not len(cloth):
        return
    _, _, turned = face_axes(landmarks)
    colour = (cloth.mean(axis=0) * rng.uniform(0.7, 1.2)).clip(0, 255).tolist()
    thickness = max(1, round(float(np.linalg.norm(landmarks[1] - landmarks[0])) * rng.uniform(0.02, 0.05)))
    ears = rng.uniform(0.0, 0.5)
    for side, reach in ((1, 1.05 - 1.2 * turned), (-1, 1.05 + 1.2 * turned)):
        if reach < LEAST_REACH:  # that ear is behind the head
            continue
        for sag in (0.0, 0.4):
            points = np.array(
                [(0.8 * turned + side * 0.8 * reach, height + sag), (0.8 * turned + side * 1.15 * reach, ears)]
            )
            line = (to_px(points, landmarks) * 16).round().astype(np.int32)
            cv2.polylines(crop, [line], False, colour, thickness, cv2.LINE_AA, shift=4)


def to_sheet(points: np.ndarray) -> np.ndarray:
    """Points (N, 2) in face units as pixels (N, 2) float32 of a mask's sheet."""
    return ((points - SHEET[0]) * (SHEET_PX / SHEET_UNITS)).astype(np.float32)
