"""How well faces are found: counted by hand on a few boxes."""

import numpy as np
import pytest

from train.data.boxes import Detections
from train.data.photo_set import TrainingPhoto
from train.detector.matches import LEAST_SCORE, match

LARGE, SMALL = (0, 0, 50, 60), (100, 0, 120, 20)
CLASSES = ("mask", "no_mask")


def photo(*boxes, labels=None):
    faces = np.array(boxes, np.float32).reshape(-1, 4)
    return TrainingPhoto("photo", np.zeros((8, 8, 3), np.uint8), faces, np.array(labels or [0] * len(boxes), np.int64))


def found(*rows):
    """Rows of box and score, the best first."""
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([score for _, score in rows], np.float32))


def test_recall_is_by_class_of_the_large_faces():
    matches = match([photo(LARGE, (60, 0, 110, 50), SMALL, labels=[0, 1, 1])], [found((LARGE, 0.9))])
    assert matches.scores_at(0.5, CLASSES).recall == {"mask": 1.0, "no_mask": 0.0}
    assert matches.scores_at(0.95, CLASSES).recall == {"mask": 0.0, "no_mask": 0.0}


def test_a_box_on_a_small_face_is_neither_right_nor_wrong():
    scores = match([photo(LARGE, SMALL)], [found((LARGE, 0.9), (SMALL, 0.8))]).scores_at(0.5, CLASSES)
    assert scores.false_per_picture == 0
    assert scores.average_precision == 1


def test_a_second_box_on_a_face_is_wrong():
    shifted = (2, 2, 52, 62)
    scores = match([photo(LARGE), photo()], [found((LARGE, 0.9), (shifted, 0.8)), found()]).scores_at(0.5, CLASSES)
    assert scores.false_per_picture == 0.5
    assert scores.average_precision == 1  # it came after everything was found


def test_a_wrong_box_before_the_right_one_halves_the_precision():
    wrong = (200, 200, 260, 260)
    assert match([photo(LARGE)], [found((wrong, 0.9), (LARGE, 0.8))]).average_precision() == 0.5


def test_a_small_box_on_the_background_does_not_count():
    assert match([photo(LARGE)], [found(((200, 200, 230, 230), 0.9))]).false_at(0.5) == 0


def test_the_threshold_allows_so_many_wrong_boxes_and_no_more():
    wrong = [((200 * n, 200, 200 * n + 60, 260), score) for n, score in enumerate((0.9, 0.7, 0.5), 1)]
    matches = match([photo(LARGE), photo(LARGE)], [found(*wrong), found((LARGE, 0.6))])
    assert matches.score_for(0.5) == pytest.approx(0.7)
    assert matches.false_at(matches.score_for(0.5)) == 0.5
    assert matches.score_for(9) == LEAST_SCORE
