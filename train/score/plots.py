"""Pictures of how a model does: curves of its training, confusion matrix, calibration, and its worst mistakes.

All are PNG files on white, in the colours of Okabe and Ito, which people with any colour vision can tell apart.
"""

from __future__ import annotations

import os
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from configs.errors import InputError
from configs.lettering import letter_plot
from configs.plural import counted
from train.score.metrics import Calibration, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"
DOTS_PER_INCH = 120
TILE_PX = 160  # side of a face on the page of mistakes: all are shown at one size
TILES_PER_ROW = 8
NAME_LETTERS = 28  # of a file's name that fit under a face


class Epoch(Protocol):
    """What the curves need to know of one epoch of a training."""

    @property
    def epoch(self) -> int: ...
    @property
    def loss(self) -> float: ...
    @property
    def train_accuracy(self) -> float: ...
    @property
    def val_loss(self) -> float: ...
    @property
    def val(self) -> Scores: ...


def run_page(
    path: Path, title: str, history: Sequence[Epoch], best: int, counts: np.ndarray, classes: Sequence[str], split: str
) -> None:
    """One page of a training run: accuracy and loss over the epochs, and the confusion matrix of a split.

    `best` is the epoch that was kept; the confusion is that of its weights.
    """
    figure = new_figure(16, 5.4)
    figure.suptitle(title, fontsize=14)
    accuracy, loss, confusion = figure.subplots(1, 3)
    draw_curves(accuracy, loss, history, best)
    draw_confusion(confusion, counts, classes, f"{split} split, best epoch ({best})")
    save(figure, path)


def confusion_matrix(counts: np.ndarray, classes: Sequence[str], path: Path, title: str = "") -> None:
    """(C, C) counts, rows what is true, columns what the model said; shaded by the share of the row."""
    figure = new_figure(1.2 * len(classes) + 3, 1.1 * len(classes) + 2.2)
    draw_confusion(figure.subplots(), counts, classes)
    figure.suptitle(broken_lines(title, 40 + 12 * len(classes)), fontsize=9)
    save(figure, path)


def reliability(before: Calibration, after: Calibration, path: Path) -> None:
    """How often the model is right when it says how sure it is, before and after temperature scaling."""
    figure = new_figure(11, 5)
    panels = zip(figure.subplots(1, 2, sharey=True), (before, after), ("before", "after"), strict=True)
    for axes, calibration, when in panels:
        draw_reliability(axes, calibration, f"{when} temperature scaling")
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)  # inside it would hide points
    save(figure, path)


def worst_mistakes(
    crops_bgr: Sequence[np.ndarray] | Mapping[int, np.ndarray],
    true_labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    path: Path,
    *,
    names: Sequence[str],
    title: str,
    most: int = 40,
) -> None:
    """The faces (H, W, 3) uint8 BGR of which the model is wrong and most sure, the surest first, with their files.

    `true_labels` and `names` are (N,), `probabilities` is (N, C). Of the faces only those shown are looked up.
    """
    worst = surest_mistakes(probabilities, true_labels, most)
    columns = min(max(len(worst), 1), TILES_PER_ROW)
    rows = max(-(-len(worst) // columns), 1)
    figure = new_figure(max(1.75 * columns, 6), 2.3 * rows + 0.9)
    wrong = int((probabilities.argmax(axis=1) != true_labels).sum())
    shown = f", the {len(worst)} it is surest of" if len(worst) < wrong else ""
    said = f"{counted(wrong, 'mistake')} in {counted(len(true_labels), 'picture')}{shown}"
    figure.suptitle(f"{broken_lines(title, 12 * max(columns, 4))}\n{said}", fontsize=12)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, index in zip(grid, worst, strict=False):
        axes.imshow(cv2.resize(crops_bgr[index], (TILE_PX, TILE_PX))[..., ::-1])
        choice = int(probabilities[index].argmax())
        text = f"is {classes[true_labels[index]]}\nsaid {classes[choice]} {probabilities[index, choice]:.0%}"
        axes.set_title(text, fontsize=9, linespacing=1.2)
        axes.text(0.5, -0.03, shortened(names[index]), fontsize=6.5, ha="center", va="top", transform=axes.transAxes)
    save(figure, path)


def accuracy_bars(models: Sequence[str], accuracies: Mapping[str, Sequence[float | None]], path: Path) -> None:
    """Accuracy of each model on each split, side by side; None where there is no such split."""
    figure = new_figure(9, 0.75 * len(models) + 1.6)
    axes = figure.subplots()
    height = 0.8 / len(accuracies)
    for place, ((split, values), colour) in enumerate(zip(accuracies.items(), (GREY, ORANGE, BLUE), strict=True)):
        known = [(row, value) for row, value in enumerate(values) if value is not None]
        rows = [row + (place - 1) * height for row, _ in known]
        axes.barh(rows, [value for _, value in known], 0.92 * height, color=colour, label=split)
        for row, (_, value) in zip(rows, known, strict=True):
            axes.text(value + 0.005, row, f"{value:.1%}", va="center", fontsize=8)
    axes.set_yticks(range(len(models)), models)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.1), xlabel="accuracy")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=3)
    save(figure, path)


