"""Segments, their retention, clips of events, and what a full disk does to a live recording."""

import errno
import os
import time
from functools import partial

import av
import numpy as np
import pytest
from msgspec.structs import replace

from configs.errors import InputError
from events.event import Event
from overlay import recorder
from overlay.recorder import Recorder
from overlay.sinks import outages
from overlay.sinks.clips import ClipsSink
from overlay.sinks.event_lines import EventLinesSink
from overlay.sinks.outages import Outages
from overlay.sinks.segments import SegmentsSink
from overlay.sinks.video import VideoSink
from overlay.target import Targets
from recordings.retention import Keep, prune
from transport.frame import Frame

IMAGE = np.full((48, 64, 3), 90, np.uint8)


def frame(seq, stream="door", step_ms=40.0, live=False):
    captured_ns = time.monotonic_ns() if live else 0
    return Frame(stream, seq, captured_ns, IMAGE, media_ms=None if live else seq * step_ms, live=live)


def frames_in(path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_a_new_video_begins_after_each_span_and_no_frame_is_lost(tmp_path):
    sink = SegmentsSink(Targets(str(tmp_path / "{stream}.mp4")), 1.0, Keep())
    for seq in range(60):
        sink.show(frame(seq), IMAGE, 1.0)
        sink.show(frame(seq, "hall"), IMAGE, 1.0)
    sink.close()
    for stream in ("door", "hall"):
        assert sorted(frames_in(path) for path in tmp_path.glob(f"{stream}-*.mp4")) == [10, 25, 25]


def test_the_oldest_go_and_nobody_elses(tmp_path):
    names = [f"door-2026112{day}T000000Z.mp4" for day in range(1, 7)]
    for age, name in enumerate(reversed(names)):
        (tmp_path / name).write_bytes(bytes(1000))
        os.utime(tmp_path / name, times=(time.time() - age * 86400 - 60,) * 2)
    for other in ("door.mp4", "door-2.mp4", "hall-20261121T000000Z.mp4", "door-20261121T000000Z.txt"):
        (tmp_path / other).write_bytes(bytes(1000))
    template, newest = tmp_path / "door.mp4", tmp_path / names[-1]
    assert [path.name for path in prune(template, Keep(), newest)] == []
    assert [path.name for path in prune(template, Keep(days=3.5), newest)] == names[:2]
    assert [path.name for path in prune(template, Keep(gigabytes=3.5e-6), newest)] == names[2:4]
    assert [path.name for path in prune(template, Keep(gigabytes=1e-9), newest)] == names[4:5]  # the newest stays
    assert len(list(tmp_path.iterdir())) == 5


def test_a_file_without_a_frame_goes_but_never_one_that_is_being_begun(tmp_path):
    names = [f"door-2026112{day}T000000Z.mp4" for day in range(1, 5)]
    ages_s = (7200.0, 3600.0, 1.0, 3600.0)  # the third is begun by another run, the last has the second's very time
    at_s = time.time()
    for name, age_s in zip(names, ages_s, strict=True):
        (tmp_path / name).write_bytes(bytes(1000) if name == names[1] else b"")
        os.utime(tmp_path / name, times=(at_s - age_s,) * 2)
    assert [path.name for path in prune(tmp_path / "door.mp4", Keep(), tmp_path / names[3])] == names[:1]


class Showing:
    """Gives frames to a sink as the stage does; `told` are the events about it, `counts` what it lost."""

    def __init__(self, sink):
        self.told, self.counts, self._sink = [], {}, sink
        self.outages = sink.outages = Outages(lambda *said: self.told.append(said), self.counts)

    def __call__(self, frame):
        self.outages.saw(frame.stream, frame.live)
        self.outages.attempt(self._sink, frame.stream, lambda: self._sink.show(frame, IMAGE, 1.0))


def full_disk(monkeypatch, holds):
    def add(self, picture, frame, real=Recorder.add):
        if holds():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, picture, frame)

    monkeypatch.setattr(Recorder, "add", add)


