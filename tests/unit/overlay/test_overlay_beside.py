"""Sinks that encode in threads: no live frame waits for them, a film's does, and each frame is in an account."""

import errno
import os
import threading
import time
from functools import partial

import av
import numpy as np
import pytest

import overlay.stage
from configs.errors import InputError
from configs.schema import OverlayConfig
from events.event import Event
from overlay import encoders
from overlay.recorder import Recorder
from overlay.sinks import beside, outages, stream_queue
from overlay.sinks.beside import Beside
from overlay.sinks.clips import ClipsSink
from overlay.sinks.outages import Outages
from overlay.sinks.segments import Keep
from overlay.sinks.sink import Sink
from overlay.sinks.stream_queue import LEAST, MOST
from overlay.sinks.video import VideoSink
from overlay.target import Targets
from transport.frame import Frame
from transport.header import HEADER
from transport.recordings import RecordingCount, settle_recordings
from transport.stage import StageContext

IMAGE = np.full((48, 64, 3), 90, np.uint8)


class Gate(Sink):
    """Shows a frame only while it is open; `seen` are those that it has shown."""

    def __init__(self, is_open=False):
        self.open, self.seen, self.nice, self.ends = threading.Event(), [], 0, 0
        self.began = threading.Event()
        if is_open:
            self.open.set()

    def show(self, frame, picture, age_ms):
        self.began.set()
        self.open.wait()
        self.nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        self.seen.append(frame.seq)

    def ended(self, stream):
        self.ends += 1


class Showing:
    """Gives frames to a sink beside as the stage does; `told` are the events about it, `count` is of its one stream."""

    def __init__(self, inner, accounts=True):
        self.count, self.told, self.counts = RecordingCount(), [], {}
        self.sink = Beside(inner, (lambda stream: self.count) if accounts else None)
        self.outages = self.sink.outages = Outages(lambda *said: self.told.append(said), self.counts)

    def __call__(self, seq, live=True, image=IMAGE):
        frame = Frame("door", seq, seq * 40_000_000, image, media_ms=None if live else seq * 40.0, live=live)
        self.outages.saw("door", live)
        self.outages.attempt(self.sink, "door", partial(self.sink.show, frame, image, 1.0))

    def texts(self):
        return [text for _, _, text in self.told]


def frames_in(path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_a_live_recording_that_cannot_keep_up_leaves_frames_out_says_so_once_and_counts_them(caplog, monkeypatch):
    gate = Gate()
    show = Showing(gate)
    show(0)
    gate.began.wait()  # one is being written
    for seq in range(1, 100):
        show(seq)  # would wait for ever
    assert show.count.counts == (100, 0, 99 - MOST)
    assert show.texts() == ["the recording cannot keep up: frames are left out of it"]
    gate.open.set()
    monkeypatch.setattr(stream_queue, "LAST_S", 60.0)
    show.outages.finish(show.sink, "door")
    assert gate.seen == list(range(MOST + 1))
    assert show.count.counts == (100, 1 + MOST, 99 - MOST)
    assert sum("cannot keep up" in record.message for record in caplog.records) == 1
    assert show.counts["not_written"] == 0  # nothing failed
    assert gate.nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)


def test_that_it_keeps_up_again_is_said(monkeypatch):
    monkeypatch.setattr(beside, "KEEPS_UP_S", -1.0)
    gate = Gate()
    show = Showing(gate)
    for seq in range(MOST + 3):
        show(seq)
    gate.open.set()
    show.sink.idle({})
    show.sink.close()
    assert show.texts()[-1].startswith("the recording keeps up again")
    assert len(show.told) % 2 == 0


def test_a_films_frames_wait_and_all_are_shown_in_order():
    gate, fed = Gate(), []
    show = Showing(gate)

    def feed():
        for seq in range(60):
            show(seq, live=False)
            fed.append(seq)
        show.outages.finish(show.sink, "door")

    feeder = threading.Thread(target=feed)
    feeder.start()
    gate.began.wait()
    feeder.join(0.2)
    assert feeder.is_alive()
    assert len(fed) <= LEAST + 1
    gate.open.set()
    feeder.join()
    assert gate.seen == list(range(60))
    assert gate.nice == os.getpriority(os.PRIO_PROCESS, 0)
    assert show.count.counts == (60, 60, 0)
    assert show.told == []


def test_no_other_stream_waits_while_one_that_has_ended_is_finished(monkeypatch):
    gate = Gate()
    monkeypatch.setattr(overlay.stage, "make_sinks", lambda config, context: [Beside(gate, None)])
    context = StageContext()

    def batches():
        yield [Frame("film", 0, 0, IMAGE, media_ms=0.0)]
        context.ended.append("film")
        yield []
        assert context.finishing == {"film"}  # and the stage has asked for the next batch
        context.finishing.clear()
        yield [Frame("door", 0, time.monotonic_ns(), IMAGE, live=True)]
        gate.open.set()
        while gate.ends == 0:
            yield []
        while context.finishing or not context.ended:
            context.finishing.clear()
            yield []
        context.ended.clear()

    ended = list(overlay.stage.overlay(OverlayConfig(sinks=("null",)), batches(), context))
    assert [end.frame.stream for end in ended] == ["film", "door"]
    assert gate.ends == 2


