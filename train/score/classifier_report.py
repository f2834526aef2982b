"""The report on a classifier: figures in all and by group, tables, plots, and a line for each picture."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from configs.console import console
from configs.whole_file import write_whole
from inference.backends.backend import Backend
from train.data.corrections import Correction, Corrections
from train.data.pictures import MOST_NAMED, read_picture
from train.score import plots
from train.score.answers import Answers
from train.score.metrics import Scores, accuracy_interval, calibration, confusion, score, wilson_interval

log = logging.getLogger("evaluate")

FACE_SIZES_PX = (("under 40 px", 0, 40), ("40-80 px", 40, 80), ("over 80 px", 80, np.inf))
WORST_SHOWN = 40


def report_on(answers: Answers, backend: Backend) -> dict[str, Any]:
    """All numbers: `ece` is before temperature scaling, `ece_calibrated` after it."""
    scores = score(answers.calibrated, answers.labels, backend.classes)
    right = answers.calibrated.argmax(axis=1) == answers.labels
    sources = [(picture.source,) for picture in answers.pictures]
    sizes = [(size_name(picture.face_px),) for picture in answers.pictures]
    kinds = [(picture.kind,) for picture in answers.pictures]
    groups = [picture.groups for picture in answers.pictures]
    return {
        "pictures": len(right),
        "accuracy": scores.accuracy,
        "accuracy_ci95": accuracy_interval(right),
        "macro_f1": scores.macro_f1,
        "classes": msgspec.to_builtins(scores.classes),
        "ece": calibration(answers.raw, answers.labels).ece,
        "ece_calibrated": scores.ece,
        "images_per_s": len(right) / answers.seconds,
        "temperature": backend.info.temperature,
        "confusion": confusion(answers.calibrated, answers.labels, backend.classes).tolist(),
        "per_source": scores_by(sources, answers, backend.classes),
        "per_face_size": scores_by(sizes, answers, backend.classes, [name for name, _, _ in FACE_SIZES_PX]),
        "per_kind": scores_by(kinds, answers, backend.classes),
        "per_group": scores_by(groups, answers, backend.classes),
    }


def labels_report(
    given: Answers, backend: Backend, corrections: Corrections, changes: Sequence[Correction | None]
) -> dict[str, Any]:
    """What becomes of the figures with labels as given, and which labels were corrected by which list."""
    whole = report_on(given, backend)
    keys = ("pictures", "accuracy", "accuracy_ci95", "macro_f1", "classes", "confusion")
    return {
        "as_given": {key: whole[key] for key in keys},
        "corrections": {"list": corrections.name, "labels": [one._asdict() for one in changes if one is not None]},
    }


def size_name(face_px: float | None) -> str:
    """
    >>> size_name(79.5), size_name(None)
    ('40-80 px', '')
    """
    return next((name for name, low, high in FACE_SIZES_PX if face_px is not None and low <= face_px < high), "")


def scores_by(
    groups: Sequence[Sequence[str]], answers: Answers, classes: Sequence[str], names: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Scores of each named group that has pictures; recall is of the classes that the group has.

    `groups` (N) are the groups of each picture, which may be several or "", none. Without names all are meant.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in names or sorted({name for those in groups for name in those} - {""}):
        inside = np.array([name in those for those in groups])
        if inside.any():
            scores: Scores = score(answers.calibrated[inside], answers.labels[inside], classes)
            right = answers.calibrated[inside].argmax(axis=1) == answers.labels[inside]
            recall = {label: one.recall for label, one in scores.classes.items() if one.support}
            found[name] = {
                "pictures": int(inside.sum()),
                "accuracy": scores.accuracy,
                "accuracy_ci95": wilson_interval(right),
                "macro_f1": scores.macro_f1,
                "recall": recall,
            }
    return found


def write_predictions(path: Path, answers: Answers, classes: Sequence[str]) -> None:
    """A line for each picture: its file, what it is, what the model said, how sure, and all probabilities."""
    said = answers.calibrated.argmax(axis=1)

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("file", "true", "predicted", "confidence", *classes))
            for picture, index, row in zip(answers.pictures, said, answers.calibrated, strict=True):
                rounded = [f"{share:.6f}" for share in row]
                table.writerow((picture.path, picture.label, classes[index], rounded[index], *rounded))

    write_whole(path, write)


def write_plots(folder: Path, answers: Answers, classes: Sequence[str], title: str) -> bool:
    """Confusion matrix, reliability and worst mistakes as PNG; False where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        log.warning("matplotlib is not installed: no plots are made; predictions.csv is in %s/", folder)
        return False
    labels, calibrated = answers.labels, answers.calibrated
    counts = confusion(calibrated, labels, classes)
    before, after = calibration(answers.raw, labels), calibration(calibrated, labels)
    worst = plots.surest_mistakes(calibrated, labels, WORST_SHOWN).tolist()
    faces = {index: read_picture(answers.pictures[index].path) for index in worst}
    names = [picture.path.name for picture in answers.pictures]
    write_whole(folder / "confusion.png", lambda path: plots.confusion_matrix(counts, classes, path, title))
    write_whole(folder / "reliability.png", lambda path: plots.reliability(before, after, path))
    write_whole(
        folder / "mistakes.png",
        lambda path: plots.worst_mistakes(
            faces, labels, calibrated, classes, path, names=names, title=title, most=WORST_SHOWN
        ),
    )
    print(f"plots and predictions.csv are in {folder}/")
    return True


