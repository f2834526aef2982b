"""Glasses, collars and things in front of a face stay off what tells how a mask is worn, or are none themselves."""

import numpy as np
import pytest

from train.synthesis.distractions import put_collar, put_glasses, put_in_front

LANDMARKS = np.float32([(85, 80), (115, 80), (100, 98), (90, 114), (110, 114)])  # eyes, nose, corners of the mouth
BARE = np.full((200, 200, 3), (120, 140, 180), np.uint8)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def changed(picture):
    return (picture != BARE).any(axis=2)


def test_glasses_are_on_the_eyes_and_leave_the_mouth_free(rng):
    for _ in range(60):
        worn = changed(put_glasses(BARE, LANDMARKS, rng))
        assert worn[60:100, 70:130].sum() > 20
        assert not worn[105:].any()
        assert not worn[:55].any()


def test_a_collar_begins_below_the_chin(rng):
    fabric = np.full((48, 64, 3), (20, 240, 20), np.uint8)
    for _ in range(60):
        cloth = changed(put_collar(BARE, LANDMARKS, [fabric], rng))
        assert cloth[199].any()
        assert not cloth[: 80 + int(1.6 * 34), 90:110].any()
        assert not cloth[:120].any()


def test_what_is_in_front_is_a_piece_of_the_other_picture_over_the_lower_part(rng):
    other = np.full((50, 70, 3), (9, 9, 9), np.uint8)
    for _ in range(60):
        picture = put_in_front(BARE, other, rng)
        place = changed(picture)
        assert place.any()
        assert not place[:70].any()
        assert set(np.unique(picture[place & (picture == 9).all(axis=2)])) <= {9}