def test_what_waits_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(stream_queue, "WAITING_BYTES", 5 * IMAGE.nbytes)
    gate = Gate()
    show = Showing(gate)
    show(0)
    gate.began.wait()
    for seq in range(1, 20):
        show(seq)
    other = Frame("hall", 0, 0, IMAGE, live=True)
    for _ in range(20):  # of another stream some wait in any case
        show.sink.show(other, IMAGE, 1.0)
    assert show.sink._room.taken // IMAGE.nbytes in (5 + LEAST, 5 + LEAST + 1)  # one of them is being written
    gate.open.set()
    show.sink.close()
    assert show.sink._room.taken == 0
    assert gate.ends == 2


def test_of_a_camera_that_ends_what_waits_is_let_go_in_time_and_counted(monkeypatch, caplog):
    monkeypatch.setattr(stream_queue, "LAST_S", 0.02)
    monkeypatch.setattr(stream_queue, "FINISH_S", 0.02)
    gate = Gate()
    show = Showing(gate)
    show(0)
    gate.began.wait()
    for seq in range(1, 5):
        show(seq)
    began_s = time.monotonic()
    show.sink.close()  # the disk hangs
    assert time.monotonic() - began_s < 5
    assert "could not be finished in time" in caplog.text
    assert show.count.counts == (5, 0, 4)
    show(5)  # one of that name comes while it hangs still
    assert show.count.counts == (6, 0, 5)
    gate.open.set()


def fails_at(monkeypatch, first, behind):
    """A disk that is full for the frames from one number up to another."""

    def add(self, picture, frame, real=Recorder.add):
        if first <= frame.seq < behind:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, picture, frame)

    monkeypatch.setattr(Recorder, "add", add)


def test_what_a_camera_loses_on_a_full_disk_is_told_once_and_it_goes_on_in_a_part(tmp_path, monkeypatch):
    fails_at(monkeypatch, 10, 20)
    monkeypatch.setattr(outages, "FIRST_S", 0.0)
    for limit in ("MOST", "WAITING_BYTES", "LAST_S"):
        monkeypatch.setattr(stream_queue, limit, 1e9)
    show = Showing(VideoSink(Targets(str(tmp_path / "door.mp4"))))
    seq = 0
    while not any("records again" in text for text in show.texts()):
        show(seq)
        seq += 1
        threading.Event().wait(0.002)  # the thread is to write meanwhile
    show.outages.finish(show.sink, "door")
    assert [said[:2] for said in show.told] == [("door", "recording")] * 2
    assert "No space left" in show.told[0][2]
    given, recorded, not_recorded = show.count.counts
    assert given == seq == recorded + not_recorded
    # the frame before the full disk may be whole there, or not: it counts as not recorded
    written = {path.name: frames_in(path) for path in tmp_path.iterdir()}
    assert written.keys() == {"door.mp4", "door.2.mp4"}
    assert 0 <= sum(written.values()) - recorded <= 1
    assert show.counts["not_written"] == seq - sum(written.values())


def many(show):
    for seq in range(10, 13 + MOST):
        show(seq, live=False)


@pytest.mark.parametrize("at_end", [False, True])
def test_of_a_film_that_cannot_be_recorded_the_run_ends(tmp_path, monkeypatch, at_end):
    fails_at(monkeypatch, 10, 1000)
    show = Showing(VideoSink(Targets(str(tmp_path / "film.mp4"))))
    for seq in range(10):
        show(seq, live=False)
    if at_end:
        show(10, live=False)
    with pytest.raises(InputError, match=r"film\.mp4: cannot be written \(No space left"):
        show.outages.finish(show.sink, "door") if at_end else many(show)


def test_a_bug_of_the_sink_is_raised_in_the_stages_own_thread():
    class Broken(Gate):
        def show(self, frame, picture, age_ms):
            raise ZeroDivisionError

    show = Showing(Broken())
    with pytest.raises(ZeroDivisionError):
        many(show)


def test_clips_are_cut_where_their_events_were_however_far_behind_the_thread_is(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_queue, "MOST", 1000)
    show = Showing(ClipsSink(str(tmp_path), before_s=1.0, after_s=1.0, keep=Keep()), accounts=False)
    for seq in range(100):
        show(seq, live=False)
        if seq == 50:
            show.sink.happened(Event(id="1", time="", rule="decision", stream="door", text="mask"), b"")
    show.sink.close()
    assert [frames_in(path) for path in tmp_path.glob("*.mp4")] == [pytest.approx(51, abs=2)]


def test_the_encoders_own_threads_give_way_too(tmp_path, monkeypatch):
    monkeypatch.setattr(encoders, "usable_cores", lambda: 8)
    before, nice = set(os.listdir("/proc/self/task")), []

    def add(self, picture, frame):
        threads = set(os.listdir("/proc/self/task")) - before
        nice.extend(os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in threads)

    monkeypatch.setattr(Recorder, "add", add)
    show = Showing(VideoSink(Targets(str(tmp_path / "o.mp4"))))
    show(0, image=np.zeros((1400, 2000, 3), np.uint8))
    show.sink.close()
    assert len(nice) >= 3  # the recorder's, and two of x264
    assert set(nice) == {min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)}


def test_what_waited_when_the_stage_died_is_not_recorded():
    head = memoryview(bytearray(8 * HEADER)).cast("Q")
    count = RecordingCount(head)
    for _ in range(10):
        count.given()
    count.recorded(4)
    count.not_recorded(1)
    assert settle_recordings(head) == 5
    assert RecordingCount(head).counts == (10, 4, 6)
    assert settle_recordings(head) == 0
