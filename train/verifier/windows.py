"""What a verifier learns from: windows on the hits of a short Haar cascade in annotated photographs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np

from configs.schema import DetectConfig
from inference.boxes import corners, pairwise_iou
from inference.detectors import open_detector
from inference.detectors.verified_haar import short_cascade
from inference.detectors.verifier import BOX_HEIGHT, BOX_WIDTH, LOWER, WINDOW, Verifier, cut, moves_to, windows_on
from train.data.photos import Photo, read_photos

LABELS = ("mask", "no_mask", "wrong_mask")
NO_FACE = -1
ROOM = 44 / 32
LEAST_SQUARE_PX = 24
FACE_IOU, NO_FACE_IOU = 0.35, 0.2  # of the box in the square with the annotated one; between them nothing is learnt
KNOWN_IOU = 0.3  # a face that YuNet finds is one of the annotated ones
MOST_A_FACE, MOST_BESIDE, MOST_ELSEWHERE = 12, 40, 120  # windows of a picture; half faces are mistaken most easily
FACTORS, STEPS = (0.4, 1.1), (1.15, 1.3)  # sizes of pictures, steps of the search
SMALL_PHOTO_PX = 240  # is not made smaller
MOST_PX = 4096


class Windows(NamedTuple):
    """N windows: pixels (N, roomy, roomy, 3) uint8 BGR, labels (N,) int8 (NO_FACE or place in LABELS), moves (N, 4)."""

    pixels: np.ndarray
    labels: np.ndarray
    moves: np.ndarray


class WindowSource(NamedTuple):
    """Which windows a verifier will see: all hits of the cascade's first `stages`, or those that `first` accepts.

    `side_px` is the side of the network's input.
    """

    stages: int
    side_px: int
    first: Verifier | None

    @property
    def roomy_px(self) -> int:
        """Side of the windows that are kept: larger than what the network sees, which can be turned and moved then."""
        return round(ROOM * self.side_px)


def gather(folder: Path, source: WindowSource, rounds: int, seed: int, unsure_by: Path) -> Windows:
    """The windows of all photographs, each in several sizes.

    What YuNet (its file is `unsure_by`) takes for a face that nobody has annotated is left out.
    """
    rng = np.random.default_rng(seed)
    cascade = short_cascade(source.stages)
    yunet = open_detector(DetectConfig(detector="yunet", model=str(unsure_by), width=MOST_PX, score=0.3))
    found = []
    for photo in read_photos(folder):
        unsure = np.array([msgspec.to_builtins(box) for box in yunet.find_rectangles(photo.image)]).reshape(-1, 4)
        found += [windows_in(photo, unsure, cascade, source, rng) for _ in range(rounds)]
    return Windows(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def windows_in(
    photo: Photo, unsure: np.ndarray, cascade: cv2.CascadeClassifier, source: WindowSource, rng: np.random.Generator
) -> Windows:
    """The windows that a verifier will see in a photograph of some other size, and what is in them.

    Hits on parts of `unsure` faces (N, 4) that are not annotated are left out.
    """
    faces = np.array([msgspec.to_builtins(box) for box, _ in photo.faces], float).reshape(-1, 4)
    labels = np.array([LABELS.index(label) for _, label in photo.faces] or [NO_FACE])
    unsure = unsure[pairwise_iou(corners(unsure), corners(faces)).max(axis=1, initial=0.0) < KNOWN_IOU]
    factor = rng.uniform(*FACTORS) if min(photo.image.shape[:2]) > SMALL_PHOTO_PX else 1.0
    image = cv2.resize(photo.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    hits = cascade.detectMultiScale(grey, rng.uniform(*STEPS), 0, minSize=(LEAST_SQUARE_PX, LEAST_SQUARE_PX))
    squares = np.asarray(hits, float).reshape(-1, 4)
    if source.first is None:
        windows, boxes = windows_of(squares), boxes_in(squares)
    else:
        boxes, _ = likely(source.first, image, windows_of(squares))
        windows = windows_on(boxes)
    edges = corners(boxes)
    overlap = pairwise_iou(edges, corners(faces) * factor)
    face = overlap.argmax(axis=1) if len(faces) else np.zeros(len(boxes), int)
    best = overlap.max(axis=1, initial=0.0)
    chosen = [some(rng, (face == one) & (best >= FACE_IOU), MOST_A_FACE) for one in range(len(faces))]
    elsewhere = (best < NO_FACE_IOU) & (pairwise_iou(edges, corners(unsure) * factor).max(axis=1, initial=0.0) < 0.1)
    chosen.append(some(rng, elsewhere & (best > 0.03), MOST_BESIDE))
    chosen.append(some(rng, elsewhere, MOST_ELSEWHERE))
    kept = np.unique(np.concatenate(chosen))
    is_face = best[kept] >= FACE_IOU
    windows = windows[kept]
    moves = np.zeros((len(kept), 4), np.float32)
    moves[is_face] = moves_to(windows[is_face], faces[face[kept][is_face]] * factor)
    pixels = cut(image, windows * (1, 1, ROOM), source.roomy_px)
    return Windows(pixels, np.where(is_face, labels[face[kept]], NO_FACE).astype(np.int8), moves)


def likely(verifier: Verifier, image_bgr: np.ndarray, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and scores (N,) in those windows (M, 3) of a picture in which the verifier sees a face, perhaps."""
    scores, boxes = verifier.look(image_bgr, windows)
    high = scores >= verifier.info.score
    return boxes[high], scores[high]


def windows_of(squares: np.ndarray) -> np.ndarray:
    """Centre x, y and side (N, 3) float64 of the windows on squares (N, 4), x, y, side, side."""
    sides = squares[:, 2].astype(np.float64)
    return np.stack([squares[:, 0] + sides / 2, squares[:, 1] + (0.5 + LOWER) * sides, WINDOW * sides], axis=1)


def some(rng: np.random.Generator, wanted: np.ndarray, most: int) -> np.ndarray:
    """Places of `most` of those that are wanted (N,), drawn at random."""
    return rng.permutation(np.flatnonzero(wanted))[:most]


def boxes_in(squares: np.ndarray) -> np.ndarray:
    """Annotators' boxes (N, 4) as they mostly lie in alt2's squares (N, 4)."""
    sizes = squares[:, 2:3] * (BOX_WIDTH, BOX_HEIGHT)
    return np.concatenate([windows_of(squares)[:, :2] - sizes / 2, sizes], axis=1)
