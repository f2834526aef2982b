"""Pictures of one stream that wait in detect until it was searched for faces behind them: none is shown before.

With privacy a face that is found late is hidden in the pictures in which nobody had found it yet, so those must not
have gone on. They wait for searches, not for a time: how long those take depends on what else the machine does.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

from inference.detectors.detector import Shrunken, scaled
from inference.optical_flow import flow
from transport.frame import Box, Ended, Face, Frame, Held, iou

log = logging.getLogger("detect")

SEARCHES = 2  # that began at a picture or a later one and are in before it goes on
LONGEST_NS = 3_000_000_000  # a live picture that is older and was not searched is dropped
MOST = 56  # pictures that wait; a live one that comes then is dropped
COVERED_IOU = 0.5  # with a box that is hidden: then the face is hidden, too, because a margin around the box is
CALMER = 0.95  # how quickly the delay becomes less, with each search


@dataclass(slots=True)
class _Waiting:
    frame: Frame
    grey: np.ndarray
    scale: float
    searches: int = 0
    late: list[Face] = field(default_factory=list)

    def hide(self, boxes: Iterable[Box]) -> None:
        """Hide these places as well, px of the frame."""
        self.late += [Face(box) for box in boxes if not self.covers(box)]

    def covers(self, box: Box) -> bool:
        hidden = (*self.frame.faces, *self.frame.candidates, *self.late)
        return any(iou(box, face.box) >= COVERED_IOU for face in hidden)


class Hold:
    """The pictures of one stream that wait."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._delay_ns = 0.0
        self._warned = False

    @property
    def needs_search(self) -> bool:
        """Whether the newest picture needs another search, if no later picture comes."""
        return bool(self._waiting) and self._waiting[-1].searches < SEARCHES

    def add(self, frame: Frame, picture: Shrunken) -> Held | Ended:
        """Take in a frame with its faces, and its picture as it is searched; says what becomes of it for now."""
        if frame.live and len(self._waiting) >= MOST:
            return self._dropped(frame)
        self._waiting.append(_Waiting(frame, picture.grey, picture.scale))
        return Held(frame)

    def searched(self, seq: int, picture: Shrunken, boxes: Sequence[Box]) -> None:
        """Take in what a search of picture `seq` has found, boxes in its px: it is hidden in all that wait.

        A face is followed from that picture to each of the others; where that fails it is hidden where it was last.
        """
        before = [one for one in self._waiting if one.frame.seq <= seq]
        completed = [one for one in before if one.searches == SEARCHES - 1]
        for one in before:
            one.searches += 1
        if completed:
            waited_ns = time.monotonic_ns() - completed[0].frame.captured_ns
            self._delay_ns = max(waited_ns, CALMER * self._delay_ns)
        if before:
            boxes = [box for box in boxes if not before[-1].covers(scaled(box, 1 / picture.scale))]
        _hide(before[::-1], picture.grey, boxes)
        _hide(list(self._waiting)[len(before) :], picture.grey, boxes)

    def ready(self) -> Iterator[Frame | Ended]:
        """The frames that go on, in order, live ones as evenly as they came; what waited too long is dropped."""
        while self._waiting:
            first = self._waiting[0]
            frame, age_ns = first.frame, time.monotonic_ns() - first.frame.captured_ns
            is_searched = first.searches >= SEARCHES
            if frame.live and age_ns < (self._delay_ns if is_searched else LONGEST_NS):
                return
            if not (frame.live or is_searched):  # a film has time
                return
            self._waiting.popleft()
            yield replace(frame, candidates=(*frame.candidates, *first.late)) if is_searched else self._dropped(frame)

    def _dropped(self, frame: Frame) -> Ended:
        if not self._warned:
            self._warned = True
            log.warning("%s: pictures that could not be searched for faces in time are not shown", frame.stream)
        return Ended(frame, "stale")


def _hide(waiting: Sequence[_Waiting], grey: np.ndarray, boxes: Sequence[Box]) -> None:
    """Hide boxes of a grey picture in others, the nearest first, px of these."""
    for one in waiting:
        if not boxes or one.grey.shape != grey.shape:
            return
        if one.grey is not grey:
            boxes = [moved or box for box, moved in zip(boxes, flow(grey, one.grey, boxes), strict=True)]
        one.hide(scaled(box, 1 / one.scale) for box in boxes)
        grey = one.grey
