"""The table of epochs that grows while a training runs: aligned, in 80 columns, the best so far with a star."""

from __future__ import annotations

from collections.abc import Sequence

from train.classifier.training import EpochResult
from train.score.metrics import Scores

NAME_LETTERS = 10  # of the class with the lowest recall; a longer name would move the columns after it
HEADER = (
    f"{'':13}training{'':10}validation",
    "    epoch    loss  accuracy    loss  accuracy  macro F1  lowest recall      time",
)
LEGEND = "* the best so far, by macro F1 on validation: its weights are kept"


def head(history: Sequence[EpochResult], epochs: int) -> str:
    """The heads of the columns, and the rows of epochs that were done before this process went on with them.

    >>> all(len(line) <= 80 for line in head([], 10).splitlines())
    True
    """
    rows = [row(one, epochs, best=is_best_so_far(history[: place + 1])) for place, one in enumerate(history)]
    return "\n".join(["", LEGEND, *HEADER, *rows])


def is_best_so_far(history: Sequence[EpochResult]) -> bool:
    """Whether the last epoch is better than all before it."""
    *before, last = history
    return all(one.val.macro_f1 < last.val.macro_f1 for one in before)


def row(one: EpochResult, epochs: int, *, best: bool) -> str:
    """A line of the table, aligned for up to 999 epochs."""
    star = "*" if best else " "
    return (
        f"{star} {f'{one.epoch}/{epochs}':>7}"
        + f"{one.loss:8.4f}{one.train_accuracy:10.4f}"
        + f"{one.val_loss:8.4f}{one.val.accuracy:10.4f}{one.val.macro_f1:10.4f}  {lowest_recall(one.val)}"
        + f"{one.seconds:6.1f} s"
    )


def lowest_recall(scores: Scores) -> str:
    """The class that is found least, padded to the width of its column.

    >>> from train.score.metrics import ClassScores
    >>> lowest_recall(Scores(0.5, 0.5, {"mask": ClassScores(1, 0.25, 1, 4), "none": ClassScores(1, 0, 0, 0)}, 0))
    '0.25 mask      '
    """
    there = {name: one.recall for name, one in scores.classes.items() if one.support}
    name = min(there, key=lambda label: there[label])
    shown = name if len(name) <= NAME_LETTERS else f"{name[: NAME_LETTERS - 1]}…"
    return f"{there[name]:.2f} {shown:{NAME_LETTERS}}"
