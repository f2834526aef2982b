"""Labels that are wrong are found among many that are right, and a model that is unsure finds none."""

import numpy as np

from train.score.label_errors import probable_label_errors


def answers(true, sureness, seed=0):
    """(N, 3) probabilities of a model that mostly knows what is true."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (len(true), 3))
    logits[np.arange(len(true)), true] += sureness
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


def test_most_labels_that_were_swapped_are_found_and_no_other():
    true = np.arange(300) % 3
    swapped = [7, 50, 131, 260]
    labels = true.copy()
    labels[swapped] = (labels[swapped] + 1) % 3
    found = probable_label_errors(answers(true, 6.0), labels)
    assert set(found.tolist()) <= set(swapped), "a label that is right is doubted"
    assert len(found) >= 3


def test_the_surest_contradiction_comes_first():
    probabilities = np.array([[0.9, 0.1]] * 5 + [[0.02, 0.98], [0.1, 0.9]] + [[0.1, 0.9]] * 5)
    labels = np.array([0] * 7 + [1] * 5)
    assert probable_label_errors(probabilities, labels).tolist() == [5, 6]


def test_a_model_that_says_the_same_of_all_accuses_nobody():
    assert len(probable_label_errors(np.full((6, 3), 1 / 3), np.arange(6) % 3)) == 0


def test_a_class_without_pictures_is_not_claimed():
    probabilities = np.array([[0.2, 0.1, 0.7], [0.6, 0.3, 0.1], [0.2, 0.8, 0.0]])
    assert len(probable_label_errors(probabilities, np.array([0, 0, 1]))) == 0
