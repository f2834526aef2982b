"""Precision and recall of each class by the threshold from which on its probability counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GRID = np.round(np.linspace(0, 1, 101), 2)


@dataclass(frozen=True, slots=True)
class ByThreshold:
    """Of one class: precision, recall (101,) at thresholds 0.00, 0.01, ..., 1.00; nan where nothing is said or there.

    `average_precision` is the mean precision over all recalls (the area under the curve), nan for a class without
    pictures.
    """

    name: str
    precision: np.ndarray
    recall: np.ndarray
    average_precision: float


def by_threshold(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> list[ByThreshold]:
    """Each class on its own against all others, for (N, C) probabilities and (N,) labels.

    >>> [found] = by_threshold(np.array([[0.9], [0.4]]), np.array([0, 1]), ["mask"])
    >>> found.precision[[0, 50]].tolist(), found.recall[[0, 50, 95]].tolist(), found.average_precision
    ([0.5, 1.0], [1.0, 1.0, 0.0], 1.0)
    """
    return [of_class(name, probabilities[:, index], labels == index) for index, name in enumerate(classes)]


def of_class(name: str, scores: np.ndarray, true: np.ndarray) -> ByThreshold:
    said = scores[None, :] >= GRID[:, None]
    right = (said & true).sum(axis=1)
    with np.errstate(invalid="ignore"):
        precision, recall = right / said.sum(axis=1), right / true.sum()
    return ByThreshold(name, precision, recall, average_precision(scores, true))


def average_precision(scores: np.ndarray, true: np.ndarray) -> float:
    """Mean of the precisions at which each picture of the class is found; equal scores are found together."""
    if not true.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(true[order])
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))  # the last place of each score
    found, precision = hits[ends], hits[ends] / (ends + 1)
    return float((np.diff(np.append(0, found)) * precision).sum() / true.sum())
