"""The shell lines of README and docs that need no camera and no training are run as they stand."""

import re
import shlex
import shutil
import subprocess
import sys

import cv2
import pytest
from program import ROOT

from capture.demo import DemoScene
from inference.backends import SHIPPED_MODEL

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)]
LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
QUICK_START = (ROOT / "docs" / "quick-start.md").read_text()  # tests/integration/test_quick_start.py runs its lines
COMMANDS = list(dict.fromkeys(line for line in LINES if line.startswith("maskstream ")))
NEED = (
    "--source 0",
    "rtsp://",
    "many-cameras",
    "maskstream train",
    "maskstream evaluate",
    "maskstream export",
    "maskstream results",
    "--loop",
    "maskstream streams",  # tests/integration/test_streams.py
    "maskstream init",  # tests/integration/test_init.py
    "maskstream check",  # tests/integration/test_check.py
    "maskstream doctor",  # tests/integration/test_deploy.py
    "maskstream events",  # tests/integration/test_events.py runs both
    "maskstream report",
    "cameras.yaml",
    "--shard",  # tests/integration/test_shard.py
    "maskstream shard",
    "maskstream chaos",  # tests/integration/test_chaos_command.py
    "maskstream fleet",  # tests/unit/fleet/test_fleet_render.py
    "maskstream benchmark",  # minutes each; tests/integration/test_benchmark.py runs short ones
)
WITHOUT_CAMERA = [
    line
    for line in COMMANDS
    if not any(word in line for word in NEED)
    and line not in QUICK_START.splitlines()
    and line != "maskstream classify NAME.onnx"
]


def test_there_are_lines_to_run():
    assert len(WITHOUT_CAMERA) >= 4


def test_the_readme_can_be_read_in_five_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
    assert (ROOT / "docs" / "demo.webp").stat().st_size < 1_500_000


def test_the_architecture_has_at_most_150_lines():
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("command", WITHOUT_CAMERA)
def test_a_line_of_the_readme_runs(command, tmp_path, clip):
    clip("clip.mp4", count=10)
    for folder in ("photos", "crops"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.jpg"), DemoScene().picture(5))
    shutil.copy(SHIPPED_MODEL, tmp_path / "NAME.onnx")
    program = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()", *shlex.split(command)[1:]]
    done = subprocess.run(program, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_in_the_readme_exists(command):
    words = shlex.split(command)[1:]
    name = words[: 2 if words[0] == "fleet" else 1]
    program = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()", *name, "--help"]
    described = subprocess.run(program, env={"PYTHONPATH": str(ROOT), "COLUMNS": "200"}, capture_output=True, text=True)
    assert {word for word in words if re.fullmatch("--?[a-z-]+", word)} <= set(
        re.findall(r"--?[a-z-]+", described.stdout)
    )
