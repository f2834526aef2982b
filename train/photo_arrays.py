"""Whole photographs with the boxes of their faces, as COCO writes them down: what a detector learns from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from configs.errors import InputError


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


def read_photos(folder: Path) -> Photos:
    """The photographs of `folder`/images that `folder`/annotations.json names, decoded.

    Raises InputError, with the culprit in it, for whatever is not there, is no COCO, or is no picture.
    """
    path = folder / "annotations.json"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); needed are train/ and val/, each with annotations.json (COCO) "
            "and images/"
        ) from error
    hashed = hashlib.sha256(text)
    try:
        coco = json.loads(text)
        names = {int(image["id"]): str(image["file_name"]) for image in coco["images"]}
        classes = {int(entry["id"]): str(entry["name"]) for entry in coco["categories"]}
        notes: dict[int, list[tuple[np.ndarray, int]]] = {number: [] for number in names}
        order = list(classes)
        for note in coco["annotations"]:
            notes[note["image_id"]].append((corners(note), order.index(note["category_id"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the annotations of photographs in COCO's form: {error!r}") from error
    if not names or not any(notes.values()):
        raise InputError(f"{path}: names no photographs with faces")
    photos = []
    for number, name in names.items():
        image = read_picture(folder / "images" / name)
        boxes = np.array([box for box, _ in notes[number]], np.float32).reshape(-1, 4)
        photos.append(Photo(name, image, boxes, np.array([label for _, label in notes[number]], np.int64)))
        hashed.update(image.data)
    return Photos(photos, tuple(classes.values()), hashed.hexdigest()[:16])


def corners(note: dict[str, Any]) -> np.ndarray:
    """x1, y1, x2, y2 of an annotation; ValueError unless its box is four numbers with a width and a height."""
    x, y, width, height = map(float, note["bbox"])
    if not (np.isfinite([x, y, width, height]).all() and width > 0 and height > 0):
        raise ValueError(f"bbox {note['bbox']} of annotation {note.get('id')}")
    return np.array([x, y, x + width, y + height], np.float32)


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 BGR."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if picture is None:
        raise InputError(f"{path}: {'not a picture that OpenCV can read' if path.exists() else 'no such file'}")
    return picture


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
