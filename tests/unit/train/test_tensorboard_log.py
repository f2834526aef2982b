"""What TensorBoard would show of a run is read back from its files, by TensorBoard's own reader."""

import cv2
import numpy as np
import pytest

from train.classifier.tensorboard_log import TensorBoardLog
from train.classifier.training import EpochResult
from train.score.metrics import ClassScores, Scores

pytest.importorskip("torch")
accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard (pip)"
)


def test_curves_and_pictures_are_there(tmp_path):
    log = TensorBoardLog(tmp_path / "run")
    for number in (1, 2):
        scores = Scores(0.8, number / 4, {"mask": ClassScores(1, 0.75, 1, 4), "none": ClassScores(0, 0, 0, 0)}, 0.0)
        log.epoch(EpochResult(number, 0.001, 0.5, 0.7, 0.6, scores, 1.0, 3.0))
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[..., 2] = 200  # red
    cv2.imwrite(str(tmp_path / "p.png"), picture)
    log.picture("batch", tmp_path / "p.png", 2)
    log.close()
    read = accumulator.EventAccumulator(str(tmp_path / "run"))
    read.Reload()
    assert [(one.step, one.value) for one in read.Scalars("macro_f1/val")] == [(1, 0.25), (2, 0.5)]
    assert read.Scalars("recall of val/mask")[0].value == 0.75
    assert "recall of val/none" not in read.Tags()["scalars"]
    [image] = read.Images("batch")
    pixels = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert (pixels == picture).all()
