"""How the shipped model is trained: how its faces are drawn, varied and learnt from."""

import cv2
import numpy as np
import pytest

from inference.preprocess import crop_face, resize_crop
from train import shipped
from train.framed_faces import FramedFace
from train.shipped import Cycle, chances_of, draw_batches, prefetch, reframe, share_of_rate
from transport.frame import Box


def face(label, source, shade=100):
    return FramedFace(np.full((60, 60, 3), shade, np.uint8), Box(10, 10, 40, 40), label, source)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_classes_come_by_their_shares_and_small_sources_more_often_than_their_size():
    faces = [face(0, "jol")] * 90 + [face(0, "amvd")] * 10 + [face(1, "chd")] * 30 + [face(2, "jol")] * 2
    chances = chances_of(faces)
    assert chances.sum() == pytest.approx(1)
    assert chances[:100].sum() == pytest.approx(shipped.CLASS_SHARES[0])
    assert chances[90:100].sum() == pytest.approx(shipped.CLASS_SHARES[0] / 4)  # sqrt(10) against sqrt(90)


def test_varied_crops_are_centred_on_the_face(rng):
    picture = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(picture, (80, 110), 20, (255, 255, 255), -1)
    mean = np.mean([reframe(picture, Box(40, 70, 80, 80), 64, rng) for _ in range(300)], axis=0)[..., 0]
    weights = mean / mean.sum()
    assert (weights.sum(axis=0) @ np.arange(64)) == pytest.approx(31.5, abs=1.5)
    assert 25 < (weights.sum(axis=1) @ np.arange(64)) < 33  # the crop rather slides down: masks on chins stay in it


def test_without_chance_a_varied_crop_is_the_live_one():
    class Middle:
        """Every draw is the middle of its range, and nothing is turned or mirrored."""

        def uniform(self, low, high, size=None):
            middle = (np.asarray(low) + np.asarray(high)) / 2
            return np.broadcast_to(middle, size) if size else middle

        def random(self):
            return 1.0

        def choice(self, options):
            return options[1]

    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8), (0, 0), 4)
    box = Box(60, 60, 70, 70)
    ours = reframe(picture, box, 80, Middle()).astype(int)
    live = resize_crop(crop_face(picture, Box(60, 60 + 0.025 * 70, 70, 70), 1.2 * 0.99), 80).astype(int)
    assert np.abs(ours - live).mean() < 1.5


def test_batches_are_the_same_for_the_same_seed():
    faces = [face(label, "jol", 80 * label + 20) for label in range(3)]
    cycle = Cycle(steps=4, learning_rate=0.1)
    once, again = (list(draw_batches(faces, [], cycle, np.random.default_rng(3))) for _ in range(2))
    assert all(
        np.array_equal(a, b) for one, two in zip(once, again, strict=True) for a, b in zip(one, two, strict=True)
    )
    assert [pixels.shape for pixels, _ in once] == [(64, 112, 112, 3)] * 4
    assert once[0][0].dtype == np.uint8


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
