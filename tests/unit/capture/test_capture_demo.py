"""The demo scene is the same each time, and its truth is true."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from capture.demo import DemoScene


@pytest.fixture(scope="module")
def scene() -> DemoScene:
    return DemoScene()


def test_any_picture_of_two_scenes_is_equal_in_any_order(scene):
    other = DemoScene()
    forward = [scene.picture(index) for index in (3, 170, 333, 499)]
    backward = [other.picture(index) for index in (499, 333, 170, 3)]
    for one, two in zip(forward, reversed(backward), strict=True):
        np.testing.assert_array_equal(one, two)


def test_pictures_are_drawn_into_the_memory_that_is_given(scene):
    slot = np.full((480, 640, 3), 77, np.uint8)
    assert scene.picture(200, slot) is slot
    np.testing.assert_array_equal(slot, scene.picture(200))


def test_it_moves_all_the_time(scene):
    pictures = [scene.picture(index).astype(np.int16) for index in range(100, 105)]
    assert all(np.abs(one - two).mean() > 0.1 for one, two in pairwise(pictures))


def test_every_state_is_shown_for_seconds_by_one_two_and_three_persons(scene):
    truths = [scene.truth(index) for index in range(len(scene))]
    assert {len(faces) for faces in truths} == {1, 2, 3}
    shown_s = {
        label: sum(label in [said for _, said in faces] for faces in truths) / scene.fps
        for label in ("mask", "no_mask", "wrong_mask")
    }
    assert all(seconds >= 5 for seconds in shown_s.values()), shown_s


def test_every_person_changes_its_state_while_in_view(scene):
    for first, last in ((0, 149), (150, 324), (325, 499)):
        labels = [[label for _, label in scene.truth(index)] for index in range(first, last + 1)]
        for person in zip(*labels, strict=True):
            assert len(set(person)) > 1


def test_faces_are_large_and_wholly_in_the_picture(scene):
    for index in range(len(scene)):
        for box, _ in scene.truth(index):
            assert min(box.width, box.height) > 80
            assert box.x >= 0
            assert box.y >= 0
            assert box.x + box.width <= 640
            assert box.y + box.height <= 480


def test_nobody_stands_before_the_face_of_another(scene):
    for index in range(len(scene)):
        boxes = sorted((box for box, _ in scene.truth(index)), key=lambda box: box.x)
        for left, right in pairwise(boxes):
            assert left.x + left.width < right.x


def test_a_mask_is_where_the_truth_says(scene):
    """The lower third of a masked face is much less the colour of skin than that of a bare one."""
    assert lower_face_redness(scene, 10) > 15
    assert scene.truth(10)[0][1] == "no_mask"
    for index, label in ((75, "mask"), (125, "wrong_mask")):
        assert scene.truth(index)[0][1] == label
        assert lower_face_redness(scene, index) < 0


def lower_face_redness(scene: DemoScene, index: int) -> float:
    """Red less blue around the mouth of the first person."""
    box, _ = scene.truth(index)[0]
    x, y = round(box.x + box.width / 2), round(box.y + 0.75 * box.height)
    blue, _, red, _ = cv2.mean(scene.picture(index)[y - 10 : y + 10, x - 20 : x + 20])
    return red - blue


@pytest.mark.parametrize("index", [-1, 500])
def test_there_is_nothing_before_the_start_or_after_the_end(scene, index):
    with pytest.raises(IndexError, match="frames 0 to 499"):
        scene.picture(index)
