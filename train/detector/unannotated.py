"""What YuNet knows of the training photographs: faces that nobody annotated, and landmarks to draw masks on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from inference.boxes import intersection, pairwise_iou
from inference.preprocess import CROP_MARGIN, crop_box
from train.data.boxes import longest_sides
from train.data.photo_set import PhotoSet, TrainingPhoto
from train.session.workers import in_order
from train.synthesis.landmarks import LandmarkFinder
from transport.frame import Box

SEARCHED_PX = 640  # longest side of the picture in which YuNet looks
CROPS_SEARCHED_PX = 320  # of a crop that a face fills
SURE_ENOUGH = 0.5  # score from which on it may be right
SAME_FACE_IOU = 0.3
MOSTLY_INSIDE = 0.6  # share of a find within an annotated face: a part of it
PAINTED_PX = 32  # smaller faces are too coarse to be given a mask


class Unannotated:
    """What YuNet calls a face and no annotator did, in each of the photographs: boxes (N, 4) float32 px."""

    def __init__(self, photos: Sequence[TrainingPhoto], model: Path, searched_px: int) -> None:
        self.photos, self.searched_px = photos, searched_px
        self.finder = LandmarkFinder(model)
        self.finder.detector.setScoreThreshold(SURE_ENOUGH)

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, number: int) -> np.ndarray:
        photo = self.photos[number]
        found = find_faces(self.finder, photo.image, self.searched_px)
        same = pairwise_iou(found, photo.boxes).max(axis=1, initial=0) > SAME_FACE_IOU
        covered = intersection(found[:, None], photo.boxes[None]).max(axis=1, initial=0)
        part = covered > MOSTLY_INSIDE * np.maximum((found[:, 2:] - found[:, :2]).prod(axis=1), 1e-9)
        return found[~same & ~part]


def mark_unannotated(
    photos: Sequence[TrainingPhoto], model: Path, searched_px: int = SEARCHED_PX, workers: int = 0
) -> int:
    """Make `unsure` what YuNet calls a face and no annotator did; gives the number of such places."""
    for photo, unsure in zip(photos, in_order(Unannotated(photos, model, searched_px), workers), strict=True):
        photo.unsure = unsure
    return sum(len(photo.unsure) for photo in photos)


def find_faces(finder: LandmarkFinder, image: np.ndarray, searched_px: int = SEARCHED_PX) -> np.ndarray:
    """Boxes (N, 4) float32 px of the faces that YuNet sees in a picture (H, W, 3) uint8 BGR."""
    scale = searched_px / max(image.shape[:2])
    shrunken = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    finder.detector.setInputSize((shrunken.shape[1], shrunken.shape[0]))
    _, found = finder.detector.detect(shrunken)
    boxes = np.zeros((0, 4), np.float32) if found is None else found[:, :4] / np.float32(scale)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def find_landmarks(photos: PhotoSet, model: Path) -> int:
    """Give bare faces their `landmarks`, where YuNet is sure of them; gives the number of faces that have them."""
    finder, bare = LandmarkFinder(model), photos.classes.index("no_mask")
    for photo in photos.photos:
        height, width = photo.image.shape[:2]
        for number in np.flatnonzero((photo.labels == bare) & (longest_sides(photo.boxes) >= PAINTED_PX)):
            x1, y1, x2, y2 = map(float, photo.boxes[number])
            left, top, right, bottom = crop_box(Box(x1, y1, x2 - x1, y2 - y1), width, height, CROP_MARGIN)
            points = finder.find(photo.image[top:bottom, left:right])
            if points is not None:
                photo.landmarks[int(number)] = points + np.array([left, top], np.float32)
    return sum(len(photo.landmarks) for photo in photos.photos)
