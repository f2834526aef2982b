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


def test_the_folders_of_a_data_set_are_found_below_it(pictures):
    """`labeled/` with class folders and `unlabeled/`, as the original program keeps them; not what is no data."""
    data = pictures / "data"
    grey = np.full((40, 40, 3), 90, np.uint8)
    places = ("labeled/mask/1.jpg", "labeled/no_mask/1.jpg", "labeled/no_mask/2.JPG", "unlabeled/1.jpg", "top.png")
    others = (".ipynb_checkpoints/2.jpg", "labeled/.hidden/3.jpg", "__MACOSX/labeled/4.jpg", "classified/5.jpg")
    for place in (*places, *others, "unlabeled/._1.jpg"):
        (data / place).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(data / place), grey)
    done = classify(pictures, SHIPPED_MODEL, "data", "data/top.png", "--whole", "-o", "data/classified")
    assert done.returncode == 0, done.stderr
    drawn = {path.name for path in (data / "classified").iterdir()}
    assert drawn == {"mask-1.jpg", "no_mask-1.jpg", "2.JPG", "unlabeled-1.jpg", "top.png", "faces.jsonl", "5.jpg"}
    assert "5 pictures in 4 folders" in done.stdout


def test_whole_takes_the_picture_for_the_face(pictures):
    assert classify(pictures, SHIPPED_MODEL, "b/one.png", "--whole").returncode == 0
    [line] = lines(pictures)
    assert line["faces"][0]["box"] == [0, 0, 300, 200]
    assert line["faces"][0]["label"] in ("mask", "no_mask", "wrong_mask")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such picture"),
        (["b/broken.jpg"], "none of the pictures can be read (1), first: broken.jpg"),
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
