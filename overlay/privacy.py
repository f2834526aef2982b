"""Hides faces in pictures that leave the box: those found, followed, candidates, and where they were just before.

Detect passes on no picture before faces that it found late are hidden in it, too (inference/hold.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
from msgspec.structs import replace

from transport.frame import Box, Frame, time_ms
from transport.pixels import Pixels

MARGIN = 0.3  # of the box, on each side: hair and ears tell who it is, too
KEPT_MS = 1000.0  # a face that is no longer found is hidden for so long where it was last
# blocks and the lines of a box: of 6 Haar took 4 in 363 pictures for a face, of 4 2 in 554; blurred from 6 7 of 247
BLOCKS = {"pixelate": 4, "blur": 4}  # across a face


class PrivacyMask:
    """Frames in, the same frames out with their faces hidden."""

    def __init__(self, kind: Literal["blur", "pixelate"]) -> None:
        self._kind = kind
        self._seen: dict[str, dict[int, tuple[float, Box]]] = {}  # of each stream, by track: when last, ms, and where

    def hidden(self, frame: Frame) -> Frame:
        """The frame with its faces hidden, in a copy of its pixels."""
        now_ms, faces = time_ms(frame), (*frame.faces, *frame.candidates)
        seen = self._seen.get(frame.stream, {}) | {
            face.track: (now_ms, face.box) for face in faces if face.track is not None
        }
        seen = {track: last for track, last in seen.items() if 0 <= now_ms - last[0] <= KEPT_MS}
        self._seen[frame.stream] = seen
        image = frame.pixels.copy()
        hide(
            image, [*(face.box for face in faces if face.track is None), *(box for _, box in seen.values())], self._kind
        )
        image.setflags(write=False)
        return replace(frame, pixels=Pixels(image), slot=None)

    def forget(self, stream: str) -> None:
        """The stream has ended: a later one of its name has other faces."""
        self._seen.pop(stream, None)


def hide(picture: np.ndarray, boxes: Iterable[Box], kind: Literal["blur", "pixelate"]) -> None:
    """Make the faces unknowable, in place; `picture` is (H, W, 3) uint8.

    >>> picture = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    >>> hide(picture, [Box(20, 20, 40, 40)], "pixelate")
    >>> len(np.unique(picture[8:72, 8:72].reshape(-1, 3), axis=0)) <= BLOCKS["pixelate"] ** 2
    True
    """
    height, width = picture.shape[:2]
    for box in boxes:
        grown_x, grown_y = MARGIN * box.width, MARGIN * box.height
        x0, y0 = max(0, round(box.x - grown_x)), max(0, round(box.y - grown_y))
        x1 = min(width, round(box.x + box.width + grown_x))
        y1 = min(height, round(box.y + box.height + grown_y))
        if x1 - x0 < 1 or y1 - y0 < 1:
            continue
        part = picture[y0:y1, x0:x1]
        few = cv2.resize(part, (min(BLOCKS[kind], x1 - x0), min(BLOCKS[kind], y1 - y0)), interpolation=cv2.INTER_AREA)
        smooth = cv2.INTER_NEAREST if kind == "pixelate" else cv2.INTER_CUBIC
        part[:] = cv2.resize(few, (x1 - x0, y1 - y0), interpolation=smooth)
