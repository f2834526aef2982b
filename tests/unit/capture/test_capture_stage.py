"""The capture stage: numbers pictures, keeps the newest or all, comes back after a loss, and stops when told."""

import threading
import time

import numpy as np
import pytest

import capture.stage
from capture.picture import NotYet, Picture, Source, SourceLost, Undecodable
from capture.recording import CapturedSource
from capture.stage import capture as capture_stage
from configs.errors import InputError
from transport.frame import Frame
from transport.stage import StageContext


class Script(Source):
    """Gives what a list says: numbers are pictures, exceptions are raised, the end is the end."""

    def __init__(self, steps, live):
        self.steps, self.live, self.fps, self.closed = list(steps), live, 25.0, False

    def read(self, room):
        if not self.steps:
            return None
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        image = room(4, 6)
        image[:] = 0
        image[:, 0] = step
        return Picture(image, 1000 * step)

    def close(self):
        self.closed = True


class Ahead(Script):
    """Its pictures are due half a minute after they are read."""

    def read(self, room):
        picture = super().read(room)
        return picture and picture._replace(captured_ns=time.monotonic_ns() + 30_000_000_000)


class Desk:
    """Tickets without memory to share: what capture asks for, noted down."""

    stream = "s"

    def __init__(self, free=True):
        self.free, self.captured, self.states, self.ended = free, 0, [], []
        self.told_to_stop = self.paused = False
        self.waits = 0
        self.held_back_s = []
        self.bookmarks = ()

    def stopping(self):
        return self.told_to_stop

    def state(self, name):
        self.states.append(name)

    def room(self, height, width):
        return np.zeros((height, width, 3), np.uint8)

    def number(self, image, captured_ns, media_ms=None, name="", live=False, corrupt=False, recorded=None):
        self.captured += 1
        return Frame("s", self.captured - 1, captured_ns, image, media_ms=media_ms, name=name, live=live)

    def mark(self, bookmark):
        self.bookmarks = ((self.captured, bookmark), *self.bookmarks)

    def fly(self, frame):
        return frame

    def drop(self, frame, outcome):
        self.ended.append((frame.seq, outcome))

    def skip(self, outcome):
        self.captured += 1
        self.ended.append((self.captured - 1, outcome))

    def has_free(self):
        return self.free

    def wait(self, until, patience_s=1e9, lazily=False):
        self.waits += 1
        if patience_s < 100:
            self.held_back_s.append(round(patience_s, 1))
        while patience_s > 100 and not until():
            threading.Event().wait(0.001)
        return True


@pytest.fixture
def opened(monkeypatch):
    """`opened(source, error, source...)`: what each opening gives."""

    def script(*openings):
        left = list(openings)

        def open_source(config, place):
            opening = left.pop(0)
            if isinstance(opening, Exception):
                raise opening
            return opening

        monkeypatch.setattr(capture.stage, "open_source", open_source)

    return script


def first_column(frames):
    return [int(frame.image[0, 0, 0]) for frame in frames]


def run(desk, context=None, **options):
    return list(capture_stage(CapturedSource(**({"source": "x.mp4"} | options)), desk, context or StageContext()))


def test_every_picture_of_a_file_is_numbered_in_order(opened):
    opened(Script([1, 2, 3], live=False))
    frames = run(Desk())
    assert first_column(frames) == [1, 2, 3]
    assert [frame.seq for frame in frames] == [0, 1, 2]


def test_a_broken_picture_is_counted_and_the_next_one_comes(opened):
    opened(Script([1, Undecodable("b.jpg", "broken"), 3], live=False))
    desk = Desk()
    assert first_column(run(desk)) == [1, 3]
    assert desk.ended == [(1, "undecodable")]


def test_of_a_live_source_the_newest_wins_and_the_others_are_superseded(opened):
    opened(Script([1, 2, 3], live=True))
    desk = Desk(free=False)
    frames = capture_stage(
        CapturedSource(source="rtsp://x/y"), desk, StageContext(wake=lambda: setattr(desk, "free", desk.captured == 3))
    )
    assert first_column(frames) == [3]
    assert desk.ended == [(0, "superseded"), (1, "superseded")]


def test_a_lost_camera_is_opened_until_it_is_back(opened):
    first = Script([1, SourceLost("gone")], live=True)
    opened(first, InputError("refused"), InputError("refused"), Script([2], live=True))
    desk = Desk()
    frames = run(desk, source="rtsp://x/y", mode="every")
    assert first_column(frames) == [1, 2]
    assert first.closed
    assert desk.states == ["flowing", "away", "away", "away", "flowing"]


