"""The pictures are real ones: they can be decoded, and what they show depends on what they were given."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from train.score import plots
from train.score.metrics import calibration, confusion, score

pytest.importorskip("matplotlib")

CLASSES = ("mask", "no_mask", "wrong_mask")
PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.2, 0.2, 0.6], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
LABELS = np.array([0, 1, 2, 1, 0])
GREEN_BGR = (0, 200, 0)
NAMES = [f"{number}.jpg" for number in range(5)]


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
        plots.run_page(tmp_path / f"{epochs}.png", "a run", history(epochs), 1, counts, CLASSES, "test")
    assert not same(picture(tmp_path / "1.png"), picture(tmp_path / "5.png"))


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, to be asked what they say."""
    saved = []
    monkeypatch.setattr(plots, "save", lambda figure, path: saved.append(figure))
    return saved


def words(figure):
    from matplotlib.text import Text

    return " | ".join(part.get_text() for part in figure.findobj(Text))


def test_a_page_says_which_run_which_epoch_was_best_and_whose_confusion_it_is_on_a_fixed_scale(figures):
    counts = confusion(PROBABILITIES, LABELS, CLASSES)
    plots.run_page(Path("a.png"), "ResNet-retrain-$2", history(5), 4, counts, CLASSES, "val")
    [figure] = figures
    told = words(figure)
    assert "ResNet-retrain-$2" in told
    assert "best epoch: 4" in told
    assert "confusion, val split, best epoch (4), 5 pictures" in told
    accuracy, loss, _ = figure.axes
    assert accuracy.get_ylim() == (0, 1.01)
    assert loss.get_ylim()[0] == 0
    assert any(list(line.get_xdata()) == [4, 4] for line in accuracy.lines)


def test_mistakes_carry_the_names_of_their_files(figures):
    names = ["a.jpg", "b.jpg", "c.jpg", "d" * 80 + ".jpg", "caf\udce9.jpg"]
    faces = {3: face(GREEN_BGR), 4: face((0, 0, 200))}
    plots.worst_mistakes(faces, LABELS, PROBABILITIES, CLASSES, Path("m.png"), names=names, title="m.pth on faces/")
    told = words(figures[0])
    assert "ddd.jpg" in told
    assert "caf\ufffd.jpg" in told
    assert "a.jpg" not in told
    assert "m.pth on faces/\n2 mistakes in 5 pictures" in told


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
    plots.worst_mistakes(
        {3: face(GREEN_BGR), 4: face((0, 0, 200))},
        LABELS,
        PROBABILITIES,
        CLASSES,
        tmp_path / "m.png",
        names=NAMES,
        title="m",
    )
    pixels = picture(tmp_path / "m.png")
    green, red = ((pixels == colour).all(axis=2).sum() for colour in (GREEN_BGR, (0, 0, 200)))
    assert min(green, red) > 100 * 100


def test_a_model_without_mistakes_has_a_page_too(tmp_path):
    right = np.array([0, 1, 2, 0, 2])
    plots.worst_mistakes([], right, PROBABILITIES, CLASSES, tmp_path / "m.png", names=NAMES, title="m")
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
