"""The shell lines of docs/quick-start.md are run as they stand, and what the page says of them is so.

What stands in for a newcomer's things: 192.0.2.10/stream1 is an RTSP server on loopback, which wants the page's user
and password; webcam 0 is a film that is played like a camera; faces/ has patches of three colours, learnt for one
epoch; the page has a free port. `maskstream benchmark` takes a minute: test_benchmark.py runs a short one.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import cv2
import numpy as np
import pytest
from ports import free_port
from program import ROOT, gone, workers_below
from terminal import at_a_terminal

PAGE = (ROOT / "docs" / "quick-start.md").read_text()
SECTIONS = {
    part.partition("\n")[0]: [
        line for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL) for line in block.splitlines()
    ]
    for part in PAGE.split("\n## ")[1:]
}


class Shell:
    """A newcomer's terminal, in a folder of its own, with `maskstream` on the PATH and no display."""

    def __init__(self, folder):
        self.folder = folder
        program = folder / ".bin" / "maskstream"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -c "import run_pipeline; run_pipeline.main()" "$@"\n')
        program.chmod(0o755)
        path = f"{program.parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            self._environment.pop(name, None)
        self._running = []

    def types(self, line, code=0):
        """Type a line and wait for its end: what it has said."""
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def starts(self, line, until):
        """Type a line, wait until something holds of what it has said, then press Ctrl-C: all that it has said."""
        path = self.folder / "said.txt"
        with path.open("w") as said:
            run = subprocess.Popen(
                ["sh", "-c", f"trap : INT; {line}"],  # a shell of a terminal outlives Ctrl-C
                cwd=self.folder,
                env=self._environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self._running.append(run)
        deadline = time.monotonic() + 60
        while not until(path.read_text()):
            assert run.poll() is None, path.read_text()
            assert time.monotonic() < deadline, path.read_text()
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(30) == 0, path.read_text()
        return path.read_text()

    def closes(self):
        for run in self._running:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()


@pytest.fixture
def shell(tmp_path):
    made = Shell(tmp_path)
    yield made
    made.closes()
    assert gone(lambda: workers_below(tmp_path))


@pytest.fixture
def camera(rtsp_server, clip):
    """The text of the page with its camera's address as that of a real RTSP server."""
    server = rtsp_server(file=clip("camera.mp4", count=50), auth="user:pass")
    return lambda text: text.replace("192.0.2.10/stream1", f"127.0.0.1:{server.port}/live")


def shows(port, stream):
    """Whether the page at this port shows pictures of the stream."""

    def seen(_):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/snapshot/{stream}.jpg", timeout=5) as answer:
                return answer.read(2) == b"\xff\xd8"
        except OSError:
            return False

    return seen


def frames(path):
    film = cv2.VideoCapture(str(path))
    return sum(1 for _ in iter(film.grab, False))


def test_each_line_of_the_page_has_a_test_here():
    assert {title: len(lines) for title, lines in SECTIONS.items() if lines} == {
        "The demo": 2,
        "A webcam": 1,
        "A network camera": 5,
        "A video file": 1,
        "A model of your own": 4,
        "How fast is this machine": 1,
    }
    assert SECTIONS["How fast is this machine"] == ["maskstream benchmark"]


def test_the_demo_is_written_and_shown(shell, tmp_path):
    written, shown = SECTIONS["The demo"]
    said = shell.types(written)
    assert re.search(r"demo +│ +500 │ +500 │", said)
    assert frames(tmp_path / "demo.mp4") == 500
    port = free_port()
    said = shell.starts(f"{shown} --port {port}", shows(port, "demo"))
    assert f"the page is at http://127.0.0.1:{port}/" in said
    assert "captured" in said.rpartition("ledger")[2]


def test_a_webcam_is_shown_on_the_page_where_there_is_no_display(shell, clip):
    [line] = SECTIONS["A webcam"]
    assert "no camera 97" in shell.types(line.replace("--source 0", "--source 97"), code=1)
    clip("webcam.mp4", count=50)
    port, played = free_port(), line.replace("--source 0", "--source webcam.mp4 --realtime --loop")
    shell.starts(f"{played} --port {port}", shows(port, "webcam"))


def test_a_network_camera_is_recorded(shell, camera, tmp_path):
    line = camera(SECTIONS["A network camera"][0])
    refused = shell.types(line.replace("user:pass@", "user:other@"), code=1)
    assert refused.splitlines()[-1].startswith("maskstream: error: ")
    film = tmp_path / "door.mp4"
    shell.starts(line, lambda _: film.exists() and film.stat().st_size > 50_000)
    assert frames(film) > 10


def test_cameras_are_written_down_looked_at_and_shown(shell, camera, tmp_path):
    init, passwords, check, run = SECTIONS["A network camera"][1:]
    code, said = at_a_terminal(
        camera("door=rtsp://user:pass@192.0.2.10/stream1\n\n"), *shlex.split(init)[1:], folder=tmp_path
    )
    assert code == 0, said
    assert (tmp_path / "snapshots" / "door.jpg").is_file()
    assert "the variable DOOR_PASSWORD is not set" in shell.types(check, code=1)
    said = shell.types(f"{passwords}; {check}")
    assert said.startswith(("ok      door: 640x480", "warning door: 640x480"))
    port = free_port()
    shell.starts(f"{passwords}; {run} --port {port}", shows(port, "door"))


def test_a_video_file_gets_boxes_and_lines(shell, clip, tmp_path):
    clip("clip.mp4", count=20)
    [line] = SECTIONS["A video file"]
    shell.types(line)
    assert frames(tmp_path / "out.mp4") == 20
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 20


def test_a_model_is_trained_scored_exported_and_run(shell, clip, tmp_path):
    pytest.importorskip("torchvision")
    rng = np.random.default_rng(0)
    for name, colour_bgr in {"mask": (200, 40, 40), "no_mask": (40, 200, 40), "wrong_mask": (40, 40, 200)}.items():
        (tmp_path / "faces" / name).mkdir(parents=True)
        for number in range(7):
            face = (np.array(colour_bgr) + rng.normal(0, 25, (30, 24, 3))).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "faces" / name / f"{number}.png"), face)
    clip("clip.mp4", count=5)
    train, evaluate, export, run = SECTIONS["A model of your own"]
    shell.types(f"{train} --epochs 1 --number_workers 0")
    assert (tmp_path / "results" / "own.html").is_file()
    assert "page: results/" in shell.types(evaluate)
    shell.types(export)
    shutil.rmtree(tmp_path / "faces")
    assert "model own.onnx" in shell.types(run)
    assert frames(tmp_path / "own.mp4") == 5
