"""What a training run leaves in results/: run.json, metrics.csv, the page of curves, the worst mistakes."""

from __future__ import annotations

import csv
import logging
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from configs.console import console
from configs.whole_file import write_whole
from inference.networks import Backbone, RetrainMode
from train.classifier.training import EpochResult, Recipe, Training
from train.data.dataset import Dataset, Split
from train.data.pictures import CheckedDataset
from train.data.split import copies_across
from train.score.metrics import Scores, confusion

log = logging.getLogger("train")

PACKAGES = ("torch", "torchvision", "numpy", "opencv-python", "onnxruntime")


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Where a run writes: beside its checkpoint `model` what belongs to it, in `results` what people look at."""

    model: Path
    results: Path

    @property
    def name(self) -> str:
        return self.model.stem

    @property
    def manifest(self) -> Path:
        return self.model.with_suffix(".split.csv")

    @property
    def state(self) -> Path:
        """What `--resume` needs; there only until the run is finished."""
        return self.model.with_suffix(".state")

    def result(self, kind: str) -> Path:
        """`html`, `metrics.csv`, `run.json`, `recipe.yaml`, `train_batch.jpg`, `png`, `mistakes.png`."""
        return self.results / f"{self.name}.{kind}"


def run_files(output: Path | None, results: Path | None, default_name: str) -> RunFiles:
    """Where the run writes: models/ and results/ as in the original program, unless told otherwise."""
    if output is None:
        return RunFiles(Path("models") / f"{default_name}.pth", results or Path("results"))
    return RunFiles(output, results or output.parent / "results")


def free_files(first: RunFiles, *, resume: bool, overwrite: bool) -> RunFiles:
    """The files of NAME, or of NAME-2, NAME-3, ... where the names before are those of finished runs.

    A run that was not finished keeps its name: whether to go on with it or not is the user's choice. That one is also
    meant by `resume` and `overwrite`; where there is none they mean NAME.
    """
    files, number = first, 1
    while not files.state.exists() and (files.model.exists() or files.result("run.json").exists()):
        number += 1
        files = replace(first, model=first.model.with_name(f"{first.name}-{number}.pth"))
    if (resume or overwrite) and not files.state.exists():
        return first
    if files is not first:
        log.info("%s is there already: this run is called %s (--overwrite replaces it)", first.model, files.name)
    return files


def default_name(
    backbone: Backbone,
    mode: RetrainMode,
    resnet_retrain_mode: RetrainMode | None,
    data: Dataset,
    recipe: Recipe,
    size: int | None = None,
) -> str:
    """Name as the original program gave it: `ResNet-not_retrain-3classes-64-60-0.00100000`.

    It had a mode in the name of each BasicCNN too. `all` is what it did not have: a ResNet that learns with all layers.
    """
    layers = (resnet_retrain_mode or "not_retrain") if backbone == "BasicCNN" else mode
    settings = f"{recipe.batch_size}-{recipe.epochs}-{recipe.learning_rate:.8f}"
    return f"{backbone}-{layers}-{len(data.classes)}classes-{settings}" + (f"-{size}px" if size else "")


def write_metrics(path: Path, history: Sequence[EpochResult]) -> None:
    """A line for each epoch."""
    lines = [
        {
            "epoch": one.epoch,
            "learning_rate": one.learning_rate,
            "train_loss": one.loss,
            "train_accuracy": one.train_accuracy,
            "val_loss": one.val_loss,
            "val_accuracy": one.val.accuracy,
            "val_macro_f1": one.val.macro_f1,
            "seconds": round(one.seconds, 3),
        }
        for one in history
    ]

    def write(partial: Path) -> None:
        with partial.open("w", newline="") as file:
            table = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(lines)

    write_whole(path, write)


def write_run(path: Path, facts: Mapping[str, Any]) -> None:
    """All that is known of the run, as JSON for people and for `maskstream results`."""
    text = msgspec.json.format(msgspec.json.encode(facts), indent=2)

    def write(partial: Path) -> None:
        partial.write_bytes(text + b"\n")

    write_whole(path, write)


def data_facts(checked: CheckedDataset) -> dict[str, Any]:
    """What the run was trained and scored on: pictures of each split and class, and what was wrong with the files."""
    counts = Counter((row.split, row.label) for row in checked.rows)
    splits = checked.data.splits
    return {
        "pictures": {split: {label: n for (there, label), n in counts.items() if there == split} for split in splits},
        "fingerprint": checked.fingerprint,
        "skipped": [readable(name) for name in checked.broken],
        "duplicates": [[readable(row.file) for row in group] for group in copies_across(checked.rows)],
    }


def readable(name: str) -> str:
    """A file's name as JSON can hold it: bytes that are no UTF-8 are replaced.

    >>> readable("caf\\udce9.jpg")
    'caf\ufffd.jpg'
    """
    return os.fsencode(name).decode(errors="replace")


def write_pages(
    files: RunFiles,
    training: Training,
    classes: Sequence[str],
    split: str,
    faces: Split,
    pixels: np.ndarray,
    probabilities: np.ndarray,
) -> None:
    """A page of curves and confusion matrix, and one of the faces (N, H, W, 3) uint8 BGR it is most wrong about."""
    from train.score import plots

    best = training.best.epoch
    counts = confusion(probabilities, faces.labels, classes)
    write_whole(
        files.result("png"),
        lambda partial: plots.run_page(partial, files.name, training.history, best, counts, classes, split),
    )
    write_whole(
        files.result("mistakes.png"),
        lambda partial: plots.worst_mistakes(
            list(pixels),
            faces.labels,
            probabilities,
            classes,
            partial,
            names=[path.name for path in faces.files],
            title=f"{files.name}, {split} split",
        ),
    )


def versions() -> dict[str, str]:
    """Python and the packages that the numbers depend on."""
    found = {dist.name.lower(): dist.version for dist in metadata.distributions() if dist.name.lower() in PACKAGES}
    return {"python": platform.python_version()} | {name: found[name] for name in PACKAGES if name in found}


def git_revision() -> dict[str, Any] | None:
    """The commit of this checkout, and whether files differ from it; None where it is none."""
    here = Path(__file__).parent
    try:
        revision = git(here, "rev-parse", "HEAD")
        return {"revision": revision, "changed": bool(git(here, "status", "--porcelain", "--untracked-files=no"))}
    except (FileNotFoundError, subprocess.CalledProcessError):  # no git, or no checkout
        return None


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def print_results(scores: Mapping[str, Scores]) -> None:
    """A table of the splits for people."""
    from rich.table import Table

    classes = list(next(iter(scores.values())).classes)
    table = Table("split", "faces", "accuracy", "macro F1", *(f"recall {name}" for name in classes))
    for split, one in scores.items():
        recalls = [f"{found.recall:.3f}" for found in one.classes.values()]
        faces = sum(found.support for found in one.classes.values())
        table.add_row(split, str(faces), f"{one.accuracy:.4f}", f"{one.macro_f1:.4f}", *recalls)
    console().print(table)
