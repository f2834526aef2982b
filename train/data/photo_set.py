"""Whole photographs with the boxes of their faces as arrays, and crops of one face: what a detector learns from."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from configs.errors import InputError
from train.data.boxes import no_boxes
from train.data.held_back import read_held_back
from train.data.photos import Photo, read_annotations, read_photos
from train.data.pictures import read_picture
from transport.frame import Box


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


def read_face_crops(folder: Path) -> list[TrainingPhoto]:
    """Pictures that one face fills, with its box, as manifest.csv of `folder` tells.

    Its columns are `file` and `face_box` (x0 y0 x1 y1 px of the picture), or instead of that four columns, `face_x0`
    and so on. Where there is a column `split`, only those of `train` are read. Faces that are held back from training
    (`train/data/held_back.py`), because they are scored or copies of such, are left out.

    Raises InputError, with the culprit in it, for a folder or a file that is something else.
    """
    label = np.zeros(1, np.int64)
    return [
        TrainingPhoto(row["file"], read_picture(folder / row["file"]), corners[None], label)
        for row, corners in rows_of_crops(folder)
    ]


def read_labelled_crops(folder: Path, classes: Sequence[str]) -> Iterator[Photo]:
    """The same as photographs with one face, one after the other; their labels stand in a column `label`."""
    for row, (x0, y0, x1, y1) in rows_of_crops(folder):
        if row.get("label") not in classes:
            raise InputError(f"{folder / 'manifest.csv'}: {row['file']}: its label is none of {', '.join(classes)}")
        box = Box(float(x0), float(y0), float(x1 - x0), float(y1 - y0))
        yield Photo(row["file"], read_picture(folder / row["file"]), ((box, row["label"]),))


def rows_of_crops(folder: Path) -> list[tuple[dict[str, str], np.ndarray]]:
    """The lines of manifest.csv that may be learnt from, and the corners (4,) float32 px of their faces."""
    path = folder / "manifest.csv"
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row.get("split", "train") == "train"]
        boxes = np.array([corners_of(row) for row in rows], np.float32).reshape(-1, 4)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; it tells which pictures there are, and their faces") from None
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise InputError(f"{path}: no table with `file` and `face_box` (x0 y0 x1 y1): {error}") from None
    for row, box in zip(rows, boxes, strict=True):
        if not (box[2:] > box[:2]).all():
            raise InputError(f"{path}: {row['file']}: its face has no size")
    held_back = set[tuple[str, str]]().union(*read_held_back().values())
    return [(row, box) for row, box in zip(rows, boxes, strict=True) if Path(row["file"]).parts[-2:] not in held_back]


def corners_of(row: Mapping[str, str]) -> tuple[float, float, float, float]:
    """Corners x0, y0, x1, y1 px of the face of a line. Raises KeyError or ValueError where it tells none.

    >>> corners_of({"face_box": "10 20 15 26"})
    (10.0, 20.0, 15.0, 26.0)
    """
    words = (
        row["face_box"].split() if "face_box" in row else [row[f"face_{corner}"] for corner in ("x0", "y0", "x1", "y1")]
    )
    x0, y0, x1, y1 = map(float, words)
    return x0, y0, x1, y1
