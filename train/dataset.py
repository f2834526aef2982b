"""Folders of labelled face crops: which pictures, of which class, in which split, and their pixels."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from capture.image_files import SUFFIXES, FolderFiles, image_files, left_behind, named
from capture.picture import Undecodable
from capture.still import read_image
from configs.errors import InputError
from configs.plural import counted
from inference.preprocess import resize_crop
from train.split import SPLITS, ManifestRow, content_hash, divide, fingerprint
from transport.cores import usable_cores

log = logging.getLogger("train")

DEFAULT_PROPORTIONS = (0.7, 0.15, 0.15)
MOST_NAMED = 20  # broken files; a folder of thousands would bury the rest of what is said
SPLIT_NAMES = {  # as other data sets call them, in any case: Kaggle's have Train, Test and Validation, Roboflow's valid
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
NO_PICTURE = "no picture by its suffix"


@dataclass(frozen=True, slots=True)
class Split:
    """Labelled picture files. `labels` is (N,) int64, an index into the classes of the dataset.

    `others` are files in its class folders that are no pictures by their suffixes.
    """

    files: tuple[Path, ...]
    labels: np.ndarray
    others: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True, slots=True)
class Dataset:
    """`splits` has train, val and test, or `all` for a folder of class folders that was not divided."""

    classes: tuple[str, ...]
    splits: dict[str, Split]


@dataclass(frozen=True, slots=True)
class CheckedDataset:
    """A data set without its broken files: `rows` names all that is in it.

    `left_out` names what is not, by reason: broken pictures, and files that are none.
    """

    data: Dataset
    rows: list[ManifestRow]
    left_out: dict[str, list[str]]

    @property
    def broken(self) -> list[str]:
        """The pictures among what was left out."""
        return [name for reason, names in self.left_out.items() if reason != NO_PICTURE for name in names]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.rows)


def find_dataset(folder: Path, proportions: Sequence[float] | None = None, seed: int = 0) -> Dataset:
    """A folder holding train/ val/ test/, or a folder of class folders that is divided here by class and seed.

    Either may lie in `labeled/`. The sorted names of the class folders are the classes. Raises InputError for a
    folder that is neither.
    """
    folder = labelled(folder)
    if "train" in split_folders(folder):
        if proportions is not None:
            raise InputError(f"{folder}: is already divided into train, val and test; leave out --split-data")
        return find_divided(folder)
    proportions = DEFAULT_PROPORTIONS if proportions is None else proportions
    if not min(proportions) >= 0 or not abs(sum(proportions) - 1) <= 1e-6 or 0 in proportions[:2]:  # nan too
        text = " ".join(f"{share:g}" for share in proportions)
        raise InputError(f"--split-data {text}: give three shares that sum to 1, some for train and for validation")
    classes = class_names(folder)
    whole = find_split(folder, classes)
    names = np.array(divide(whole.labels, [content_hash(path) for path in whole.files], classes, proportions, seed))
    splits = {name: part(whole, names == name) for name in SPLITS if name in names}
    splits["train"] = replace(splits["train"], others=whole.others)  # they are in no split: named once
    return Dataset(classes, splits)


def find_divided(folder: Path) -> Dataset:
    """A dataset that comes in train/, val/ and perhaps test/, each a folder of the same class folders."""
    parts = split_folders(folder)
    classes = class_names(parts["train"])
    if "val" not in parts:
        raise InputError(f"{folder}: has {parts['train'].name}/ but no val/")
    return Dataset(classes, {name: find_split(path, classes) for name, path in parts.items()})


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders of the splits that are there, in the order train, val, test; a plain name comes before others."""
    there = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    found = {split: next((name for name in names if name in there), "") for split, names in SPLIT_NAMES.items()}
    return {split: there[name] for split, name in found.items() if name}


def find_whole(folder: Path, split: str) -> Dataset:
    """What `evaluate` scores: one split of a divided dataset, or all of a folder of class folders."""
    folder = labelled(folder)
    parts = split_folders(folder)
    if "train" in parts:
        if split not in parts:
            raise InputError(f"{folder / split}: no such split")
        folder = parts[split]
    classes = class_names(folder)
    return Dataset(classes, {split: find_split(folder, classes)})