def test_a_full_disk_stops_a_live_recording_with_one_event_and_it_begins_again(tmp_path, monkeypatch, caplog):
    full = [False]
    full_disk(monkeypatch, lambda: full[0])
    monkeypatch.setattr(outages, "FIRST_S", 0.0)
    sink = SegmentsSink(Targets(str(tmp_path / "door.mp4")), 60.0, Keep())
    show = Showing(sink)
    for seq in range(30):
        full[0] = 10 <= seq < 20
        show(replace(frame(seq), live=True))
    sink.close()
    assert [said[:2] for said in show.told] == [("door", "recording")] * 2
    assert "No space left" in show.told[0][2]
    assert show.told[1][2] == "records again, 10 lost meanwhile"
    assert sum("recording stopped" in record.message for record in caplog.records) == 1
    assert show.counts["not_written"] == 10
    assert [frames_in(path) for path in tmp_path.iterdir()] == [10, 10]  # what was begun on the full disk left nothing


def test_one_video_of_a_camera_goes_on_in_another_file_and_one_of_a_film_is_refused(tmp_path, monkeypatch):
    full = [False]
    full_disk(monkeypatch, lambda: full[0])
    monkeypatch.setattr(outages, "FIRST_S", 0.0)
    sink = VideoSink(Targets(str(tmp_path / "door.mp4")))
    show = Showing(sink)
    for seq in range(15):
        full[0] = 5 <= seq < 10
        show(frame(seq, live=True))
    sink.close()
    assert len(show.told) == 2
    assert {path.name: frames_in(path) for path in tmp_path.iterdir()} == {"door.mp4": 5, "door.2.mp4": 5}
    full[0] = True
    with pytest.raises(InputError, match="cannot be written"):
        Showing(VideoSink(Targets(str(tmp_path / "film.mp4"))))(frame(0))


def test_a_video_that_is_deleted_or_moved_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(outages, "FIRST_S", 0.0)
    monkeypatch.setattr(recorder, "LOOK_S", -1.0)
    path = tmp_path / "door.mp4"
    sink = VideoSink(Targets(str(path)))
    show = Showing(sink)
    for seq in range(15):
        if seq == 5:
            path.unlink()
        if seq == 10:
            path.rename(tmp_path / "moved.mp4")
            path.write_text("somebody else's")
        show(frame(seq, live=True))
    sink.close()
    assert [text for _, _, text in show.told][1::2] == ["records again, 1 lost meanwhile"] * 2
    assert path.read_text() == "somebody else's"
    assert frames_in(tmp_path / "moved.mp4") == 4
    assert frames_in(tmp_path / "door.2.mp4") == 4
    film = VideoSink(Targets(str(tmp_path / "film.mp4")))
    film.show(frame(0), IMAGE, 1.0)
    (tmp_path / "film.mp4").unlink()
    with pytest.raises(InputError, match=r"film\.mp4: cannot be written"):
        film.close()


@pytest.mark.parametrize("camera", [True, False])
def test_a_film_beside_a_camera_ends_the_run_at_its_end_only(tmp_path, camera):
    (tmp_path / "file").touch()
    counts = {}
    outages = Outages(lambda *said: None, counts, streams=2)
    sink = VideoSink(Targets(str(tmp_path / "file" / "o.mp4")))
    for seq in range(2):  # the other stream has not come yet
        outages.saw("film", live=False)
        outages.attempt(sink, "film", lambda seq=seq: sink.show(frame(seq, "film"), IMAGE, 1.0))
    assert counts["not_written"] == 2
    if camera:
        outages.saw("door", live=True)
        outages.saw("film", live=False)
    with pytest.raises(InputError, match="cannot be written"):
        outages.close() if camera else outages.saw("other film", live=False)


