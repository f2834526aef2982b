"""The video that is recorded: every frame at its time, whatever size it has and whatever became of its recorder."""

import contextlib
import logging
import os
import shutil
import subprocess
import time
from pathlib import Path

import av
import numpy as np
import pytest

from configs.errors import InputError
from overlay.draw import BLUE, GREEN, RED
from overlay.recorder import Recorder, fit
from overlay.sinks.segments import SegmentsSink
from overlay.sinks.video import VideoSink
from overlay.target import Targets
from overlay.timeline import PICTURE_MS, Timeline
from recordings.retention import Keep
from transport.frame import Frame
from transport.stage import EVER, RunStart


def frame(seq: int, stream: str = "clip", size=(160, 120), value=0, **known) -> Frame:
    known.setdefault("captured_ns", time.monotonic_ns())
    image = np.full((size[1], size[0], 3), value, np.uint8)
    return Frame(stream, seq, pixels=image, **known)


def record(path: Path, frames: list[Frame], began: RunStart = EVER) -> None:
    """By a life of the stage of its own, in a run that began then."""
    sink = VideoSink(Targets(str(path), began=began))
    for one in frames:
        sink.show(one, one.image, 0)
    sink.close()


def playback(path: Path) -> tuple[list[int], list[np.ndarray]]:
    """The times, ms, and pictures (BGR) of a video."""
    with av.open(str(path)) as video:
        frames = list(video.decode(video=0))
    return [round(1000 * frame.time) for frame in frames], [frame.to_ndarray(format="bgr24") for frame in frames]


def of_file(count: int, start: int = 0, **known) -> list[Frame]:
    return [frame(i, media_ms=40.0 * i, value=i % 10 * 20, **known) for i in range(start, start + count)]


def test_every_frame_is_in_the_video_at_its_time(tmp_path):
    record(tmp_path / "new" / "out.mp4", of_file(75))
    times_ms, pictures = playback(tmp_path / "new" / "out.mp4")
    assert times_ms == [40 * i for i in range(75)]
    assert [round(picture.mean() / 20) for picture in pictures] == [i % 10 for i in range(75)]


def test_the_finished_video_is_an_ordinary_mp4(tmp_path):
    if not shutil.which("ffprobe"):
        pytest.skip("needs ffprobe (Debian package ffmpeg)")
    record(tmp_path / "out.mp4", of_file(30))
    entries = "stream=codec_name,pix_fmt,nb_frames,nb_read_frames,avg_frame_rate"
    ffprobe = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "csv=p=0"]
    probed = subprocess.run([*ffprobe, tmp_path / "out.mp4"], capture_output=True, text=True, check=True).stdout
    assert probed.strip().split(",") == ["h264", "yuv420p", "25/1", "30", "30"]
    assert b"moof" not in (tmp_path / "out.mp4").read_bytes()[:64]


@pytest.mark.parametrize("colour", [GREEN, RED, BLUE])
def test_colours_come_back_as_they_were(colour, tmp_path):
    record(tmp_path / "out.mp4", [frame(i, media_ms=40.0 * i, value=colour) for i in range(3)])
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert video.streams.video[0].codec_context.colorspace == 6  # BT.601, else players take HD for BT.709
    assert np.abs(playback(tmp_path / "out.mp4")[1][-1].astype(int) - colour).max() <= 8


@pytest.mark.parametrize("size", [(161, 121), (160, 121), (1, 1), (5000, 40)])
def test_odd_sizes_are_padded_to_even(size, tmp_path):
    record(tmp_path / "out.mp4", of_file(3, size=size))
    height, width = playback(tmp_path / "out.mp4")[1][0].shape[:2]
    assert (width, height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)


def test_a_picture_of_another_size_is_fitted_into_the_first(tmp_path):
    frames = [
        frame(i, size=size, value=200, name=f"{i}.png") for i, size in enumerate([(160, 120), (60, 120), (640, 240)])
    ]
    record(tmp_path / "out.mp4", frames)
    times_ms, pictures = playback(tmp_path / "out.mp4")
    assert times_ms == [0, PICTURE_MS, 2 * PICTURE_MS]
    middle, left, top = [picture[60, 80].mean() for picture in pictures], pictures[1][60, 10], pictures[2][10, 80]
    assert min(middle) > 190
    assert max(left.max(), top.max()) < 20


def test_fitting_keeps_the_shape_of_the_picture():
    fitted = fit(np.full((100, 50, 3), 255, np.uint8), 200, 100)
    assert fitted.shape == (100, 200, 3)
    assert np.flatnonzero(fitted[50, :, 0])[[0, -1]].tolist() == [75, 124]


