"""Which files of a folder are pictures: one list of suffixes and one walk, for sources, data sets and export."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from configs.errors import InputError

# what OpenCV's wheels decode (GIF and AVIF from 4.11 on); of an animation the first picture
SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"
)  # fmt: skip

# what archives, file managers and storage boxes leave in folders; names that begin with a dot are passed over, too
LEFT_BEHIND = {
    "__macosx", "__pycache__", "@eadir", "#recycle", "$recycle.bin", "desktop.ini", "ehthumbs.db", "lost+found",
    "system volume information", "thumbs.db",
}  # fmt: skip
MOST_NAMED = 5


class FolderFiles(NamedTuple):
    """The pictures of a folder by their suffixes, and its other files; sorted, without what nobody put there."""

    pictures: list[Path]
    others: list[Path]


def image_files(folder: Path, deep: bool) -> FolderFiles:
    """The files that lie in a folder; with `deep` also those in the folders below it."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not left_behind(name)] if deep else []
        found += [Path(place, name) for name in names if not left_behind(name)]
    files = sorted(path for path in found if path.is_file())
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
    return FolderFiles(pictures, [path for path in files if path.suffix.lower() not in SUFFIXES])


def refuse(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def left_behind(name: str) -> bool:
    """Whether a file or folder is hidden, or was left there by a program.

    >>> [left_behind(name) for name in ("._a.jpg", ".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "mask")]
    [True, True, True, True, False]
    """
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def named(names: Iterable[str]) -> str:
    """The first few names in words.

    >>> named(f"{number}.txt" for number in range(7))
    '0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more'
    """
    every = list(names)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(every[:MOST_NAMED]) + more
