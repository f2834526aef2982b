"""The detect stage: faces are searched for now and then, and followed in between."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

from configs.known_misses import known_misses
from configs.plural import counted
from configs.schema import DetectConfig
from inference.detector import Shrunken, scaled
from inference.hold import Hold
from inference.search import Found, Search, confirmed
from inference.track import Tracker
from transport.frame import Box, Ended, Face, Frame, Held
from transport.stage import Batches, StageContext

log = logging.getLogger("detect")

NUMBERS_OF_A_LIFE = 1_000_000  # a restarted stage must not give a new face the number, and so the label, of an old one
AUTO_EVERY_MS = 300.0  # of a film between two searches: a new face is seen within that
LIVE_EVERY_MS = (90.0, 250.0)  # of a camera: with time to spare in each third of 30 pictures/s; at the latest
DOUBTFUL_FROM = NUMBERS_OF_A_LIFE // 2  # tracks of what may be a face are numbered from here on
APART_HIDING = 20  # frames between two searches where faces are to be hidden: twice as many wait for two of them
SILENT_S = 0.2  # with no further picture the last one is searched again, so that those that wait for it can go on
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


def detect(config: DetectConfig, batches: Batches, context: StageContext) -> Iterator[Frame | Ended | Held]:
    """Attach the faces of each frame: those found in it, or followed into it since the last search.

    With `every` 1 each frame is searched, and waits for that; nothing is followed. Otherwise live frames wait for no
    search: it runs in a thread beside them, and what it finds is carried to where it is by then. Frames of files
    wait, but of all that are there the searches that are due begin at once, so that they run beside the following.
    With `doubtful` frames are held until their stream was searched behind them (inference/hold.py).
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
                yield from watches[frame.stream].take(frame, found)
                frames += 1
                faces += watches[frame.stream].faces
                context.counts["searched"] = search.begun
            for watch in watches.values():
                yield from watch.idle()
    log.info("%s, %d searched, %s", counted(frames, "frame"), search.begun, counted(faces, "face"))