def test_a_stream_has_its_own_video_where_asked_for(tmp_path):
    frames = [frame(i, stream=stream, media_ms=40.0 * i) for i in range(5) for stream in ("door", "hall")]
    record(tmp_path / "{stream}.mp4", frames)
    assert {path.name: len(playback(path)[0]) for path in tmp_path.iterdir()} == {"door.mp4": 5, "hall.mp4": 5}


def test_a_camera_frame_stands_at_its_time_of_capture():
    timeline = Timeline()
    places = [timeline.place(frame(0, captured_ns=ns)) for ns in (5_000_000_000, 5_033_000_000, 5_500_000_000)]
    assert places == pytest.approx([0, 33, 500])


def test_time_in_the_video_never_goes_back():
    timeline = Timeline()
    places = [timeline.place(frame(0, media_ms=ms)) for ms in (0.0, 40.0, 40.0, 20.0, 60.0, 100.0)]
    assert places == pytest.approx([0, 40, 80, 120, 160, 200])


@pytest.mark.parametrize("hours", [9.8, 9.95, 10, 100])
def test_behind_a_pause_of_hours_frames_play_at_their_rate(tmp_path, hours):
    pause_ns = round(hours * 3.6e12)
    times_ns = [seq * 40_000_000 + (pause_ns if seq >= 3 else 0) for seq in range(6)]
    times_ns += [time_ns + 2 * pause_ns for time_ns in times_ns]
    record(tmp_path / "o.mp4", [frame(seq, captured_ns=ns, live=True) for seq, ns in enumerate(times_ns)])
    with av.open(str(tmp_path / "o.mp4")) as container:
        times_s = [packet.pts * float(packet.time_base) for packet in container.demux(video=0) if packet.size]
    steps_s = np.diff(times_s)
    pause_s = min(hours, 9.9) * 3600
    usual, paused = np.delete(steps_s, [2, 5, 8]), steps_s[[2, 5, 8]]
    assert usual == pytest.approx(0.04, abs=1e-3)
    assert paused == pytest.approx(pause_s, abs=0.3)


def test_a_pause_does_not_set_the_rate_of_what_starts_over():
    timeline = Timeline()
    places = [timeline.place(frame(0, media_ms=ms)) for ms in (0.0, 40.0, 3_600_000.0, 0.0, 40.0)]
    assert places == pytest.approx([0, 40, 3_600_000, 3_600_040, 3_600_080])


def test_a_recorder_that_starts_again_goes_on_in_a_new_part_and_does_not_read_the_old_one(
    tmp_path, monkeypatch, caplog
):
    path, opened = tmp_path / "out.mp4", []
    record(path, of_file(20))
    before = path.read_bytes()

    def noted(name, *how, real=av.open, **more):
        opened.append(name)
        return real(name, *how, **more)

    monkeypatch.setattr(av, "open", noted)
    with caplog.at_level(logging.INFO):
        record(path, of_file(10, start=25, size=(320, 120)))
        record(path, of_file(5, start=40))
    assert opened == [f"file:{tmp_path / name}" for name in ("out.2.mp4", "out.3.mp4")]
    assert path.read_bytes() == before
    assert f"{path}: goes on in out.2.mp4, what was recorded stays as it is" in caplog.text
    monkeypatch.undo()
    assert [len(playback(tmp_path / name)[0]) for name in ("out.mp4", "out.2.mp4", "out.3.mp4")] == [20, 10, 5]
    assert playback(tmp_path / "out.2.mp4")[0] == [40 * i for i in range(10)]


@pytest.mark.parametrize(("share", "kept"), [(0, 0), (0.01, 0), (0.5, 5), (0.999, 9), (1, 10)])
def test_a_recorder_killed_in_the_middle_of_writing_loses_the_torn_frame_only(share, kept, tmp_path):
    """Ten frames are out when the eleventh comes; the kill leaves this share of them."""
    pixels = np.random.default_rng(0).integers(0, 255, (11, 120, 160, 3), np.uint8)
    frames = [Frame("clip", i, 0, picture, media_ms=40.0 * i) for i, picture in enumerate(pixels)]
    sink, path = VideoSink(Targets(str(tmp_path / "killed.mp4"))), tmp_path / "new" / "out.mp4"
    for one in frames:
        sink.show(one, one.image, 0)
    written = (tmp_path / "killed.mp4").read_bytes()
    sink.close()
    path.parent.mkdir()
    path.write_bytes(written[: round(share * len(written))])
    record(path, of_file(5, start=20))
    assert len(playback(path.with_name("out.2.mp4") if share else path)[0]) == 5
    if kept:
        assert abs(playable(path) - kept) <= (share == 0.5)


