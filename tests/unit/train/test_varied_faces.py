"""The faces that the shipped model learns from: how they are drawn, dressed and varied."""

import cv2
import numpy as np
import pytest

from inference.preprocess import crop_face, resize_crop
from train.synthesis import varied_faces
from train.synthesis.framed_faces import FramedFace
from train.synthesis.varied_faces import (
    CLASS_SHARES,
    Wardrobe,
    chances_of,
    draw_batches,
    dress,
    reframe,
    vary,
    wardrobe_of,
)
from transport.frame import Box

LANDMARKS = np.float32([(85, 80), (115, 80), (100, 98), (90, 114), (110, 114)])  # eyes, nose, corners of the mouth
NOTHING = Wardrobe([], [], [np.zeros((40, 40, 3), np.uint8)], [])


def face(label, source, shade=100):
    return FramedFace(np.full((60, 60, 3), shade, np.uint8), Box(10, 10, 40, 40), label, source)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_classes_come_by_their_shares_and_small_sources_more_often_than_their_size():
    faces = [face(0, "jol")] * 90 + [face(0, "amvd")] * 10 + [face(1, "chd")] * 30 + [face(2, "jol")] * 2
    chances = chances_of(faces)
    assert chances.sum() == pytest.approx(1)
    assert chances[:100].sum() == pytest.approx(CLASS_SHARES[0])
    assert chances[90:100].sum() == pytest.approx(CLASS_SHARES[0] / 4)  # sqrt(10) against sqrt(90)


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
    wardrobe = wardrobe_of(faces, [])
    once, again = (list(draw_batches(faces, wardrobe, 4, 112, np.random.default_rng(3))) for _ in range(2))
    assert all(
        np.array_equal(a, b) for one, two in zip(once, again, strict=True) for a, b in zip(one, two, strict=True)
    )
    assert [pixels.shape for pixels, _ in once] == [(64, 112, 112, 3)] * 4
    assert once[0][0].dtype == np.uint8


def test_bare_faces_are_dressed_and_labelled_so(rng, monkeypatch):
    """Half of them stay bare; of the others a third wear the mask well."""
    monkeypatch.setattr(varied_faces, "CUT_SHARE", 0.0)
    bare = np.full((200, 200, 3), 150, np.uint8)
    labels = [dress(bare, LANDMARKS, NOTHING, rng)[1] for _ in range(600)]
    assert np.bincount(labels, minlength=3) / 600 == pytest.approx([0.16, 0.5, 0.34], abs=0.06)


def test_no_mask_is_put_on_the_chin_where_the_crop_ends_above_it(rng, monkeypatch):
    monkeypatch.setattr(varied_faces, "CUT_SHARE", 0.0)
    monkeypatch.setattr(varied_faces, "MASKED_SHARE", 1.0)
    monkeypatch.setattr(varied_faces, "CHANCES_WORN", (0, 0, 1, 0, 0, 0))
    tight = np.full((134, 200, 3), 150, np.uint8)  # the chin lies at 80 + 1.65 * 34 px
    for _ in range(20):
        picture, label = dress(tight, LANDMARKS, NOTHING, rng)
        assert label == 2
        assert (picture[114, 95:105] != 150).any(axis=1).all()  # the mouth is covered


def test_masks_are_put_on_no_face_whose_landmarks_are_unknown(rng):
    picture = np.full((60, 60, 3), 100, np.uint8)
    labels = {vary(FramedFace(picture, Box(10, 10, 40, 40), label, "jol"), NOTHING, 32, rng)[1] for label in [1] * 50}
    assert labels == {1}
