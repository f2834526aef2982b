"""Pictures of a folder: each image file one frame, in the order of their names."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from pathlib import Path

import numpy as np
from PIL import Image

from capture.image_files import SUFFIXES, FolderFiles, image_files, named
from capture.kind import Kind
from capture.picture import Picture, Place, Room, Source
from capture.still import read_image
from configs.errors import InputError
from configs.schema import SourceConfig

log = logging.getLogger("capture")

_SIZED = 1000  # images of a folder whose size is read from their headers, some tenths of a ms each


class FolderKind(Kind):
    """A path of a folder that is there."""

    name, called, written = "folder", "a folder of images", "a folder of images"
    options = ("loop",)

    def fits(self, text: str) -> bool:
        return os.path.isdir(text)  # Path.is_dir raises where a name is too long

    def title(self, text: str) -> str:
        return Path(os.path.abspath(text)).name

    def check(self, config: SourceConfig) -> None:
        if not os.access(config.source, os.R_OK):
            raise InputError(f"{config.source}: no permission to read it")
        listed(Path(config.source))

    def size(self, config: SourceConfig) -> tuple[int, int] | None:
        sizes = []
        for file in listed(Path(config.source)).pictures[:_SIZED]:
            with contextlib.suppress(OSError, Image.DecompressionBombError), Image.open(file) as image:
                sizes.append(image.size)
        return max(sizes, key=math.prod, default=None)

    def open(self, config: SourceConfig, place: Place) -> Source:
        return ImageFolder(Path(config.source), config.loop, place.pictures)


class ImageFolder(Source):
    """The images that lie directly in a folder, from number `start` on; with `loop` again and again.

    Grey, 16 bit and transparent images become 8 bit BGR; photographs are turned upright as their EXIF data say.
    Raises InputError if there is no image.
    """

    live = False
    fps = 0.0

    def __init__(self, path: Path, loop: bool = False, start: int = 0) -> None:
        found = listed(path)
        self._files = found.pictures
        if found.others:
            log.info("%s: left out as no pictures: %s", path, named(file.name for file in found.others))
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


def listed(path: Path) -> FolderFiles:
    """The files of a folder, sorted by name, without hidden ones. Raises InputError if there is no image."""
    found = image_files(path, deep=False)
    if not found.pictures:
        raise InputError(f"{path}: no images in this folder (looked for {', '.join(SUFFIXES)})")
    return found
