"""The share of masks: the true one, what is reported, what part of the error comes from what, and the adjusted share.

From the true share to the reported one it is three steps, each of which takes the truth away from one thing more: faces
that are missed are left out, those found get the labels that are said, false boxes are added. The differences are the
parts of the error, and add up to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from share.errors import KnownErrors
from share.told import MaskShare, mask_share
from train.score.sightings import Sighting, by_source, counted_faces, found_faces, reported

MASK = "mask"
RESAMPLED, SEED = 2000, 0  # draws of as many photographs, for the intervals
STEPS = ("true_mask_share", "seen_mask_share", "labelled_mask_share", "reported_mask_share")
PARTS = ("missed_faces", "wrong_labels", "false_boxes")  # from each step to the next


def mask_shares(sightings: Sequence[Sighting]) -> dict[str, Any]:
    """The shares of STEPS, how far the reported one is off, and the parts of that; with 95 % intervals.

    `labelled_mask_share` is that which is said of the annotated faces that were found. Intervals are of photographs
    drawn anew (bootstrap), because the faces of one are alike.
    """
    counts = np.array([step_counts(one) for one in sightings])
    drawn = np.random.default_rng(SEED).integers(0, len(sightings), (RESAMPLED, len(sightings)))
    sums, resampled = counts.sum(axis=0), counts[drawn].sum(axis=1)
    figures: dict[str, Any] = {}
    shares, shares_drawn = [share(of_step) for of_step in sums], shares_of(resampled)
    for name, value, values in zip(STEPS, shares, shares_drawn.T, strict=True):
        figures |= {name: value, f"{name}_ci95": interval(values)}
    figures["mask_share_error"] = difference(shares[0], shares[-1])
    figures["mask_share_error_ci95"] = interval(shares_drawn[:, -1] - shares_drawn[:, 0])
    figures["mask_share_error_parts"] = {
        part: difference(shares[step], shares[step + 1]) for step, part in enumerate(PARTS)
    }
    figures["mask_share_error_parts_ci95"] = {
        part: interval(np.diff(shares_drawn, axis=1)[:, step]) for step, part in enumerate(PARTS)
    }
    return figures


def step_counts(one: Sighting) -> list[tuple[int, int]]:
    """Masks and faces of a photograph at each of STEPS."""
    counted, found = counted_faces(one), found_faces(one)
    at_each = (
        [one.labels[i] for i in counted],
        [one.labels[i] for i, _ in found],
        [one.said[j] for _, j in found],
        [one.said[j] for j in reported(one)],
    )
    return [(labels.count(MASK), len(labels)) for labels in at_each]


def adjusted_share(sightings: Sequence[Sighting], errors: KnownErrors | str) -> MaskShare:
    """The reported share with known errors taken out, or why none are known."""
    return mask_share(Counter(one.said[j] for one in sightings for j in reported(one)), errors)


def by_source_shares(sightings: Sequence[Sighting], errors: KnownErrors | str) -> dict[str, dict[str, Any]]:
    """The true share and the reported one, as counted and adjusted, of the photographs of each source."""
    return {
        source: {"true": share(np.sum([step_counts(one)[0] for one in ones], axis=0))}
        | adjusted_share(ones, errors).as_json
        for source, ones in by_source(sightings).items()
    }


def share(counts: np.ndarray) -> float | None:
    """
    >>> share(np.array([1, 4])), share(np.array([0, 0]))
    (0.25, None)
    """
    return float(counts[0] / counts[1]) if counts[1] else None


def shares_of(counts: np.ndarray) -> np.ndarray:
    """Shares (D, S) of counts (D, S, 2); nan where nothing was counted."""
    return np.divide(counts[..., 0], counts[..., 1], out=np.full(counts.shape[:2], np.nan), where=counts[..., 1] > 0)


def difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def interval(values: np.ndarray) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    return (float(np.quantile(known, 0.025)), float(np.quantile(known, 0.975))) if len(known) else None
