"""Labels that somebody looked at and found wrong: the list of them, and a data set labelled as it should be."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from configs.errors import InputError
from train.data.dataset import Dataset, Split

SHIPPED_LIST = Path(__file__).with_name("corrections.csv")
NONE = "none"
OUT = "out"  # in place of a right label: no face, or nobody can tell


class Correction(NamedTuple):
    """`file` is the picture in its data set, its class folder `given` is the label it has there."""

    file: str
    given: str
    right: str
    reason: str


@dataclass(frozen=True, slots=True)
class Corrections:
    """A list of corrections by class folder and name of the picture, whatever split it lies in now."""

    name: str
    rows: Mapping[tuple[str, str], Correction]

    def of(self, path: Path, given: str) -> Correction | None:
        return self.rows.get((given, path.name))


def read_corrections(choice: str | None) -> Corrections:
    """The list that ships, where nothing was chosen; else that of a file, or `none`.

    Raises InputError for a file that is no such list.
    """
    if choice == NONE:
        return Corrections(NONE, {})
    path = SHIPPED_LIST if choice is None else Path(choice)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *lines = csv.reader(file, strict=True)
    except OSError as error:
        raise InputError(f"--corrections {path}: cannot be read: {error.strerror}; {NONE}: labels as given") from error
    except (ValueError, csv.Error) as error:  # empty, or not text
        raise InputError(f"--corrections {path}: cannot be read as a table") from error
    if tuple(header) != Correction._fields or any(len(line) != len(header) for line in lines):
        raise InputError(f"--corrections {path}: it needs the columns {','.join(Correction._fields)}")
    rows: dict[tuple[str, str], Correction] = {}
    for one in map(Correction._make, lines):
        key = (one.given, Path(one.file).name)
        if not (one.file and one.given and one.right) or one.given == one.right or key in rows:
            raise InputError(f"--corrections {path}: {one.file}: corrects nothing, or is named twice")
        rows[key] = one
    return Corrections(path.name, rows)


def corrected(data: Dataset, corrections: Corrections) -> tuple[Dataset, list[Correction]]:
    """The data set with right labels, and what was changed. Pictures without a class of the data set are left out."""
    changed: list[Correction] = []
    splits = {}
    for name, split in data.splits.items():
        found = [
            corrections.of(path, data.classes[label]) for path, label in zip(split.files, split.labels, strict=True)
        ]
        changed += [one for one in found if one is not None]
        right = [data.classes[old] if one is None else one.right for one, old in zip(found, split.labels, strict=True)]
        splits[name] = with_labels(split, right, data.classes)
    return Dataset(data.classes, splits), changed


def with_labels(split: Split, names: Sequence[str], classes: Sequence[str]) -> Split:
    """The split with the labels `names` (N); pictures whose label is no class are left out."""
    kept = [place for place, name in enumerate(names) if name in classes]
    labels = np.array([classes.index(names[place]) for place in kept], np.int64)
    return replace(split, files=tuple(split.files[place] for place in kept), labels=labels)


def corrections_text(name: str, changed: Sequence[Correction], classes: Sequence[str]) -> str:
    """What a list did to a data set of these classes, in words.

    >>> rows = [Correction("mask/1.png", "mask", "no_mask", "bare"), Correction("mask/2.png", "mask", "out", "no face")]
    >>> corrections_text("corrections.csv", rows, ["mask", "no_mask"])
    '1 corrected, 1 left out (corrections.csv)'
    >>> corrections_text("corrections.csv", [], ["mask", "no_mask"])
    'as given'
    """
    if not changed:
        return "as given"
    left_out = sum(one.right not in classes for one in changed)
    parts = [f"{len(changed) - left_out} corrected"] + ([f"{left_out} left out"] if left_out else [])
    return f"{', '.join(parts)} ({name})"
