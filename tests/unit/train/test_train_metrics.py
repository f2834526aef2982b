"""Scores, by numbers that can be checked by hand."""

import numpy as np
import pytest

from inference.backends import softmax
from train.metrics import ClassScores, best_temperature, expected_calibration_error, score


def certain(*decisions, classes=3):
    return np.eye(classes)[list(decisions)]


def test_precision_recall_and_f1_of_each_class():
    scores = score(certain(0, 0, 0, 1, 1, 2), np.array([0, 0, 1, 1, 1, 1]), ["a", "b", "c"])
    assert scores.accuracy == pytest.approx(4 / 6)
    assert scores.classes["a"] == ClassScores(pytest.approx(2 / 3), 1.0, pytest.approx(0.8), 2)
    assert scores.classes["b"] == ClassScores(1.0, 0.5, pytest.approx(2 / 3), 4)
    assert scores.classes["c"] == ClassScores(0.0, 0.0, 0.0, 0)


def test_classes_that_do_not_occur_do_not_count_in_the_macro_f1():
    assert score(certain(0, 1), np.array([0, 1]), ["a", "b", "c"]).macro_f1 == 1.0


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.tile([0.8, 0.2], (10, 1))
    assert expected_calibration_error(probabilities, np.array([0] * 8 + [1] * 2)) == pytest.approx(0)
    assert expected_calibration_error(probabilities, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.3)


def test_the_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    labels = np.array([rng.choice(3, p=row) for row in softmax(logits)])
    assert best_temperature(3 * logits, labels) == pytest.approx(3, rel=0.1)
    assert best_temperature(logits, labels) == pytest.approx(1, rel=0.1)


def test_a_split_without_mistakes_does_not_end_at_certainty():
    temperature = best_temperature(5 * certain(0, 1, 2), np.array([0, 1, 2]))
    assert temperature == pytest.approx(0.1)
