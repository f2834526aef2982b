"""Folders of labelled face crops: which pictures, of which class, in which split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from capture.image_files import SUFFIXES, FolderFiles, image_files, left_behind
from configs.errors import InputError
from train.data.split import SPLITS, content_hash, divide

DEFAULT_PROPORTIONS = (0.7, 0.15, 0.15)
SPLIT_NAMES = {  # as other data sets call them, in any case: Kaggle's have Train, Test and Validation, Roboflow's valid
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


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
