"""Score a trained model on labelled faces: `python -m train.evaluate MODEL DATASET`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import typer

from configs.command import run_command
from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import Backend, open_backend
from inference.preprocess import prepare
from train.dataset import Dataset, find_whole, read_pictures
from train.metrics import Scores, score
from transport.cores import usable_cores


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file, .pth or .onnx.")],
    dataset: Annotated[Path, typer.Argument(help="Folder of class folders, or of train/ val/ test/ with those.")],
    split: Annotated[str, typer.Option(help="Which split of a divided data set.")] = "test",
    classes: Annotated[str, typer.Option(help="Class names a,b,c in the model's order, where its file has none.")] = "",
    backbone: Annotated[str, typer.Option(help="Network of a bare .pth that does not tell its own.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or auto.")] = "cpu",
    batch_size: Annotated[int, typer.Option("--batch-size", "--batch_size", min=1, help="Faces at once.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Accuracy, precision, recall and F1 per class, macro F1 and calibration of a model on labelled faces."""
    settings: dict[str, Any] = {"model": str(model), "device": device, "threads": usable_cores()}
    if classes:
        settings["classes"] = [name.strip() for name in classes.split(",")]
    if backbone:
        settings["backbone"] = backbone
    try:
        config = msgspec.convert(settings, ClassifyConfig)
    except msgspec.ValidationError as error:
        raise InputError(f"--backbone {backbone}: {error}") from error
    backend = open_backend(config)
    scores = score_dataset(backend, find_whole(dataset, split), split, batch_size)
    print_scores(scores)
    if as_json:
        facts = {"model": str(model), "dataset": str(dataset), "split": split, "provider": backend.provider}
        print(msgspec.json.encode(msgspec.to_builtins(scores) | facts).decode())


def score_dataset(backend: Backend, dataset: Dataset, split: str, batch_size: int) -> Scores:
    """Scores of the model on a split. Classes are matched by name; the model may know more than the data have."""
    unknown = sorted(set(dataset.classes) - set(backend.classes))
    if unknown:
        raise InputError(f"class {unknown[0]!r} of the data set is unknown to the model: {', '.join(backend.classes)}")
    crops, labels = read_pictures(dataset.splits[split])
    probabilities = probabilities_of(backend, crops, batch_size)
    to_model = np.array([backend.classes.index(name) for name in dataset.classes])
    return score(probabilities, to_model[labels], backend.classes)


def probabilities_of(backend: Backend, crops: list[np.ndarray], batch_size: int) -> np.ndarray:
    """(N, C) calibrated probabilities of crops (H, W, 3) uint8 BGR: exactly what the live pipeline would say."""
    return np.concatenate(
        [
            backend.probabilities(prepare(crops[start : start + batch_size], backend.preprocessing))
            for start in range(0, len(crops), batch_size)
        ]
    )


def print_scores(scores: Scores) -> None:
    """A table for people."""
    from rich.console import Console
    from rich.table import Table

    columns = ("class", "precision", "recall", "F1", "pictures")
    table = Table(*columns)
    for name, one in scores.classes.items():
        table.add_row(name, *(f"{value:.3f}" for value in (one.precision, one.recall, one.f1)), str(one.support))
    console = Console()
    console.print(table)
    console.print(f"accuracy {scores.accuracy:.4f}, macro F1 {scores.macro_f1:.4f}, ECE {scores.ece:.4f}")


if __name__ == "__main__":
    run_command([evaluate], "python -m train.evaluate")
