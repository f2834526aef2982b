"""`maskstream chaos`, the real one: each fault once, and a run that does not survive one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmark.camera import Camera
from benchmark.faults import FAULTS
from capture.picture import BEGINNING, NotYet, SourceLost
from capture.sources import open_source
from configs.schema import SourceConfig

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import run_pipeline; run_pipeline.main()"


def chaos(folder, *arguments):
    command = [sys.executable, "-c", PROGRAM, "chaos", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_each_fault_once_costs_no_frame_and_leaves_nothing(tmp_path):
    done = chaos(tmp_path, "--times", 1, "--seed", 3, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    nothing = {"processes": 0, "segments": 0, "folders": 0, "frames": 0}
    counts = {name: (told["times"], told["lost"], told["recovered"]) for name, told in report["faults"].items()}
    assert counts == dict.fromkeys(FAULTS, (1, 0, 1))
    assert all(told["left_over"] == nothing for told in report["faults"].values())
    assert report["problems"] == []
    assert report["at_end"]["files_half_written"] == report["at_end"]["frames_out_of_order"] == 0
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_ends_of_a_kill_is_told_and_what_it_wrote_is_kept(tmp_path):
    done = chaos(tmp_path, "kill", "--times", 3, "--set", "run.max_restarts=0", "--output", "kept", "--json")
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("maskstream: error")]
    assert "died 1 times" in line
    assert json.loads(done.stdout.splitlines()[-1])["faults"]["kill"]["recovered"] == 0
    assert {"frames.jsonl", "stderr.txt", "demo.mp4"} <= {path.name for path in (tmp_path / "kept").iterdir()}


def test_what_is_no_fault_or_no_empty_folder_is_refused(tmp_path):
    done = chaos(tmp_path, "burn")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "kill, stop, slow" in done.stderr
    (tmp_path / "file").touch()
    done = chaos(tmp_path, "--output", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "choose a folder that is empty" in done.stderr


def test_the_camera_goes_away_and_comes_back_at_its_address():
    with Camera() as camera:
        url = camera.url
        source = open_source(SourceConfig(source=url), BEGINNING)
        assert picture(source).shape == (240, 320, 3)
        camera.go_away()
        lost_s = time.monotonic()
        while True:
            try:
                picture(source)
            except SourceLost:
                break
            assert time.monotonic() - lost_s < 3
        source.close()
        camera.come()
        assert camera.url == url
        source = open_source(SourceConfig(source=url), BEGINNING)
        assert picture(source).shape == (240, 320, 3)
        source.close()


def picture(source):
    """The next picture of a source."""
    while True:
        try:
            return source.read(lambda height, width: np.empty((height, width, 3), np.uint8)).image
        except NotYet:
            continue
