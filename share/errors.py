"""What is known of the errors of the detectors and of the classifier that ship: counts, in known_errors.json.

`python -m train.measure_errors` writes the file. What they were measured with is named by digests of the model files:
of any other model nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

KNOWN_ERRORS = Path(__file__).with_name("known_errors.json")
MISSED = "missed"  # beside the labels: the face was not found


class Group(Struct, frozen=True):
    """What was seen in the photographs of one source. Faces and boxes are of 40 px and more, the shorter side.

    `faces` are the annotated ones: by their class, how many were called what, or missed. `false` are the boxes that
    have found none of them, by what they are called; those of `unannotated` two other detectors see, too.
    """

    photographs: int
    faces: dict[str, dict[str, int]]
    false: dict[str, int]
    unannotated: dict[str, int]


class Measured(Struct, frozen=True):
    """A detector: the digest of its model files, and by px of the searched width what was seen of each source."""

    files: str
    widths: dict[int, dict[str, Group]]


class ErrorsFile(Struct, frozen=True):
    """The file. `photographs` is the digest of their annotations, `classifiers` those of the models' files."""

    measured: str
    on: str
    photographs: str
    classes: tuple[str, ...]
    classifiers: tuple[str, ...]
    detectors: dict[str, Measured]


@dataclass(frozen=True, eq=False)
class KnownErrors:
    """The errors of one detector at one width, with the classifier that ships behind it.

    `faces` (G, C, C + 1) are annotated faces by source, class, and what became of them: a class that was said, last
    that they were missed. `false` (G, C) are false boxes by source and what they were called; faces that nobody
    annotated are none. `about` says where the errors were measured, `photographs` is the digest of the annotations.
    """

    classes: tuple[str, ...]
    faces: np.ndarray
    false: np.ndarray
    about: str
    photographs: str

    @property
    def reported(self) -> np.ndarray:
        """Boxes by source (G,): those on faces, and false ones."""
        return np.asarray(self.faces[..., :-1].sum(axis=(1, 2)) + self.false.sum(axis=1))


@lru_cache
def known_errors(found_by: str, searched_px: int, labelled_by: str) -> KnownErrors | str:
    """The errors of what found and labelled the faces, or in words why nothing is known of them.

    `found_by` and `labelled_by` are what inference/measured.py says of a detector and of a classifier. The errors are
    those of the widest search that was measured and is no wider than this one.
    """
    known = read_errors()
    name, _, files = found_by.partition(" ")
    if name not in known.detectors or files != known.detectors[name].files:
        return "the errors of this detector are not known"
    if labelled_by not in known.classifiers:
        return "the errors of this model are not known"
    widths = known.detectors[name].widths
    if searched_px < min(widths):
        return f"the errors of a search less than {min(widths)} px wide are not known"
    width = max(width for width in widths if width <= searched_px)
    groups = widths[width].values()
    faces = [[row_of(group.faces[label], known.classes) for label in known.classes] for group in groups]
    false = [[group.false.get(label, 0) for label in known.classes] for group in groups]
    about = f"{name}, {width} px wide, with the model that ships, on {known.on} ({known.measured})"
    return KnownErrors(known.classes, np.array(faces), np.array(false), about, known.photographs)


def errors_told(facts: Mapping[str, str]) -> KnownErrors | str:
    """The errors of what a run's stages say of themselves."""
    width = facts.get("searched_px", "")
    return known_errors(facts.get("found_by", ""), int(width) if width.isdigit() else 0, facts.get("labelled_by", ""))


def errors_of_shipped(detector: str, width_px: int) -> KnownErrors | str:
    """The errors of a detector as it ships, with the classifier that ships behind it."""
    known = read_errors()
    files = known.detectors[detector].files if detector in known.detectors else ""
    return known_errors(f"{detector} {files}", width_px, known.classifiers[0])


@lru_cache(maxsize=1)
def read_errors() -> ErrorsFile:
    """The file that ships."""
    return msgspec.json.decode(KNOWN_ERRORS.read_bytes(), type=ErrorsFile)


def row_of(said: Mapping[str, int], classes: tuple[str, ...]) -> list[int]:
    """
    >>> row_of({"mask": 3, "missed": 1}, ("mask", "no_mask"))
    [3, 0, 1]
    """
    return [said.get(label, 0) for label in (*classes, MISSED)]
