"""Scores, by numbers that can be checked by hand."""

import numpy as np
import pytest

from inference.backends.backend import softmax
from train.score.metrics import (
    ClassScores,
    accuracy_interval,
    best_calibration,
    best_temperature,
    calibration,
    confusion,
    expected_calibration_error,
    score,
)


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


def test_confusion_counts_what_is_true_against_what_was_said():
    counts = confusion(certain(0, 0, 1, 2, 2), np.array([0, 1, 1, 0, 2]), ["a", "b", "c"])
    assert counts.tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 1]]


def test_the_interval_of_an_accuracy_is_the_seeded_bootstrap_of_the_answers():
    right = np.arange(400) % 10 != 0  # 90 % of 400: by the normal approximation 0.9 -+ 1.96 * 0.015
    low, high = accuracy_interval(right)
    assert (low, high) == accuracy_interval(right)
    assert (low, high) == pytest.approx((0.8706, 0.9294), abs=0.004)
    rng = np.random.default_rng(5)
    drawn = [right[rng.integers(0, 400, 400)].mean() for _ in range(2000)]
    assert (low, high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))), abs=0.006)
    fewer = accuracy_interval(right[:40])
    assert fewer[1] - fewer[0] > 2 * (high - low)


def test_calibration_has_a_point_for_each_bin_with_pictures():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45], [0.45, 0.55]])
    found = calibration(probabilities, np.array([0, 1, 0, 1]))
    assert found.confidence == pytest.approx([0.55, 0.9])
    assert found.accuracy == pytest.approx([1.0, 0.5])
    assert found.share == pytest.approx([0.5, 0.5])
    assert found.ece == pytest.approx(0.5 * 0.45 + 0.5 * 0.4)


def test_classes_that_were_shown_too_often_are_said_less_often_again():
    """A network that learnt from as many of each class says the rare one too often; where classes come, it must not."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 4000, p=(0.6, 0.35, 0.05))
    logits = rng.normal(0, 1, (4000, 3)).astype(np.float32)
    logits[np.arange(4000), labels] += 2.0
    too_often = logits + np.array([0, 0, 2.0], np.float32)
    temperature, biases = best_calibration(too_often, labels)
    assert biases[0] == 0
    ideal = np.log((0.6, 0.35, 0.05))
    assert np.array(biases) - (0, 0, -2) == pytest.approx(temperature * (ideal - ideal[0]), abs=0.35)
    calibrated = (too_often + np.array(biases)) / temperature
    assert (calibrated.argmax(1) == labels).mean() > (too_often.argmax(1) == labels).mean() + 0.1


def test_a_class_that_is_not_there_keeps_its_bias():
    _, biases = best_calibration(certain(0, 1, 0, 1), np.array([0, 1, 0, 1]))
    assert biases[2] == 0