ROW_COLUMNS = ("faces", "number", "accuracy", "95 %", "macro F1")


def group_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """A row of texts for each group of faces: ROW_COLUMNS, with Wilson's interval, then the recall of each class."""
    groups = report["per_source"] | report["per_face_size"]
    for key in ("kind", "group"):
        groups |= {f"{key} {name}": one for name, one in report[f"per_{key}"].items()}
    return [score_row(name, one, one["recall"], report) for name, one in groups.items()]


def label_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Rows as those of groups: with labels as given, and as corrected; none where no label was corrected."""
    if not report["corrections"]["labels"]:
        return []
    return [
        score_row(name, one, {label: of["recall"] for label, of in one["classes"].items() if of["support"]}, report)
        for name, one in (("labels as given", report["as_given"]), ("labels as corrected", report))
    ]


def score_row(name: str, one: Mapping[str, Any], recall: Mapping[str, float], report: Mapping[str, Any]) -> list[str]:
    low, high = one["accuracy_ci95"]
    recalls = (f"{recall[label]:.3f}" if label in recall else "-" for label in report["classes"])
    accuracy = (f"{one['accuracy']:.4f}", f"{low:.3f}-{high:.3f}")
    return [name, str(one["pictures"]), *accuracy, f"{one['macro_f1']:.3f}", *recalls]


def print_report(report: dict[str, Any]) -> None:
    """Tables for people."""
    from rich.table import Table

    out = console()
    names = list(report["classes"])
    table = Table("class", "precision", "recall", "F1", "pictures")
    for name, one in report["classes"].items():
        table.add_row(name, *(f"{one[key]:.3f}" for key in ("precision", "recall", "f1")), str(one["support"]))
    out.print(table)
    table = Table("true \\ said", *names)
    for name, row in zip(names, report["confusion"], strict=True):
        table.add_row(name, *map(str, row))
    out.print(table)
    for rows in (group_rows(report), label_rows(report)):
        if rows:
            table = Table(*ROW_COLUMNS, *names, caption="under the classes: recall")
            table.columns[3].no_wrap = True  # an interval cut short says nothing
            for row in rows:
                table.add_row(*row)
            out.print(table)
    changed = report["corrections"]["labels"]
    for one in changed[:MOST_NAMED]:
        print(f"{one['file']}: labelled {one['given']}, counts as {one['right']}: {one['reason']}")
    if len(changed) > MOST_NAMED:
        print(f"{len(changed) - MOST_NAMED} more corrected labels are on the page")
    low, high = report["accuracy_ci95"]
    print(
        f"accuracy {report['accuracy']:.4f} (95 % interval {low:.4f} to {high:.4f}), macro F1 {report['macro_f1']:.4f}"
    )
    temperature = f"temperature {report['temperature']:.2f}"
    print(f"calibration error {report['ece']:.4f}, with the model's {temperature}: {report['ece_calibrated']:.4f}")
    print(f"{report['images_per_s']:.0f} images/s from crop to answer")
