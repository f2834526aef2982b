"""A face is known again by its look, also when half of it is covered; where it may be follows from where it went."""

import cv2
import numpy as np
import pytest

from inference.course import Course
from inference.look import Looks, look_at, similarity
from transport.frame import Box

BOX = Box(60, 50, 40, 50)


def seen(seed, x=60, y=50, covered=0.0, light=1.0):
    """A picture (160, 200, 3) uint8 with a coloured pattern of 40 x 50 px, some share of it covered from the left."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 5, 3), np.uint8)
    picture = np.full((160, 200, 3), 100, np.uint8)
    picture[y : y + 50, x : x + 40] = cv2.resize(coarse, (40, 50), interpolation=cv2.INTER_CUBIC)
    picture[:, x - 30 : x + round(40 * covered)] = (40, 90, 60)
    noise = np.random.default_rng(x + y).normal(0, 3, picture.shape)
    return np.clip(picture * light + noise, 0, 255).astype(np.uint8)


def test_a_face_is_like_itself_and_unlike_others():
    look = look_at(seen(1), BOX)
    assert similarity(look, look_at(seen(1, 66, 46, light=0.8), Box(64, 47, 42, 52))) > 0.7
    assert max(similarity(look, look_at(seen(seed), BOX)) for seed in range(2, 12)) < 0.5


@pytest.mark.parametrize("covered", [0.3, 0.5])
def test_half_a_face_in_a_narrow_box_is_like_the_whole_one(covered):
    hidden = 40 * covered
    half = look_at(seen(1, covered=covered), Box(60 + hidden, 50, 40 - hidden, 50))
    assert similarity(look_at(seen(1), BOX), half) > 0.66
    assert similarity(look_at(seen(4), BOX), half) < 0.5


def test_a_head_that_passes_in_front_becomes_no_look_of_the_face_behind():
    looks = Looks()
    for seed in (1, 5, 2, 3):  # the first two are kept however they look
        looks.add(look_at(seen(seed), BOX))
    assert looks.similarity(look_at(seen(1), BOX)) > 0.9
    assert max(looks.similarity(look_at(seen(seed), BOX)) for seed in (2, 3)) < 0.62
    looks.add(look_at(seen(3), BOX))  # seen again
    assert looks.similarity(look_at(seen(3), BOX)) > 0.9


def test_the_newest_look_is_not_sure_and_can_be_forgotten():
    """What comes in front of a face is in it already, when it takes the place of the one before."""
    looks = Looks()
    whole, half = look_at(seen(1), BOX), look_at(seen(1, covered=0.4), BOX)
    looks.add(whole)
    assert looks.sure_similarity(whole) > 0.98  # of a single one nothing better is known
    looks.add(half)
    assert looks.similarity(half) > 0.98
    looks.doubt_newest()
    assert looks.similarity(half) == looks.sure_similarity(half) == similarity(whole, half) < 0.95


def test_a_box_outside_the_picture_has_a_look_too():
    assert np.isfinite(similarity(look_at(seen(1), Box(-60, -70, 40, 50)), look_at(seen(1), Box(190, 150, 40, 50))))


def walked(speed):
    """The course of a face of 40 x 50 px that went so many px a second for a second."""
    course = Course()
    for ms in range(0, 1001, 40):
        course.add(ms, Box(100 + speed * ms / 1000, 60, 40, 50), found=True)
    return course


def test_who_walked_is_expected_ahead_where_he_stopped_and_where_he_was():
    course = walked(60)
    assert all(course.miss(3000, Box(x, 60, 40, 50)) < 0.1 for x in (150, 200, 280))
    assert course.miss(3000, Box(280, 60, 40, 50)) < 1 < course.miss(3000, Box(560, 60, 40, 50))
    assert course.miss(1000, Box(280, 60, 40, 50)) > 1  # so soon nobody gets so far


def test_the_room_for_who_stood_grows_with_time():
    course = walked(0)
    far = Box(170, 60, 40, 50)
    assert course.miss(1200, far) > 1 > course.miss(3000, far)
    assert course.height == 50


def test_where_a_box_went_since_the_face_was_last_found_is_not_believed():
    """It stayed behind on the edge of a pillar, while the one who walked went on behind it."""
    course = walked(60)
    for ms in range(1040, 2001, 40):
        course.add(ms, Box(160, 60, 20, 30))
    assert course.miss(3000, Box(280, 60, 40, 50)) < 0.1
    assert course.height == 50


def test_at_five_pictures_a_second_two_finds_tell_where_somebody_walks():
    """Without the last 250 ms nothing was known of the speed, and who walked by fast got a new number each time."""
    course = Course()
    for ms, x in ((0, 100), (200, 140)):
        course.add(ms, Box(x, 60, 40, 50), found=True)
    assert course.miss(400, Box(180, 60, 40, 50)) < 0.3
    assert course.miss(400, Box(60, 60, 40, 50)) > 1
    quick = Course()
    for ms in range(0, 201, 40):
        quick.add(ms, Box(100 + 0.2 * ms, 60, 40, 50), found=True)
    assert quick.miss(400, Box(180, 60, 40, 50)) > 1  # what is followed may have been pulled along
