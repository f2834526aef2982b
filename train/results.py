"""The table of all training runs, as the original project's README has it: `maskstream results [FOLDER]`."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer
from msgspec import Struct

from configs.command import run_command
from configs.errors import InputError
from configs.whole_file import write_whole
from train.score import plots
from train.score.metrics import Scores

log = logging.getLogger("results")

SPLITS = {"training": "train", "validation": "val", "test": "test"}  # as the table calls them, and as runs do
COLUMNS = (
    "model",
    "training mode",
    "classes",
    "batch size",
    "epochs",
    "learning rate",
    *(f"{split} accuracy" for split in SPLITS),
    "macro F1",
)
NOT_RUN = "not run here"
ORIGINAL_MODELS = (("ResNet", "not_retrain"), ("ResNet", "retrain"), ("BasicCNN", "from scratch"))
ORIGINAL_CLASSES, ORIGINAL_RATES = (2, 3), (0.001, 0.0001)
ORIGINAL_BATCH, ORIGINAL_EPOCHS = 64, 60
"""What the original project tabulates: twelve rows, each model with each number of classes and learning rate."""


class RunSettings(Struct, frozen=True):
    """The settings of a run that the table shows."""

    batch_size: int
    epochs: int
    learning_rate: float


class Run(Struct, frozen=True):
    """What the table needs of a run.json, which holds more."""

    name: str
    backbone: str
    resnet_retrain_mode: str
    weights: str
    classes: tuple[str, ...]
    settings: RunSettings
    scores: dict[str, Scores]

    @property
    def mode(self) -> str:
        return "from scratch" if self.weights == "none" else self.resnet_retrain_mode

    @property
    def model(self) -> str:
        """The network, and the run's own name where it does not begin with that."""
        return self.backbone if self.name.startswith(self.backbone) else f"{self.backbone} ({self.name})"


class Row(NamedTuple):
    """A line of the table; what is None was not run."""

    model: str
    mode: str
    classes: int
    learning_rate: float | None
    batch_size: int | None = None
    epochs: int | None = None
    accuracies: tuple[float | None, ...] = (None, None, None)
    macro_f1: float | None = None


def results(
    folder: Annotated[Path, typer.Argument(help="Where training left its NAME.run.json files.")] = Path("results"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Markdown file to write; else the table is printed.")
    ] = None,
    original: Annotated[
        bool,
        typer.Option("--original", help="Also those of the original project's twelve rows that were not run here."),
    ] = False,
) -> None:
    """Training, validation and test accuracy of all training runs in a folder, as a Markdown table and a plot.

    Examples:
      maskstream results
      maskstream results results/ --original -o table.md
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    if output is not None and output.suffix != ".md":
        raise InputError(f"--output {output}: a Markdown file ends in .md")
    rows = [row_of(run) for run in read_runs(folder)]
    text = markdown(sorted(rows + (missing_rows(rows) if original else []), key=order))
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
    plot = output.with_suffix(".png") if output is not None else folder / "results.png"
    if importlib.util.find_spec("matplotlib") is None:
        log.warning("matplotlib is not installed: no plot is made")
    else:
        write_plot(plot, sorted(rows, key=order))
        log.info("runs: %d; the plot is %s", len(rows), plot)


def read_runs(folder: Path) -> list[Run]:
    """All runs below a folder; files that are no record of a run are named and left out."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    runs: list[Run] = []
    for path in sorted(folder.rglob("*.run.json")):
        try:
            runs.append(msgspec.json.decode(path.read_bytes(), type=Run))
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s: not the record of a training run, left out: %s", path, error)
    if not runs:
        raise InputError(f"{folder}: holds no record of a training run (NAME.run.json)")
    return runs


def row_of(run: Run) -> Row:
    of_splits = [run.scores.get(split) for split in SPLITS.values()]
    test = run.scores.get("test")
    return Row(
        run.model,
        run.mode,
        len(run.classes),
        run.settings.learning_rate,
        run.settings.batch_size,
        run.settings.epochs,
        tuple(scores.accuracy if scores else None for scores in of_splits),
        test.macro_f1 if test else None,
    )


def missing_rows(rows: list[Row]) -> list[Row]:
    """Those of the original's twelve rows of which there is no run, of any batch size and number of epochs."""
    there = {(row.model.split(" ")[0], row.mode, row.classes, row.learning_rate) for row in rows}
    return [
        Row(model, mode, classes, rate, ORIGINAL_BATCH, ORIGINAL_EPOCHS)
        for classes in ORIGINAL_CLASSES
        for model, mode in ORIGINAL_MODELS
        for rate in ORIGINAL_RATES
        if (model, mode, classes, rate) not in there
    ]


def order(row: Row) -> tuple[int, str, str, float, int]:
    return row.classes, row.model, row.mode, -(row.learning_rate or 0), row.epochs or 0


def markdown(rows: list[Row]) -> str:
    """The table, a line for each row."""
    lines: list[tuple[str, ...]] = [COLUMNS, ("---",) * 2 + ("---:",) * (len(COLUMNS) - 2)]
    for row in rows:
        rate = "-" if row.learning_rate is None else f"{row.learning_rate:g}"
        settings = (str(row.classes), str(row.batch_size or "-"), str(row.epochs or "-"), rate)
        macro_f1 = NOT_RUN if row.macro_f1 is None else f"{row.macro_f1:.3f}"
        lines.append((row.model, row.mode, *settings, *map(percent, row.accuracies), macro_f1))
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def percent(share: float | None) -> str:
    """
    >>> percent(0.9342), percent(None)
    ('93.4 %', 'not run here')
    """
    return NOT_RUN if share is None else f"{100 * share:.1f} %"


def write_text(path: Path, text: str) -> None:
    def write(unfinished: Path) -> None:
        unfinished.write_text(text, encoding="utf-8")

    write_whole(path, write)


def write_plot(path: Path, rows: list[Row]) -> None:
    names = [f"{row.model}, {row.mode}\n{row.classes} classes, {row.learning_rate:g}" for row in rows]
    accuracies = {split: [row.accuracies[place] for row in rows] for place, split in enumerate(SPLITS)}
    write_whole(path, lambda unfinished: plots.accuracy_bars(names, accuracies, unfinished))


if __name__ == "__main__":
    run_command([results], "python -m train.results")
