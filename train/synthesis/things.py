"""Things that are no faces, cut out of their pictures: hands, cups, hats, phones; to be put into views."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from capture.image_files import image_files
from configs.errors import InputError
from train.data.pictures import read_picture

BLACK = 14  # grey levels: what is darker, and touches the border, is the ground on which the thing lies
LONGEST_PX = 320  # as they are kept
MOST_TURNED = 40.0  # degrees
SOFT_PX = 1.0  # of the edge


class Thing(NamedTuple):
    """Pixels (H, W, 3) uint8 BGR, and how opaque they are, (H, W) uint8."""

    image: np.ndarray
    opaque: np.ndarray


def read_things(folder: Path) -> list[Thing]:
    """The pictures below a folder, each of a thing on black ground. Raises InputError where there are none."""
    things = [cut_out(read_picture(path)) for path in image_files(folder, deep=True).pictures]
    if not things:
        raise InputError(f"{folder}: no pictures of things in it")
    return things


def cut_out(image: np.ndarray) -> Thing:
    """The thing in a picture (H, W, 3) uint8 BGR: all that its outline encloses, dark parts of it, too."""
    scale = min(1.0, LONGEST_PX / max(image.shape[:2]))
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    bright = (image.max(axis=2) > BLACK).astype(np.uint8)
    closed = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    opaque: np.ndarray = np.zeros(image.shape[:2], np.uint8)
    cv2.drawContours(opaque, outlines, -1, 255, cv2.FILLED)
    return Thing(image, cv2.erode(opaque, np.ones((3, 3), np.uint8)))


def put_thing(
    image: np.ndarray, thing: Thing, middle: tuple[float, float], longest_px: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A copy of the picture with the thing on it, turned somehow; and where it is, (H, W) uint8, 255 where opaque."""
    height, width = thing.image.shape[:2]
    scale = longest_px / max(height, width)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-MOST_TURNED, MOST_TURNED), scale)
    if rng.random() < 0.5:
        turn = turn @ np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]])
    turn[:, 2] += np.array(middle) - (width / 2, height / 2)
    size = image.shape[1::-1]
    drawn = cv2.warpAffine(thing.image, turn, size, flags=cv2.INTER_AREA)
    opaque = cv2.GaussianBlur(cv2.warpAffine(thing.opaque, turn, size), (0, 0), SOFT_PX)
    light = np.float32(rng.uniform(0.7, 1.15))
    share = opaque[..., None].astype(np.float32) / 255
    mixed = image * (1 - share) + drawn.astype(np.float32) * light * share
    return mixed.clip(0, 255).astype(np.uint8), opaque
