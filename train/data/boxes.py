"""Boxes of faces as arrays of corners, x1, y1, x2, y2 in px, and their sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def no_boxes() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


def longest_sides(boxes: np.ndarray) -> np.ndarray:
    """Longest sides (N,) px of boxes (N, 4).

    >>> longest_sides(np.array([[10, 10, 14, 17]])).tolist()
    [7]
    """
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes (N, 4) px and scores (N,) of one picture, the best first."""

    boxes: np.ndarray
    scores: np.ndarray
