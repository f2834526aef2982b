"""Labelled faces with what is around them, from photographs and ready crops: room for crops cut a little wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from configs.errors import InputError
from inference.preprocess import CROP_MARGIN, crop_box
from train.data.corrections import Corrections, corrected
from train.data.dataset import Split, find_dataset
from train.data.held_back import divide_more
from train.data.pictures import read_picture
from train.synthesis.landmarks import LandmarkFinder
from transport.frame import Box

CLASSES = ("mask", "no_mask", "wrong_mask")
KEPT_PX = 128  # side of the crop that a face is kept for
KEPT_MARGIN = 1.9  # sides of the face box kept around it: room for the widest, most shifted and turned crop
SMALLEST_PX = 18  # smaller faces in photographs are left out


@dataclass(frozen=True, slots=True)
class FramedFace:
    """A face in its surroundings (H, W, 3) uint8 BGR. `landmarks` only of those that masks are painted on."""

    picture: np.ndarray
    box: Box
    label: int
    source: str
    landmarks: np.ndarray | None = None


def gather(data: Path, finder: LandmarkFinder, corrections: Corrections) -> list[FramedFace]:
    """All training faces, rightly labelled: from photographs, and the crops whose photographs are not at hand.

    Of `more` what is held back is left out, and so are copies of what is validated and tested on.
    """
    photographs, more = data / "photos" / "train", data / "more" / "faces"
    for needed in (photographs / "images", photographs / "annotations.json", more):
        if not needed.exists():
            raise InputError(f"{needed}: not there; the shipped model learns from faces/, photos/ and more/")
    faces = list(faces_in_photographs(photographs, corrections))
    known = {path.stem for path in (photographs / "images").iterdir()}
    split = corrected(find_dataset(data / "faces"), corrections)[0].splits["train"]
    crops = [one for one in labelled(split) if one[0].stem.rsplit("_", 1)[0] not in known]
    crops += labelled(divide_more(more, CLASSES, corrections).training)
    faces += [whole_crop(path, label, source_of(path)) for path, label in crops]
    return [with_landmarks(face, finder) for face in faces]


def labelled(split: Split) -> list[tuple[Path, int]]:
    """The files of a split, each with its label."""
    return list(zip(split.files, map(int, split.labels), strict=True))


def faces_in_photographs(folder: Path, corrections: Corrections) -> Iterator[FramedFace]:
    """The annotated faces of a COCO folder, each cut out with what is around it.

    Corrections name ready crops. The crop `PHOTO_2.jpg` shows the third annotated face of PHOTO.
    """
    notes = json.loads((folder / "annotations.json").read_text())
    names = {image["id"]: image["file_name"] for image in notes["images"]}
    labels = {entry["id"]: CLASSES.index(entry["name"]) for entry in notes["categories"]}
    for image_id, name in names.items():
        photograph = read_picture(folder / "images" / name)
        for place, note in enumerate(note for note in notes["annotations"] if note["image_id"] == image_id):
            box, label = Box(*note["bbox"]), CLASSES[labels[note["category_id"]]]
            change = corrections.of(Path(f"{Path(name).stem}_{place}.jpg"), label)
            right = label if change is None else change.right
            if right in CLASSES and max(box.width, box.height) >= SMALLEST_PX:
                yield kept(photograph, box, CLASSES.index(right), source_of(Path(name)))


def whole_crop(path: Path, label: int, source: str) -> FramedFace:
    """A ready crop, cut at CROP_MARGIN: nothing is known of what is around it."""
    picture = read_picture(path)
    height, width = picture.shape[:2]
    side = max(height, width) / CROP_MARGIN
    return kept(picture, Box((width - side) / 2, (height - side) / 2, side, side), label, source)


def kept(photograph: np.ndarray, box: Box, label: int, source: str) -> FramedFace:
    """The face with its surroundings, shrunk to what training can use."""
    height, width = photograph.shape[:2]
    x0, y0, x1, y1 = crop_box(box, width, height, KEPT_MARGIN)
    picture = photograph[y0:y1, x0:x1]
    scale = min(1.0, KEPT_PX / (CROP_MARGIN * max(box.width, box.height)))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    inside = Box((box.x - x0) * scale, (box.y - y0) * scale, box.width * scale, box.height * scale)
    return FramedFace(np.ascontiguousarray(picture), inside, label, source)


def with_landmarks(face: FramedFace, finder: LandmarkFinder) -> FramedFace:
    """Landmarks for bare faces (masks are painted on them) and masked ones (fabric is cut from them)."""
    if face.label == CLASSES.index("wrong_mask"):
        return face
    height, width = face.picture.shape[:2]
    x0, y0, x1, y1 = crop_box(face.box, width, height, CROP_MARGIN)
    found = finder.find(face.picture[y0:y1, x0:x1])
    if found is None or (face.label == 0 and x1 - x0 < 60):
        return face
    return replace(face, landmarks=found + np.array([x0, y0], np.float32))


def source_of(path: Path) -> str:
    return path.name.split("_")[0]
