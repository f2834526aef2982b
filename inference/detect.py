"""The detect stage: faces are searched for now and then, and followed in between."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

from configs.known_misses import known_misses
from configs.plural import counted
from configs.schema import DetectConfig
from inference.detector import Shrunken, scaled
from inference.search import Found, Search, confirmed
from inference.track import Tracker
from transport.frame import Box, Face, Frame
from transport.stage import Batches, StageContext

log = logging.getLogger("detect")

NUMBERS_OF_A_LIFE = 1_000_000  # a restarted stage must not give a new face the number, and so the label, of an old one
AUTO_EVERY_MS = 300.0  # of a film between two searches: a new face is seen within that
LIVE_EVERY_MS = (90.0, 250.0)  # of a camera: with time to spare in each third of 30 pictures/s; at the latest
DOUBTFUL_FROM = NUMBERS_OF_A_LIFE // 2  # tracks of what may be a face are numbered from here on
LOOK_AHEAD = 8  # frames of files that may be there at once: 270 ms at 30 frames/s, in which one search is due


def is_as_measured(config: DetectConfig) -> bool:
    """Whether what is known of a detector holds: it searches as it ships, at whatever width, and with no other file."""
    measured = DetectConfig(
        detector=config.detector,
        model=config.model if config.detector == "yunet" else "",
        width=config.width,
        every=config.every,
        doubtful=config.doubtful,
        threads=config.threads,
        listen=config.listen,
    )
    return config == measured


def detect(config: DetectConfig, batches: Batches, context: StageContext) -> Iterator[Frame]:
    """Attach the faces of each frame: those found in it, or followed into it since the last search.

    With `every` 1 each frame is searched, and waits for that; nothing is followed. Otherwise live frames wait for no
    search: it runs in a thread beside them, and what it finds is carried to where it is by then. Frames of files
    wait, but of all that are there the searches that are due begin at once, so that they run beside the following.
    """
    search = Search(config)
    context.facts["detector"] = search.detector.name
    if is_as_measured(config):
        context.facts["misses"] = known_misses(config.detector, config.width)
    log.info("%s, in pictures of at most %d px width", search.detector.name, config.width)
    frames = faces = 0
    watches: dict[str, Watch] = {}
    with search:
        for batch in batches:
            for stream in context.ended:
                watches.pop(stream, None)
            ahead: list[Future[Found] | None] = []
            for frame in batch:
                if frame.stream not in watches:
                    watches[frame.stream] = Watch(search, config, context.restarts * NUMBERS_OF_A_LIFE)
                ahead.append(watches[frame.stream].look_ahead(frame))
            for frame, found in zip(batch, ahead, strict=True):
                boxed, doubtful = watches[frame.stream].see(frame, found)
                frames += 1
                faces += len(boxed)
                context.counts["searched"] = search.begun
                yield replace(frame, faces=boxed, doubtful=doubtful)
    log.info("%s, %d searched, %s", counted(frames, "frame"), search.begun, counted(faces, "face"))


class Watch:
    """One stream, watched: its tracks, and the search that is under way."""

    def __init__(self, search: Search, config: DetectConfig, first_id: int) -> None:
        self._search, self._config = search, config
        self._tracker, self._doubtful = Tracker(first_id), Tracker(first_id + DOUBTFUL_FROM)
        self._turn: int | None = None  # of the last search that was due, see _turn_of
        self._begun_ms = -math.inf  # when the picture was captured at which the last search beside the frames began
        self._searches = 0
        self._lost = False  # a face was lost in the last picture: it may be somewhere else
        self._newest: Shrunken | None = None
        self._under_way: Future[Found] | None = None

    def look_ahead(self, frame: Frame) -> Future[Found] | None:
        """Begin the search that a frame of a file will need when its turn comes; the frames come in order."""
        if (frame.live and self._config.every != 1) or self._is_let_be(frame):
            return None
        alone = self._config.every == 1 or bool(frame.name)
        if not alone and not self._due(frame):
            return None
        if alone:
            return self._search.begin(lambda: self._search.shrink(frame), ())
        return self._search.begin(lambda: self._search.shrink(frame), None, self._in_the_mirror())

    def see(self, frame: Frame, found: Future[Found] | None) -> tuple[tuple[Face, ...], tuple[Face, ...]]:
        """The faces of this frame, the one after the last; and, if asked for, what else may be one."""
        if self._is_let_be(frame):
            picture = self._search.shrink(frame)
            return faces_of(self._tracker, picture), faces_of(self._doubtful, picture)
        if self._config.every == 1 or frame.name:  # pictures of a folder have nothing to do with each other
            assert found is not None
            picture, faces, doubtful = found.result()
            boxes = [box for box, _ in faces]
            alone = [Face(scaled(box, 1 / picture.scale)) for box in (*boxes, *doubtful)]
            return tuple(alone[: len(boxes)]), tuple(alone[len(boxes) :])
        if found is not None:
            picture = found.result().picture
            self._follow(picture)
            self._take(found.result(), picture)
        else:
            self._newest = picture = self._search.shrink(frame)
            lost = self._follow(picture)
            if frame.live:
                self._lost |= lost
                self._search_beside(frame)
            elif lost:
                self._take(self._search.begin(self._newest_picture, None).result(), picture, extra=True)
        return faces_of(self._tracker, picture), faces_of(self._doubtful, picture)

    def _is_let_be(self, frame: Frame) -> bool:
        """Whether faces just stay where they are: in a damaged picture none is looked for, except to hide it."""
        return frame.corrupt and not self._config.doubtful

    def _follow(self, picture: Shrunken) -> bool:
        """Carry all faces into the picture after the last; whether one was lost."""
        self._doubtful.follow(picture.grey)
        return self._tracker.follow(picture.grey)

    def _take(self, found: Found, picture: Shrunken, extra: bool = False) -> None:
        """Bring in what a search of this picture has found."""
        faces = confirmed(self._search.detector, picture, found.faces, self._known)
        self._tracker.found([box for box, _ in faces], extra)
        self._doubtful.found(found.doubtful, extra)

    def _search_beside(self, frame: Frame) -> None:
        """Bring in a search that is finished; begin the next one when it is due."""
        if self._under_way is not None and self._under_way.done():
            then, faces, doubtful = self._under_way.result()
            self._tracker.found(self._tracker.carried(then.grey, [box for box, _ in faces]))
            self._doubtful.found(self._doubtful.carried(then.grey, doubtful))
            self._under_way = None
        if self._under_way is None and (self._due(frame) or self._lost):
            self._lost, self._begun_ms = False, frame.captured_ns / 1e6
            self._under_way = self._search.begin(self._newest_picture, self._known, self._in_the_mirror())

    def _in_the_mirror(self) -> bool:
        """Whether the search that now begins is one of the mirror image: every other one is.

        Before a camera that sees the same again and again, a search would miss the same faces again and again.
        """
        self._searches += 1
        return self._searches % 2 == 0

    @property
    def _known(self) -> list[Box]:
        return [track.box for track in self._tracker.tracks]

    def _newest_picture(self) -> Shrunken:
        """Streams take turns in the threads: by the time it is this one's, there may be a newer picture."""
        assert self._newest is not None
        return self._newest

    def _due(self, frame: Frame) -> bool:
        """Whether this frame is the first in another turn than the last that was searched.

        Live streams are searched when there is time for it, and none of them too seldom; where faces are to be hidden
        there always is.
        """
        if frame.live and self._config.every == "auto":
            since_ms, (soon_ms, late_ms) = frame.captured_ns / 1e6 - self._begun_ms, LIVE_EVERY_MS
            has_time = self._search.has_time or self._config.doubtful
            return since_ms >= late_ms or (since_ms >= soon_ms and has_time)
        turn = self._turn_of(frame)
        due, self._turn = turn != self._turn, turn
        return due

    def _turn_of(self, frame: Frame) -> int:
        """Time, counted in steps from one search to the next: the same each time a film is played."""
        if self._config.every != "auto":
            return frame.seq // self._config.every
        at_ms = frame.captured_ns / 1e6 if frame.media_ms is None else frame.media_ms
        return int(at_ms // AUTO_EVERY_MS)


def faces_of(tracker: Tracker, picture: Shrunken) -> tuple[Face, ...]:
    """What is followed, in px of the frame."""
    return tuple(Face(scaled(track.box, 1 / picture.scale), track=track.id) for track in tracker.tracks)
