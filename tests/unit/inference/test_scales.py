"""A picture is searched at several scales: each face at the one that fits, one box for each."""

import cv2
import numpy as np
import pytest

from inference.detectors.scales import COARSEST_PX, LARGE_PX, SMALL_PX, filled_up, find_at_all_scales, one_for_each


def seen_as_squares(scale_of=lambda side: 0.9):
    """A network that boxes each white square exactly, and says which shapes it was asked; its score is by the side."""
    shapes = []

    def network(image):
        shapes.append(image.shape)
        count, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 0] > 200).astype(np.uint8))
        boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:count]], np.float32).reshape(-1, 4)
        return boxes, np.array([scale_of(box[2] - box[0]) for box in boxes], np.float32)

    return network, shapes


def with_squares(size, *squares):
    picture = np.full((*size, 3), 30, np.uint8)
    for x, y, side in squares:
        picture[y : y + side, x : x + side] = 255
    return picture


def test_a_picture_no_larger_than_the_coarsest_is_searched_once():
    network, shapes = seen_as_squares()
    find_at_all_scales(with_squares((240, COARSEST_PX), (20, 20, 150)), network, 0.5, 0.4)
    assert shapes == [(256, 320, 3)]


@pytest.mark.parametrize("side", [30, 100, 130, 250, 500, 700])
def test_each_face_is_found_once_at_any_size(side):
    network, shapes = seen_as_squares()
    corners, scores = find_at_all_scales(with_squares((720, 1280), (8, 8, side)), network, 0.5, 0.4)
    assert [shape[1] for shape in shapes] == [1280, 640, 320]
    assert np.abs(corners - [[8, 8, 8 + side, 8 + side]]).max() <= 4
    assert scores == pytest.approx([0.9])


def test_no_size_falls_between_two_scales():
    assert 2 * SMALL_PX < LARGE_PX


def test_a_scale_is_not_asked_for_faces_that_another_sees_better():
    """Sure where it is too large or too small for its scale: that is not taken."""
    network, _ = seen_as_squares(lambda side: 0.9 if side >= 400 else 0.1)
    corners, _ = find_at_all_scales(with_squares((720, 1280), (8, 8, 500)), network, 0.5, 0.4)
    assert not len(corners)


def test_an_unsure_large_box_takes_away_no_sure_small_one():
    boxes = np.array([[0, 0, 100, 100], [40, 40, 70, 70]], np.float32)
    assert len(one_for_each(boxes, np.array([0.3, 0.9]), 0.4)[0]) == 2
    assert len(one_for_each(boxes, np.array([0.7, 0.9]), 0.4)[0]) == 1


def test_nothing_found_is_no_box():
    corners, scores = one_for_each(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.4)
    assert (corners.shape, scores.shape) == ((0, 4), (0,))


def test_a_picture_is_filled_up_to_the_right_and_below():
    filled = filled_up(np.zeros((33, 64, 3), np.uint8))
    assert filled.shape == (64, 64, 3)
    assert filled[:33].max() == 0
    assert filled[33:].min() == 114
