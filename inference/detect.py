"""The detect stage: faces are searched for now and then, and followed in between."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator

from msgspec.structs import replace

from configs.known_misses import known_misses
from configs.plural import counted
from configs.schema import DetectConfig
from inference.detectors.detector import Shrunken, scaled
from inference.hold import Hold
from inference.measured import found_by
from inference.motion import MotionGate
from inference.search import LATE_S, Found, Search, Searching
from inference.track import Tracker
from transport.frame import Box, Ended, Face, Frame, Held, time_ms
from transport.stage import Batches, StageContext

log = logging.getLogger("detect")

NUMBERS_OF_A_LIFE = 1_000_000  # a restarted stage must not give a new face the number, and so the label, of an old one
AUTO_EVERY_MS = 300.0  # of a film between two searches: a new face is seen within that
HIDDEN_EVERY_MS = 150.0  # of a film, while somebody is hidden in it
LIVE_EVERY_MS = (90.0, 1000 * LATE_S)  # of a camera: with time to spare in each third of 30 pictures/s; at the latest
QUIET_EVERY_MS = (1000.0, 4000.0)  # of one before which nothing moves: a quarter of how long that is so, within these
CANDIDATES_FROM = NUMBERS_OF_A_LIFE // 2  # tracks of candidates, which may be faces, are numbered from here on
APART_HIDING = 20  # frames between two searches where faces are to be hidden: twice as many wait for two of them
SILENT_S = 0.2  # with no further picture the last one is searched again, so that those that wait for it can go on


def detect(config: DetectConfig, batches: Batches, context: StageContext) -> Iterator[Frame | Ended | Held]:
    """Attach the faces of each frame: those found in it, or followed into it since the last search.

    With `every` 1 each frame is searched, and waits for that; nothing is followed. Otherwise live frames wait for no
    search: it runs in a thread beside them, and what it finds is carried to where it is by then. Frames of files
    wait, but of all that are there the searches that are due begin at once, so that they run beside the following.
    With `candidates` frames are held until their stream was searched behind them (inference/hold.py).
    """
    search = Search(config)
    context.facts["detector"] = search.detector.name
    misses = known_misses(config.detector, config.width_px)
    if misses and search.detector.is_as_measured:
        context.facts["misses"] = misses
    context.says.update(found_by=found_by(search.detector), searched_px=str(config.width_px))
    wider = ", cameras' wider while there is time" if config.width == "auto" else ""
    log.info("%s, in pictures at most %d px wide%s", search.detector.name, config.width_px, wider)
    frames = faces = told_px = 0
    streams: dict[str, StreamDetector] = {}
    with search:
        for batch in batches:
            for name in context.ended:
                streams.pop(name, None)
            for frame in batch:
                if frame.stream not in streams:
                    first_id = context.restarts * NUMBERS_OF_A_LIFE
                    streams[frame.stream] = StreamDetector(search, config, first_id)
                streams[frame.stream].search_ahead(frame)
            for frame in batch:
                seen = streams[frame.stream].see(frame)
                frames += 1
                faces += len(seen.faces)
                context.counts["searched"] = search.begun
                context.still(frame.stream, frame.captured_ns if streams[frame.stream].is_still else 0)
                yield from streams[frame.stream].pass_on(seen)
            if search.width_px != told_px:
                told_px = search.width_px
                context.says["searched_px"] = str(told_px)
                if "misses" in context.facts:
                    context.says["misses"] = known_misses(config.detector, told_px)
            if config.candidates:  # only then frames are held
                for stream in streams.values():
                    yield from stream.idle()
    log.info("%s, %d searched, %s", counted(frames, "frame"), search.begun, counted(faces, "face"))


class StreamDetector:
    """One stream: the faces that are followed in it, and the searches that have begun."""

    def __init__(self, search: Search, config: DetectConfig, first_id: int) -> None:
        self._search, self._config = search, config
        self._faces, self._candidates = Tracker(first_id), Tracker(first_id + CANDIDATES_FROM)
        self._ahead: dict[int, Searching] = {}  # by seq, for frames that will wait for them
        self._beside: tuple[Searching, list[Box]] | None = None  # for no frame, and the faces known when it began
        self._follows_live = False
        self._turn: int | None = None  # of the last search that was due, see _turn_of
        self._due_seq = 0
        self._begun_ms = -math.inf  # when the picture was captured at which the last search beside the frames began
        self._searches = self._extras = 0
        self._taken_ms = -math.inf  # of the last picture of a film of which a search was taken in
        self._lost = False  # a face was lost, and no search has begun since: it may be somewhere else
        gated = config.motion and config.every == "auto" and not config.candidates
        self._gate = MotionGate() if gated else None
        self._is_quiet = False  # nothing has moved for a while
        self._newest: tuple[int, Shrunken] | None = None
        self._seen_s = 0.0
        self._hold = Hold() if config.candidates else None
        self._came: list[Found] = []  # what searches have found, to be hidden in the frames that are held

    def search_ahead(self, frame: Frame) -> None:
        """Begin the search that a frame will wait for when its turn comes; the frames come in order."""
        if self._is_ignored(frame):
            return
        if self._is_alone(frame):
            self._ahead[frame.seq] = self._search.begin(lambda: self._search.shrunken(frame))
        elif not frame.live and self._due(frame):
            self._ahead[frame.seq] = self._search.begin(lambda: self._search.shrunken(frame), self._in_the_mirror())

    def see(self, frame: Frame) -> Frame:
        """The frame, the one after the last, with its faces; and, if asked for, with candidates."""
        self._look_for_motion(frame)
        self._faces.hidden.forget(time_ms(frame))
        if self._rests(frame):
            return frame
        ahead = self._ahead.pop(frame.seq, None)
        picture = ahead.picture if ahead is not None else self._search.shrunken(frame)[1]
        if not self._is_ignored(frame):
            self._newest, self._seen_s = (frame.seq, picture), time.monotonic()
            self._follows_live = frame.live and not self._is_alone(frame)
            if ahead is not None and self._is_alone(frame):
                self._came.append(ahead.found(known=()))
                return with_boxes(frame, self._came[-1])
            self._follow(picture, time_ms(frame))
            if ahead is not None:
                self._taken_ms = time_ms(frame)
            self._take_in(ahead)
            self._search_if_due(frame, picture)
        return replace(frame, faces=faces_of(self._faces, picture), candidates=faces_of(self._candidates, picture))

    def pass_on(self, seen: Frame) -> Iterator[Frame | Ended | Held]:
        """The frame, or what goes on instead: those that wait until faces are hidden in them."""
        if self._hold is None or seen.name:
            self._came.clear()
            yield seen
        else:
            assert self._newest is not None
            yield self._hold.add(seen, self._newest[1])
            yield from self._searched_behind(self._hold)

    def idle(self) -> Iterator[Frame | Ended]:
        """What goes on though no further picture has come: a search may have ended, or one is begun now."""
        if self._hold is None or self._newest is None:
            return
        self._take_in(None)
        silent = time.monotonic() - self._seen_s > SILENT_S
        if silent and self._hold.needs_search and self._beside is None:
            self._extras += 1
            self._beside = self._search.begin(self._newest_picture, self._extras % 2 == 1), self._known
        yield from self._searched_behind(self._hold)

    def _searched_behind(self, hold: Hold) -> Iterator[Frame | Ended]:
        """The frames that were held until now, with what was found behind them."""
        for found in self._came:
            hold.searched(found.seq, found.picture, [*found.faces, *found.candidates])
        self._came.clear()
        yield from hold.ready()

    def _is_ignored(self, frame: Frame) -> bool:
        """Whether faces just stay where they are: in a damaged picture none is looked for, except to hide it."""
        return frame.corrupt and not self._config.candidates

    def _look_for_motion(self, frame: Frame) -> None:
        """Tell whether anything moves before a camera, by a coarse grey picture: a shrunken one takes longer."""
        now_ms = frame.captured_ns / 1e6
        if self._gate is None or not frame.live or self._is_ignored(frame) or not self._gate.is_due(now_ms):
            return
        grey = frame.pixels.grey(max(1, frame.width // self._config.width_px))
        self._is_quiet = not self._gate.look(grey, now_ms)

    @property
    def is_still(self) -> bool:
        """Whether nothing moves before the camera, and nobody is there: not each picture is needed to see who comes.

        A search beside does not change that: what it finds is followed from the next picture on.
        """
        return self._is_quiet and not (self._faces.tracks or self._lost or len(self._faces.hidden))

    def _rests(self, frame: Frame) -> bool:
        """Whether nothing is to be done: nothing moves, nobody is followed, nothing was lost, and no search is due."""
        if not self._is_quiet or self._faces.tracks or self._lost or self._beside is not None:
            return False
        return frame.live and not self._due(frame)

    def _is_alone(self, frame: Frame) -> bool:
        """Whether nothing is followed into it: pictures of a folder have nothing to do with each other."""
        return self._config.every == 1 or bool(frame.name)

    def _follow(self, picture: Shrunken, now_ms: float) -> None:
        """Move all faces to where they are in this picture."""
        self._candidates.follow(picture.grey)
        self._lost |= self._faces.follow(picture.grey, picture.bgr, now_ms)

    def _take_in(self, ahead: Searching | None) -> None:
        """Take in what has come: the search that the last picture waited for, and one beside that has ended."""
        if ahead is not None:
            self._lost = False
            self._take(ahead.found(self._known))
        if self._beside is not None and self._beside[0].done:
            (searching, known), self._beside = self._beside, None
            if self._follows_live:
                self._take(searching.found(known))
            else:  # what is followed in a film must not depend on how fast all goes
                self._came.append(searching.found(known))

    def _search_if_due(self, frame: Frame, picture: Shrunken) -> None:
        """Begin a search beside live frames when it is due; of a film at once where a face was lost or is hidden."""
        if not frame.live:
            now_ms = time_ms(frame)
            hidden = self._faces.hidden.expected and now_ms - self._taken_ms >= HIDDEN_EVERY_MS
            if self._lost or hidden:
                only_back, self._lost, self._taken_ms = not self._lost, False, now_ms
                searching = self._search.begin(lambda: (frame.seq, picture))
                self._take(searching.found(self._known), extra=True, only_back=only_back)
        elif self._beside is None and (self._due(frame) or self._lost):
            self._lost, self._begun_ms = False, frame.captured_ns / 1e6
            wide = None if self._is_quiet else self._search.wide(frame)
            look = self._newest_picture if wide is None else lambda: (frame.seq, picture)
            self._beside = self._search.begin(look, self._in_the_mirror(), wide), self._known

    def _take(self, found: Found, extra: bool = False, only_back: bool = False) -> None:
        """Bring in what was found, moved from the picture that was searched to the last one."""
        self._came.append(found)
        for tracker, boxes in ((self._faces, found.faces), (self._candidates, found.candidates)):
            tracker.found(tracker.carried(found.picture.grey, boxes), extra, only_back)

    def _in_the_mirror(self) -> bool:
        """Whether the search that now begins is one of the mirror image: every other one is.

        Before a camera that sees the same again and again, a search would miss the same faces again and again.
        """
        self._searches += 1
        return self._searches % 2 == 0

    @property
    def _known(self) -> list[Box]:
        return [track.box for track in self._faces.tracks]

    def _newest_picture(self) -> tuple[int, Shrunken]:
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
            if self._gate is not None and self._is_quiet and not self._faces.tracks:
                soon_ms, late_ms = QUIET_EVERY_MS
                return since_ms >= min(max(self._gate.still_ms / 4, soon_ms), late_ms)
            has_time = self._search.has_time or self._config.candidates
            return since_ms >= late_ms or (since_ms >= soon_ms and has_time)
        turn = self._turn_of(frame)
        due = turn != self._turn
        if self._config.candidates:
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


def with_boxes(frame: Frame, found: Found) -> Frame:
    """The frame with what was found in its picture; nothing is followed."""
    faces, candidates = (
        tuple(Face(scaled(box, 1 / found.picture.scale)) for box in boxes) for boxes in (found.faces, found.candidates)
    )
    return replace(frame, faces=faces, candidates=candidates)
