"""Models beside each other: milliseconds for a face by batch size and threads, and whether they decide alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.backends.backend import Backend
from inference.preprocess import prepare
from transport.cores import usable_cores

BATCHES = (1, 8, 32)
ROUNDS = 7
LEAST_S = 0.05  # of one round


class ModelFigures(Struct, frozen=True, kw_only=True):
    """One model file on one provider. Times are the best of the rounds: others on the box only ever slow it down."""

    model: str
    provider: str
    threads: int
    ms_per_face: dict[int, float]  # by batch size
    faces_per_s: float  # at the best of them
    agreement: float  # share of the faces that it puts into the same class as the first model does
    accuracy: float | None  # on the labelled faces; None where its classes have other names


def measure_models(
    paths: Sequence[Path],
    device: str,
    crops: Sequence[np.ndarray],
    labels: Sequence[str],
    classes: Sequence[str] = (),
) -> Iterator[ModelFigures]:
    """Each model with one thread and with all cores; figures come as they are measured.

    `classes` are the names of the outputs, for files that have none.

    Raises InputError for a file that is no model, or a device that is not there.
    """
    first: list[str] = []
    for path in paths:
        for threads in sorted({1, usable_cores()}):
            backend = open_backend(
                ClassifyConfig(model=str(path), classes=tuple(classes), device=device, threads=threads)
            )
            said = decisions(backend, crops)
            first = first or said
            known = bool(labels) and set(labels) <= set(backend.classes)
            times = {batch: ms_per_face(backend, crops, batch) for batch in BATCHES}
            yield ModelFigures(
                model=path.name,
                provider=backend.provider,
                threads=threads,
                ms_per_face=times,
                faces_per_s=1000 / min(times.values()),
                agreement=same(said, first),
                accuracy=same(said, labels) if known else None,
            )


def decisions(backend: Backend, crops: Sequence[np.ndarray]) -> list[str]:
    """The likeliest class of each crop."""
    said: list[str] = []
    for start in range(0, len(crops), BATCHES[-1]):
        logits = backend.logits(prepare(crops[start : start + BATCHES[-1]], backend.preprocessing))
        said += [backend.classes[best] for best in logits.argmax(axis=1)]
    return said


def same(one: Sequence[str], other: Sequence[str]) -> float:
    return float(np.mean([a == b for a, b in zip(one, other, strict=True)]))


def ms_per_face(backend: Backend, crops: Sequence[np.ndarray], batch: int) -> float:
    """From crops to logits: resizing and normalising are part of the work."""
    chosen = [crops[index % len(crops)] for index in range(batch)]
    best_s = float("inf")
    for _ in range(ROUNDS):
        began_s, count = time.perf_counter(), 0
        while not count or time.perf_counter() - began_s < LEAST_S:
            backend.logits(prepare(chosen, backend.preprocessing))
            count += 1
        best_s = min(best_s, (time.perf_counter() - began_s) / count)
    return 1000 * best_s / batch