def test_a_camera_that_answers_but_sends_nothing_is_still_away_and_not_back(opened):
    silent = [Script([NotYet(), SourceLost("no picture for 30 s")], live=True) for _ in range(2)]
    opened(Script([1, SourceLost("gone")], live=True), *silent, Script([NotYet(), 2], live=True))
    desk, context = Desk(), StageContext()
    frames = capture_stage(CapturedSource(source="rtsp://x/y", mode="every"), desk, context)
    assert first_column([next(frames)]) == [1]
    assert first_column([next(frames)]) == [2]
    assert desk.states == ["flowing", "away", "away", "away", "flowing"]
    assert context.counts["reconnects"] == 1
    assert context.says == {}


def test_a_source_that_cannot_be_opened_is_refused(opened):
    opened(InputError("no such camera"))
    desk = Desk()
    with pytest.raises(InputError, match="no such camera"):
        run(desk)
    assert desk.states == ["failed"]


@pytest.mark.parametrize(("options", "restarts"), [({"wait": True}, 0), ({}, 1)])
def test_with_wait_or_after_a_restart_the_camera_is_waited_for_and_counts_as_started(opened, options, restarts):
    opened(InputError("not yet"), Script([1], live=False))
    desk, told = Desk(), []
    context = StageContext(restarts=restarts, ready=lambda: told.append(desk.states[-1:]))
    assert first_column(run(desk, context, source="rtsp://x/y", **options)) == [1]
    assert told == [[], ["flowing"]]


def test_a_file_that_is_gone_after_a_restart_is_not_waited_for(opened):
    opened(InputError("no such file"))
    with pytest.raises(InputError, match="no such file"):
        run(Desk(), StageContext(restarts=1))


def test_a_fast_source_stops_when_told_though_tickets_are_free(opened):
    opened(Script([1, 2, 3], live=False))
    desk = Desk()
    frames = capture_stage(CapturedSource(source="x.mp4"), desk, StageContext())
    next(frames)
    desk.told_to_stop = True
    with pytest.raises(capture.stage.Stopping):
        next(frames)


@pytest.mark.parametrize(
    ("source", "mirror", "column"), [("0", None, 5), ("0", False, 0), ("x.mp4", None, 0), ("x.mp4", True, 5)]
)
def test_webcams_are_mirrored_and_others_are_not(opened, source, mirror, column):
    opened(Script([9], live=False))
    [frame] = run(Desk(), source=source, mirror=mirror)
    assert frame.image[:, column].min() == 9
    assert frame.image.sum() == 9 * 4 * 3


@pytest.mark.parametrize(("mirror", "planes"), [(None, True), (True, False)])
def test_a_source_may_give_planes_unless_they_were_to_be_mirrored(opened, mirror, planes):
    sources = [Script([1, SourceLost("gone")], live=True), Script([2], live=True)]
    opened(*sources)
    run(Desk(), source="rtsp://x/y", mirror=mirror)
    assert [source.planes for source in sources] == [planes, planes]


def test_a_bug_in_the_reader_thread_ends_the_process(opened):
    opened(Script([ZeroDivisionError()], live=True))
    with pytest.raises(ZeroDivisionError):
        run(Desk(), source="rtsp://x/y")


def test_it_is_ready_when_the_source_is_open(opened):
    opened(Script([], live=False))
    told = []
    context = StageContext(ready=lambda: told.append(dict(context.facts)))
    run(Desk(), context)
    assert told == [{"source": "video", "mode": "every", "fps": "25"}]


def test_a_picture_is_held_back_until_it_is_due(opened):
    opened(Ahead([1, 2], live=True))
    desk = Desk()
    assert first_column(run(desk, source="rtsp://x/y", mode="every")) == [1, 2]
    assert desk.held_back_s == [30, 30]


def test_a_source_that_has_nothing_yet_is_asked_again_and_hears_meanwhile_that_the_run_stops(opened):
    opened(Script([NotYet(), NotYet(), 1, NotYet()], live=True))
    desk = Desk()
    frames = capture_stage(CapturedSource(source="rtsp://x/y", mode="every"), desk, StageContext())
    assert first_column([next(frames)]) == [1]
    assert desk.states == ["flowing"]
    desk.told_to_stop = True
    with pytest.raises(capture.stage.Stopping):
        next(frames)


def test_a_live_stream_that_has_ended_is_not_played_as_a_film(opened):
    """A live HLS stream whose playlist gets an end is a film from then on."""
    film, live = Script([9, 9], live=False), Script([2, 3], live=True)
    opened(Script([1, SourceLost("the stream ended")], live=True), film, live)
    desk = Desk()
    assert first_column(run(desk, source="http://x/y.m3u8", mode="every")) == [1, 2, 3]
    assert film.closed
    assert desk.states == ["flowing", "away", "away", "flowing"]
