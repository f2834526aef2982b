"""The whole program on real input: what goes in comes out, whatever dies in between."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import av
import cv2
import psutil
import pytest

from overlay.sinks.stream_queue import LEAST

STAGES = ("capture-clip", "detect", "classify", "overlay")


def frames_in(path: Path) -> int:
    """The pictures that a player finds in a video."""
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def balanced(stream: dict) -> bool:
    return stream["captured"] == stream["shown"] + sum(stream["dropped"].values()) + stream["in_flight"]


def test_a_file_loses_no_frame(maskstream, clip):
    run = maskstream("--source", clip(count=60), "--sink", "file:o.mp4", "--sink", "jsonl:o.jsonl", "--json")
    assert run.wait() == 0
    stream = run.report["streams"]["clip"]
    assert (stream["captured"], stream["shown"], stream["dropped"], stream["in_flight"]) == (60, 60, {}, 0)
    assert [line["seq"] for line in run.lines()] == list(range(60))
    assert frames_in(run.folder / "o.mp4") == 60
    assert set(run.report["stages"]) == {"capture", "detect", "classify", "overlay"}
    assert run.report["detector"]
    assert run.report["provider"]
    assert run.report["versions"]["opencv-python"].startswith("4.")


def test_faces_are_followed_unless_each_frame_is_asked_for(maskstream):
    followed = maskstream("--source", "demo", "--sink", "jsonl:o.jsonl", "--json")
    assert followed.wait(90) == 0
    persons, share = followed.report["persons"], followed.report["mask_share"]
    assert share["counted"] == sum(persons.values()) >= 3
    assert share["raw"] == pytest.approx(persons["mask"] / share["counted"], abs=1e-4)
    assert share["low"] < share["adjusted"] < share["high"]
    faces = [face for line in followed.lines() for face in line["faces"]]
    assert {type(face["track"]) for face in faces} == {int}
    assert 0 < max(face["label_age_ms"] for face in faces) <= 600
    each = maskstream("--source", "demo", "--every-frame", "--sink", "jsonl:e.jsonl")
    each.until(lambda: sum(bool(line["faces"]) for line in each.lines("e.jsonl")) > 20)
    each.signal(signal.SIGINT)
    assert each.wait() == 0
    faces = [face for line in each.lines("e.jsonl") for face in line["faces"]]
    assert {(face["track"], face["label_age_ms"]) for face in faces} == {(None, 0.0)}


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="needs ffprobe (Debian package ffmpeg)")
def test_ffprobe_counts_the_same_and_finds_what_browsers_play(maskstream, clip):
    run = maskstream("--source", clip(count=30), "--sink", "file:o.mp4")
    assert run.wait() == 0
    words = ["-count_frames", "-show_entries", "stream=codec_name,pix_fmt,nb_frames,nb_read_frames"]
    probe = ["ffprobe", "-v", "error", *words, "-of", "csv=p=0", str(run.folder / "o.mp4")]
    assert subprocess.check_output(probe, text=True).strip() == "h264,yuv420p,30,30"


@pytest.mark.parametrize("stage", STAGES)
def test_kill_9_of_a_stage_loses_nothing(maskstream, clip, stage):
    run = maskstream("--source", clip(count=900), "--sink", "file:o.mp4", "--sink", "jsonl:o.jsonl", "--json")
    run.until(lambda: len(run.lines()) > 30)
    psutil.Process(run.stage(stage)).kill()
    assert run.wait() == 0, run.stderr
    stream = run.report["streams"]["clip"]
    assert stream["captured"] == 900
    assert balanced(stream)
    assert stream["in_flight"] == 0
    assert (stream["shown"], stream["dropped"]) == (900, {})
    seqs = [line["seq"] for line in run.lines()]
    assert seqs == sorted(seqs)
    assert set(seqs) == set(range(900))
    assert len(seqs) <= 900 + (stage == "overlay")  # it may die between its sinks and their mark
    parts = list(run.folder.glob("o*.mp4"))  # an overlay that starts again begins another one
    assert 0 <= sum(map(frames_in, parts)) - stream["recorded"] <= (stage == "overlay")
    assert 0 <= stream["recorded"] + stream["not_recorded"] - 900 <= (stage == "overlay")
    assert stream["not_recorded"] <= (LEAST + 3) * (stage == "overlay")  # what waited to be encoded when it died
    assert run.report["stages"][stage.split("-")[0]]["restarts"] == 1


def test_kill_9_of_the_supervisor_leaves_nothing_and_a_video_that_plays(maskstream, clip):
    run = maskstream("--source", clip(count=900), "--sink", "file:o.mp4", "--sink", "jsonl:o.jsonl")
    run.until(lambda: len(run.lines()) > 30)
    processes = run.processes()
    assert len(processes) >= 5
    run.kill()
    deadline = time.monotonic() + 3
    while any(psutil.pid_exists(pid) for pid in processes):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert frames_in(run.folder / "o.mp4") >= len(run.lines()) - (LEAST + 3)  # what waited to be encoded


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_all_within_3_s_and_the_video_plays(maskstream, clip, number):
    source = ("--source", clip(count=50), "--loop", "--realtime")
    run = maskstream(*source, "--sink", "file:o.mp4", "--sink", "jsonl:o.jsonl", "--json")
    run.until(lambda: len(run.lines()) > 20)
    processes = run.processes()
    began_s = time.monotonic()
    run.signal(number)
    assert run.wait() == 0
    assert time.monotonic() - began_s < 3
    assert not any(psutil.pid_exists(pid) for pid in processes)
    stream = run.report["streams"]["clip"]
    assert balanced(stream)
    assert stream["in_flight"] == 0
    assert stream["shown"] == len(run.lines()) == stream["recorded"] + stream["not_recorded"]
    assert frames_in(run.folder / "o.mp4") == stream["recorded"] > 10


def test_ctrl_c_while_the_stages_start_is_quiet(maskstream, clip):
    run = maskstream("--source", clip(count=50), "--loop", "--sink", "null")
    run.until(lambda: len(run.processes()) >= 4)
    processes = run.processes()
    for pid in processes:  # what a terminal does: the whole foreground group gets it
        if psutil.pid_exists(pid) and os.getpgid(pid) == os.getpgid(run.pid):
            os.kill(pid, signal.SIGINT)
    assert run.wait(10) == 0
    assert "Traceback" not in run.stderr
    assert not any(psutil.pid_exists(pid) for pid in processes)


def test_a_stopped_stage_is_found_by_its_silence(maskstream, clip):
    limits = ("--set", "run.heartbeat_timeout_s=1.5")
    run = maskstream("--source", clip(count=600), "--sink", "jsonl:o.jsonl", "--json", *limits)
    run.until(lambda: len(run.lines()) > 30)
    psutil.Process(run.stage("classify")).suspend()
    assert run.wait() == 0
    stream = run.report["streams"]["clip"]
    assert (stream["shown"], stream["dropped"]) == (600, {})
    assert run.report["stages"]["classify"]["restarts"] == 1


def test_two_sources_share_detection_and_one_may_fail(maskstream, clip):
    run = maskstream("--source", clip("a.mp4"), "--source", "gone.mp4", "--source", clip("b.mp4", count=20),
                     "--keep-going", "--sink", "file:o.mp4", "--sink", "jsonl:o.jsonl", "--json")  # fmt: skip
    assert run.wait() == 1
    assert {name: stream["shown"] for name, stream in run.report["streams"].items()} == {"a": 30, "b": 20}
    assert "gone.mp4" in run.report["refused"]
    assert frames_in(run.folder / "o-a.mp4") == 30
    assert frames_in(run.folder / "o-b.mp4") == 20
    for stream in ("a", "b"):
        seqs = [line["seq"] for line in run.lines() if line["stream"] == stream]
        assert seqs == sorted(seqs)


def test_two_sources_of_the_same_name_are_told_apart(maskstream, clip):
    run = maskstream("--source", clip("a.mp4"), "--source", clip("a.mp4"), "--sink", "null", "--json")
    assert run.wait() == 0
    assert set(run.report["streams"]) == {"a", "a-2"}


def test_long_names_fit_into_a_socket_s_path(maskstream, clip, monkeypatch):
    with tempfile.TemporaryDirectory(prefix="x" * 40, dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        run = maskstream("--source", clip("n" * 64 + ".mp4", count=5), "--sink", "null", "--json")
        assert run.wait() == 0, run.stderr
    assert run.report["streams"]["n" * 64]["shown"] == 5


def test_a_broken_picture_of_a_folder_is_skipped_counted_and_named(maskstream, tmp_path, clip):
    folder = tmp_path / "faces"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), clip.picture(index))
    (folder / "1b.jpg").write_bytes(b"\xff\xd8\xff no picture")
    run = maskstream("--source", folder, "--sink", "jsonl:o.jsonl", "--sink", "images:drawn/", "--json")
    assert run.wait() == 0
    stream = run.report["streams"]["faces"]
    assert (stream["captured"], stream["shown"], stream["dropped"]) == (4, 3, {"undecodable": 1})
    assert "1b.jpg" in run.stderr
    assert [line["name"] for line in run.lines()] == ["0.png", "1.png", "2.png"]
    assert sorted(path.name for path in (run.folder / "drawn").iterdir()) == ["0.png", "1.png", "2.png"]


def test_an_rtsp_camera_that_goes_away_comes_back(maskstream, rtsp_server):
    server = rtsp_server(auth="me:s3cret")
    run = maskstream("--source", server.url, "--sink", "jsonl:o.jsonl", "--sink", "file:o.mp4", "--json")
    run.until(lambda: len(run.lines()) > 20)
    server.kill()
    run.until(lambda: "away" in run.stderr)
    time.sleep(3)
    seen = len(run.lines())
    server.start()
    began_s = time.monotonic()
    run.until(lambda: len(run.lines()) > seen + 5)
    assert time.monotonic() - began_s < 5
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    [stream] = run.report["streams"].values()
    assert balanced(stream)
    everything = run.stdout + run.stderr + (run.folder / "o.jsonl").read_text()
    assert "s3cret" not in everything


def test_with_wait_a_camera_may_come_later_than_stages_may_take_to_start(maskstream, rtsp_server):
    server = rtsp_server()
    server.kill()
    run = maskstream("--source", server.url, "--wait", "--set", "run.start_timeout_s=10", "--sink", "jsonl:o.jsonl")
    run.until(lambda: "away" in run.stderr)
    time.sleep(11)
    server.start()
    run.until(lambda: len(run.lines()) > 5)
    assert "was not ready" not in run.stderr
    run.signal(signal.SIGINT)
    assert run.wait() == 0


def test_the_password_is_in_no_stage_s_command_line(maskstream, rtsp_server):
    server = rtsp_server(auth="me:s3cret")
    run = maskstream("--source", server.url, "--sink", "jsonl:o.jsonl")
    run.until(lambda: len(run.lines()) > 0)
    for stage in ("detect", "classify", "overlay"):
        assert "s3cret" not in " ".join(psutil.Process(run.stage(stage)).cmdline())
    capture = [pid for pid in run.processes() if "capture" in " ".join(psutil.Process(pid).cmdline()[-1:])]
    assert len(capture) == 1
    assert "s3cret" not in " ".join(psutil.Process(capture[0]).cmdline())
    run.signal(signal.SIGINT)
    assert run.wait() == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
