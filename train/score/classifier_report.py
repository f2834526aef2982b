"""The report on a classifier: figures in all and by group, tables, plots, and a line for each picture."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from configs.console import console
from configs.whole_file import write_whole
from inference.backends.backend import Backend
from train.data.pictures import read_picture
from train.score import plots
from train.score.answers import Answers
from train.score.metrics import Scores, accuracy_interval, calibration, confusion, score

log = logging.getLogger("evaluate")

FACE_SIZES_PX = (("under 40 px", 0, 40), ("40-80 px", 40, 80), ("over 80 px", 80, np.inf))
WORST_SHOWN = 40


def report_on(answers: Answers, backend: Backend) -> dict[str, Any]:
    """All numbers: `ece` is before temperature scaling, `ece_calibrated` after it."""
    scores = score(answers.calibrated, answers.labels, backend.classes)
    right = answers.calibrated.argmax(axis=1) == answers.labels
    sources = [picture.source for picture in answers.pictures]
    sizes = [size_name(picture.face_px) for picture in answers.pictures]
    return {
        "accuracy": scores.accuracy,
        "accuracy_ci95": accuracy_interval(right),
        "macro_f1": scores.macro_f1,
        "classes": msgspec.to_builtins(scores.classes),
        "ece": calibration(answers.raw, answers.labels).ece,
        "ece_calibrated": scores.ece,
        "images_per_s": len(right) / answers.seconds,
        "temperature": backend.info.temperature,
        "confusion": confusion(answers.calibrated, answers.labels, backend.classes).tolist(),
        "per_source": scores_by(sources, sorted(set(sources) - {""}), answers, backend.classes),
        "per_face_size": scores_by(sizes, [name for name, _, _ in FACE_SIZES_PX], answers, backend.classes),
    }


def size_name(face_px: float | None) -> str:
    """
    >>> size_name(79.5), size_name(None)
    ('40-80 px', '')
    """
    return next((name for name, low, high in FACE_SIZES_PX if face_px is not None and low <= face_px < high), "")


def scores_by(
    groups: Sequence[str], names: Sequence[str], answers: Answers, classes: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Scores of each named group that has pictures; recall is of the classes that the group has."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        inside = np.array([group == name for group in groups])
        if inside.any():
            scores: Scores = score(answers.calibrated[inside], answers.labels[inside], classes)
            recall = {label: one.recall for label, one in scores.classes.items() if one.support}
            found[name] = {
                "pictures": int(inside.sum()),
                "accuracy": scores.accuracy,
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
    groups = report["per_source"] | report["per_face_size"]
    if groups:
        table = Table("faces", "number", "accuracy", "macro F1", *names, caption="under the classes: recall")
        for name, one in groups.items():
            recalls = (f"{one['recall'][label]:.3f}" if label in one["recall"] else "-" for label in names)
            table.add_row(name, str(one["pictures"]), f"{one['accuracy']:.4f}", f"{one['macro_f1']:.3f}", *recalls)
        out.print(table)
    low, high = report["accuracy_ci95"]
    print(
        f"accuracy {report['accuracy']:.4f} (95 % interval {low:.4f} to {high:.4f}), macro F1 {report['macro_f1']:.4f}"
    )
    temperature = f"temperature {report['temperature']:.2f}"
    print(f"calibration error {report['ece']:.4f}, with the model's {temperature}: {report['ece_calibrated']:.4f}")
    print(f"{report['images_per_s']:.0f} images/s from crop to answer")
