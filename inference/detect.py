"""The detect stage: faces are searched for now and then, and followed in between."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from configs.schema import DetectConfig
from inference.haar import HaarDetector, scaled, shrunken_grey
from inference.track import Tracker
from transport.frame import Box, Face, Frame
from transport.stage import Batches, StageContext

log = logging.getLogger("detect")

NUMBERS_OF_A_LIFE = 1_000_000  # a restarted stage must not give a new face the number, and so the label, of an old one
AUTO_EVERY = 8  # frames of a file between two searches
AUTO_EVERY_MS = 100.0  # of a live stream; at 35 ms a search (the demo, AMD EPYC) a third of a core


def detect(config: DetectConfig, batches: Batches, context: StageContext) -> Iterator[Frame]:
    """Attach the faces of each frame: those found in it, or followed into it since the last search.

    With `every` 1 each frame is searched, and waits for that; nothing is followed. Otherwise live frames wait for no
    search: it runs in a thread beside them, and what it finds is carried to where it is by then.
    """
    detector = HaarDetector(config)
    context.facts["detector"] = detector.name
    log.info("%s, in pictures of at most %d px width", detector.name, config.width)
    frames = searched = faces = 0
    watches: dict[str, Watch] = {}
    with ThreadPoolExecutor(1, thread_name_prefix="search") as beside:
        for batch in batches:
            for frame in batch:
                if config.every == 1 or frame.name:  # pictures of a folder have nothing to do with each other
                    boxed = tuple(Face(box) for box in detector.find(frame.image))
                    searched += 1
                else:
                    if frame.stream not in watches:
                        tracker = Tracker(first_id=context.restarts * NUMBERS_OF_A_LIFE)
                        watches[frame.stream] = Watch(detector, config, tracker, beside)
                    boxed = watches[frame.stream].see(frame)
                frames += 1
                faces += len(boxed)
                yield replace(frame, faces=boxed)
    searched += sum(watch.searches for watch in watches.values())
    log.info("%d frames, %d searched, %d faces", frames, searched, faces)


class Watch:
    """One stream, watched: its tracks, and the search that is under way."""

    def __init__(
        self, detector: HaarDetector, config: DetectConfig, tracker: Tracker, beside: ThreadPoolExecutor
    ) -> None:
        self._detector, self._config, self._tracker, self._beside = detector, config, tracker, beside
        self._frames_since = 0
        self._searched_ns = 0
        self._lost = True  # nothing is known yet: search at once, as when a face was lost
        self._newest: np.ndarray | None = None
        self._search: Future[tuple[np.ndarray, list[Box]]] | None = None
        self.searches = 0

    def see(self, frame: Frame) -> tuple[Face, ...]:
        """The faces of this frame, the one after the last."""
        grey, scale = shrunken_grey(frame.image, self._config.width)
        self._newest = grey
        if self._tracker.follow(grey):
            self._lost = True
        if frame.live:
            self._search_beside(frame.captured_ns)
        elif self._due(frame.captured_ns, live=False):
            self._tracker.found(self._detector.find_in_grey(grey))
        return tuple(Face(scaled(track.box, 1 / scale), track=track.id) for track in self._tracker.tracks)

    def _search_beside(self, now_ns: int) -> None:
        """Bring in a search that is finished; begin the next one when it is due."""
        if self._search is not None and self._search.done():
            self._tracker.found(self._tracker.carried(*self._search.result()))
            self._search = None
        if self._search is None and self._due(now_ns, live=True):
            self._search = self._beside.submit(self._search_newest)

    def _search_newest(self) -> tuple[np.ndarray, list[Box]]:
        """Streams take turns in the thread: by the time it is this one's, there may be a newer picture."""
        grey = self._newest
        assert grey is not None
        return grey, self._detector.find_in_grey(grey)

    def _due(self, now_ns: int, live: bool) -> bool:
        self._frames_since += 1
        every = self._config.every
        if every == "auto" and live:
            due = now_ns - self._searched_ns >= AUTO_EVERY_MS * 1e6
        else:
            due = self._frames_since >= (AUTO_EVERY if every == "auto" else every)
        if due or self._lost:
            self._frames_since, self._searched_ns, self._lost = 0, now_ns, False
            self.searches += 1
            return True
        return False
