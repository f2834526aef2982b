"""The share of well-worn masks once known errors are taken out of the counts, and an interval that holds it.

Of the faces that are there some are missed and some are called what they are not, and some boxes are on no face. With
these probabilities known, the true shares follow from those that are said: Rogan and Gladen's estimate (1978) for more
than two classes.

The interval is of 95 %. Each of its draws takes other persons (Dirichlet around the counts), other errors (Dirichlet
around what was measured), and another camera than those that the errors were measured with: see NEW_CAMERA.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from share.errors import KnownErrors

NEW_CAMERA = 60.0
"""A camera differs from the mean of all as if its own rates of errors had been drawn by so many faces of each class.

The four groups that were measured (two sources, each in photos/val and in scenes/) differ by no more than chance: their
likelihood is highest without any difference, and 50 (320 px wide) to 170 (1280 px) is the least that 95 % of it leaves
(with the classifier of 26 November; not measured again with its successor).
But what ships has learnt from other pictures of the same two sources. Trained without a source, the classifier knows
.89 to .98 of its well-worn masks (three sources, MODEL_CARD.md), as 26 would have it. 60 lies between the two.
"""
DRAWS, SEED = 2000, 0


class Estimate(NamedTuple):
    """Shares of the true faces, 0 to 1: what is likeliest, and the ends of the 95 % interval."""

    share: float
    low: float
    high: float


def estimate(said: Mapping[str, int], wanted: str, errors: KnownErrors) -> Estimate | None:
    """The true share of class `wanted`, where so many faces or persons were called what `said` has; None: no one was.

    What was called none of the classes (`unsure`) counts as not seen.
    """
    counts = tuple(said.get(label, 0) for label in errors.classes)
    return _estimate(counts, errors.classes.index(wanted), errors) if sum(counts) else None


@lru_cache(maxsize=256)  # 3 ms each; a page asks twice a second
def _estimate(counts: tuple[int, ...], wanted: int, errors: KnownErrors) -> Estimate:
    likely = true_shares(np.array(counts) / sum(counts), *likely_errors(errors))[wanted]
    rng = np.random.default_rng(SEED)
    persons = rng.dirichlet(np.array(counts) + 1 / len(counts), DRAWS)
    drawn = true_shares(persons, *drawn_errors(errors, rng))[:, wanted]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(likely), float(min(low, likely)), float(max(high, likely)))


def true_shares(said: np.ndarray, answers: np.ndarray, false: np.ndarray) -> np.ndarray:
    """Shares (..., C) of the classes among the true faces, from those of what is said (..., C).

    `answers` (..., C, C + 1): what becomes of a face of each class, missed in the last column. `false` (..., C): of all
    that is said, the shares that are on no face. Shares that come out below 0 are 0: nobody is there less than not.
    """
    found = np.linalg.solve(np.swapaxes(answers[..., :-1], -1, -2), (said - false)[..., None])[..., 0].clip(0)
    total = found.sum(axis=-1, keepdims=True)
    return np.where(total > 0, found / np.where(total > 0, total, 1), said)


def likely_errors(errors: KnownErrors) -> tuple[np.ndarray, np.ndarray]:
    """What becomes of faces (C, C + 1), and the shares of false boxes (C,), likeliest of all.

    What was never seen is rare, not impossible: one face more is spread over what may become of it.
    """
    answers = smoothed(errors.faces.sum(axis=0))
    false = errors.false.sum(axis=0)
    return answers, false.sum() / max(errors.reported.sum(), 1) * smoothed(false)


def drawn_errors(errors: KnownErrors, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same, drawn: (DRAWS, C, C + 1) and (DRAWS, C)."""
    answers, false = smoothed(errors.faces.sum(axis=0)), errors.false.sum(axis=0)
    worth = known_faces(errors.faces.sum(axis=2))
    drawn = np.stack([rng.dirichlet(n * row, DRAWS) for n, row in zip(worth, answers, strict=True)], axis=1)
    boxes = known_faces(errors.reported)
    rate = (false.sum() + 0.5) / (errors.reported.sum() + 1)
    rates = rng.beta(boxes * rate, boxes * (1 - rate), DRAWS)
    return drawn, rates[:, None] * rng.dirichlet(false + 1 / len(false), DRAWS)


def smoothed(counts: np.ndarray) -> np.ndarray:
    """Counts (..., N) as shares, with one more that is spread over all.

    >>> smoothed(np.array([3, 0])).tolist()
    [0.875, 0.125]
    """
    spread = counts + 1 / counts.shape[-1]
    return np.asarray(spread / spread.sum(axis=-1, keepdims=True))


def known_faces(counts: np.ndarray) -> np.ndarray:
    """How many faces of a new camera would tell as much of its errors as counts (G, ...) by source do.

    Two doubts add up: how the mean over all cameras was measured, and how far one camera is from it.
    """
    of_mean = (counts / (1 + (counts - 1).clip(0) / (NEW_CAMERA + 1))).sum(axis=0)
    return np.asarray(1 / (1 / (NEW_CAMERA + 1) + 1 / np.maximum(of_mean, 1)))
