"""Who is hidden for two seconds keeps the number; who comes in the place of somebody else, or later, gets another."""

import cv2
import numpy as np
import pytest

from inference.course import Course
from inference.hidden import LONGEST_MS, MOST, NEARLY_MS, Hidden, HiddenFaces
from inference.look import Looks, look_at
from inference.track import Tracker
from inference.waiting import waiting
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

    def show(self, *faces, things=()):
        """The next picture; gives the number of each face that is followed, by where it is. No search finds things."""
        picture = self.wall.copy()
        for pattern, x, y in (*faces, *things):
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

    def play(self, seconds, *faces, speed=0.0, things=()):
        """So many seconds of faces that walk `speed` px/s; the numbers in the last picture."""
        begin, numbers = self.ms, []
        while self.ms - begin < 1000 * seconds - 1:
            way = round(speed * (self.ms - begin) / 1000)
            numbers = self.show(*((pattern, x + way, y) for pattern, x, y in faces), things=things)
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


def test_a_box_that_went_over_to_what_covers_the_face_does_not_keep_its_number():
    """What covers is as grey as the face, so its box stays on it; other colours, and no search finds a face there."""
    room = Room()
    assert room.play(1.2, (ANN, 100, 80)) == [0]
    green = (cv2.cvtColor(ANN, cv2.COLOR_BGR2GRAY)[..., None] * (0.3, 1.0, 0.3)).astype(np.uint8)
    assert room.play(1, things=[(green, 100, 80)]) == []
    assert room.play(0.4, (ANN, 140, 80)) == [0]


def test_who_waits_for_a_number_waits_on_though_covered_again_meanwhile():
    first = waiting([], Box(100, 80, 50, 60), 0.0, 600.0)
    covered = waiting([first], Box(104, 82, 40, 60), 200.0, 0.0)
    assert (covered.since_ms, covered.waits_ms) == (0.0, 600.0)
    assert [covered.is_over(ms) for ms in (599.0, 600.0, -40.0)] == [False, True, True]
    assert waiting([first], Box(220, 80, 50, 60), 200.0, 0.0).is_over(200.0)  # somebody else


class Alike(Looks):
    """Looks that are so much like any other one."""

    def __init__(self, similarity):
        super().__init__()
        self._similarity = similarity

    def similarity(self, look):
        return self._similarity


@pytest.mark.parametrize(("others", "is_known"), [([], True), ([20.0], False), ([280.0], True)])
def test_where_two_may_come_back_one_must_be_more_alike(others, is_known):
    """Others are hidden so far to the right: 20 px is within reach, 280 px is not."""
    hidden = HiddenFaces()
    for number, (x, alike) in enumerate([(100.0, 0.71), *((100.0 + x, 0.1) for x in others)]):
        course = Course()
        course.add(0.0, Box(x, 80, 50, 60), found=True)
        hidden.add(Hidden(number, Alike(alike), course, 0.0, True))
    look = look_at(np.zeros((240, 480, 3), np.uint8), Box(100, 80, 50, 60))
    [back] = hidden.returned(500.0, [Box(102, 80, 50, 60)], [look], 480)
    assert (back.known is not None) == is_known
    assert is_known or back.waits_ms == NEARLY_MS


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
