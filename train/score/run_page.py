"""The page of a classifier: of a training run or of an evaluation. What to look at first comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.plural import counted
from train.data.pictures import read_picture
from train.score.chart import Line, Range, chart
from train.score.html_page import Table, folded, gallery, picture, section, shown, table_html, tile, write_html
from train.score.label_errors import probable_label_errors
from train.score.metrics import accuracy_interval, confusion, score
from train.score.plots import BLUE, ORANGE, Epoch, surest_mistakes
from train.score.thresholds import GRID, ByThreshold, by_threshold

MOST_MISTAKES, MOST_OF_OTHERS, MOST_ERRORS = 32, 16, 32  # faces of each gallery: a page of 1 MB at most
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")  # Okabe and Ito's
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class ScoredSplit:
    """What a model said of a split: its files and their names on the page, labels (N,), probabilities (N, C)."""

    name: str
    files: Sequence[Path]
    names: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def title(self) -> str:
        return "all splits" if self.name == "all" else f"{self.name} split"


@dataclass(frozen=True, slots=True)
class RunPage:
    """All that a page shows. Of `splits` the last is the one that counts; `history` is empty for an evaluation.

    `best` is the epoch whose weights were scored. `batch_jpeg` is the file train_batch.jpg, empty where there is none.
    """

    title: str
    about: Sequence[str]
    command: str
    classes: Sequence[str]
    splits: Sequence[ScoredSplit]
    tables: Sequence[Table]
    history: Sequence[Epoch] = ()
    best: int = 0
    batch_jpeg: bytes = b""


def write_run_page(path: Path, page: RunPage) -> None:
    """Write the page. Raises InputError where it cannot be written, or a face on it cannot be read any more."""
    last = page.splits[-1]
    parts = {
        "scores": section("scores", "Scores", scores_table(page)),
        "curves": curves(page),
        "confusion": section("confusion", "Confusion", side(confusion_table(one, page.classes) for one in page.splits)),
        "thresholds": thresholds(last, page.classes),
        "mistakes": mistakes(page),
        "labels": label_errors(page),
        "batch": page.batch_jpeg
        and section("batch", "What the network sees: the first batch", picture(page.batch_jpeg, "faces with labels")),
        "settings": section(
            "settings", "Settings and data", *(table_html(columns, rows, name) for name, columns, rows in page.tables)
        ),
    }
    links = " ".join(f'<a href="#{name}">{name}</a>' for name, part in parts.items() if part)
    head = [f"<p>{shown(line)}</p>" for line in (headline(last, page.classes), *page.about)]
    head += [f"<pre>{shown(page.command)}</pre>", f"<nav>{links}</nav>"]
    write_html(path, page.title, [*head, *(part for part in parts.values() if part)])


def side(parts: Iterable[str]) -> str:
    return f'<div class="side">{"".join(parts)}</div>'


def headline(split: ScoredSplit, classes: Sequence[str]) -> str:
    """How good it is on the split that counts, in one line."""
    found = score(split.probabilities, split.labels, classes)
    low, high = accuracy_interval(split.probabilities.argmax(axis=1) == split.labels)
    return (
        f"{split.title}, {counted(len(split.labels), 'face')}: accuracy {found.accuracy:.1%} "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f}), macro F1 {found.macro_f1:.3f}"
    ).replace("%", " %", 1)


def scores_table(page: RunPage) -> str:
    """A row for each split and class."""
    rows = []
    for split in page.splits:
        found = score(split.probabilities, split.labels, page.classes)
        together = (f"accuracy {found.accuracy:.4f}", "", f"macro {found.macro_f1:.3f}")
        rows.append([split.name, "all", str(len(split.labels)), *together])
        for name, one in found.classes.items():
            numbers = (f"{value:.3f}" if one.support else "-" for value in (one.precision, one.recall, one.f1))
            rows.append(["", name, str(one.support), *numbers])
    return table_html(["split", "class", "faces", "precision", "recall", "F1"], rows)


def curves(page: RunPage) -> str:
    """Loss, accuracy, macro F1 and learning rate over the epochs, and the same as a table."""
    if not page.history:
        return ""
    history = page.history
    x = Range("epoch", history[0].epoch, history[-1].epoch)

    def of(name: str, colour: str, values: Sequence[float], dashed: bool = False) -> Line:
        return Line(name, colour, [(one.epoch, value) for one, value in zip(history, values, strict=True)], dashed)

    losses = [one.loss for one in history], [one.val_loss for one in history]
    accuracies = [one.train_accuracy for one in history], [one.val.accuracy for one in history]
    macro_f1 = [one.val.macro_f1 for one in history]
    mark = (page.best, f"best: {page.best}")
    charts = [
        chart(
            title,
            [of("training", BLUE, training), of("validation", ORANGE, validation, dashed=True)],
            x,
            Range("", 0, high),
            mark,
        )
        for title, (training, validation), high in (
            ("loss", losses, 1.05 * max(map(max, losses))),
            ("accuracy", accuracies, 1.0),
        )
    ]
    charts.append(chart("macro F1 on validation", [of("", ORANGE, macro_f1, dashed=True)], x, Range("", 0, 1), mark))
    columns = ["epoch", "training loss", "accuracy", "validation loss", "accuracy", "macro F1"]
    recalls = [f"recall {name}" for name in page.classes]
    rows = [
        [
            f"{one.epoch}{' (best)' if one.epoch == page.best else ''}",
            *(f"{value:.4f}" for value in (one.loss, one.train_accuracy, one.val_loss)),
            *(f"{value:.4f}" for value in (one.val.accuracy, one.val.macro_f1)),
            *(f"{one.val.classes[name].recall:.3f}" for name in page.classes),
        ]
        for one in history
    ]
    return section(
        "curves", "Curves", side(charts), folded("all epochs as a table", table_html(columns + recalls, rows))
    )


def confusion_table(split: ScoredSplit, classes: Sequence[str]) -> str:
    """Rows are what is true, columns what was said; shaded by the share of the row."""
    counts = confusion(split.probabilities, split.labels, classes)
    head = "".join(f"<th>{shown(name)}" for name in classes)
    body = ""
    for name, row in zip(classes, counts, strict=True):
        body += f"<tr><th>{shown(name)}"
        for count, share in zip(row, row / max(row.sum(), 1), strict=True):
            colour = ";color:#fff" if share > 0.5 else ""
            body += f'<td style="background:rgba(0,114,178,{share:.2f}){colour}">{count}<br>{share:.0%}'
    caption = f"<caption>{shown(split.name)}</caption>"
    return f'<div class="wide"><table class="confusion">{caption}<tr><th>true \\ said{head}{body}</table></div>'


def thresholds(split: ScoredSplit, classes: Sequence[str]) -> str:
    """Of each class: what becomes of precision and recall when less sure answers do not count."""
    found = by_threshold(split.probabilities, split.labels, classes)
    together = [
        Line(f"{one.name} {one.average_precision:.2f}", COLOURS[place % len(COLOURS)], recall_and_precision(one))
        for place, one in enumerate(found)
        if np.isfinite(one.average_precision)
    ]
    percent = Range("recall", 0, 1)
    charts = [chart("precision over recall", together, percent, Range("", 0, 1))]
    for one in found:
        lines = [
            Line("precision", BLUE, list(zip(GRID.tolist(), one.precision.tolist(), strict=True))),
            Line("recall", ORANGE, list(zip(GRID.tolist(), one.recall.tolist(), strict=True)), dashed=True),
        ]
        charts.append(chart(one.name, lines, Range("threshold of the probability", 0, 1), Range("", 0, 1)))
    rows = []
    for threshold in THRESHOLDS:
        place = round(100 * threshold)
        values = [value for one in found for value in (one.precision[place], one.recall[place])]
        rows.append([f"{threshold:g}", *(f"{value:.3f}" if np.isfinite(value) else "-" for value in values)])
    columns = ["threshold", *(f"{name}: {what}" for name in classes for what in ("precision", "recall"))]
    about = "<p>In the first chart the number at a class is its average precision, the area under its curve.</p>"
    title = f"Precision and recall by threshold, {split.title}"
    return section("thresholds", title, about, side(charts), table_html(columns, rows))


def recall_and_precision(one: ByThreshold) -> list[tuple[float, float]]:
    return list(zip(one.recall.tolist(), one.precision.tolist(), strict=True))


def mistakes(page: RunPage) -> str:
    """The faces that it is surest of and wrong about: of the last split at once, of the others when asked for."""
    parts = []
    for split in reversed(page.splits):
        most = MOST_MISTAKES if split is page.splits[-1] else MOST_OF_OTHERS
        wrong = surest_mistakes(split.probabilities, split.labels, len(split.labels))
        title = f"{split.name}: {counted(len(wrong), 'mistake')} in {counted(len(split.labels), 'face')}"
        tiles = gallery(face(split, index, page.classes) for index in wrong[:most].tolist())
        if len(wrong) > most:
            title += f", the {most} it is surest of"
        parts.append(f"<p>{shown(title)}</p>{tiles}" if split is page.splits[-1] else folded(title, tiles))
    return section("mistakes", "Worst mistakes", *parts)


def label_errors(page: RunPage) -> str:
    """Faces whose label is probably wrong, of all splits; the surest first."""
    found = [
        (contradiction(split, index), split, index)
        for split in page.splits
        for index in probable_label_errors(split.probabilities, split.labels).tolist()
    ]
    found.sort(key=lambda one: -one[0])
    shares = ", ".join(f"{sum(one[1] is split for one in found)} of {split.name}" for split in page.splits)
    about = (
        f"{counted(len(found), 'face')} ({shares}): the model is as sure of another class as it is of faces that are "
        f"of that class (confident learning). Look before you change a label: often it is the model that errs."
    )
    if len(found) > MOST_ERRORS:
        about += f" Shown are the {MOST_ERRORS} surest."
    tiles = gallery(face(split, index, page.classes, split.name) for _, split, index in found[:MOST_ERRORS])
    return section("labels", "Probable label errors", f"<p>{shown(about)}</p>", tiles)


def contradiction(split: ScoredSplit, index: int) -> float:
    """How much surer it is of what it said than of the label."""
    return float(split.probabilities[index].max() - split.probabilities[index, split.labels[index]])


def face(split: ScoredSplit, index: int, classes: Sequence[str], where: str = "") -> str:
    said = int(split.probabilities[index].argmax())
    lines = [
        f"{where + ': ' if where else ''}labelled {classes[split.labels[index]]}",
        f"said {classes[said]} {split.probabilities[index, said]:.0%}",
    ]
    return tile(read_picture(split.files[index]), lines, split.names[index])
