"""Segments, their retention, clips of events, and what a full disk does to a live recording."""

import errno
import os
import time

import av
import numpy as np
import pytest

from configs.errors import InputError
from events.event import Event
from overlay.sinks import segments
from overlay.sinks.clips import ClipsSink
from overlay.sinks.segments import Keep, SegmentsSink, prune
from overlay.sinks.video import Video, VideoSink
from transport.frame import Frame

IMAGE = np.full((48, 64, 3), 90, np.uint8)


def frame(seq, stream="door", step_ms=40.0, live=False):
    captured_ns = time.monotonic_ns() if live else 0
    return Frame(stream, seq, captured_ns, IMAGE, media_ms=None if live else seq * step_ms, live=live)


def frames_in(path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_a_new_video_begins_after_each_span_and_no_frame_is_lost(tmp_path):
    sink = SegmentsSink(str(tmp_path / "{stream}.mp4"), 1.0, Keep())
    for seq in range(60):
        sink.show(frame(seq), IMAGE, 1.0)
        sink.show(frame(seq, "hall"), IMAGE, 1.0)
    sink.close()
    for stream in ("door", "hall"):
        made = sorted(tmp_path.glob(f"{stream}-*.mp4"), key=lambda path: path.stat().st_mtime_ns)
        assert [frames_in(path) for path in made] == [25, 25, 10]


def test_the_oldest_go_and_nobody_elses(tmp_path):
    names = [f"door-2026112{day}T000000Z.mp4" for day in range(1, 7)]
    for age, name in enumerate(reversed(names)):
        (tmp_path / name).write_bytes(bytes(1000))
        os.utime(tmp_path / name, times=(time.time() - age * 86400 - 60,) * 2)
    for other in ("door.mp4", "door-2.mp4", "hall-20261121T000000Z.mp4", "door-20261121T000000Z.txt"):
        (tmp_path / other).write_bytes(bytes(1000))
    template = tmp_path / "door.mp4"
    assert [path.name for path in prune(template, Keep())] == []
    assert [path.name for path in prune(template, Keep(days=3.5))] == names[:2]
    assert [path.name for path in prune(template, Keep(gigabytes=3.5e-6))] == names[2:4]
    assert [path.name for path in prune(template, Keep(gigabytes=1e-9))] == names[4:5]  # the newest stays
    assert len(list(tmp_path.iterdir())) == 5


def full_disk(monkeypatch, holds):
    def add(self, picture, frame, real=Video.add):
        if holds():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, picture, frame)

    monkeypatch.setattr(Video, "add", add)


def test_a_full_disk_stops_a_live_recording_with_one_event_and_it_begins_again(tmp_path, monkeypatch, caplog):
    told = []
    full = [False]
    full_disk(monkeypatch, lambda: full[0])
    monkeypatch.setattr(segments, "TRY_AGAIN_S", 0.0)
    sink = SegmentsSink(str(tmp_path / "door.mp4"), 60.0, Keep())
    sink.tell = lambda *said: told.append(said)
    for seq in range(30):
        full[0] = 10 <= seq < 20
        sink.show(frame(seq), IMAGE, 1.0)
    sink.close()
    assert [said[:2] for said in told] == [("door", "recording")] * 2
    assert "No space left" in told[0][2]
    assert told[1][2] == "records again"
    assert sum("recording stopped" in record.message for record in caplog.records) == 1
    assert sorted(frames_in(path) for path in tmp_path.iterdir() if path.stat().st_size)[-1] == 10


def test_one_video_of_a_camera_stops_too_and_one_of_a_file_is_refused(tmp_path, monkeypatch):
    told = []
    full_disk(monkeypatch, lambda: True)
    sink = VideoSink(str(tmp_path / "door.mp4"))
    sink.tell = lambda *said: told.append(said)
    for seq in range(3):
        sink.show(frame(seq, live=True), IMAGE, 1.0)
    sink.close()
    assert len(told) == 1
    with pytest.raises(InputError, match="cannot be written"):
        VideoSink(str(tmp_path / "film.mp4")).show(frame(0), IMAGE, 1.0)


def test_a_clip_begins_before_its_event_ends_after_it_and_two_close_ones_are_one(tmp_path):
    sink = ClipsSink(str(tmp_path / "clips"), before_s=1.0, after_s=1.0, keep=Keep())
    event = Event(id="1", time="", rule="decision", stream="door", text="mask")
    for seq in range(200):
        sink.show(frame(seq), IMAGE, 1.0)
        if seq in (50, 60, 150):
            sink.happened(event, b"")
    sink.happened(replace_stream(event), b"")
    sink.close()
    made = sorted((tmp_path / "clips").glob("door-*.mp4"), key=lambda path: path.stat().st_mtime_ns)
    assert [frames_in(path) for path in made] == [pytest.approx(61, abs=2), pytest.approx(51, abs=2)]


def replace_stream(event):
    return Event(id="2", time=event.time, rule=event.rule, stream="elsewhere", text=event.text)
