"""Which files of a data set are sound pictures: broken ones are named and left out before anything is learnt."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from capture.image_files import named
from capture.picture import Undecodable
from capture.still import read_image
from configs.errors import InputError
from configs.plural import counted
from inference.preprocess import resize_crop
from train.data.dataset import Dataset, Split, part
from train.data.split import ManifestRow, content_hash, copies_across, fingerprint
from transport.cores import usable_cores

log = logging.getLogger("data")

MOST_NAMED = 20  # broken files; a folder of thousands would bury the rest of what is said
NO_PICTURE = "no picture by its suffix"


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


def check_pictures(data: Dataset, folder: Path) -> CheckedDataset:
    """Read every file once, name the broken ones and those that are no pictures, and leave them out.

    Names are relative to `folder`, what the user gave. Raises InputError where a split is left without a class.
    """
    sound: dict[str, Split] = {}
    rows: list[ManifestRow] = []
    broken: dict[Path, str] = {}
    for name, split in data.splits.items():
        broken |= find_broken(split.files)
        sound[name] = part(split, np.array([path not in broken for path in split.files]))
        require_classes(split, sound[name].labels)
        for path, label in zip(sound[name].files, sound[name].labels, strict=True):
            file = path.relative_to(folder).as_posix()
            rows.append(ManifestRow(file, name, data.classes[label], content_hash(path)))
    others = [path for split in data.splits.values() for path in split.others]
    return CheckedDataset(Dataset(data.classes, sound), rows, left_out(broken, others, folder))


def find_broken(files: Sequence[Path]) -> dict[Path, str]:
    """Which of the files cannot be decoded whole, and why: half a JPEG is no picture."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        reasons = pool.map(why_broken, files)
        return {path: reason for path, reason in zip(files, reasons, strict=True) if reason}


def why_broken(path: Path) -> str:
    """Why a picture cannot be decoded; empty for a sound one."""
    try:
        read_image(path)
    except Undecodable as error:
        return error.reason
    return ""


def left_out(broken: Mapping[Path, str], others: Sequence[Path], folder: Path) -> dict[str, list[str]]:
    """What is left out of a data set, by reason, as names relative to `folder`; it is logged, too.

    A line for each of the first broken pictures, and one for the files that are none.
    """
    named_by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for path, reason in broken.items():
        named_by_reason[reason].append(path.relative_to(folder).as_posix())
    for path, reason in list(broken.items())[:MOST_NAMED]:
        log.warning("%s: left out: %s", path, reason)
    if len(broken) > MOST_NAMED:
        log.warning("%s left out: cannot be read", counted(len(broken) - MOST_NAMED, "more picture"))
    if others:
        names = [path.relative_to(folder).as_posix() for path in others]
        log.warning("%s: left out as no pictures by their suffixes: %s", folder, named(names))
        named_by_reason[NO_PICTURE] = names
    return dict(named_by_reason)


def log_copies(checked: CheckedDataset) -> None:
    """Name pictures that are in several splits, or in several classes: both make scores that cannot be trusted."""
    copies = copies_across(checked.rows)
    for group in copies[:MOST_NAMED]:
        log.warning("the same picture: %s", ", ".join(f"{row.file} ({row.split} {row.label})" for row in group))
    if copies:
        log.warning("in more than one split or class: %s", counted(len(copies), "picture"))


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


def read_picture(path: Path) -> np.ndarray:
    """Pixels (H, W, 3) uint8 BGR. Raises InputError for a file that cannot be decoded."""
    try:
        return read_image(path)
    except Undecodable as error:
        raise InputError(f"{path}: cannot be used: {error.reason}") from None


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
