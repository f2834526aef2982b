"""The pictures are real ones: they can be decoded, and what they show depends on what they were given."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from train import plots
from train.metrics import calibration, confusion, score

pytest.importorskip("matplotlib")

CLASSES = ("mask", "no_mask", "wrong_mask")
PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.2, 0.2, 0.6], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
LABELS = np.array([0, 1, 2, 1, 0])
GREEN_BGR = (0, 200, 0)


def history(epochs):
    val = score(PROBABILITIES, LABELS, CLASSES)
    return [
        SimpleNamespace(epoch=n, loss=1 / n, train_accuracy=1 - 0.4 / n, val_loss=1.2 / n, val=val)
        for n in range(1, epochs + 1)
    ]


def picture(path):
    """Pixels of a PNG file that is more than white paper."""
    pixels = cv2.imread(str(path))
    assert pixels.shape[2] == 3
    assert (pixels[0, 0] == 255).all(), "the paper is white"
    assert (pixels < 128).any(axis=2).mean() > 0.002, "nothing is drawn"
    return pixels


def same(left, right):
    return left.shape == right.shape and (left == right).all()


def test_a_page_of_a_run_of_any_length(tmp_path):
    counts = confusion(PROBABILITIES, LABELS, CLASSES)
    for epochs in (1, 5):
        plots.run_page(tmp_path / f"{epochs}.png", history(epochs), counts, CLASSES)
    assert not same(picture(tmp_path / "1.png"), picture(tmp_path / "5.png"))


def test_curves_show_the_history(tmp_path):
    for epochs in (2, 5):
        plots.training_curves(history(epochs), tmp_path / f"{epochs}.png")
    assert not same(picture(tmp_path / "2.png"), picture(tmp_path / "5.png"))


def test_the_confusion_matrix_shows_the_counts_also_of_a_class_without_pictures(tmp_path):
    plots.confusion_matrix(np.diag([5, 4, 0]), CLASSES, tmp_path / "right.png")
    plots.confusion_matrix(np.array([[0, 5, 0], [4, 0, 0], [0, 0, 0]]), CLASSES, tmp_path / "wrong.png")
    assert not same(picture(tmp_path / "right.png"), picture(tmp_path / "wrong.png"))


def test_reliability_shows_before_beside_after(tmp_path):
    before, after = calibration(PROBABILITIES**3, LABELS), calibration(PROBABILITIES, LABELS)
    plots.reliability(before, after, tmp_path / "there.png")
    plots.reliability(after, before, tmp_path / "back.png")
    assert not same(picture(tmp_path / "there.png"), picture(tmp_path / "back.png"))


def test_the_surest_mistakes_come_first():
    assert plots.surest_mistakes(PROBABILITIES, LABELS, 40).tolist() == [3, 4]
    assert plots.surest_mistakes(PROBABILITIES, LABELS, 1).tolist() == [3]


def test_only_faces_that_were_mistaken_are_on_the_page_in_their_own_colours(tmp_path):
    plots.worst_mistakes({3: face(GREEN_BGR), 4: face((0, 0, 200))}, LABELS, PROBABILITIES, CLASSES, tmp_path / "m.png")
    pixels = picture(tmp_path / "m.png")
    green, red = ((pixels == colour).all(axis=2).sum() for colour in (GREEN_BGR, (0, 0, 200)))
    assert min(green, red) > 100 * 100


def test_a_model_without_mistakes_has_a_page_too(tmp_path):
    right = np.array([0, 1, 2, 0, 2])
    plots.worst_mistakes([], right, PROBABILITIES, CLASSES, tmp_path / "m.png")
    picture(tmp_path / "m.png")


def test_bars_of_models_of_which_one_has_no_test_split(tmp_path):
    accuracies = {"training": [0.9, 0.8], "validation": [0.8, 0.7], "test": [0.75, None]}
    plots.accuracy_bars(["one", "other"], accuracies, tmp_path / "bars.png")
    picture(tmp_path / "bars.png")


def face(colour):
    return np.full((40, 30, 3), colour, np.uint8)


def test_a_class_of_any_name_is_drawn(tmp_path):
    names = ("$_{$", "a$b$", "\\frac{")
    plots.confusion_matrix(confusion(PROBABILITIES, LABELS, names), names, tmp_path / "odd.png")
    picture(tmp_path / "odd.png")
