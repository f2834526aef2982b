"""Score a trained model on labelled faces: `python -m train.evaluate MODEL DATASET`."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import typer

from capture.picture import Undecodable
from capture.still import read_image
from configs.command import run_command
from configs.console import console
from configs.errors import InputError
from configs.schema import ClassifyConfig
from configs.whole_file import write_whole
from inference.backends import Backend, open_backend, softmax
from inference.checkpoint import has_class_names
from inference.original import classes_of_data, there
from inference.preprocess import prepare
from train import plots
from train.held_out import ALL, Picture, class_folders, find_pictures
from train.metrics import Scores, accuracy_interval, calibration, confusion, score
from train.overview import print_overview
from transport.cores import usable_cores

log = logging.getLogger("evaluate")

FACE_SIZES_PX = (("under 40 px", 0, 40), ("40-80 px", 40, 80), ("over 80 px", 80, np.inf))
WORST_SHOWN = 40


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file, .pth or .onnx.")],
    dataset: Annotated[Path, typer.Argument(help="Folder of class folders, or of train/ val/ test/ with those.")],
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test or all. Of which split a picture is tells the folder, or NAME.split.csv that "
            "training wrote beside the model. Default: test where there is one, else all."
        ),
    ] = None,
    classes: Annotated[str, typer.Option(help="Class names a,b,c in the model's order, where its file has none.")] = "",
    backbone: Annotated[str, typer.Option(help="Network of a bare .pth that does not tell its own.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or auto.")] = "cpu",
    batch_size: Annotated[int, typer.Option("--batch-size", "--batch_size", min=1, help="Faces at once.")] = 64,
    number_workers: Annotated[
        int, typer.Option("--number-workers", "--number_workers", min=0, help="Threads that read pictures; 0: one.")
    ] = 2,
    resnet_retrain_mode: Annotated[
        Literal["not_retrain", "retrain"] | None,
        typer.Option(
            "--resnet-retrain-mode",
            "--resnet_retrain_mode",
            help="As the original program takes it; scores are the same.",
        ),
    ] = None,
    shuffle: Annotated[
        Literal["True", "False"] | None,
        typer.Option(case_sensitive=False, help="As the original program takes it; scores are the same in any order."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for plots; else results/MODEL-DATASET-SPLIT/.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Accuracy, precision, recall and F1 per class, confusion and calibration of a model on labelled faces.

    Examples:
      maskstream evaluate models/NAME.pth faces/
      maskstream evaluate NAME.onnx faces/ --split all -o scored/
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    if output is not None:
        plots.require_matplotlib("--output")
    model = there(model)
    names = [name.strip() for name in classes.split(",")] if classes else names_of_data(model, dataset)
    backend = open_model(model, names, backbone, device)
    scored, pictures = find_pictures(dataset, split, model)
    folder = output or Path("results") / f"{model.stem}-{name_of_data(dataset)}-{scored}"
    print_overview(
        backend.classes,
        {scored: [picture.label for picture in pictures]},
        {
            "data set": f"{dataset}, {'all splits' if scored == ALL else f'split {scored}'}",
            "model": f"{model}, {backend.info.backbone or 'of unknown making'}, {backend.preprocessing.size} px",
            "device": backend.provider,
            "writes": f"{folder}/",
        },
    )
    answers = answers_of(backend, pictures, batch_size, number_workers)
    report = report_on(answers, backend)
    print_report(report)
    write_predictions(folder / "predictions.csv", answers, backend.classes)
    plotted = write_plots(folder, answers, backend.classes, f"{model.name} on {dataset}, split {scored}")
    if as_json:
        facts = {"model": str(model), "dataset": str(dataset), "split": scored, "provider": backend.provider}
        print(msgspec.json.encode(report | facts | {"plots": str(folder) if plotted else None}).decode())


def names_of_data(model: Path, dataset: Path) -> Sequence[str]:
    """The class folders of the data set, where the model has no class names, as the original program's have none."""
    if model.suffix == ".onnx" or not model.is_file() or find_spec("torch") is None or has_class_names(model):
        return ()
    names = classes_of_data(model, class_folders(dataset))
    if names:
        log.info("%s: takes its class names from the data set: %s", model, ", ".join(names))
    return names


def name_of_data(dataset: Path) -> str:
    """The folder's name, or that of the folder around it where it is called `labeled`, as all of the original are."""
    whole = dataset.resolve()
    return whole.parent.name if whole.name == "labeled" else whole.name


def open_model(model: Path, classes: Sequence[str], backbone: str, device: str) -> Backend:
    settings: dict[str, Any] = {"model": str(model), "device": device, "threads": usable_cores()}
    if classes:
        settings["classes"] = list(classes)
    if backbone:
        settings["backbone"] = backbone
    try:
        config = msgspec.convert(settings, ClassifyConfig)
    except msgspec.ValidationError as error:
        raise InputError(f"--backbone {backbone}: {error}") from error
    return open_backend(config)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model said of N pictures that could be read, with C classes in the model's order.

    `raw` and `calibrated` are (N, C) probabilities before and after temperature scaling, `labels` is (N,) int64.
    `seconds` is from crops to answers, the reading of files is not in it.
    """

    pictures: list[Picture]
    labels: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray
    seconds: float


def answers_of(backend: Backend, pictures: Sequence[Picture], batch_size: int, number_workers: int) -> Answers:
    """Let the model look at each picture, just as the live pipeline would. Broken ones are named and left out.

    Classes are matched by name: InputError names one that the model does not know. It may know more than there are.
    """
    there = {picture.label for picture in pictures}
    unknown = sorted(there - set(backend.classes))
    if unknown:
        raise InputError(f"class {unknown[0]!r} of the data set is unknown to the model: {', '.join(backend.classes)}")
    readable: list[Picture] = []
    logits: list[np.ndarray] = []
    seconds = 0.0
    with ThreadPoolExecutor(max(number_workers, 1)) as pool:
        for start in range(0, len(pictures), batch_size):
            batch = pictures[start : start + batch_size]
            crops = pool.map(read_picture, batch)
            read = [(picture, crop) for picture, crop in zip(batch, crops, strict=True) if crop is not None]
            if not read:
                continue
            started = perf_counter()
            logits.append(backend.logits(prepare([crop for _, crop in read], backend.preprocessing)))
            seconds += perf_counter() - started
            readable += [picture for picture, _ in read]
    if not readable:
        raise InputError(f"{pictures[0].path.parent.parent}: none of its pictures ({len(pictures)}) can be read")
    missing = [name for name in backend.classes if name not in {picture.label for picture in readable}]
    if missing:
        log.warning("there are no pictures of %s: the other classes are scored", ", ".join(missing))
    outputs = np.concatenate(logits)
    return Answers(
        pictures=readable,
        labels=np.array([backend.classes.index(picture.label) for picture in readable]),
        raw=softmax(outputs),
        calibrated=softmax(outputs / np.float32(backend.info.temperature)),
        seconds=seconds,
    )


def read_picture(picture: Picture) -> np.ndarray | None:
    try:
        return read_image(picture.path)
    except Undecodable as error:
        log.warning("%s: left out: %s", picture.path, error.reason)
        return None


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
    faces = {}
    for index in plots.surest_mistakes(calibrated, labels, WORST_SHOWN).tolist():
        face = read_picture(answers.pictures[index])
        assert face is not None  # it was read a moment ago
        faces[index] = face
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


if __name__ == "__main__":
    run_command([evaluate], "python -m train.evaluate")
