"""Classify pictures from disk: the pipeline's own stages, one after the other in one process, over a list of files."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from capture.folder import images_of, read_image
from capture.image_files import image_files, named
from capture.picture import Undecodable
from configs.console import console, description, visible
from configs.errors import InputError
from configs.schema import ClassifyConfig, DetectConfig, OverlayConfig
from inference.classify import classify
from inference.detect import detect
from overlay.stage import overlay
from transport.frame import Box, Face, Frame
from transport.stage import StageContext

log = logging.getLogger("classify")

STREAM = "pictures"


def classify_pictures(
    paths: list[Path], model: ClassifyConfig, detector: DetectConfig, overlaying: OverlayConfig, whole: bool = False
) -> None:
    """Say of each face in the pictures how its mask is worn: a table, and what the sinks make of it.

    `whole` takes each picture for a ready crop of one face. Broken pictures are named and left out; raises
    InputError if there is no picture, or none that can be read.
    """
    files = list_pictures(paths)
    broken: dict[str, str] = {}
    out = console()
    table = Table("picture", "face", "label", "confidence", title="faces", title_justify="left")
    counts: Counter[str] = Counter()
    with progress_bar() as progress:
        frames = one_by_one(read_frames(progress.track(files.items(), total=len(files)), broken))
        found = map(take_whole, frames) if whole else one_by_one(detect(detector, frames, StageContext()))
        classified = one_by_one(classify(model, found, StageContext()))
        for ended in overlay(overlaying, classified, StageContext()):
            add_rows(table, counts, ended.frame)
    if len(broken) == len(files):
        raise InputError(f"none of the {len(files)} pictures can be read, first: {next(iter(broken.items()))}")
    out.print(table)
    for name, reason in broken.items():
        out.print(f"left out {visible(name)}: {reason}")
    out.print(", ".join(f"{label}: {count}" for label, count in counts.most_common()))


def list_pictures(paths: list[Path]) -> dict[str, Path]:
    """The picture files by a name of their own: that of the file, with its folder's before it where two are alike."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such picture or folder")
        files += images_of(path) if path.is_dir() else [path]
        others = image_files(path, deep=False).others if path.is_dir() else []
        if others:
            log.warning("%s: left out as no pictures: %s", path, named(file.name for file in others))
    names = Counter(file.name for file in files)
    own = {file.name if names[file.name] == 1 else f"{file.parent.name}-{file.name}": file for file in files}
    if len(own) < len(files):
        raise InputError("two pictures have the same name in folders of the same name: classify them one after another")
    return own


def read_frames(files: Iterable[tuple[str, Path]], broken: dict[str, str]) -> Iterator[Frame]:
    """The pictures as frames; those that cannot be read go into `broken` with the reason."""
    for seq, (name, file) in enumerate(files):
        try:
            image = read_image(file)
        except Undecodable as error:
            broken[name] = error.reason
            continue
        image.setflags(write=False)
        yield Frame(STREAM, seq, time.monotonic_ns(), image, name=name)


def take_whole(batch: list[Frame]) -> list[Frame]:
    """Each picture as one face: its crop is the whole picture."""
    sizes = [frame.image.shape[:2] for frame in batch]
    boxes = [Box(0, 0, width, height) for height, width in sizes]
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
