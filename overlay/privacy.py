"""Hides faces in pictures that leave the box: those found, followed and doubtful, and where they were just before."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from events.watch import time_ms
from transport.frame import Box, Frame

MARGIN = 0.3  # of the box, on each side: hair and ears tell who it is, too
KEPT_MS = 1000.0  # a face that is no longer found is hidden for so long where it was last
# blocks and the lines of a box: of 6 Haar took 4 in 363 pictures for a face, of 4 2 in 554; blurred from 6 7 of 247
BLOCKS = {"pixelate": 4, "blur": 4}  # across a face


@dataclass(slots=True)
class _Held:
    frame: Frame
    boxes: list[Box]


class _Stream:
    """The frames of one stream that wait, and where its faces were last. Times are of the pictures, ms."""

    def __init__(self) -> None:
        self.waiting: deque[_Held] = deque()
        self.seen: dict[int, tuple[float, Box]] = {}
        self.came_s = 0.0


class Veil:
    """Frames in, the same frames out with their faces hidden, `hold_ms` later.

    A face is found some frames after it appeared, at the next search. Pictures wait for that, and a face that is new
    is hidden in those that wait as well, there where it was found.
    """

    def __init__(self, kind: Literal["blur", "pixelate"], hold_ms: float) -> None:
        self._kind, self._hold_ms = kind, hold_ms
        self._streams: dict[str, _Stream] = {}

    def add(self, frame: Frame) -> list[Frame]:
        """Take in a frame (its pixels are copied); those that have waited long enough, in order."""
        stream, now_ms = self._streams.setdefault(frame.stream, _Stream()), time_ms(frame)
        faces = (*frame.faces, *frame.doubtful)
        new = [face.box for face in faces if face.track is None or face.track not in stream.seen]
        for held in stream.waiting:
            held.boxes.extend(new)
        stream.seen |= {face.track: (now_ms, face.box) for face in faces if face.track is not None}
        stream.seen = {track: seen for track, seen in stream.seen.items() if 0 <= now_ms - seen[0] <= KEPT_MS}
        boxes = [face.box for face in faces if face.track is None] + [box for _, box in stream.seen.values()]
        own = replace(frame, image=frame.image.copy(), slot=None)
        stream.waiting.append(_Held(own, boxes))
        stream.came_s = time.monotonic()
        return self._release(stream, now_ms - self._hold_ms)

    def overdue(self) -> list[Frame]:
        """The frames of streams that have ended or are away: nothing has come for as long as a frame waits."""
        since_s = time.monotonic() - self._hold_ms / 1000
        return [
            frame for stream in self._streams.values() if stream.came_s < since_s for frame in self._release(stream)
        ]

    def rest(self) -> list[Frame]:
        """All that still wait."""
        return [frame for stream in self._streams.values() for frame in self._release(stream)]

    def _release(self, stream: _Stream, until_ms: float = float("inf")) -> list[Frame]:
        ready = []
        while stream.waiting:
            first_ms = time_ms(stream.waiting[0].frame)
            if until_ms < first_ms <= until_ms + self._hold_ms:  # a later one: the film was started again
                break
            held = stream.waiting.popleft()
            hide(held.frame.image, held.boxes, self._kind)
            held.frame.image.setflags(write=False)
            ready.append(held.frame)
        return ready


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
