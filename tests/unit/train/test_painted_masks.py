"""Painted masks: where each way of wearing one covers the face, and what they are made of."""

import cv2
import numpy as np
import pytest

from train.synthesis.landmarks import LandmarkFinder
from train.synthesis.painted_masks import cut_fabric, paint_mask

FRONTAL = np.float32([(70, 80), (130, 80), (100, 115), (80, 145), (120, 145)])  # eyes, nose, corners of the mouth
SKIN_BGR = (140, 170, 200)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def bare():
    return np.full((260, 200, 3), SKIN_BGR, np.uint8)


@pytest.mark.parametrize(
    ("worn", "covered", "bare_points"),
    [
        ("above_mouth", [(100, 115)], [(100, 148), (70, 65), (100, 170)]),
        ("on_eyes", [(80, 80), (120, 80)], [(100, 145), (100, 170)]),
        ("off_one_ear", [], [(70, 70), (130, 70), (100, 80)]),
    ],
)
def test_rarer_ways_of_wearing_leave_free_what_they_should(rng, bare, worn, covered, bare_points):
    for _ in range(40):
        change = np.abs(paint_mask(bare, FRONTAL, worn, rng).astype(int) - bare).sum(axis=2)
        assert not [(x, y) for x, y in covered if not change[y - 2 : y + 3, x - 2 : x + 3].any()]
        assert not [(x, y) for x, y in bare_points if change[y, x] > 60]  # less is the soft shadow of an edge


def test_a_mask_off_one_ear_hangs_on_either_side(rng, bare):
    sides = set()
    for _ in range(20):
        cloth = np.abs(paint_mask(bare, FRONTAL, "off_one_ear", rng).astype(int) - bare).sum(axis=2) > 60
        sides.add(bool(cloth[:, :100].sum() > cloth[:, 100:].sum()))
    assert sides == {True, False}


def test_fabric_is_cut_from_the_mask_of_a_masked_face(bare):
    masked = cv2.rectangle(bare.copy(), (55, 105), (145, 190), (200, 60, 40), -1)
    piece = cut_fabric(masked, FRONTAL)
    assert piece.shape == (48, 64, 3)
    assert np.ptp(piece.reshape(-1, 3), axis=0).max() == 0
    assert piece[0, 0].tolist() == [200, 60, 40]


def test_masks_are_made_of_the_fabrics_given(rng, bare):
    green = np.full((48, 64, 3), (20, 240, 20), np.uint8)
    centres = [paint_mask(bare, FRONTAL, "well", rng, [green])[135, 100].astype(int) for _ in range(60)]
    greens = [blue_green_red for blue_green_red in centres if blue_green_red[1] - blue_green_red[[0, 2]].max() > 120]
    assert 15 < len(greens) < 50  # every other one


def test_landmarks_far_outside_of_the_picture_are_refused(monkeypatch, bare):
    finder = object.__new__(LandmarkFinder)

    class Lost:
        def setInputSize(self, size):
            pass

        def detect(self, picture):
            return 1, np.full((1, 15), 1e30, np.float32)

    finder.detector = Lost()
    assert finder.find(bare) is None