class Watch:
    """One stream, watched: its tracks, and the search that is under way."""

    def __init__(self, search: Search, config: DetectConfig, first_id: int) -> None:
        self._search, self._config = search, config
        self._tracker, self._doubtful = Tracker(first_id), Tracker(first_id + DOUBTFUL_FROM)
        self._turn: int | None = None  # of the last search that was due, see _turn_of
        self._due_seq = 0
        self._begun_ms = -math.inf  # when the picture was captured at which the last search beside the frames began
        self._searches = 0
        self._lost = False  # a face was lost in the last picture: it may be somewhere else
        self._newest: tuple[int, Shrunken] | None = None  # a picture and its seq
        self._live = False
        self._under_way: Future[Found] | None = None
        self._searching_seq = -1  # the picture that the search under way looks at
        self._hold = Hold() if config.doubtful else None
        self._came: list[tuple[int, Shrunken, list[Box]]] = []  # what searches have found, for those that wait
        self._seen_s = 0.0
        self._extras = 0
        self.faces = 0  # in the last frame

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

    def take(self, frame: Frame, found: Future[Found] | None) -> Iterator[Frame | Ended | Held]:
        """The frame with its faces, or what goes on instead: those that wait until faces are hidden in them."""
        faces, doubtful = self.see(frame, found)
        self.faces, self._live, self._seen_s = len(faces), frame.live, time.monotonic()
        seen = replace(frame, faces=faces, doubtful=doubtful)
        if self._hold is None or frame.name:
            self._came.clear()
            yield seen
        else:
            assert self._newest is not None
            yield self._hold.add(seen, self._newest[1])
            yield from self._let_go()

    def idle(self) -> Iterator[Frame | Ended]:
        """What goes on though no further picture has come: a search may have come in, or one is begun now."""
        if self._hold is None or self._newest is None:
            return
        self._take_in()
        silent = time.monotonic() - self._seen_s > SILENT_S
        if silent and self._hold.needs_search and self._under_way is None:
            self._extras += 1
            self._under_way = self._search.begin(self._newest_picture, self._known, self._extras % 2 == 1)
        yield from self._let_go()

    def _hide(self, seq: int, picture: Shrunken, boxes: list[Box]) -> None:
        """What a search of a picture has found is to be hidden in those that wait."""
        if self._hold is not None:
            self._came.append((seq, picture, boxes))

    def _let_go(self) -> Iterator[Frame | Ended]:
        assert self._hold is not None
        for came in self._came:
            self._hold.searched(*came)
        self._came.clear()
        yield from self._hold.ready()

    def see(self, frame: Frame, found: Future[Found] | None) -> tuple[tuple[Face, ...], tuple[Face, ...]]:
        """The faces of this frame, the one after the last; and, if asked for, what else may be one."""
        if self._is_let_be(frame):
            picture = self._search.shrink(frame)
            return faces_of(self._tracker, picture), faces_of(self._doubtful, picture)
        if self._config.every == 1 or frame.name:  # pictures of a folder have nothing to do with each other
            assert found is not None
            picture, faces, doubtful = found.result()
            boxes = [box for box, _ in faces]
            self._newest = frame.seq, picture
            self._hide(frame.seq, picture, [*boxes, *doubtful])
            alone = [Face(scaled(box, 1 / picture.scale)) for box in (*boxes, *doubtful)]
            return tuple(alone[: len(boxes)]), tuple(alone[len(boxes) :])
        if found is not None:
            picture = found.result().picture
            self._newest = frame.seq, picture
            self._follow(picture)
            self._take(found.result(), frame)
        else:
            picture = self._search.shrink(frame)
            self._newest = frame.seq, picture
            lost = self._follow(picture)
            if frame.live:
                self._lost |= lost
                self._search_beside(frame)
            elif lost:
                self._take(self._search.begin(lambda: picture, None).result(), frame, extra=True)
        return faces_of(self._tracker, picture), faces_of(self._doubtful, picture)

    def _is_let_be(self, frame: Frame) -> bool:
        """Whether faces just stay where they are: in a damaged picture none is looked for, except to hide it."""
        return frame.corrupt and not self._config.doubtful

    def _follow(self, picture: Shrunken) -> bool:
        """Carry all faces into the picture after the last; whether one was lost."""
        self._doubtful.follow(picture.grey)
        return self._tracker.follow(picture.grey)

    def _take(self, found: Found, frame: Frame, extra: bool = False) -> None:
        """Bring in what a search of this frame's picture has found."""
        faces = confirmed(self._search.detector, found.picture, found.faces, self._known)
        boxes = [box for box, _ in faces]
        self._hide(frame.seq, found.picture, [*boxes, *found.doubtful])
        self._tracker.found(boxes, extra)
        self._doubtful.found(found.doubtful, extra)

    def _take_in(self) -> None:
        """Bring in a search beside the frames that is finished."""
        if self._under_way is None or not self._under_way.done():
            return
        then, faces, doubtful = self._under_way.result()
        self._under_way, boxes = None, [box for box, _ in faces]
        self._hide(self._searching_seq, then, [*boxes, *doubtful])
        if self._live and self._config.every != 1:  # else what is followed would depend on how fast all goes
            self._tracker.found(self._tracker.carried(then.grey, boxes))
            self._doubtful.found(self._doubtful.carried(then.grey, doubtful))

    def _search_beside(self, frame: Frame) -> None:
        """Bring in a search that is finished; begin the next one when it is due."""
        self._take_in()
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
        self._searching_seq, picture = self._newest
        return picture

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
        due = turn != self._turn
        if self._config.doubtful:
            due |= frame.seq - self._due_seq >= APART_HIDING
        self._turn, self._due_seq = turn, frame.seq if due else self._due_seq
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
