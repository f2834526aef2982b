"""Whole photographs with the boxes of their faces as arrays: what a detector learns from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from configs.errors import InputError
from train.data.boxes import no_boxes
from train.data.photos import read_annotations, read_photos


@dataclass(slots=True)
class TrainingPhoto:
    """A photograph (H, W, 3) uint8 BGR, boxes (N, 4) float32 x1, y1, x2, y2 px of its faces, and their labels (N,).

    What lies in the boxes `unsure` (M, 4) may be a face or not. `landmarks` are five points (5, 2) px of some faces, by
    their number.
    """

    name: str
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    unsure: np.ndarray = field(default_factory=no_boxes)
    landmarks: dict[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """All photographs of a split, the names of the labels, and a hash of what was read."""

    photos: list[TrainingPhoto]
    classes: tuple[str, ...]
    fingerprint: str

    @property
    def faces(self) -> int:
        return sum(len(photo.boxes) for photo in self.photos)


def read_photo_set(folder: Path) -> PhotoSet:
    """The photographs of `folder`/images that `folder`/annotations.json names, decoded.

    Raises InputError, with the culprit in it, for whatever is not there, is no COCO, or is no picture.
    """
    classes = [category.name for category in read_annotations(folder).categories]
    hashed = hashlib.sha256((folder / "annotations.json").read_bytes())
    photos = []
    for photo in read_photos(folder):
        corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box, _ in photo.faces]
        labels = np.array([classes.index(label) for _, label in photo.faces], np.int64)
        photos.append(TrainingPhoto(photo.name, photo.image, np.array(corners, np.float32).reshape(-1, 4), labels))
        hashed.update(photo.image.data)
    if not any(len(photo.boxes) for photo in photos):
        raise InputError(f"{folder / 'annotations.json'}: names no photographs with faces")
    return PhotoSet(photos, tuple(classes), hashed.hexdigest()[:16])
