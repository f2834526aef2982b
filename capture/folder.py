"""Pictures of a folder: each image file one frame, in the order of their names."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np

from capture.image_files import SUFFIXES, image_files, named
from capture.picture import Picture, Room, Source, Undecodable
from capture.still import decode_image
from configs.errors import InputError

log = logging.getLogger("capture")


class ImageFolder(Source):
    """The images that lie directly in a folder, from number `start` on; with `loop` again and again.

    Grey, 16 bit and transparent images become 8 bit BGR; photographs are turned upright as their EXIF data say.
    Raises InputError if there is no image.
    """

    live = False
    fps = 0.0

    def __init__(self, path: Path, loop: bool = False, start: int = 0) -> None:
        self._files = images_of(path)
        others = image_files(path, deep=False).others
        if others:
            log.info("%s: left out as no pictures: %s", path, named(file.name for file in others))
        self._loop = loop
        self._next = start

    def read(self, room: Room) -> Picture | None:
        """The next image, or None behind the last. Raises Undecodable for a broken one."""
        if self._next >= len(self._files) and not self._loop:
            return None
        file = self._files[self._next % len(self._files)]
        self._next += 1
        image = read_image(file)
        slot = room(*image.shape[:2])
        np.copyto(slot, image)
        return Picture(slot, time.monotonic_ns(), name=file.name)

    def close(self) -> None: ...


def images_of(path: Path) -> list[Path]:
    """The image files of a folder, sorted by name, without hidden ones. Raises InputError if there is none."""
    files = image_files(path, deep=False).pictures
    if not files:
        raise InputError(f"{path}: no images in this folder (looked for {', '.join(SUFFIXES)})")
    return files


def read_image(file: Path) -> np.ndarray:
    """The picture, (H, W, 3) uint8 BGR; raises Undecodable."""
    try:
        data = np.fromfile(file, np.uint8)
    except OSError as error:
        raise Undecodable(file.name, (error.strerror or "cannot be read").lower()) from None
    if not data.size:
        raise Undecodable(file.name, "the file is empty")
    return decode_image(data, file.name)