def labelled(folder: Path) -> Path:
    """The folder, or `labeled/` in it: the original project keeps its `unlabeled/` beside that."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    return folder / "labeled" if (folder / "labeled").is_dir() else folder


def class_names(folder: Path) -> tuple[str, ...]:
    """The sorted names of the folders in it, without hidden ones and what archives leave behind."""
    names = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not left_behind(entry.name)))
    if len(names) < 2:
        raise InputError(f"{folder}: needs a folder of pictures for each of two classes or more, found {len(names)}")
    return names


def find_split(folder: Path, classes: Sequence[str]) -> Split:
    """All pictures of a folder of class folders, in the order of their names."""
    unknown = set(class_names(folder)) - set(classes)
    if unknown:
        raise InputError(f"{folder / min(unknown)}: a class that train/ does not have")
    files: list[Path] = []
    labels: list[int] = []
    others: list[Path] = []
    for label, name in enumerate(classes):
        found = image_files(folder / name, deep=True) if (folder / name).is_dir() else FolderFiles([], [])
        if not found.pictures:
            raise InputError(f"{folder / name}: holds no pictures ({', '.join(SUFFIXES)})")
        files += found.pictures
        labels += [label] * len(found.pictures)
        others += found.others
    return Split(tuple(files), np.array(labels, np.int64), tuple(others))


def part(whole: Split, chosen: np.ndarray) -> Split:
    """The pictures of a split for which `chosen` (N,) bool is true."""
    return Split(tuple(path for path, here in zip(whole.files, chosen, strict=True) if here), whole.labels[chosen])


def check_pictures(data: Dataset, folder: Path) -> CheckedDataset:
    """Read every file once, name the broken ones and those that are no pictures, and leave them out.

    Names are relative to `folder`, what the user gave. Raises InputError where a split is left without a class.
    """
    sound: dict[str, Split] = {}
    rows: list[ManifestRow] = []
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for name, split in data.splits.items():
            looks = list(pool.map(look, split.files))
            sound[name] = part(split, np.array([not found.reason for found in looks]))
            require_classes(split, sound[name].labels)
            for path, label, found in zip(split.files, split.labels, looks, strict=True):
                file = path.relative_to(folder).as_posix()
                if found.reason:
                    left_out[found.reason].append(file)
                else:
                    rows.append(ManifestRow(file, name, data.classes[label], found.digest))
    others = [path.relative_to(folder).as_posix() for split in data.splits.values() for path in split.others]
    checked = CheckedDataset(
        Dataset(data.classes, sound), rows, dict(left_out) | ({NO_PICTURE: others} if others else {})
    )
    say_left_out(checked, folder)
    return checked


def say_left_out(checked: CheckedDataset, folder: Path) -> None:
    """A line for each of the first broken pictures, and one for the files that are none."""
    broken = [(name, reason) for reason, names in checked.left_out.items() if reason != NO_PICTURE for name in names]
    for file, reason in broken[:MOST_NAMED]:
        log.warning("%s: left out: %s", folder / file, reason)
    if len(broken) > MOST_NAMED:
        log.warning("%s left out: cannot be read", counted(len(broken) - MOST_NAMED, "more picture"))
    say_others(checked.left_out.get(NO_PICTURE, []), folder)


def say_others(others: Sequence[str], folder: Path) -> None:
    """One line for files in class folders that are no pictures, if there are any."""
    if others:
        log.warning("%s: left out as no pictures by their suffixes: %s", folder, named(others))


class Look(NamedTuple):
    """The hash of a picture file, or the reason why it is none."""

    digest: str = ""
    reason: str = ""


def look(path: Path) -> Look:
    """Decode a picture whole, as training will: half a JPEG is no picture."""
    try:
        read_image(path)
    except Undecodable as error:
        return Look(reason=error.reason)
    return Look(digest=content_hash(path))


def require_classes(split: Split, readable: np.ndarray) -> None:
    """Raise InputError where no picture of a class of the split is among the labels (N,) of the readable ones."""
    missing = set(split.labels.tolist()) - set(readable.tolist())
    if missing:
        first = next(path for path, label in zip(split.files, split.labels, strict=True) if label in missing)
        raise InputError(f"{first.parent}: none of its pictures can be read")


def read_pictures(split: Split, longest_px: int | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """Pixels (H, W, 3) uint8 BGR and labels of the pictures that can be read; the others are named and skipped.

    Pictures whose longest side is above `longest_px` are shrunk to it.
    """
    return collect(split, lambda picture: picture if longest_px is None else shrunk(picture, longest_px))


def read_resized(split: Split, size: int) -> tuple[np.ndarray, np.ndarray]:
    """As `read_pictures`, but (N, size, size, 3) uint8 BGR, resized as live faces are."""
    pictures, labels = collect(split, lambda picture: resize_crop(picture, size))
    return np.stack(pictures), labels


def collect(split: Split, keep: Callable[[np.ndarray], np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """What `keep` makes of each picture, one at a time in memory, and the labels."""
    pictures: list[np.ndarray] = []
    labels: list[int] = []
    for path, label in zip(split.files, split.labels, strict=True):
        try:
            pictures.append(keep(read_image(path)))
        except Undecodable as error:
            log.warning("%s: left out: %s", path, error.reason)
            continue
        labels.append(int(label))
    require_classes(split, np.array(labels))
    return pictures, np.array(labels, np.int64)


def shrunk(picture: np.ndarray, longest_px: int) -> np.ndarray:
    scale = longest_px / max(picture.shape[:2])
    return picture if scale >= 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