def surest_mistakes(probabilities: np.ndarray, labels: np.ndarray, most: int) -> np.ndarray:
    """Indices of the wrong answers, the most confident first.

    >>> surest_mistakes(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), np.array([0, 0, 0]), 40)
    array([2, 1])
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:most]


def broken_lines(text: str, width: int) -> str:
    """The text in lines of at most `width` letters: a title does not wrap by itself, it is cut off."""
    return "\n".join(textwrap.wrap(text, width, break_on_hyphens=False))


def shortened(name: str) -> str:
    """A file's name as it fits under a face: its beginning and its end. Bytes that are no UTF-8 are replaced.

    >>> shortened("amvd_maksssksksss109_0 (second copy).jpg")
    'amvd_maksssksk…ond copy).jpg'
    """
    whole = os.fsencode(name).decode(errors="replace")
    return whole if len(whole) <= NAME_LETTERS else f"{whole[: NAME_LETTERS // 2]}…{whole[-NAME_LETTERS // 2 + 1 :]}"


def draw_curves(accuracy: Axes, loss: Axes, history: Sequence[Epoch], best: int) -> None:
    """All runs have the same scale of accuracy, so that two pictures can be laid side by side."""
    from matplotlib.ticker import MaxNLocator

    epochs = [one.epoch for one in history]
    lines = (
        (accuracy, [one.train_accuracy for one in history], [one.val.accuracy for one in history]),
        (loss, [one.loss for one in history], [one.val_loss for one in history]),
    )
    for axes, training, validation in lines:
        axes.plot(epochs, training, "o-", color=BLUE, markersize=4, label="training")
        axes.plot(epochs, validation, "s--", color=ORANGE, markersize=4, label="validation")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.axvline(best, color=GREY, linestyle=":", label=f"best epoch: {best}")
        axes.grid(alpha=0.3)
        axes.legend()
    accuracy.set_ylim(0, 1.01)
    accuracy.set_title("accuracy")
    loss.set_ylim(bottom=0)
    loss.set_title("loss")


def draw_confusion(axes: Axes, counts: np.ndarray, classes: Sequence[str], of: str = "") -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text = f"{counts[row, column]}\n{share:.0%}" if counts[row].any() else "-"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.5 else "black")
    axes.set_xticks(range(len(classes)), classes, rotation=30 if len(classes) > 4 else 0)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("the model said")
    axes.set_ylabel("true")
    axes.set_title(f"confusion{of and ', '}{of}, {counted(int(counts.sum()), 'picture')}")


def draw_reliability(axes: Axes, calibration: Calibration, title: str) -> None:
    """Accuracy over confidence; the bars at the foot are the share of the pictures."""
    axes.bar(
        calibration.confidence, calibration.share, width=0.03, color=GREY, alpha=0.5, label="share of the pictures"
    )
    axes.plot([0, 1], [0, 1], "--", color=GREY, label="perfectly calibrated")
    axes.plot(calibration.confidence, calibration.accuracy, "o-", color=BLUE, label="accuracy")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", title=f"{title}: ECE {calibration.ece:.3f}")
    axes.grid(alpha=0.3)


def require_matplotlib(purpose: str) -> None:
    """Raise InputError where plots cannot be made: matplotlib comes with the training install only."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError(f"{purpose} needs matplotlib, which is not installed: pip install matplotlib") from error


def new_figure(width_inch: float, height_inch: float) -> Figure:
    """A figure that no window system ever sees: without pyplot it is drawn by Agg."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False  # a class called $_{$ ended a training at its last picture
    return Figure(figsize=(width_inch, height_inch), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")


def save(figure: Figure, path: Path) -> None:
    letter_plot(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # letter_plot has said so, once
        figure.savefig(path, format="png")