def test_clips_that_cannot_be_written_are_said_once_and_counted(tmp_path, monkeypatch):
    full_disk(monkeypatch, lambda: True)
    event = Event(id="1", time="", rule="decision", stream="door", text="mask")
    sink = ClipsSink(str(tmp_path / "clips"), before_s=0.2, after_s=0.2, keep=Keep())
    show = Showing(sink)
    for seq in range(60):
        show(replace(frame(seq, live=True), captured_ns=seq * 40_000_000))
        if seq in (10, 40):
            sink.happened(event, b"")
    sink.close()
    assert [said[:2] for said in show.told] == [("door", "recording")]
    assert show.counts["not_written"] == 2
    assert list((tmp_path / "clips").iterdir()) == []


@pytest.mark.parametrize("live", [True, False])
def test_a_last_clip_that_cannot_be_written_after_the_end_of_its_stream_is_a_films_or_a_cameras(
    tmp_path, monkeypatch, live
):
    full_disk(monkeypatch, lambda: True)
    sink = ClipsSink(str(tmp_path / "clips"), before_s=0.2, after_s=0.2, keep=Keep())
    show = Showing(sink)
    show(replace(frame(0), live=live))
    sink.happened(Event(id="1", time="", rule="decision", stream="door", text="mask"), b"")
    show.outages.finish(sink, "door")
    show.outages.forget("door")
    if live:
        sink.close()
        show.outages.close()
    else:
        with pytest.raises(InputError, match="No space left"):
            sink.close()


def test_a_clip_begins_before_its_event_ends_after_it_and_two_close_ones_are_one(tmp_path):
    sink = ClipsSink(str(tmp_path / "clips"), before_s=1.0, after_s=1.0, keep=Keep())
    sink.outages = Outages(lambda *said: None, {})
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


def test_at_the_end_of_a_stream_its_segment_and_its_clip_are_finished(tmp_path):
    segments = SegmentsSink(Targets(str(tmp_path / "{stream}.mp4")), 60.0, Keep())
    clips = ClipsSink(str(tmp_path / "clips"), before_s=1.0, after_s=1.0, keep=Keep())
    clips.outages = Outages(lambda *said: None, {})
    for seq in range(20):
        for stream in ("door", "hall"):
            segments.show(frame(seq, stream), IMAGE, 1.0)
            clips.show(frame(seq, stream), IMAGE, 1.0)
    clips.happened(Event(id="1", time="", rule="decision", stream="door", text="mask"), b"")
    for _ in range(2):  # it may be told twice
        for sink in (segments, clips):
            sink.ended("door")
    [segment], [other] = tmp_path.glob("door-*.mp4"), tmp_path.glob("hall-*.mp4")
    assert b"moof" not in segment.read_bytes()[:64]
    assert b"moof" in other.read_bytes()[:2000]  # that one goes on
    segments.show(frame(0, "door"), IMAGE, 1.0)  # another of its name
    for sink in (segments, clips):
        sink.close()
    assert sorted(frames_in(path) for path in tmp_path.glob("*.mp4")) == [1, 20, 20]
    assert [frames_in(path) for path in (tmp_path / "clips").iterdir()] == [20]


def test_an_outage_ends_with_its_stream_unless_others_write_there_too(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(outages, "FIRST_S", 0.0)
    full_disk(monkeypatch, lambda: True)
    video = VideoSink(Targets(str(tmp_path / "{stream}.mp4")))
    show = Showing(video)
    (tmp_path / "file").touch()
    lines = EventLinesSink(str(tmp_path / "file" / "events.jsonl"))
    for stream in ("door", "hall"):
        show(frame(0, stream, live=True))
        event = Event(id="1", time="", rule="decision", stream=stream, text="mask")
        show.outages.attempt(lines, stream, partial(lines.happened, event, b""))
    for sink in (video, lines):
        show.outages.finish(sink, "door")
    show.outages.forget("door")
    said = [record.getMessage() for record in caplog.records if "not be written to the end" in record.message]
    assert len(said) == 1
    assert said[0].startswith(f"{tmp_path}/door.mp4: could not be written to the end, 1 lost")
    caplog.clear()
    show.outages.close()
    assert {record.args[0] for record in caplog.records} == {str(tmp_path / "hall.mp4"), lines.place("")}
