"""The one preprocessing: where the crop lies, which colour is which, and that bad boxes do no harm."""

import numpy as np
import pytest

from inference.preprocess import Preprocessing, crop_box, crop_face, normalise, prepare, resize_crop
from transport.frame import Box

PLAIN = Preprocessing(8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def test_the_crop_is_a_square_of_the_margin_times_the_longest_side_around_the_middle_of_the_face():
    assert crop_box(Box(100, 100, 80, 100), 640, 480, 1.2) == (80, 90, 200, 210)
    assert crop_box(Box(100, 100, 100, 50), 640, 480, 1.0) == (100, 75, 200, 175)


def test_the_crop_ends_where_the_picture_ends():
    assert crop_box(Box(-20, 420, 100, 100), 640, 480, 1.2) == (0, 410, 90, 480)


@pytest.mark.parametrize(
    "box",
    [
        Box(50, 50, 0, 0),
        Box(50, 50, -10, -10),
        Box(-500, -500, 40, 40),
        Box(9000, 9000, 40, 40),
        Box(639.9, 479.9, 0.01, 0.01),
        Box(-1e6, -1e6, 2e6, 2e6),
    ],
)
def test_a_degenerate_box_or_one_outside_still_gives_pixels(box):
    image = np.zeros((480, 640, 3), np.uint8)
    crop = crop_face(image, box, 1.2)
    assert crop.size > 0
    assert crop.base is image
    assert prepare([crop], PLAIN).shape == (1, 3, 8, 8)


def test_red_comes_first_in_the_model_input():
    red_bgr = np.full((20, 20, 3), (0, 0, 255), np.uint8)
    [face] = prepare([red_bgr], PLAIN)
    assert face[0].min() == 1.0
    assert face[1].max() == face[2].max() == 0.0


def test_mean_and_deviation_are_those_of_red_green_blue():
    grey = np.full((1, 8, 8, 3), 255, np.uint8)
    faces = normalise(grey, Preprocessing(8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0)))
    assert faces.dtype == np.float32
    np.testing.assert_allclose(faces[0, :, 0, 0], [(1 - 0.1) / 0.5, (1 - 0.2) / 0.25, (1 - 0.3) / 2.0], rtol=1e-6)


def test_shrinking_averages_and_does_not_pick_pixels():
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[:, ::2] = 200
    assert np.all(resize_crop(lines, 8) == 100)


def test_a_crop_of_the_right_size_is_left_as_it_is():
    crop = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(resize_crop(crop, 8), crop)


def test_crops_of_all_sizes_go_into_one_batch_in_order():
    crops = [np.full((height, width, 3), height, np.uint8) for height, width in ((5, 9), (100, 7), (31, 200))]
    faces = prepare(crops, PLAIN)
    np.testing.assert_allclose(faces[:, 0, 4, 4] * 255, [5, 100, 31], atol=0.5)


def test_no_crops_make_an_empty_batch():
    assert prepare([], PLAIN).shape == (0, 3, 8, 8)
