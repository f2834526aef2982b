"""Searching pictures for faces in threads beside the frames: by which detector, and how often there is time for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from configs.schema import DetectConfig
from inference.detector import Candidate, Detector, Shrunken, shrink
from inference.haar import HaarDetector
from inference.judged_haar import JudgedHaarDetector
from inference.maskface import MaskfaceDetector
from inference.track import same_face
from inference.yunet import YunetDetector
from transport.cores import give_way
from transport.frame import Box, Frame

DOUBTFUL_SCORE = 0.2  # of maskface, for whatever may be a face: where it is hidden YuNet finds none on the pan_ films
BUSY_SHARE = 0.5  # of the threads' time that searches beside live frames may take
AHEAD_S = 0.05  # of it may be taken in advance: frames of several streams come at once
LONGEST_S = 0.25  # what is overdrawn beyond this is forgotten
NEW_COUNTS = 0.2  # how much the newest search counts in how long one usually takes
DETECTORS: dict[str, type[Detector]] = {
    "haar": JudgedHaarDetector,
    "plain haar": HaarDetector,
    "yunet": YunetDetector,
    "maskface": MaskfaceDetector,
}


def open_detector(config: DetectConfig) -> Detector:
    """The detector of the options; raises InputError for what it needs and does not find."""
    return DETECTORS["plain haar" if is_plain_haar(config) else config.detector](config)


def open_doubting(config: DetectConfig) -> Detector:
    """What finds places that may be faces: ours that ships, at a low score."""
    return MaskfaceDetector(
        DetectConfig(detector="maskface", score=DOUBTFUL_SCORE, width=config.width, max_face=config.max_face)
    )


def is_plain_haar(config: DetectConfig) -> bool:
    """Whether cascades alone are asked, as `detect.second_opinion` can want it."""
    return config.detector == "haar" and config.second_opinion != "judge"


class Found(NamedTuple):
    """What a search has found, in px of the shrunken picture; `doubtful` boxes may be faces or not."""

    picture: Shrunken
    faces: list[Candidate]
    doubtful: list[Box]


class Search:
    """Searches pictures in threads. Each has a detector of its own: OpenCV's cannot be used by two at once."""

    def __init__(self, config: DetectConfig) -> None:
        self._config = config
        self.detector = open_detector(config)  # of the main thread; what is missing is refused here, at the start
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(max(1, config.threads), "search", self._start_thread)
        self.begun = 0
        self._usual_s = self._taken_until_s = 0.0

    def begin(
        self, picture: Callable[[], Shrunken], known: Sequence[Box] | None, mirrored: bool = False
    ) -> Future[Found]:
        """Search the picture that the call gives when its turn has come, or its mirror image.

        What is found beside the faces known is confirmed by a second look; None: that is left to the caller.
        """
        self.begun += 1
        now_s, takes_s = time.monotonic(), self._usual_s / (BUSY_SHARE * max(1, self._config.threads))
        self._taken_until_s = min(max(now_s, self._taken_until_s) + takes_s, now_s + LONGEST_S)
        return self._pool.submit(self._run, picture, known, mirrored)

    @property
    def has_time(self) -> bool:
        """Whether the threads are still idle for half of the time if a search begins now.

        On a busy box, where they give way to the frames, a search takes longer, and the next one comes later.
        """
        return self._taken_until_s <= time.monotonic() + AHEAD_S

    def shrink(self, frame: Frame) -> Shrunken:
        """The frame's picture as it is searched and followed in."""
        return shrink(frame.image, self._config.width)

    def _run(self, picture: Callable[[], Shrunken], known: Sequence[Box] | None, mirrored: bool) -> Found:
        began_s, shrunken, own = time.monotonic(), picture(), self._own
        found = own.detector.candidates(shrunken, mirrored)
        sure = found if known is None else confirmed(own.detector, shrunken, found, known)
        doubtful = [box for box, _ in own.doubting.sure(shrunken)] if own.doubting else []
        self._usual_s += NEW_COUNTS * (time.monotonic() - began_s - self._usual_s)
        return Found(shrunken, sure, doubtful)

    def _start_thread(self) -> None:
        # searched in turn with the frames that wait for it: each of them with `every` 1, all with privacy
        if self._config.every != 1 and not self._config.doubtful:
            give_way()
        self._own.detector = open_detector(self._config)
        self._own.doubting = open_doubting(self._config) if self._config.doubtful else None

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def confirmed(
    detector: Detector, picture: Shrunken, candidates: Sequence[Candidate], known: Sequence[Box]
) -> list[Candidate]:
    """Those on faces that are known, and of the others those that are sure."""
    return [one for one in candidates if same_face(one.box, known) or detector.confirms(picture, one)]
