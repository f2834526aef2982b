"""How the shipped model is trained: batches drawn ahead, averaged weights, the learning rate, held-out sources."""

import cv2
import numpy as np
import pytest

from train import shipped
from train.shipped import prefetch, share_of_rate


def test_prefetched_batches_come_all_and_in_order():
    assert list(prefetch(iter([1, 2, 3, 4, 5]))) == [1, 2, 3, 4, 5]


def test_an_error_while_drawing_ahead_is_not_lost():
    with pytest.raises(ZeroDivisionError):
        list(prefetch(1 // number for number in (1, 0)))


def test_the_averaged_network_follows_the_one_that_learns():
    torch = pytest.importorskip("torch")
    slow, fast = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        fast.weight += 1
    fast.running_mean += 4
    fast.num_batches_tracked += 9
    shipped.follow(slow, fast, 0.75)
    assert slow.weight.tolist() == [1.25, 1.25]
    assert slow.running_mean.tolist() == [1.0, 1.0]
    assert slow.num_batches_tracked == 9


def test_the_learning_rate_rises_and_falls_to_nothing():
    assert share_of_rate(0, 1000) < 0.05 < share_of_rate(25, 1000) < share_of_rate(50, 1000) == 1.0
    assert share_of_rate(1000, 1000) == pytest.approx(0)


def test_a_held_out_source_is_read_alone(tmp_path):
    for name, shade in (("jol_1.png", 10), ("amvd_1.png", 90), ("jol_2.png", 20)):
        cv2.imwrite(str(tmp_path / name), np.full((30, 30, 3), shade, np.uint8))
    files = tuple(sorted(tmp_path.iterdir()))
    pixels, labels = shipped.read_faces([shipped.Split(files, np.array([0, 1, 2]))], lambda source: source == "jol")
    assert labels.tolist() == [1, 2]
    assert pixels[:, 0, 0, 0].tolist() == [10, 20]
    pixels, labels = shipped.read_faces([shipped.Split(files, np.array([0, 1, 2]))], lambda source: source == "none")
    assert (len(pixels), len(labels)) == (0, 0)
