"""Which pictures of a data set may score a model: never those it was trained on, unless that is asked for."""

from __future__ import annotations

import csv
import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from configs.errors import InputError
from train.data.dataset import Dataset, class_names, find_whole, labelled, split_folders
from train.data.pictures import find_broken, left_out
from train.data.split import SPLITS, ManifestRow, content_hash, read_manifest

log = logging.getLogger("evaluate")

ALL = "all"
CORNERS = ("x0", "y0", "x1", "y1")


@dataclass(frozen=True, slots=True)
class Picture:
    """A labelled picture file, and what the manifest of the data says of it.

    `face_px` is the longest side of the face, `kind` that of its mask, `groups` are words about the person.
    """

    path: Path
    label: str
    source: str = ""
    face_px: float | None = None
    kind: str = ""
    groups: tuple[str, ...] = ()


class HeldOut(NamedTuple):
    """What is scored: the name of the split and its pictures; and by reason the files that are no part of it."""

    split: str
    pictures: list[Picture]
    left_out: dict[str, list[str]]


def find_pictures(folder: Path, split: str | None, model: Path) -> HeldOut:
    """The split that is scored, and its pictures; broken ones are named and left out.

    Without a split it is `test` where there is one, else `all`. Splits are those of the folder, and those that the
    model's training wrote beside it (NAME.split.csv); pictures are known by their content, wherever they lie now.
    Raises InputError where no picture is left, or where nothing tells which pictures are of the split.
    """
    if split not in (None, ALL, *SPLITS):
        raise InputError(f"--split {split}: known are {', '.join(SPLITS)} and {ALL}")
    manifest = model.with_suffix(".split.csv")
    divided = "train" in split_folders(labelled(folder))
    if not divided and not manifest.is_file():
        if split not in (None, ALL):
            raise InputError(
                f"--split {split}: {folder} is not divided, and {manifest} is not there to tell what was trained on; "
                "leave --split out to score all"
            )
        if split is None:
            log.info("%s is not there: what the model was trained on cannot be told apart, all is scored", manifest)
        split = ALL
    split = split or "test"
    names = present_splits(folder, split) if divided else [split]
    found = [find_whole(folder, name) for name in names]
    pictures = [picture for data in found for picture in labelled_pictures(data)]
    if manifest.is_file() and split != ALL:
        pictures = of_split(pictures, read_manifest(manifest), split, folder)
    if split in (ALL, "train") and (divided or manifest.is_file()):
        log.warning("--split %s: pictures that the model was trained on are scored too", split)
    broken = find_broken([picture.path for picture in pictures])
    missing = left_out(broken, [path for data in found for one in data.splits.values() for path in one.others], folder)
    sound = [picture for picture in pictures if picture.path not in broken]
    if not sound:
        raise InputError(f"{folder}: none of its pictures ({len(pictures)}) can be read")
    return HeldOut(split, with_facts(sound, folder), missing)


def present_splits(folder: Path, split: str) -> list[str]:
    """The folders of a divided data set that are to be read."""
    return list(split_folders(labelled(folder))) if split == ALL else [split]


def labelled_pictures(data: Dataset) -> list[Picture]:
    """All pictures of a data set, whatever their split."""
    return [
        Picture(path, data.classes[label])
        for split in data.splits.values()
        for path, label in zip(split.files, split.labels, strict=True)
    ]


def of_split(pictures: list[Picture], rows: list[ManifestRow], split: str, folder: Path) -> list[Picture]:
    """The pictures that the training counted to the split; of a folder without any, those that it never saw.

    A picture that was trained on is never held out, even if the manifest names a copy of it in another split too.
    """
    known: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        known[row.sha256].add(row.split)
    splits = [known.get(content_hash(picture.path), set()) for picture in pictures]
    used_up = {"train"} - {split}
    chosen = [split in names and not names & used_up for names in splits]
    if not any(chosen) and split != "train":
        chosen = [not names for names in splits]
        if any(chosen) and not all(chosen):
            log.warning("%s: other pictures than those of the training; of its own it has none of %s", folder, split)
    if not any(chosen):
        raise InputError(
            f"{folder}: no picture (of {len(pictures)}) is of the split {split} of the training, "
            f"{sum('train' in names for names in splits)} were trained on; --split {ALL} scores them all the same"
        )
    trained = sum("train" in names and not kept for names, kept in zip(splits, chosen, strict=True))
    others = len(pictures) - sum(chosen) - trained
    if not all(chosen):
        log.info("%s: left out: trained on %d, not of the split %d", folder, trained, others)
    return [picture for picture, kept in zip(pictures, chosen, strict=True) if kept]


def class_folders(folder: Path) -> tuple[str, ...]:
    """The names of the class folders of a data set, divided or not, in their order."""
    root = labelled(folder)
    return class_names(split_folders(root).get("train", root))


def with_facts(pictures: list[Picture], folder: Path) -> list[Picture]:
    """The pictures with source, size of face, kind and group, where the folder's manifest.csv has such columns."""
    root = labelled(folder)
    path = root / "manifest.csv"
    if not path.is_file():
        return pictures
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            facts = {row["file"]: row for row in csv.DictReader(file) if row.get("file")}
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error
    rows = [facts.get(picture.path.relative_to(root).as_posix(), {}) for picture in pictures]
    return [
        Picture(
            picture.path,
            picture.label,
            row.get("source") or "",
            face_size(row),
            row.get("kind") or "",
            tuple((row.get("group") or "").split()),
        )
        for picture, row in zip(pictures, rows, strict=True)
    ]


def face_size(row: dict[str, str]) -> float | None:
    """Longest side of the face box in px, None where a row does not say.

    >>> face_size({"face_x0": "22", "face_y0": "12", "face_x1": "118", "face_y1": "128"})
    116.0
    >>> face_size({"face_box": "22 12 118 128"})
    116.0
    """
    try:
        box = row["face_box"].split() if "face_box" in row else [row[f"face_{corner}"] for corner in CORNERS]
        x0, y0, x1, y1 = map(float, box)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    size = max(x1 - x0, y1 - y0)
    return size if np.isfinite(size) else None
