"""Glasses, collars and things in front of a face stay off what tells how a mask is worn, or are none themselves."""

import numpy as np
import pytest

from train.synthesis.distractions import (
    put_beard,
    put_collar,
    put_glasses,
    put_head_cloth,
    put_in_front,
    put_scarf,
    put_thing_in_front,
)
from train.synthesis.things import Thing

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


def test_a_beard_is_on_cheeks_and_chin_and_leaves_eyes_and_nose_free(rng):
    lips = 0
    for _ in range(60):
        picture = put_beard(BARE, LANDMARKS, rng)
        hair, strength = changed(picture), np.abs(picture.astype(int) - BARE).sum(axis=2)
        assert hair[125:135, 85:115].mean() > 0.9
        assert not hair[:85].any()
        assert not hair[85:92, 92:108].any()
        lips += strength[114, 95:105].mean() < 0.7 * strength[128, 95:105].mean()
    assert lips > 30


def test_a_scarf_ends_below_the_mouth(rng):
    for _ in range(60):
        cloth = changed(put_scarf(BARE, LANDMARKS, [], rng))
        assert cloth[199].any()
        assert not cloth[:122, 85:115].any()


def test_a_turban_or_hood_leaves_the_face_free(rng):
    hoods = 0
    for _ in range(60):
        cloth = changed(put_head_cloth(BARE, LANDMARKS, [], rng))
        assert cloth[40:56, 98:102].any()
        assert not cloth[70:130, 85:115].any()
        hoods += cloth[199].any()
    assert 15 < hoods < 45


def test_a_thing_is_held_before_the_lower_part_of_the_face(rng):
    thing = Thing(np.full((40, 40, 3), 9, np.uint8), np.full((40, 40), 255, np.uint8))
    for _ in range(60):
        place = changed(put_thing_in_front(BARE, LANDMARKS, [thing], rng))
        assert place.any()
        assert np.argwhere(place).mean(axis=0)[0] > 105
