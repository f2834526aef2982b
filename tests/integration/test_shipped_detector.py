"""The detector that ships, and the commands that made it, as users run them."""

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from program import ROOT

from capture.demo import DemoScene
from configs.schema import DetectConfig
from inference.boxes import iou
from inference.detectors import open_detector
from inference.detectors.detector import shrink
from train.data.boxes import Detections
from train.data.photo_set import read_photo_set
from train.detector.matches import match

SHIPPED = ROOT / "inference" / "pretrained" / "maskface.onnx"
SCENES = ROOT / ".." / "shared" / "data" / "scenes"


@pytest.fixture(scope="module")
def detector():
    """A function from a picture (H, W, 3) uint8 BGR to what is found in it as the pipeline asks, and the threshold."""
    opened = open_detector(DetectConfig(detector="maskface", min_face=0.0))

    def find(image: np.ndarray) -> Detections:
        found = opened.sure(shrink(image, image.shape[1]))
        found.sort(key=lambda one: -one.score)
        boxes = [(box.x, box.y, box.x + box.width, box.y + box.height) for box, _ in found]
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array([one.score for one in found]))

    return find, opened.score


def program(*arguments):
    command = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def test_it_is_small_and_finds_a_portrait(detector):
    find, _ = detector
    assert SHIPPED.stat().st_size < 500_000
    assert len(find(DemoScene().picture(5)).scores) >= 1
    assert len(find(np.full((240, 320, 3), 120, np.uint8)).scores) == 0


def test_a_face_is_one_face_however_large_it_is_searched(detector):
    find, _ = detector
    portrait = cv2.resize(DemoScene().picture(5)[60:420, 140:500], (1440, 1440), interpolation=cv2.INTER_CUBIC)
    for side in (1440, 720, 360, 180):
        [box] = find(cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)).boxes / side
        [again] = find(cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA)).boxes / 240
        assert iou(box, again) > 0.75, side


def test_it_takes_a_few_milliseconds(detector):
    find, _ = detector
    picture = DemoScene().picture(5)[:240, :320]
    times = []
    for _ in range(20):
        start = time.perf_counter()
        find(picture)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02  # 3 ms on a quiet core; the floor that is promised is a benchmark's to keep


def test_it_finds_bare_masked_and_wrongly_masked_faces(detector):
    if not SCENES.is_dir():
        pytest.skip("needs the scenes of shared/data")
    find, score = detector
    read = read_photo_set(SCENES)
    scores = match(read.photos, [find(photo.image) for photo in read.photos], 0.4).scores_at(score, read.classes)
    for name, least in (("no_mask", 0.86), ("mask", 0.89), ("wrong_mask", 0.90)):
        assert scores.recall[name] >= least, scores
    assert scores.false_per_picture <= 0.7


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("train-detector", "nowhere"), "nowhere/train/annotations.json: No such file or directory"),
        (("train-detector", "nowhere", "-o", "d.onnx"), "--output d.onnx: a checkpoint ends in .pth"),
        (("train-detector",), "Missing argument 'photos'"),
    ],
)
def test_what_cannot_be_used_is_one_line(arguments, line):
    done = program(*arguments)
    assert done.returncode in (1, 2)
    [said] = done.stderr.splitlines()
    assert said.startswith(f"maskstream: error: {line}")


def test_help_says_what_the_photographs_must_be():
    told = " ".join(program("train-detector", "--help").stdout.split())
    for word in ("train/", "val/", "COCO", "--landmark-model", "--resume"):
        assert word in told


def test_the_card_says_of_which_file_it_speaks():
    from hashlib import sha256

    card = (Path(SHIPPED).parent / "MASKFACE_CARD.md").read_text()
    assert sha256(SHIPPED.read_bytes()).hexdigest() in card
