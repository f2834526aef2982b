"""Searching pictures for faces in threads beside the frames: what is found, and how often there is time for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from configs.schema import DetectConfig
from inference.detectors import open_candidate_detector, open_detector
from inference.detectors.detector import Detection, Shrunken, scaled, shrink_pixels
from inference.track import same_face
from inference.widths import Widths
from transport.cores import give_way
from transport.frame import Box, Frame

BUSY_SHARE = 0.5  # of the threads' time that searches beside live frames may take
AHEAD_S = 0.05  # of it may be taken in advance: frames of several streams come at once
LONGEST_S = 0.25  # what is overdrawn beyond this is forgotten
NEW_COUNTS = 0.2  # how much the newest search counts in how long one usually takes
LATE_S = 0.25  # between two searches of a camera, at most
RECENT_S = 0.5  # a camera that was searched in this time is one of those that share the threads


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
        self.width_px = config.width_px  # of the newest picture
        self._widths = Widths(max(1, config.threads), LATE_S)
        self._wide_s: dict[str, float] = {}  # when each camera was searched, where widths are chosen
        self._usual_s = self._taken_until_s = 0.0

    def begin(self, look: Look, mirrored: bool = False, wide: Shrunken | None = None) -> Searching:
        """Search the picture that `look` gives, or its mirror image; `wide` is the same picture with more pixels."""
        self.begun += 1
        now_s, takes_s = time.monotonic(), self._usual_s / (BUSY_SHARE * max(1, self._config.threads))
        self._taken_until_s = min(max(now_s, self._taken_until_s) + takes_s, now_s + LONGEST_S)
        return Searching(self._pool.submit(self._run, look, mirrored, wide), self.detector.score)

    @property
    def has_time(self) -> bool:
        """Whether the threads are still idle for half of the time if a search begins now.

        On a busy box, where they give way to the frames, a search takes longer, and the next one comes later.
        """
        return self._taken_until_s <= time.monotonic() + AHEAD_S

    def shrunken(self, frame: Frame) -> tuple[int, Shrunken]:
        """The frame's number, and its picture as it is searched and followed in."""
        return frame.seq, shrink_pixels(frame.pixels, self._config.width_px)

    def wide(self, frame: Frame) -> Shrunken | None:
        """A camera's picture as wide as there is time to search it; None: as it is followed in."""
        if self._config.width != "auto" or self._config.candidates:
            return None
        now_s = time.monotonic()
        self._wide_s = {name: at_s for name, at_s in self._wide_s.items() if now_s - at_s < RECENT_S}
        self._wide_s[frame.stream] = now_s
        widest_px = min(frame.width, self.detector.widest_px)
        self.width_px = self._widths.choose(len(self._wide_s), widest_px)
        return shrink_pixels(frame.pixels, self.width_px) if self.width_px > self._config.width_px else None

    def _run(self, look: Look, mirrored: bool, wide: Shrunken | None) -> Answer:
        began_s, (seq, picture), own = time.monotonic(), look(), self._own
        searched = wide or picture
        faces = own.detector.detect(searched, mirrored)
        candidates = [box for box, _ in own.candidates.sure(picture)] if own.candidates else []
        took_s = time.monotonic() - began_s
        self._usual_s += NEW_COUNTS * (took_s - self._usual_s)
        self._widths.took(searched.grey.shape[1], took_s, NEW_COUNTS)
        if wide is not None:
            faces = [Detection(scaled(box, picture.scale / wide.scale), score) for box, score in faces]
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
