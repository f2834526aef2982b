"""Score a trained model on labelled faces: `python -m train.evaluate MODEL DATASET`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from configs.command import run_command
from configs.errors import InputError
from configs.schema import BALANCED, ClassifyConfig, Preference
from inference.backends import open_backend
from inference.backends.backend import Backend
from inference.checkpoint import has_class_names
from inference.original import classes_of_data, there
from train.data.corrections import corrections_text, read_corrections
from train.data.held_back import LISTS, only_held_back
from train.data.held_out import ALL, class_folders, find_pictures
from train.score import plots
from train.score.answers import Answers, answers_of, relabelled
from train.score.classifier_report import (
    ROW_COLUMNS,
    group_rows,
    label_rows,
    labels_report,
    print_report,
    report_on,
    write_plots,
    write_predictions,
)
from train.score.html_page import Table
from train.score.run_page import RunPage, ScoredSplit, write_run_page
from train.session.name import command_typed
from train.session.overview import left_out_text, print_overview
from transport.cores import usable_cores

log = logging.getLogger("evaluate")


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
    corrections: Annotated[
        str | None,
        typer.Option(
            help="FILE that names wrong labels (file,given,right,reason), or `none`. Default: the list that ships, "
            "whose pictures are known by folder and name. Figures are told both ways."
        ),
    ] = None,
    held_back: Annotated[
        str | None,
        typer.Option("--held-back", help=f"Score only the faces of a list that ships: {', '.join(LISTS)}."),
    ] = None,
    classes: Annotated[str, typer.Option(help="Class names a,b,c in the model's order, where its file has none.")] = "",
    backbone: Annotated[str, typer.Option(help="Network of a bare .pth that does not tell its own.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or auto.")] = "cpu",
    prefer: Annotated[Preference, typer.Option(help="The operating point, as classify.prefer of a run.")] = BALANCED,
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
    backend = open_model(model, names, backbone, device, prefer)
    listed = read_corrections(corrections)
    scored, pictures, left_out = find_pictures(dataset, split, model)
    if held_back is not None:
        pictures, scored = only_held_back(pictures, held_back, dataset), held_back
    changes = [listed.of(picture.path, picture.label) for picture in pictures]
    folder = output or Path("results") / f"{model.stem}-{name_of_data(dataset)}-{scored}"
    print_overview(
        backend.classes,
        {scored: [picture.label for picture in pictures]},
        {
            "data set": f"{dataset}, {'all splits' if scored == ALL else f'split {scored}'}",
            "left out": left_out_text(left_out),
            "labels": corrections_text(listed.name, [one for one in changes if one], backend.classes),
            "model": f"{model}, {backend.info.backbone or 'of unknown making'}, {backend.preprocessing.size} px",
            "device": backend.provider,
            "prefers": prefer,
            "writes": f"{folder}/",
        },
    )
    given = answers_of(backend, pictures, batch_size, number_workers)
    answers = relabelled(given, changes, backend.classes)
    report = report_on(answers, backend) | labels_report(given, backend, listed, changes)
    print_report(report)
    write_predictions(folder / "predictions.csv", answers, backend.classes)
    plotted = write_plots(folder, answers, backend.classes, f"{model.name} on {dataset}, split {scored}")
    write_run_page(folder / "index.html", page_of(model, dataset, scored, answers, report))
    print(f"page: {folder}/index.html")
    if as_json:
        facts = {
            "model": str(model),
            "dataset": str(dataset),
            "split": scored,
            "provider": backend.provider,
            "prefer": prefer,
        }
        print(msgspec.json.encode(report | facts | {"plots": str(folder) if plotted else None}).decode())


def page_of(model: Path, dataset: Path, split: str, answers: Answers, report: Mapping[str, Any]) -> RunPage:
    """What the page of an evaluation shows."""
    classes = list(report["classes"])
    columns = [*ROW_COLUMNS, *(f"recall {label}" for label in classes)]
    changed = [list(one.values()) for one in report["corrections"]["labels"]]
    others = [
        ["calibration error", f"{report['ece']:.4f}"],
        [f"with temperature {report['temperature']:.2f}", f"{report['ece_calibrated']:.4f}"],
        ["faces a second, from crop to answer", f"{report['images_per_s']:.0f}"],
    ]
    tables: list[Table] = [
        ("groups", columns, group_rows(report)),
        ("labels as given, and as corrected", columns, label_rows(report)),
        (f"corrected labels, by {report['corrections']['list']}", ["file", "given", "right", "reason"], changed),
    ]
    files = [picture.path for picture in answers.pictures]
    names = [path.relative_to(dataset).as_posix() for path in files]
    return RunPage(
        title=f"{model.name} on {name_of_data(dataset)}, {'all splits' if split == ALL else f'{split} split'}",
        about=(f"{model} on {dataset}",),
        command=command_typed(),
        classes=classes,
        splits=[ScoredSplit(split, files, names, answers.labels, answers.calibrated)],
        tables=[*(table for table in tables if table[2]), ("calibration and speed", ["what", "value"], others)],
    )


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


def open_model(
    model: Path, classes: Sequence[str], backbone: str, device: str, prefer: Preference = BALANCED
) -> Backend:
    settings: dict[str, Any] = {"model": str(model), "device": device, "threads": usable_cores(), "prefer": prefer}
    if classes:
        settings["classes"] = list(classes)
    if backbone:
        settings["backbone"] = backbone
    try:
        config = msgspec.convert(settings, ClassifyConfig)
    except msgspec.ValidationError as error:
        raise InputError(f"--backbone {backbone}: {error}") from error
    return open_backend(config)


if __name__ == "__main__":
    run_command([evaluate], "python -m train.evaluate")
