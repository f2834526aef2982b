"""Faces of the data set `more` that no training may see: lists to score on, and other copies of their photographs."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from configs.errors import InputError
from train.data.corrections import Corrections, corrected
from train.data.dataset import Dataset, Split, find_whole, part
from train.data.held_out import Picture

SHIPPED_LISTS = Path(__file__).with_name("held_back.csv")
LISTS = {
    "general": "15 % of the photographs of each source and kind of mask, drawn at random",
    "bearded": "bare faces of men with clear beards",
    "hard_wrong": "masks with the nose out above them that their source counts as worn well",
}
COPY = "copy"  # in no list, but of the same photograph as a face that is, or as one of faces/val or faces/test


class Parts(NamedTuple):
    """What may be learnt from, and by list what may be scored."""

    training: Split
    held_back: dict[str, Split]


def read_held_back(path: Path = SHIPPED_LISTS) -> dict[str, set[tuple[str, str]]]:
    """By list, COPY too, the class folders and names of its faces."""
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            folder, name = row["file"].split("/")
            found[row["list"]].add((folder, name))
    return dict(found)


def divide_more(
    folder: Path,
    classes: Sequence[str],
    corrections: Corrections,
    lists: dict[str, set[tuple[str, str]]] | None = None,
) -> Parts:
    """The faces of `folder`, which holds class folders, with right labels (N,) int64: indices of `classes`.

    Its folders need not have all classes: no source of `more` sorts masks that are worn badly. Without `lists` those
    that ship are held back. Raises InputError for a folder that is none of the classes.
    """
    lists = read_held_back() if lists is None else lists
    found = find_whole(folder, "all")
    whole = found.splits["all"]
    unknown = set(found.classes) - set(classes)
    if unknown:
        raise InputError(f"{folder / min(unknown)}: none of the classes {', '.join(classes)}")
    keys = {path: (found.classes[label], path.name) for path, label in zip(whole.files, whole.labels, strict=True)}
    labels = np.array([classes.index(folder) for folder, _ in keys.values()], np.int64)
    data, _ = corrected(Dataset(tuple(classes), {"all": Split(whole.files, labels)}), corrections)
    right = data.splits["all"]

    def those(faces: set[tuple[str, str]]) -> np.ndarray:
        return np.array([keys[path] in faces for path in right.files], bool)

    held_back = {name: part(right, those(lists.get(name, set()))) for name in LISTS}
    return Parts(part(right, ~those(set().union(*lists.values()))), held_back)


def only_held_back(pictures: Sequence[Picture], name: str, folder: Path) -> list[Picture]:
    """The pictures of a list. Raises InputError for a list that there is not, or of which none is among them."""
    if name not in LISTS:
        raise InputError(f"--held-back {name}: known are {', '.join(LISTS)}")
    faces = read_held_back()[name]
    kept = [picture for picture in pictures if (picture.label, picture.path.name) in faces]
    if not kept:
        raise InputError(f"--held-back {name}: {folder} has none of its {len(faces)} faces")
    return kept
