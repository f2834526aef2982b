"""How the shipped model is trained: batches drawn ahead, held-out sources."""

import cv2
import numpy as np
import pytest

from train import shipped
from train.data.dataset import Split
from train.shipped import prefetch


def test_prefetched_batches_come_all_and_in_order():
    assert list(prefetch(iter([1, 2, 3, 4, 5]))) == [1, 2, 3, 4, 5]


def test_an_error_while_drawing_ahead_is_not_lost():
    with pytest.raises(ZeroDivisionError):
        list(prefetch(1 // number for number in (1, 0)))


def test_a_held_out_source_is_read_alone(tmp_path):
    for name, shade in (("jol_1.png", 10), ("amvd_1.png", 90), ("jol_2.png", 20)):
        cv2.imwrite(str(tmp_path / name), np.full((30, 30, 3), shade, np.uint8))
    files = tuple(sorted(tmp_path.iterdir()))
    pixels, labels = shipped.read_faces([Split(files, np.array([0, 1, 2]))], lambda source: source == "jol")
    assert labels.tolist() == [1, 2]
    assert pixels[:, 0, 0, 0].tolist() == [10, 20]
    pixels, labels = shipped.read_faces([Split(files, np.array([0, 1, 2]))], lambda source: source == "none")
    assert (len(pixels), len(labels)) == (0, 0)
