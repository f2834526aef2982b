"""How good predictions are: accuracy, precision, recall and F1 per class, and calibration of confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from inference.backends.backend import softmax

ECE_BINS = 15


class ClassScores(Struct, frozen=True):
    """Scores of one class; `support` is the number of pictures that are truly of it."""

    precision: float
    recall: float
    f1: float
    support: int


class Scores(Struct, frozen=True):
    """Scores of a set of pictures. `macro_f1` is the mean over the classes that occur in it."""

    accuracy: float
    macro_f1: float
    classes: dict[str, ClassScores]
    ece: float


def score(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Scores:
    """Scores of (N, C) probabilities against (N,) labels.

    >>> score(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), ["mask", "no_mask"]).accuracy
    0.5
    """
    decisions = probabilities.argmax(axis=1)
    by_class = {name: class_scores(decisions == index, labels == index) for index, name in enumerate(classes)}
    return Scores(
        accuracy=float((decisions == labels).mean()),
        macro_f1=float(np.mean([scores.f1 for scores in by_class.values() if scores.support])),
        classes=by_class,
        ece=expected_calibration_error(probabilities, labels),
    )


def class_scores(said: np.ndarray, true: np.ndarray) -> ClassScores:
    both = int((said & true).sum())
    precision = both / max(int(said.sum()), 1)
    recall = both / max(int(true.sum()), 1)
    f1 = 2 * both / max(int(said.sum() + true.sum()), 1)
    return ClassScores(precision, recall, f1, int(true.sum()))


def confusion(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """(C, C) int64 counts: rows are what is true, columns what was said.

    >>> confusion(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), ["mask", "no_mask"]).tolist()
    [[1, 0], [1, 0]]
    """
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    return counts


def accuracy_interval(right: np.ndarray, seed: int = 0, rounds: int = 2000) -> tuple[float, float]:
    """The 95 % interval of an accuracy by bootstrap, for answers (N,) bool that were right or not.

    To draw N answers with replacement and count the right ones is to draw from a binomial distribution, so that is
    what is done. Where all answers are right (or wrong) it has no width: a bootstrap cannot know what it never saw.
    """
    drawn = np.random.default_rng(seed).binomial(len(right), right.mean(), rounds) / len(right)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def wilson_interval(right: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the share of answers (N,) bool that were right; it has a width at 100 %, too.

    Wilson's score interval (1927), for groups of few pictures.

    >>> low, high = wilson_interval(np.ones(20, bool))
    >>> round(low, 3), round(high, 3)
    (0.839, 1.0)
    """
    number, share, z = len(right), float(right.mean()), 1.96
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z * math.sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2) / (1 + z**2 / number)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether confidence can be believed: of each bin with pictures in it, the means and its share of all pictures."""

    confidence: np.ndarray
    accuracy: np.ndarray
    share: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean gap between confidence and accuracy."""
        return float((np.abs(self.confidence - self.accuracy) * self.share).sum())


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
    """Calibration of (N, C) probabilities over 15 equal bins of confidence (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    members = [bins == number for number in np.unique(bins)]
    return Calibration(
        confidence=np.array([confidence[inside].mean() for inside in members]),
        accuracy=np.array([right[inside].mean() for inside in members]),
        share=np.array([inside.mean() for inside in members]),
    )


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean gap between confidence and accuracy.

    >>> expected_calibration_error(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    0.5
    """
    return calibration(probabilities, labels).ece


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T for which softmax(logits / T) is most likely to give these labels (temperature scaling, Guo et al. 2017).

    Searched between 0.1 and 10, so that a validation split without a mistake does not end at certainty.
    """
    candidates = np.exp(np.linspace(np.log(0.1), np.log(10), 401))
    rows = np.arange(len(labels))
    losses = [-np.log(softmax(logits / t)[rows, labels] + 1e-12).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def best_calibration(logits: np.ndarray, labels: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """T and b for which softmax((logits + b) / T) is most likely to give these labels; the first of b is 0.

    Classes that were shown more often than they come are said too often; b takes that back (bias-corrected temperature
    scaling, Alexandari et al., ICML 2020). A class that is not among the labels keeps a bias of 0.
    """
    import torch
    from torch.nn.functional import cross_entropy

    values, target = torch.from_numpy(logits).double(), torch.from_numpy(labels)
    free = torch.zeros(logits.shape[1], dtype=torch.float64)
    free[sorted({*labels.tolist()})[1:]] = 1
    slope = torch.tensor(1 / best_temperature(logits, labels), dtype=torch.float64, requires_grad=True)
    shift = torch.zeros_like(free, requires_grad=True)
    optimizer = torch.optim.LBFGS([slope, shift], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        # the little pull towards 0 keeps a split without a mistake from ending at certainty
        value = cross_entropy(values * slope + shift * free, target) + 1e-4 * (slope**2 + (shift**2).sum())
        value.backward()
        return value

    optimizer.step(loss)
    temperature = 1 / min(max(slope.item(), 0.1), 10.0)
    return temperature, tuple((shift * free * temperature).detach().tolist())
