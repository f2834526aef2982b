"""Folders of labelled face crops: which pictures, of which class, in which split, and their pixels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from configs.errors import InputError

log = logging.getLogger("train")

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
SPLITS = ("train", "val", "test")
DEFAULT_PROPORTIONS = (0.7, 0.15, 0.15)


@dataclass(frozen=True, slots=True)
class Split:
    """Labelled picture files. `labels` is (N,) int64, an index into the classes of the dataset."""

    files: tuple[Path, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True, slots=True)
class Dataset:
    """`splits` has train, val and test, or `all` for a folder of class folders that was not divided."""

    classes: tuple[str, ...]
    splits: dict[str, Split]


def find_dataset(folder: Path, proportions: Sequence[float] | None = None, seed: int = 0) -> Dataset:
    """A folder holding train/ val/ test/, or a folder of class folders that is divided here by class and seed.

    The sorted names of the class folders are the classes. Raises InputError for a folder that is neither.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if (folder / "train").is_dir():
        if proportions is not None:
            raise InputError(f"{folder}: is already divided into train, val and test; leave out --split-data")
        return find_divided(folder)
    proportions = DEFAULT_PROPORTIONS if proportions is None else proportions
    if min(proportions) < 0 or abs(sum(proportions) - 1) > 1e-6 or proportions[0] == 0 or proportions[1] == 0:
        text = " ".join(f"{share:g}" for share in proportions)
        raise InputError(f"--split-data {text}: give three shares that sum to 1, some for train and for validation")
    classes = class_names(folder)
    return Dataset(classes, divide(find_split(folder, classes), proportions, seed))


def find_divided(folder: Path) -> Dataset:
    """A dataset that comes in train/, val/ and perhaps test/, each a folder of the same class folders."""
    classes = class_names(folder / "train")
    if not (folder / "val").is_dir():
        raise InputError(f"{folder}: has train/ but no val/")
    return Dataset(classes, {name: find_split(folder / name, classes) for name in SPLITS if (folder / name).is_dir()})


def find_whole(folder: Path, split: str) -> Dataset:
    """What `evaluate` scores: one split of a divided dataset, or all of a folder of class folders."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if (folder / "train").is_dir():
        folder = folder / split
        if not folder.is_dir():
            raise InputError(f"{folder}: no such split")
    classes = class_names(folder)
    return Dataset(classes, {split: find_split(folder, classes)})


def class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
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
    for label, name in enumerate(classes):
        inside = (folder / name).rglob("*") if (folder / name).is_dir() else ()
        found = sorted(path for path in inside if path.suffix.lower() in PICTURES)
        if not found:
            raise InputError(f"{folder / name}: holds no pictures ({', '.join(PICTURES)})")
        files += found
        labels += [label] * len(found)
    return Split(tuple(files), np.array(labels, np.int64))


def divide(whole: Split, proportions: Sequence[float], seed: int) -> dict[str, Split]:
    """Train, val and test with the same share of each class; the same for the same seed."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {name: [] for name in SPLITS}
    for label in np.unique(whole.labels):
        members = rng.permutation(np.flatnonzero(whole.labels == label))
        if len(members) < 3:
            raise InputError(f"{whole.files[members[0]].parent}: {len(members)} pictures are too few to divide")
        first = min(max(round(proportions[0] * len(members)), 1), len(members) - 1)
        second = min(max(round((proportions[0] + proportions[1]) * len(members)), first + 1), len(members))
        for name, indices in zip(SPLITS, np.split(members, [first, second]), strict=True):
            parts[name] += sorted(indices)
    return {
        name: Split(tuple(whole.files[i] for i in indices), whole.labels[indices])
        for name, indices in parts.items()
        if indices
    }


def read_pictures(split: Split, longest_px: int | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """Pixels (H, W, 3) uint8 BGR and labels of the pictures that can be read; the others are named and skipped.

    Pictures whose longest side is above `longest_px` are shrunk to it.
    """
    pictures: list[np.ndarray] = []
    labels: list[int] = []
    for path, label in zip(split.files, split.labels, strict=True):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            log.warning("%s: cannot be read as a picture, left out", path)
            continue
        height, width = picture.shape[:2]
        if longest_px is not None and max(height, width) > longest_px:
            scale = longest_px / max(height, width)
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pictures.append(picture)
        labels.append(int(label))
    missing = set(split.labels.tolist()) - set(labels)
    if missing:
        first = next(path for path, label in zip(split.files, split.labels, strict=True) if label in missing)
        raise InputError(f"{first.parent}: none of its pictures can be read")
    return pictures, np.array(labels, np.int64)
