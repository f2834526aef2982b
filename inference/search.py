"""Searching pictures for faces in threads beside the frames: what is found, and how often there is time for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from configs.schema import DetectConfig
from inference.detectors import open_candidate_detector, open_detector
from inference.detectors.detector import Detection, Shrunken, shrink
from inference.track import same_face
from transport.cores import give_way
from transport.frame import Box, Frame

BUSY_SHARE = 0.5  # of the threads' time that searches beside live frames may take
AHEAD_S = 0.05  # of it may be taken in advance: frames of several streams come at once
LONGEST_S = 0.25  # what is overdrawn beyond this is forgotten
NEW_COUNTS = 0.2  # how much the newest search counts in how long one usually takes


class Found(NamedTuple):
    """What a search of picture `seq` has found, in px of the shrunken one; `candidates` may be faces or not."""

    seq: int
    picture: Shrunken
    faces: list[Box]
    candidates: list[Box]


Look = Callable[[], tuple[int, Shrunken]]
"""Gives the picture to be searched, and its number, when its turn has come."""
Answer = tuple[int, Shrunken, list[Detection], list[Box]]


class Searching:
    """A search that has begun; asking for what it finds waits for its end."""

    def __init__(self, answer: Future[Answer], least: float) -> None:
        self._answer, self._least = answer, least

    @property
    def done(self) -> bool:
        return self._answer.done()

    @property
    def picture(self) -> Shrunken:
        """The picture that was searched."""
        return self._answer.result()[1]

    def found(self, known: Sequence[Box]) -> Found:
        """The faces that are sure: by their score, or because they lie on those known to be in that picture."""
        seq, picture, detections, candidates = self._answer.result()
        faces = [box for box, score in detections if score >= self._least or same_face(box, known)]
        return Found(seq, picture, faces, candidates)


class Search:
    """Searches pictures in threads. Each has a detector of its own: OpenCV's cannot be used by two at once."""

    def __init__(self, config: DetectConfig) -> None:
        self._config = config
        self.detector = open_detector(config)  # here, at the start, what is missing is refused
        self._opened = [self.detector]  # for the first thread; opening one takes 50 ms of CPU
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(max(1, config.threads), "search", self._start_thread)
        self.begun = 0
        self._usual_s = self._taken_until_s = 0.0

    def begin(self, look: Look, mirrored: bool = False) -> Searching:
        """Search the picture that `look` gives, or its mirror image."""
        self.begun += 1
        now_s, takes_s = time.monotonic(), self._usual_s / (BUSY_SHARE * max(1, self._config.threads))
        self._taken_until_s = min(max(now_s, self._taken_until_s) + takes_s, now_s + LONGEST_S)
        return Searching(self._pool.submit(self._run, look, mirrored), self.detector.score)

    @property
    def has_time(self) -> bool:
        """Whether the threads are still idle for half of the time if a search begins now.

        On a busy box, where they give way to the frames, a search takes longer, and the next one comes later.
        """
        return self._taken_until_s <= time.monotonic() + AHEAD_S

    def shrunken(self, frame: Frame) -> tuple[int, Shrunken]:
        """The frame's number, and its picture as it is searched and followed in."""
        return frame.seq, shrink(frame.image, self._config.width)

    def _run(self, look: Look, mirrored: bool) -> Answer:
        began_s, (seq, picture), own = time.monotonic(), look(), self._own
        faces = own.detector.detect(picture, mirrored)
        candidates = [box for box, _ in own.candidates.sure(picture)] if own.candidates else []
        self._usual_s += NEW_COUNTS * (time.monotonic() - began_s - self._usual_s)
        return seq, picture, faces, candidates

    def _start_thread(self) -> None:
        # searched in turn with the frames that wait for it: each of them with `every` 1, all with privacy
        if self._config.every != 1 and not self._config.candidates:
            give_way()
        try:
            self._own.detector = self._opened.pop()
        except IndexError:
            self._own.detector = open_detector(self._config)
        self._own.candidates = open_candidate_detector(self._config) if self._config.candidates else None

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
