"""How well a detector sees: recall by class and size, false boxes, labels, and the share of masks that comes of it.

A face counts where the shorter side of its box has 40 px or more: of smaller ones many are not annotated. A box has
found a face where they overlap by 0.4 (IoU), each box one face at most. What has found none is a false box, also on
faces in the background that nobody annotated; a box on an annotated face of any size is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from train.score.sightings import Sighting
from transport.frame import Box

COUNTED_PX = 40
SIZES_PX = {"24-40": (24, 40), "40-80": (40, 80), "80+": (80, np.inf)}
MASK = "mask"
RESAMPLED, SEED = 2000, 0  # draws of as many photographs, for the intervals


def side(box: Box) -> float:
    """The shorter side, px."""
    return min(box.width, box.height)


def scores_of(sightings: Sequence[Sighting], classes: Sequence[str]) -> dict[str, Any]:
    """All figures but times and average precision; those that nothing is known of are None.

    `label_accuracy` is of the faces found, from detector over crop to classifier; `label_accuracy_annotated` is of the
    same faces in crops around the annotated boxes, `label_accuracy_all` of all faces in those.
    """
    counted = [(one, i) for one in sightings for i, face in enumerate(one.faces) if side(face) >= COUNTED_PX]
    found = [(one, i, j) for one, i in counted if (j := one.partners[i]) is not None]
    return {
        "faces": {label: sum(one.labels[i] == label for one, i in counted) for label in classes},
        "recall": {label: recall(sightings, of_class(label)) for label in classes},
        "recall_by_size": {name: recall(sightings, of_size(*span)) for name, span in SIZES_PX.items()},
        "precision": {label: precision(sightings, label) for label in classes},
        "precision_by_size": {name: precision_of_size(sightings, *span) for name, span in SIZES_PX.items()},
        "false_per_picture": mean([len(one.false) for one in sightings]),
        "false_per_picture_40": mean([len(large(one, one.false)) for one in sightings]),
        "label_accuracy": mean([one.said[j] == one.labels[i] for one, i, j in found]),
        "label_accuracy_annotated": mean([one.said_annotated[i] == one.labels[i] for one, i, _ in found]),
        "label_accuracy_all": mean([one.said_annotated[i] == one.labels[i] for one, i in counted]),
        **mask_shares(sightings),
    }


Choice = Callable[[Sighting, int], bool]


def of_class(label: str) -> Choice:
    return lambda one, i: one.labels[i] == label and side(one.faces[i]) >= COUNTED_PX


def of_size(low: float, high: float) -> Choice:
    return lambda one, i: low <= side(one.faces[i]) < high


def recall(sightings: Sequence[Sighting], chosen: Choice) -> float | None:
    """The share of the chosen faces that have a box."""
    return mean([one.partners[i] is not None for one in sightings for i in range(len(one.faces)) if chosen(one, i)])


def precision(sightings: Sequence[Sighting], label: str) -> float | None:
    """Of the reported faces that are called so, the share that are annotated so; false boxes are called so, too."""
    said = [(one, j) for one in sightings for j in reported(one) if one.said[j] == label]
    right = [j in one.partners and one.labels[one.partners.index(j)] == label for one, j in said]
    return mean(right)


def precision_of_size(sightings: Sequence[Sighting], low: float, high: float) -> float | None:
    """Of the boxes of a size, the share that have found a face."""
    return mean([j in one.partners for one in sightings for j, box in enumerate(one.found) if low <= side(box) < high])


def large(one: Sighting, places: Sequence[int]) -> list[int]:
    return [j for j in places if side(one.found[j]) >= COUNTED_PX]


def reported(one: Sighting) -> list[int]:
    """The boxes that a user would count: on faces that count, and false ones that are as large."""
    on_faces = [j for i, j in enumerate(one.partners) if j is not None and side(one.faces[i]) >= COUNTED_PX]
    return [*on_faces, *large(one, one.false)]


def mask_shares(sightings: Sequence[Sighting]) -> dict[str, Any]:
    """True share of masks, that among the faces found, that which is reported, and how far it is off; 95 % intervals.

    Intervals are of photographs drawn anew (bootstrap), because the faces of one are alike.
    """
    true, seen, said = [], [], []
    for one in sightings:
        counted = [i for i, face in enumerate(one.faces) if side(face) >= COUNTED_PX]
        of_found = [one.labels[i] == MASK for i in counted if one.partners[i] is not None]
        of_said = [one.said[j] == MASK for j in reported(one)]
        true.append((sum(one.labels[i] == MASK for i in counted), len(counted)))
        seen.append((sum(of_found), len(of_found)))
        said.append((sum(of_said), len(of_said)))
    drawn = np.random.default_rng(SEED).integers(0, len(sightings), (RESAMPLED, len(sightings)))
    shares = {"true_mask_share": true, "seen_mask_share": seen, "reported_mask_share": said}
    figures: dict[str, Any] = {}
    resampled = {}
    for name, counts in shares.items():
        figures[name] = share(np.array(counts).sum(axis=0))
        resampled[name] = np.array([share(counts_drawn) for counts_drawn in np.array(counts)[drawn].sum(axis=1)], float)
        figures[f"{name}_ci95"] = interval(resampled[name])
    known = figures["reported_mask_share"] is not None and figures["true_mask_share"] is not None
    figures["mask_share_error"] = figures["reported_mask_share"] - figures["true_mask_share"] if known else None
    figures["mask_share_error_ci95"] = interval(resampled["reported_mask_share"] - resampled["true_mask_share"])
    return figures


def share(counts: np.ndarray) -> float | None:
    """
    >>> share(np.array([1, 4])), share(np.array([0, 0]))
    (0.25, None)
    """
    return float(counts[0] / counts[1]) if counts[1] else None


def interval(values: np.ndarray) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    return (float(np.quantile(known, 0.025)), float(np.quantile(known, 0.975))) if len(known) else None


def mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def average_precision(sightings: Sequence[Sighting]) -> float | None:
    """Area below precision over recall, of faces and boxes of 40 px and more; boxes on smaller faces do not count."""
    faces = sum(side(face) >= COUNTED_PX for one in sightings for face in one.faces)
    graded: list[tuple[float, bool]] = []
    for one in sightings:
        on_faces = {j for i, j in enumerate(one.partners) if j is not None and side(one.faces[i]) >= COUNTED_PX}
        graded += [(one.scores[j], j in on_faces) for j in reported(one)]
    if not faces or not graded:
        return None
    right = np.array([found for _, found in sorted(graded, key=lambda pair: -pair[0])])
    recalls, precisions = right.cumsum() / faces, right.cumsum() / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precisions[::-1])[::-1]
    return float((np.diff(recalls, prepend=0.0) * best_from_here).sum())
