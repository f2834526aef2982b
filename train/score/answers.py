"""What a classifier answers on labelled pictures, prepared just as the live pipeline prepares faces."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from configs.errors import InputError
from inference.backends.backend import Backend, softmax
from inference.preprocess import prepare
from train.data.corrections import Correction
from train.data.held_out import Picture
from train.data.pictures import read_picture

log = logging.getLogger("evaluate")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model said of N pictures, with C classes in the model's order.

    `raw` and `calibrated` are (N, C) probabilities before and after temperature scaling, the latter at the operating
    point that was chosen. `labels` is (N,) int64.
    `seconds` is from crops to answers, the reading of files is not in it.
    """

    pictures: list[Picture]
    labels: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray
    seconds: float


def answers_of(backend: Backend, pictures: Sequence[Picture], batch_size: int, number_workers: int) -> Answers:
    """Let the model classify each picture. Raises InputError for one that cannot be read.

    Classes are matched by name: InputError names one that the model does not know. It may know more than there are.
    """
    present = {picture.label for picture in pictures}
    unknown = sorted(present - set(backend.classes))
    if unknown:
        raise InputError(f"class {unknown[0]!r} of the data set is unknown to the model: {', '.join(backend.classes)}")
    logits: list[np.ndarray] = []
    seconds = 0.0
    with ThreadPoolExecutor(max(number_workers, 1)) as pool:
        for start in range(0, len(pictures), batch_size):
            batch = pictures[start : start + batch_size]
            crops = list(pool.map(read_picture, [picture.path for picture in batch]))
            started = perf_counter()
            logits.append(backend.logits(prepare(crops, backend.preprocessing)))
            seconds += perf_counter() - started
    missing = [name for name in backend.classes if name not in present]
    if missing:
        log.warning("there are no pictures of %s: the other classes are scored", ", ".join(missing))
    outputs = np.concatenate(logits)
    return Answers(
        pictures=list(pictures),
        labels=np.array([backend.classes.index(picture.label) for picture in pictures]),
        raw=softmax(outputs),
        calibrated=backend.calibrated(outputs),
        seconds=seconds,
    )


def relabelled(answers: Answers, changes: Sequence[Correction | None], classes: Sequence[str]) -> Answers:
    """The same answers, held against right labels: `changes` (N) has a correction where there is one.

    Pictures whose right label is none of the classes are left out. Raises InputError where none is left.
    """
    right = [
        picture.label if change is None else change.right
        for picture, change in zip(answers.pictures, changes, strict=True)
    ]
    kept = np.flatnonzero([name in classes for name in right])
    if not len(kept):
        raise InputError("--corrections leaves no picture to score")
    return Answers(
        pictures=[replace(answers.pictures[place], label=right[place]) for place in kept],
        labels=np.array([classes.index(right[place]) for place in kept]),
        raw=answers.raw[kept],
        calibrated=answers.calibrated[kept],
        seconds=answers.seconds * len(kept) / len(right),
    )
