"""Decodes one image: a file, a camera's snapshot, a part of an MJPEG stream."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from capture.picture import Undecodable

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it prints up to six lines about a broken image
PNG, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"


def read_image(file: Path) -> np.ndarray:
    """The picture, (H, W, 3) uint8 BGR; raises Undecodable."""
    try:
        data = np.fromfile(file, np.uint8)
    except OSError as error:
        raise Undecodable(file.name, (error.strerror or "cannot be read").lower()) from None
    if not data.size:
        raise Undecodable(file.name, "the file is empty")
    return decode_image(data, file.name)


def decode_image(data: bytes | np.ndarray, name: str) -> np.ndarray:
    """The picture, (H, W, 3) uint8 BGR, upright as its EXIF data say; raises Undecodable.

    Decoded from memory, because cv2.imread takes half a JPEG for a whole one and greys the rest.
    """
    if not len(data):
        raise Undecodable(name, "it is empty")
    if bytes(data[: len(PNG)]) == PNG and bytes(data).rfind(PNG_END) < 0:  # libpng prints a line of its own about it
        raise Undecodable(name, "not a whole image")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV takes
        raise Undecodable(name, "too large an image") from None
    if image is None:
        raise Undecodable(name, "not a whole image")
    return image
