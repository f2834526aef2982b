"""Validation of a detector in training: recall by class, false boxes per picture, average precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from inference.boxes import pairwise_iou
from train.data.boxes import Detections, longest_sides
from train.data.photo_set import TrainingPhoto

COUNTED_PX = 40.0  # longest side of a face from which on it counts
SAME_IOU = 0.5  # of a box and the face that it has found
LEAST_SCORE = 0.02  # of what is kept for the average precision


class DetectorScores(Struct, frozen=True):
    """Of faces of COUNTED_PX and more: `recall` by class at the threshold `score`, and average precision.

    `false_per_picture` counts boxes of COUNTED_PX and more that are on no annotated face, however small.
    """

    score: float
    recall: dict[str, float]
    false_per_picture: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class Matches:
    """All boxes that were found in some pictures, the best first, with the faces (numbered over all pictures) they hit.

    `face` is -1 of a box on the background; `counts` is False of a box that is neither right nor wrong: on a face that
    does not count, or itself too small.
    """

    scores: np.ndarray
    face: np.ndarray
    counts: np.ndarray
    labels: np.ndarray
    longest: np.ndarray
    pictures: int

    def found_at(self, score: float) -> np.ndarray:
        """Which of the faces are found by boxes of that score and more."""
        found = np.zeros(len(self.labels), bool)
        found[self.face[(self.face >= 0) & (self.scores >= score)]] = True
        return found

    def false_at(self, score: float) -> float:
        """Boxes on the background for each picture."""
        return float((self.counts & (self.face < 0) & (self.scores >= score)).sum()) / max(self.pictures, 1)

    def score_for(self, false_per_picture: float) -> float:
        """The lowest threshold with no more boxes on the background than that."""
        false = self.scores[self.counts & (self.face < 0)]  # the best first
        allowed = int(false_per_picture * self.pictures)
        return float(np.nextafter(false[allowed], 1.0, dtype=np.float32)) if allowed < len(false) else LEAST_SCORE

    def average_precision(self) -> float:
        """Area below precision over recall, of the faces that count."""
        right = (self.face >= 0)[self.counts]
        wanted = int((self.longest >= COUNTED_PX).sum())
        if not wanted or not len(right):
            return 0.0
        hits = right.cumsum()
        precision = np.maximum.accumulate((hits / np.arange(1, len(right) + 1))[::-1])[::-1]
        return float(precision[right].sum() / wanted)

    def scores_at(self, score: float, classes: Sequence[str]) -> DetectorScores:
        found, large = self.found_at(score), self.longest >= COUNTED_PX
        recall = {}
        for number, name in enumerate(classes):
            of_class = found[large & (self.labels == number)]
            recall[name] = float(of_class.mean()) if len(of_class) else 0.0
        return DetectorScores(score, recall, self.false_at(score), self.average_precision())


def match(photos: Sequence[TrainingPhoto], found: Sequence[Detections], same_iou: float = SAME_IOU) -> Matches:
    """Which box is on which face: the best one takes the face that it overlaps most, a second one on it is wrong."""
    rows: list[tuple[float, int, bool]] = []
    first = 0
    for photo, one in zip(photos, found, strict=True):
        overlap = pairwise_iou(one.boxes, photo.boxes)
        longest = longest_sides(photo.boxes)
        own = longest_sides(one.boxes)
        free = np.ones(len(photo.boxes), bool)
        for row, score in enumerate(one.scores):
            fits = np.where(free, overlap[row], 0) if len(free) else np.zeros(0)
            best = int(fits.argmax()) if len(fits) else -1
            if best >= 0 and fits[best] >= same_iou:
                free[best] = False
                rows.append((float(score), first + best, bool(longest[best] >= COUNTED_PX)))
            else:
                rows.append((float(score), -1, bool(own[row] >= COUNTED_PX)))
        first += len(photo.boxes)
    rows.sort(key=lambda row: -row[0])
    scores, faces, counts = zip(*rows, strict=True) if rows else ((), (), ())
    return Matches(
        np.array(scores, np.float32),
        np.array(faces, np.int64),
        np.array(counts, bool),
        np.concatenate([photo.labels for photo in photos]),
        np.concatenate([longest_sides(photo.boxes) for photo in photos]),
        len(photos),
    )
