"""Which picture belongs to train, val or test: how a folder is divided, and the manifest that remembers it."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from configs.errors import InputError
from configs.plural import counted
from configs.whole_file import write_whole

SPLITS = ("train", "val", "test")


class ManifestRow(NamedTuple):
    """A picture of a training run. `file` is relative to the data set, `sha256` is of the file's bytes."""

    file: str
    split: str
    label: str
    sha256: str


def divide(
    labels: np.ndarray, digests: Sequence[str], classes: Sequence[str], proportions: Sequence[float], seed: int
) -> list[str]:
    """The split of each picture: the same share of each class (N,) in all splits, and the same for the same seed.

    Files of the same content go together, wherever they lie: a copy of a training picture tests nothing.
    """
    rng = np.random.default_rng(seed)
    first_with: dict[str, int] = {}
    originals = np.array([first_with.setdefault(digest, index) for index, digest in enumerate(digests)])
    split_of: dict[int, str] = {}
    for label, name in enumerate(classes):
        members = rng.permutation(np.unique(originals[labels[originals] == label]))
        if len(members) < len(SPLITS):
            there = counted(len(members), "picture")
            raise InputError(f"class {name}: {there}, copies not counted: too few to divide")
        first = min(max(round(proportions[0] * len(members)), 1), len(members) - 1)
        second = min(max(round((proportions[0] + proportions[1]) * len(members)), first + 1), len(members))
        for split, indices in zip(SPLITS, np.split(members, [first, second]), strict=True):
            split_of |= dict.fromkeys(indices.tolist(), split)
    return [split_of[index] for index in originals.tolist()]


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises InputError for a file that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def copies_across(rows: Iterable[ManifestRow]) -> list[tuple[ManifestRow, ...]]:
    """Groups of files with the same content that lie in different splits, or are labelled differently."""
    same: defaultdict[str, list[ManifestRow]] = defaultdict(list)
    for row in rows:
        same[row.sha256].append(row)
    return [tuple(group) for group in same.values() if len({(row.split, row.label) for row in group}) > 1]


def fingerprint(rows: Iterable[ManifestRow]) -> str:
    """One hash of what was trained, validated and tested on; where the files lie does not matter.

    >>> one, other = ManifestRow("a.png", "train", "mask", "00"), ManifestRow("b.png", "val", "mask", "11")
    >>> fingerprint([one, other]) == fingerprint([other, one._replace(file="c.png")])
    True
    """
    lines = sorted(f"{row.split} {row.label} {row.sha256}" for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def write_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """A CSV file with a line for each picture."""

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(ManifestRow._fields)
            table.writerows(rows)

    write_whole(path, write)


def read_manifest(path: Path) -> list[ManifestRow]:
    """The rows of a manifest. Raises InputError for a file that cannot be read or is none."""
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            header, *rows = csv.reader(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:  # empty, or not text
        raise InputError(f"{path}: not the manifest of a training run") from error
    if tuple(header) != ManifestRow._fields or any(len(row) != len(header) for row in rows):
        raise InputError(
            f"{path}: not the manifest of a training run: it needs the columns {','.join(ManifestRow._fields)}"
        )
    return [ManifestRow(*row) for row in rows]
