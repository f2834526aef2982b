"""Operating points of a classifier: how much to lean to one side, chosen on validation faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MASK, DOUBTED = "mask", "wrong_mask"
STEP, MOST = 0.05, 4.0  # logits: how finely is searched, and how far
FEWER = 0.5  # of the misses, or of the alarms, are left


def operating_points(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """What each preference adds to logits (N, C), chosen by the labels (N,) of these faces.

    A miss is a face without a well-worn mask that is called `mask`, an alarm a well-worn mask that is called otherwise.
    `few-misses` is the least shift that leaves half of the misses, `few-alarms` the least that leaves half of the
    alarms. What is shifted is `wrong_mask`, between the others; where that is not there, or not enough, all classes but
    `mask`. Empty where the classes have no `mask`, or nothing beside it.
    """
    if MASK not in classes or len(classes) < 2:
        return {}
    mask = classes.index(MASK)
    doubted, others = (np.array([fits(name) for name in classes], np.float32) for fits in (DOUBTED.__eq__, MASK.__ne__))

    def misses(point: np.ndarray) -> int:
        return int((((logits + point).argmax(axis=1) == mask) & (labels != mask)).sum())

    def alarms(point: np.ndarray) -> int:
        return int((((logits + point).argmax(axis=1) != mask) & (labels == mask)).sum())

    shifts = np.arange(round(MOST / STEP) + 1) * STEP
    points: dict[str, tuple[float, ...]] = {}
    for prefer, mistakes, sign in (("few-misses", misses, 1.0), ("few-alarms", alarms, -1.0)):
        allowed = FEWER * mistakes(np.zeros(len(classes)))
        tried = (sign * shift * of_which for of_which in (doubted, others) for shift in shifts)
        point = next((point for point in tried if mistakes(point) <= allowed), sign * MOST * others)
        points[prefer] = tuple((point.round(2) + 0.0).tolist())  # no -0.0
    return points
