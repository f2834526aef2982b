"""`maskstream classify MODEL PATH...`: the live stages over pictures from disk."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from program import ROOT

from capture.demo import DemoScene
from inference.backends import SHIPPED_MODEL


@pytest.fixture
def pictures(tmp_path):
    """A frame of the demo and a grey picture of the same name in another folder, with a broken one."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    cv2.imwrite(str(tmp_path / "a" / "one.png"), DemoScene().picture(10))
    cv2.imwrite(str(tmp_path / "b" / "one.png"), np.full((200, 300, 3), 90, np.uint8))
    (tmp_path / "b" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    return tmp_path


def classify(folder, *arguments):
    program = "import run_pipeline; run_pipeline.main()"
    return subprocess.run(
        [sys.executable, "-c", program, "classify", *map(str, arguments)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
    )


def lines(folder):
    return [json.loads(line) for line in (folder / "classified" / "faces.jsonl").read_text().splitlines()]


def test_pictures_of_folders_are_classified_drawn_and_listed(pictures):
    done = classify(pictures, SHIPPED_MODEL, "a", "b")
    assert done.returncode == 0, done.stderr
    assert {line["name"]: len(line["faces"]) for line in lines(pictures)} == {"a-one.png": 1, "b-one.png": 0}
    drawn = cv2.imread(str(pictures / "classified" / "a-one.png"))
    assert np.any(drawn != cv2.imread(str(pictures / "a" / "one.png")))
    assert "no face found" in done.stdout
    assert "left out broken.jpg" in done.stdout


def test_whole_takes_the_picture_for_the_face(pictures):
    assert classify(pictures, SHIPPED_MODEL, "b/one.png", "--whole").returncode == 0
    [line] = lines(pictures)
    assert line["faces"][0]["box"] == [0, 0, 300, 200]
    assert line["faces"][0]["label"] in ("mask", "no_mask", "wrong_mask")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such picture"),
        (["b/broken.jpg"], "none of the 1 pictures can be read"),
        ([], "camera 0"),
        (["a", "-o", "a"], "write over the source"),
        (["a", "--device", "cuda:7"], "cuda:7"),
    ],
)
def test_what_cannot_be_used_is_one_line(pictures, arguments, said):
    done = classify(pictures, SHIPPED_MODEL, *arguments)
    assert done.returncode == 1
    [error] = [line for line in done.stderr.splitlines() if "error:" in line]
    assert said in error
    assert "Traceback" not in done.stderr
