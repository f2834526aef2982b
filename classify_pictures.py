"""`maskstream classify`: the pipeline's own stages, one after the other in one process, over a list of files."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from capture.image_files import SUFFIXES, image_files, named
from capture.picture import Undecodable
from capture.still import read_image
from configs.console import console, description, visible
from configs.errors import InputError
from configs.load import given, load_config, names_in
from configs.plural import counted
from configs.schema import ClassifyConfig, DetectConfig, OverlayConfig
from inference.classify import classify
from inference.detect import detect
from overlay.sinks import check_sinks
from overlay.sinks.claims import Claims
from overlay.stage import overlay
from pipeline import DetectorModelOption, DetectorOption, detecting, run_to_ledger
from transport.cores import usable_cores
from transport.frame import Box, Face, Frame
from transport.pixels import Pixels
from transport.stage import StageContext

log = logging.getLogger("classify")

STREAM = "pictures"


def classify_command(
    model: Annotated[Path, typer.Argument(help="Classifier, .onnx or .pth.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Pictures, or folders of them; none: the webcam.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto")] = "cpu",
    whole: Annotated[bool, typer.Option("--whole", help="each picture is a crop of one face; look for none")] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="folder for the annotated pictures and faces.jsonl")
    ] = Path("classified"),
    classes: Annotated[str | None, typer.Option(help="class names a,b,c in output order, if it has none")] = None,
    detector: DetectorOption = None,
    detector_model: DetectorModelOption = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="any option: section.key=value")] = None,
) -> None:
    """Classify pictures: a table, annotated pictures, JSON lines. Without pictures: the webcam, in a window.

    Examples:
      maskstream classify models/NAME.pth photos/
      maskstream classify models/NAME.pth faces/ --whole -o classified/
      maskstream classify models/NAME.pth
    """
    flags: dict[str, Any] = {
        "sources": ([] if paths else ["0"], {}),
        "detect": given(detector=detector, model=detector_model),
        "classify": given(model=str(model), classes=names_in(classes), device=device),
        "overlay": {"sinks": [f"images:{output}", f"jsonl:{output / 'faces.jsonl'}"] if paths else ["window"]},
    }
    options = load_config(None, settings or (), flags)
    if not paths:
        if whole:
            raise InputError("--whole is for pictures: a webcam's picture is no crop of a face")
        run_to_ledger(options, as_json=False)
        return
    check_sinks(options.overlay.sinks, map(str, paths))
    threads = options.classify.threads or usable_cores()  # no other process needs them here
    model_options = replace(options.classify, threads=threads)
    with Claims(options.overlay.sinks) as claims:
        claims.take(STREAM)
        classify_pictures(paths, model_options, detecting(options), options.overlay, whole, output)


def classify_pictures(
    paths: list[Path],
    model: ClassifyConfig,
    detector: DetectConfig,
    overlaying: OverlayConfig,
    whole: bool = False,
    results: Path | None = None,
) -> None:
    """Say of each face in the pictures how its mask is worn: a table, and what the sinks make of it.

    `whole` takes each picture for a ready crop of one face. What lies in the folder `results` is no input. Broken
    pictures are named and left out; raises InputError if there is no picture, or none that can be read.
    """
    files = list_pictures(paths, results)
    broken: dict[str, str] = {}
    out = console()
    table = Table("picture", "face", "label", "confidence", title="faces", title_justify="left")
    counts: Counter[str] = Counter()
    with progress_bar() as progress:
        frames = one_by_one(read_frames(progress.track(files.items(), total=len(files)), broken))
        detected = (out for out in detect(detector, frames, StageContext()) if isinstance(out, Frame))  # none is held
        found = map(take_whole, frames) if whole else one_by_one(detected)
        classified = one_by_one(classify(model, found, StageContext()))
        for ended in overlay(overlaying, classified, StageContext()):
            add_rows(table, counts, ended.frame)
    if len(broken) == len(files):
        first = ": ".join(next(iter(broken.items())))
        raise InputError(f"none of the pictures can be read ({len(files)}), first: {first}")
    out.print(table)
    for name, reason in broken.items():
        out.print(f"left out {visible(name)}: {reason}")
    folders = {file.parent for file in files.values()}
    read = counted(len(files) - len(broken), "picture")
    among = f" in {counted(len(folders), 'folder')}" if len(folders) > 1 else ""
    out.print(f"{read}{among}; {', '.join(f'{label}: {count}' for label, count in counts.most_common())}")


def list_pictures(paths: list[Path], results: Path | None = None) -> dict[str, Path]:
    """The picture files by a name of their own: that of the file, with its folders' before it where two are alike."""
    files: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such picture or folder")
        files |= dict.fromkeys(pictures_below(path, results) if path.is_dir() else [path])
    names = {file: file.name for file in files}
    parts = 1
    while twice := [file for file, times in names_used(names).items() if times > 1]:
        parts += 1
        if any(parts >= len(file.absolute().parts) for file in twice):
            raise InputError(f"{twice[0]} and {twice[1]}: give them after one another: their names are the same")
        names |= {file: "-".join(file.absolute().parts[-parts:]) for file in twice}
    return {name: file for file, name in names.items()}


def names_used(names: Mapping[Path, str]) -> dict[Path, int]:
    """How many files have the name of each file."""
    counts = Counter(names.values())
    return {file: counts[name] for file, name in names.items()}


def pictures_below(folder: Path, results: Path | None = None) -> list[Path]:
    """All pictures below a folder: in `labeled/` with its class folders, `unlabeled/` and others.

    What an earlier call drew into the folder `results` is none of them. Raises InputError if there is no picture.
    """
    found = image_files(folder, deep=True)
    if found.others:
        log.warning("%s: left out as no pictures: %s", folder, named(file.name for file in found.others))
    drawn = results.resolve() if results else None
    files = [file for file in found.pictures if drawn not in file.resolve().parents]
    if not files:
        raise InputError(f"{folder}: no pictures in this folder or below (looked for {', '.join(SUFFIXES)})")
    return files


def read_frames(files: Iterable[tuple[str, Path]], broken: dict[str, str]) -> Iterator[Frame]:
    """The pictures as frames; those that cannot be read go into `broken` with the reason."""
    for seq, (name, file) in enumerate(files):
        try:
            image = read_image(file)
        except Undecodable as error:
            broken[name] = error.reason
            continue
        image.setflags(write=False)
        yield Frame(STREAM, seq, time.monotonic_ns(), Pixels(image), name=name)


def take_whole(batch: list[Frame]) -> list[Frame]:
    """Each picture as one face: its crop is the whole picture."""
    boxes = [Box(0, 0, frame.width, frame.height) for frame in batch]
    return [replace(frame, faces=(Face(box),)) for frame, box in zip(batch, boxes, strict=True)]


def one_by_one(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    return ([frame] for frame in frames)


def add_rows(table: Table, counts: Counter[str], frame: Frame) -> None:
    """One row per face; a picture without one has a row that says so."""
    if not frame.faces:
        table.add_row(visible(frame.name), "-", "no face found", "")
        counts["no face found"] += 1
    for number, face in enumerate(frame.faces, 1):
        if face.prediction is not None:
            table.add_row(visible(frame.name), str(number), face.prediction.label, f"{face.prediction.confidence:.1%}")
            counts[face.prediction.label] += 1


def progress_bar() -> Progress:
    """On standard error; standard output has the table."""
    columns = (description(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console(stderr=True), transient=True)
