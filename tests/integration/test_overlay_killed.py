"""An overlay that is killed with SIGKILL, and what its files hold then and after it has been started again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2

from capture.demo import DemoScene
from transport.stage import RunStart

ROOT = Path(__file__).resolve().parents[2]

# Shows 30 frames from number `first`, writing the number of each shown one, and then waits to be killed.
PROGRAM = """
import sys, time
import numpy as np
from configs.schema import OverlayConfig
from overlay.stage import overlay
from transport.frame import Frame
from capture.demo import DemoScene
from transport.stage import RunStart, StageContext

first, unix_s, monotonic_s, *sinks = sys.argv[1:]
began = RunStart(float(unix_s), float(monotonic_s))
def batches():
    for seq in range(int(first), int(first) + 30):
        yield [Frame("clip", seq, time.monotonic_ns(), np.full((120, 160, 3), seq, np.uint8), media_ms=40.0 * seq)]
for ended in overlay(OverlayConfig(sinks=tuple(sinks)), batches(), StageContext(began=began)):
    print(ended.frame.seq, ended.outcome, flush=True)
    if ended.frame.seq == 29:
        time.sleep(60)
"""


def start(first: int, began: RunStart, sinks: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(first), str(began.unix_s), str(began.monotonic_s), *sinks]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)


def seqs_in_video(path: Path) -> list[int]:
    with contextlib.suppress(av.error.FFmpegError), av.open(str(path)) as video:
        return [round(frame.time * 25) for frame in video.decode(video=0)]
    return []  # nothing whole is in it yet


def seqs_in_lines(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


def test_what_was_shown_before_the_kill_is_kept_and_the_next_life_goes_on(tmp_path: Path):
    video, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    sinks = [f"file:{video}", f"jsonl:{lines}"]

    began = RunStart()
    killed = start(0, began, sinks)
    assert killed.stdout is not None
    while killed.stdout.readline() != "29 shown\n":
        assert killed.poll() is None
    until_s = time.monotonic() + 60
    while len(seqs_in_video(video)) < 29:  # a thread encodes what waits
        assert time.monotonic() < until_s
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    assert seqs_in_video(video) == list(range(29))  # the muxer holds the last one until it knows how long it lasts
    assert seqs_in_lines(lines) == list(range(30))

    again = start(30, began, sinks)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert seqs_in_video(video) == list(range(29))
    assert seqs_in_video(tmp_path / "out.2.mp4") == list(range(30))  # a part begins at 0
    assert seqs_in_lines(lines) == list(range(60))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.2.mp4", "out.jsonl", "out.mp4"]


def test_who_is_seen_before_and_after_the_kill_is_counted_once(maskstream, tmp_path: Path):
    """Three persons, seen all the while; the overlay dies twice after it has counted them."""
    path, scene = tmp_path / "demo.avi", DemoScene()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    for index in range(325, 450):
        writer.write(scene.picture(index))
    writer.release()
    run = maskstream("--source", path, "--realtime", "--sink", "jsonl:o.jsonl", "--json")
    for count, lines in ((1, 50), (2, 90)):
        run.until(lambda lines=lines: len(run.lines()) > lines)
        os.kill(run.stage("overlay"), signal.SIGKILL)
        run.until(lambda count=count: run.stderr.count("overlay: ready") == count + 1)
    assert run.wait() == 0, run.stderr
    tracks = {face["track"] for line in run.lines() for face in line["faces"]}
    assert len(tracks) == sum(run.report["persons"].values()) == 3