def test_a_part_that_a_killed_recorder_left_without_a_frame_is_begun_anew(tmp_path):
    """An overlay that was killed within 0.1 s of the first frame had left a file of 88 bytes that did not play."""
    targets, [first, *_] = Targets(str(tmp_path / "door.mp4")), of_file(3)
    for _ in range(2):
        Recorder(targets.begin("door"), first.image).add(first.image, first)  # nobody closes it
        assert (tmp_path / "door.mp4").stat().st_size == 88
    sink = VideoSink(targets)
    for one in [both for pair in zip(of_file(3), of_file(3, stream="hall"), strict=True) for both in pair]:
        sink.show(one, one.image, 0)  # both have that one name: a file that is being written is not taken
    sink.close()
    assert {path.name: len(playback(path)[0]) for path in tmp_path.iterdir()} == {"door.mp4": 3, "door.2.mp4": 3}


def test_segments_that_killed_recorders_left_without_a_frame_go(tmp_path):
    left, [first] = tmp_path / "door-20261126T000000Z.mp4", of_file(1)
    Recorder(left, first.image).add(first.image, first)
    os.utime(left, times=(time.time() - 60,) * 2)
    sink = SegmentsSink(Targets(str(tmp_path / "door.mp4")), 1.0, Keep())
    sink.show(first, first.image, 0)
    sink.close()
    assert [len(playback(path)[0]) for path in tmp_path.iterdir()] == [1]


def playable(path: Path) -> int:
    """How many frames of a file a player shows, up to the torn one."""
    with av.open(str(path)) as video:
        shown = 0
        with contextlib.suppress(av.error.InvalidDataError):
            for shown, _ in enumerate(video.decode(video=0), 1):  # noqa: B007
                pass
    return shown


def test_a_new_run_starts_the_video_over_and_leaves_the_parts_of_others(tmp_path):
    for _ in range(2):
        record(tmp_path / "out.mp4", of_file(20))
    before = time.time() - 60
    for name in ("out.mp4", "out.2.mp4"):
        os.utime(tmp_path / name, (before, before))
    began = RunStart(time.time() - 30, time.monotonic() - 30)
    record(tmp_path / "out.mp4", of_file(5), began)
    record(tmp_path / "out.mp4", of_file(3), began)
    parts = {path.name: len(playback(path)[0]) for path in tmp_path.iterdir()}
    assert parts == {"out.mp4": 5, "out.2.mp4": 20, "out.3.mp4": 3}


def test_a_video_is_finished_at_the_end_of_its_stream_and_another_of_that_name_overwrites_nothing(tmp_path):
    sink = VideoSink(Targets(str(tmp_path / "{stream}.mp4")))
    for one in [*of_file(6, stream="door"), *of_file(9, stream="hall")]:
        sink.show(one, one.image, 0)
    for _ in range(2):  # it may be told twice
        sink.ended("door")
    assert len(playback(tmp_path / "door.mp4")[0]) == 6
    assert b"moof" not in (tmp_path / "door.mp4").read_bytes()[:64]
    for one in of_file(4, stream="door"):
        sink.show(one, one.image, 0)
    sink.close()
    parts = {path.name: len(playback(path)[0]) for path in tmp_path.iterdir()}
    assert parts == {"door.mp4": 6, "hall.mp4": 9, "door.2.mp4": 4}


def test_the_file_without_a_streams_name_is_the_first_streams_whoever_comes_first(tmp_path):
    sink = VideoSink(Targets(str(tmp_path / "o.mp4"), first="door"))
    for stream in ("hall", "door"):
        sink.show(frame(0, stream, media_ms=0.0), frame(0).image, 0)
    sink.close()
    assert {path.name for path in tmp_path.iterdir()} == {"o.mp4", "o-hall.mp4"}
    assert (sink.place("door"), sink.place("hall")) == (str(tmp_path / "o.mp4"), str(tmp_path / "o-hall.mp4"))


def test_without_libx264_it_records_mpeg4_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    with caplog.at_level(logging.WARNING):
        record(tmp_path / "out.mp4", of_file(20))
    assert "no libx264" in caplog.text
    assert playback(tmp_path / "out.mp4")[0] == [40 * i for i in range(20)]


def test_a_video_that_cannot_be_written_is_named_in_one_line(tmp_path):
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(InputError, match=r"out\.mp4: cannot be written \(Is a directory\)"):
        record(tmp_path / "out.mp4", of_file(1))


def test_all_videos_are_closed_also_when_one_fails_to(tmp_path, monkeypatch):
    sink = VideoSink(Targets(str(tmp_path / "{stream}.mp4")))
    for stream in ("a", "b", "c"):
        sink.show(frame(0, stream, media_ms=0.0), frame(0).image, 0)
    closed = []

    def close(video: Recorder) -> None:
        closed.append(video.path.stem)
        if video.path.stem == "b":
            raise InputError("b.mp4: cannot be written")

    monkeypatch.setattr(Recorder, "close", close)
    with pytest.raises(InputError, match=r"b\.mp4"):
        sink.close()
    assert sorted(closed) == ["a", "b", "c"]
