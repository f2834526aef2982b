"""Pictures of faces that an exported file is calibrated with and tested on."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import cv2
import numpy as np

from capture.image_files import SUFFIXES, image_files, named
from capture.picture import Undecodable
from capture.still import read_image
from configs.errors import InputError
from configs.plural import counted

log = logging.getLogger("export")

SEED = 0


@dataclass(frozen=True, slots=True)
class Faces:
    """Face crops (H, W, 3) uint8 BGR. `labels` names the class of each, empty where its folder is no class."""

    crops: list[np.ndarray]
    labels: list[str]
    origin: str


def synthetic_faces(count: int) -> Faces:
    """Seeded patches of colour, some smooth and some noisy: enough to compare arithmetic, not decisions."""
    rng = np.random.default_rng(SEED)
    crops = []
    for number in range(count):
        height, width = rng.integers(40, 300, 2)
        detail = (3, 4) if number % 2 else (height, width)
        patch = rng.integers(0, 256, (*detail, 3), np.uint8)
        crops.append(cv2.resize(patch, (int(width), int(height))))
    return Faces(crops, [""] * count, f"{count} synthetic pictures")


def face_files(folder: Path) -> list[Path]:
    """All pictures below a folder, in the order of their names."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    files = image_files(folder, deep=True)
    if not files.pictures:
        raise InputError(f"{folder}: holds no pictures ({', '.join(SUFFIXES)})")
    if files.others:
        names = named(str(path.relative_to(folder)) for path in files.others)
        log.warning("%s: left out as no pictures: %s", folder, names)
    return files.pictures


def choose(files: Sequence[Path], count: int, balanced: bool) -> list[Path]:
    """At most `count` of the files, by a fixed seed; balanced: as many as possible alike of each folder name."""
    rng = np.random.default_rng(SEED)
    shuffled = [files[index] for index in rng.permutation(len(files))]
    if balanced:
        by_class: dict[str, list[Path]] = defaultdict(list)
        for path in shuffled:
            by_class[path.parent.name].append(path)
        turns = zip_longest(*(by_class[name] for name in sorted(by_class)))
        shuffled = [path for path in chain.from_iterable(turns) if path is not None]
    return shuffled[:count]


def read_faces(files: Sequence[Path], classes: Collection[str], origin: Path) -> Faces:
    """The pictures that can be read; the others are named and left out. A folder named as a class gives labels."""
    crops: list[np.ndarray] = []
    labels: list[str] = []
    for path in files:
        try:
            crops.append(read_image(path))
        except Undecodable as error:
            log.warning("%s: left out: %s", path, error.reason)
            continue
        labels.append(path.parent.name if path.parent.name in classes else "")
    if not crops:
        raise InputError(f"{origin}: none of its pictures can be read")
    return Faces(crops, labels, f"{counted(len(crops), 'face')} of {origin}")
