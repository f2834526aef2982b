"""What is drawn on a frame: colours by label, labels inside the picture and clear of each other."""

from itertools import combinations

import numpy as np
import pytest

from overlay.draw import BLUE, GREEN, GREY, RED, annotate, away_picture, caption, corner_text
from transport.frame import Box, Face, Prediction

SIZES = [(160, 120), (640, 480), (1280, 720), (3840, 2160), (480, 1280)]


def face(box: Box, label: str = "mask", confidence: float = 0.973) -> Face:
    return Face(box, Prediction(label, confidence, {label: confidence}))


def black(width: int, height: int) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    picture.setflags(write=False)
    return picture


def extent(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what has that colour."""
    ys, xs = np.nonzero((picture == colour).all(axis=2))
    return xs.min(), ys.min(), xs.max() + 1, ys.max() + 1


@pytest.mark.parametrize(
    ("label", "colour", "words"),
    [
        ("mask", GREEN, "Mask - 97.3%"),
        ("with_mask", GREEN, "Mask - 97.3%"),
        ("WithMask", GREEN, "Mask - 97.3%"),
        ("no_mask", RED, "No mask - 97.3%"),
        ("without_mask", RED, "No mask - 97.3%"),
        ("wrong_mask", BLUE, "Wrong mask - 97.3%"),
        ("mask_weared_incorrect", BLUE, "Wrong mask - 97.3%"),
    ],
)
def test_the_box_has_the_colour_of_its_label(label, colour, words):
    box = Box(200, 150, 200, 240)
    picture = annotate(black(640, 480), (face(box, label),))
    assert caption(face(box, label).prediction) == (words, colour)
    edges = [(270, 200), (270, 399), (150, 300), (389, 300)]
    assert [picture[y, x].tolist() for y, x in edges] == [list(colour)] * 4
    assert picture[270, 300].tolist() == [0, 0, 0]


def test_green_red_and_blue_are_what_they_are_called():
    assert np.argmax([GREEN, RED, BLUE], axis=1).tolist() == [1, 2, 0]


def test_a_face_that_was_not_classified_is_grey_with_a_question_mark():
    assert caption(None) == ("?", GREY)
    assert caption(Prediction("unsure", 0.5, {"mask": 0.5, "no_mask": 0.5})) == ("Unsure", GREY)
    assert annotate(black(640, 480), (Face(Box(200, 150, 200, 240)),))[270, 200].tolist() == list(GREY)


def test_other_classes_have_their_own_names_and_distinct_colours_in_every_frame():
    names = ["scarf", "visor", "mask", "hand", "veil"]
    predictions = [Prediction(name, 0.5, dict.fromkeys(names, 0.2)) for name in names]
    colours = [caption(prediction)[1] for prediction in predictions]
    assert len(set(colours)) == len(names)
    assert caption(predictions[0])[0] == "scarf - 50.0%"
    assert colours == [caption(Prediction(name, 0.9, dict.fromkeys(reversed(names), 0.2)))[1] for name in names]


def test_the_picture_given_is_not_changed():
    picture = black(640, 480)
    drawn = annotate(picture, (face(Box(200, 150, 200, 240)),), "door")
    assert not picture.any()
    assert drawn.any()


def test_nothing_known_is_nothing_drawn():
    assert not annotate(black(640, 480), ()).any()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("across", [-0.1, 0.4, 0.9])
@pytest.mark.parametrize("down", [-0.1, 0.4, 0.9])
def test_the_label_is_inside_the_picture_wherever_the_face_is(width, height, across, down):
    """All of its white ink is there, as much as in the middle of the picture, where nothing is cut off."""
    side = 0.2 * min(width, height)
    here = annotate(black(width, height), (face(Box(across * width, down * height, side, side), "wrong_mask"),))
    middle = annotate(black(width, height), (face(Box(0.4 * width, 0.4 * height, side, side), "wrong_mask"),))
    assert ink(here) == ink(middle) > 100


def ink(picture: np.ndarray) -> int:
    return np.count_nonzero(picture[:, :, 2] > 100)


def test_the_text_grows_with_the_picture_and_never_gets_wider_than_it():
    heights = []
    for width, height in [(160, 120), (1280, 720), (3840, 2160)]:
        drawn = annotate(black(width, height), (), "a stream with a long name  25.0 fps  12 ms")
        _, _, right, bottom = extent(drawn, (32, 32, 32))
        assert right <= width
        heights.append(bottom)
    assert heights[0] < heights[1] < heights[2]
    assert heights[0] >= 9  # still letters at 160x120


def test_labels_of_neighbours_do_not_cover_each_other():
    """Three faces side by side, their labels wider than they are."""
    colours = {"mask": GREEN, "no_mask": RED, "wrong_mask": BLUE}
    faces = tuple(face(Box(300 + 110 * i, 300, 100, 130), label) for i, label in enumerate(colours))
    together = annotate(black(1280, 720), faces)
    for one in faces:
        colour = colours[one.prediction.label]
        alone = annotate(black(1280, 720), (one,))
        assert (together == colour).all(axis=2).sum() >= 0.97 * (alone == colour).all(axis=2).sum()


def test_a_crowd_is_drawn():
    faces = tuple(face(Box(x, y, 30, 36)) for x in range(0, 640, 64) for y in range(0, 480, 60))
    assert (annotate(black(640, 480), faces) == GREEN).all(axis=2).any()


def test_the_corner_says_stream_rate_and_age():
    assert corner_text("door", 24.96, 12.4) == "door  25.0 fps  12 ms"
    assert corner_text("door", 0.5, 2500) == "door  0.5 fps  2.5 s"


def test_an_absent_camera_is_a_dark_picture_that_counts_the_seconds():
    pictures = [away_picture("door", seconds, 640, 480) for seconds in (3, 12, 345)]
    assert all(picture.shape == (480, 640, 3) and picture.mean() < 50 for picture in pictures)
    assert all((one != other).any() for one, other in combinations(pictures, 2))
