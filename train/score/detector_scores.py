"""How well a detector sees: recall by class and size, false boxes, labels, and the share of masks that comes of it.

A face counts where the shorter side of its box has 40 px or more: of smaller ones many are not annotated. A box has
found a face where they overlap by 0.4 (IoU), each box one face at most. What has found none is a false box, also on
faces in the background that nobody annotated; a box on an annotated face of any size is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from train.score.mask_shares import mask_shares
from train.score.sightings import COUNTED_PX, Sighting, counted_faces, found_faces, large, reported, side

SIZES_PX = {"24-40": (24, 40), "40-80": (40, 80), "80+": (80, np.inf)}


def scores_of(sightings: Sequence[Sighting], classes: Sequence[str]) -> dict[str, Any]:
    """All figures but times and average precision; those that nothing is known of are None.

    `label_accuracy` is of the faces found, from detector over crop to classifier; `label_accuracy_annotated` is of the
    same faces in crops around the annotated boxes, `label_accuracy_all` of all faces in those.
    """
    counted = [(one, i) for one in sightings for i in counted_faces(one)]
    found = [(one, i, j) for one in sightings for i, j in found_faces(one)]
    return {
        "faces": {label: sum(one.labels[i] == label for one, i in counted) for label in classes},
        "recall": {label: recall(sightings, of_class(label)) for label in classes},
        "recall_by_size": {name: recall(sightings, of_size(*span)) for name, span in SIZES_PX.items()},
        "precision": {label: precision(sightings, label) for label in classes},
        "precision_by_size": {name: precision_of_size(sightings, *span) for name, span in SIZES_PX.items()},
        "false_per_picture": mean([len(one.false) for one in sightings]),
        "false_per_picture_40": mean([len(large(one, one.false)) for one in sightings]),
        "false_boxes_40": sum(len(large(one, one.false)) for one in sightings),
        "unannotated_40": sum(len(large(one, one.unannotated)) for one in sightings),
        "listed_40": sum(len(large(one, one.listed)) for one in sightings),
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


def mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def average_precision(sightings: Sequence[Sighting]) -> float | None:
    """Area below precision over recall, of faces and boxes of 40 px and more; boxes on smaller faces do not count."""
    faces = sum(side(face) >= COUNTED_PX for one in sightings for face in one.faces)
    graded: list[tuple[float, bool]] = []
    for one in sightings:
        on_faces = {j for _, j in found_faces(one)}
        graded += [(one.scores[j], j in on_faces) for j in reported(one)]
    if not faces or not graded:
        return None
    right = np.array([found for _, found in sorted(graded, key=lambda pair: -pair[0])])
    recalls, precisions = right.cumsum() / faces, right.cumsum() / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precisions[::-1])[::-1]
    return float((np.diff(recalls, prepend=0.0) * best_from_here).sum())
