"""Who is hidden for two seconds keeps the number; who comes in the place of somebody else, or later, gets another."""

import cv2
import numpy as np
import pytest

from inference.hidden import LONGEST_MS, MOST
from inference.track import Tracker
from transport.frame import Box


def face(seed):
    """A coloured pattern, (60, 50, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 5, 3), np.uint8)
    return cv2.GaussianBlur(cv2.resize(coarse, (50, 60), interpolation=cv2.INTER_CUBIC), (0, 0), 1)


ANN, BEN = face(1), face(3)


class Room:
    """A tracker before a grey room, 320 x 240, searched every 200 ms; the faces in it are (pattern, x, y)."""

    def __init__(self, fps=25):
        self.tracker, self.fps, self.ms, self.searched_ms = Tracker(), fps, 0.0, -1000.0
        self.wall = np.full((240, 320, 3), 90, np.uint8)
        noise = np.random.default_rng(5).normal(0, 2, (8, 240, 320, 3))
        self.noise = noise.round().astype(np.int16)

    def show(self, *faces):
        """The next picture; gives the number of each face that is followed, by where it is."""
        picture = self.wall.copy()
        for pattern, x, y in faces:
            picture[y : y + 60, x : x + 50] = pattern
        noisy = picture + self.noise[round(self.ms) % 8]
        picture = np.clip(noisy, 0, 255).astype(np.uint8)
        self.tracker.hidden.forget(self.ms)
        lost = self.tracker.follow(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), picture, self.ms)
        due = self.ms - self.searched_ms >= 200
        if lost or due:
            self.tracker.found([Box(x, y, 50, 60) for _, x, y in faces], extra=not due)
            self.searched_ms = self.ms if due else self.searched_ms
        self.ms += 1000 / self.fps
        return [track.id for track in sorted(self.tracker.tracks, key=lambda track: track.box.x)]

    def play(self, seconds, *faces, speed=0.0):
        """So many seconds of faces that walk `speed` px/s; the numbers in the last picture."""
        begin, numbers = self.ms, []
        while self.ms - begin < 1000 * seconds - 1:
            way = round(speed * (self.ms - begin) / 1000)
            numbers = self.show(*((pattern, x + way, y) for pattern, x, y in faces))
        return numbers


@pytest.mark.parametrize("fps", [5, 12, 30])
def test_who_stands_still_behind_something_for_two_seconds_keeps_the_number(fps):
    room = Room(fps)
    assert room.play(1, (ANN, 100, 80)) == [0]
    assert room.play(2) == []
    assert room.play(1, (ANN, 104, 82)) == [0]


@pytest.mark.parametrize("fps", [5, 12, 30])
def test_who_walks_on_behind_something_is_known_where_he_comes_out(fps):
    room = Room(fps)
    assert room.play(1, (ANN, 10, 80), speed=60) == [0]
    room.play(2)
    assert room.play(0.4, (ANN, 190, 80), speed=60) == [0]


def test_who_turns_round_behind_something_is_known_where_he_went_in():
    room = Room()
    room.play(1, (ANN, 10, 80), speed=60)
    room.play(1.5)
    assert room.play(0.4, (ANN, 75, 80), speed=-60) == [0]


def test_another_one_in_the_same_place_gets_another_number():
    room = Room()
    assert room.play(1, (ANN, 100, 80)) == [0]
    room.play(1)
    assert room.play(1, (BEN, 100, 80)) == [1]


def test_another_one_at_once_in_the_same_place_gets_another_number():
    room = Room()
    assert room.play(1, (ANN, 100, 80)) == [0]
    assert room.play(1, (BEN, 100, 80)) == [1]


def test_one_who_passes_in_front_does_not_get_the_number_of_who_is_behind():
    """Found where the other one is followed, and unlike it."""
    room = Room()
    assert room.play(1.4, (ANN, 100, 80)) == [0]
    assert room.play(0.8, (BEN, 108, 84)) == [1]
    assert room.play(0.6, (ANN, 100, 80)) == [0]


def test_who_was_hidden_for_three_seconds_gets_another_number():
    room = Room()
    assert room.play(1, (ANN, 100, 80)) == [0]
    room.play(3)
    assert room.play(1, (ANN, 100, 80)) == [1]


def test_who_comes_where_nobody_can_have_walked_gets_another_number():
    room = Room()
    assert room.play(1, (ANN, 20, 80)) == [0]
    room.play(0.6)
    assert room.play(1, (ANN, 260, 80)) == [1]


def test_two_who_were_hidden_together_get_back_their_own_numbers():
    room = Room()
    assert room.play(1, (ANN, 90, 80), (BEN, 160, 80)) == [0, 1]
    room.play(1.5)
    assert room.play(1, (BEN, 110, 80), (ANN, 170, 80)) == [1, 0]


def test_of_who_is_hidden_nothing_is_left_after_the_time_and_never_of_more_than_a_few():
    room = Room()
    room.play(1, (ANN, 100, 80))
    room.play(1)
    assert len(room.tracker.hidden) == 1
    room.play(LONGEST_MS / 1000 - 0.8)
    assert len(room.tracker.hidden) == 0
    for place in range(3 * MOST):
        room.play(0.4, (face(10 + place), 20 + 200 * (place % 2), 80))
    assert 0 < len(room.tracker.hidden) <= MOST


def test_nobody_of_another_scene_comes_back():
    room = Room()
    assert room.play(1, (ANN, 100, 80)) == [0]
    room.wall = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    room.play(0.2)
    assert room.play(1, (ANN, 100, 80)) == [1]


def test_time_that_goes_back_forgets_all():
    room = Room()
    room.play(1, (ANN, 100, 80))
    room.play(0.5)
    room.ms = room.searched_ms = 0.0
    assert room.play(1, (ANN, 100, 80)) == [1]
