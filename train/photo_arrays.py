"""Whole photographs with the boxes of their faces as arrays: what a detector learns from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from configs.errors import InputError
from train.photos import read_annotations, read_photos


@dataclass(slots=True)
class Photo:
    """A photograph (H, W, 3) uint8 BGR, boxes (N, 4) float32 x1, y1, x2, y2 px of its faces, and their labels (N,).

    What lies in the boxes `unsure` (M, 4) may be a face or not. `landmarks` are five points (5, 2) px of some faces, by
    their number.
    """

    name: str
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    unsure: np.ndarray = field(default_factory=lambda: no_boxes())
    landmarks: dict[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Photos:
    """All photographs of a split, the names of the labels, and a hash of what was read."""

    photos: list[Photo]
    classes: tuple[str, ...]
    fingerprint: str

    @property
    def faces(self) -> int:
        return sum(len(photo.boxes) for photo in self.photos)


def no_boxes() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


def read_arrays(folder: Path) -> Photos:
    """The photographs of `folder`/images that `folder`/annotations.json names, decoded.

    Raises InputError, with the culprit in it, for whatever is not there, is no COCO, or is no picture.
    """
    classes = [category.name for category in read_annotations(folder).categories]
    hashed = hashlib.sha256((folder / "annotations.json").read_bytes())
    photos = []
    for photo in read_photos(folder):
        corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box, _ in photo.faces]
        labels = np.array([classes.index(label) for _, label in photo.faces], np.int64)
        photos.append(Photo(photo.name, photo.image, np.array(corners, np.float32).reshape(-1, 4), labels))
        hashed.update(photo.image.data)
    if not any(len(photo.boxes) for photo in photos):
        raise InputError(f"{folder / 'annotations.json'}: names no photographs with faces")
    return Photos(photos, tuple(classes), hashed.hexdigest()[:16])


def sides(boxes: np.ndarray) -> np.ndarray:
    """Longest sides (N,) px of boxes (N, 4).

    >>> sides(np.array([[10, 10, 14, 17]])).tolist()
    [7]
    """
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU (N, M) of boxes (N, 4) with others (M, 4), both as x1, y1, x2, y2.

    >>> overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [[0.333, 0.0]]
    """
    both = inside(boxes, others)
    one, other = area(boxes)[:, None], area(others)[None]
    return both / np.maximum(one + other - both, 1e-9)


def inside(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Area (N, M) px that boxes (N, 4) share with others (M, 4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return (high - low).clip(0).prod(axis=2)


def area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
