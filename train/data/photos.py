"""Photographs with annotated faces, as COCO has them: a folder of images/ and annotations.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from configs.errors import InputError
from train.data.pictures import read_picture
from transport.frame import Box


class Photo(NamedTuple):
    """A photograph, (H, W, 3) uint8 BGR, and the boxes and labels of its faces."""

    name: str
    image: np.ndarray
    faces: tuple[tuple[Box, str], ...]


class Category(Struct):
    id: int
    name: str


class Picture(Struct):
    id: int
    file_name: str


class Annotation(Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]  # x, y, width, height


class Coco(Struct):
    """What is read of annotations.json."""

    categories: list[Category]
    images: list[Picture]
    annotations: list[Annotation]


def read_annotations(folder: Path) -> Coco:
    """The annotations of a folder; InputError where there are none that can be read."""
    path = folder / "annotations.json"
    try:
        coco = msgspec.json.decode(path.read_bytes(), type=Coco)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a folder with images/ and COCO's annotations.json") from None
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: not COCO's annotations: {error}") from None
    known, pictures = {one.id for one in coco.categories}, {one.id for one in coco.images}
    for one in coco.annotations:
        if one.category_id not in known or one.image_id not in pictures or min(one.bbox[2:]) <= 0:
            raise InputError(f"{path}: a face of an unknown picture or category, or without a size: {one}")
    return coco


def read_photos(folder: Path, least_side_px: float = 0) -> Iterator[Photo]:
    """The photographs of a folder, with faces of that many px and more; those without one too, unless px are given."""
    coco = read_annotations(folder)
    names = {category.id: category.name for category in coco.categories}
    faces: dict[int, list[tuple[Box, str]]] = {}
    for one in coco.annotations:
        box = Box(*one.bbox)
        if min(box.width, box.height) >= least_side_px:
            faces.setdefault(one.image_id, []).append((box, names[one.category_id]))
    for picture in coco.images:
        if least_side_px and picture.id not in faces:
            continue
        image = read_picture(folder / "images" / picture.file_name)
        yield Photo(picture.file_name, image, tuple(faces.get(picture.id, ())))
