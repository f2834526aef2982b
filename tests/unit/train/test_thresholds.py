"""Precision and recall by threshold can be counted by hand."""

import numpy as np
import pytest

from train.score.thresholds import average_precision, by_threshold

MASK = np.array([0.9, 0.8, 0.6, 0.4, 0.2])
LABELS = np.array([0, 0, 1, 0, 1])


def test_they_are_those_that_are_counted_by_hand():
    mask, other = by_threshold(np.stack([MASK, 1 - MASK], axis=1), LABELS, ("mask", "no_mask"))
    assert (mask.precision[0], mask.recall[0]) == (3 / 5, 1)
    assert (mask.precision[50], mask.recall[50]) == (2 / 3, 2 / 3)
    assert (mask.precision[85], mask.recall[85]) == (1, 1 / 3)
    assert np.isnan(mask.precision[95])
    assert mask.recall[95] == 0
    assert (other.precision[30], other.recall[30]) == (pytest.approx(2 / 3), 1)


def test_average_precision_is_the_mean_of_the_precisions_at_which_pictures_are_found():
    assert average_precision(MASK, LABELS == 0) == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert average_precision(MASK, MASK > 0.5) == 1
    assert average_precision(np.full(4, 0.5), np.array([True, False, False, False])) == 0.25, "no order among equals"


def test_a_class_without_pictures_has_no_recall():
    found = by_threshold(np.array([[0.9, 0.1]]), np.array([0]), ("a", "b"))[1]
    assert np.isnan(found.recall).all()
    assert np.isnan(found.average_precision)
