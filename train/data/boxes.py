"""Boxes of faces as arrays of corners, x1, y1, x2, y2 in px: sizes, and non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
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


def non_maximum_suppression(boxes: np.ndarray, scores: np.ndarray, least_score: float, most_iou: float) -> Detections:
    """Of boxes (N, 4) those with a score of `least_score` and more that overlap no better one by more than that IoU."""
    likely = scores >= least_score
    boxes, scores = boxes[likely], scores[likely]
    as_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = np.asarray(cv2.dnn.NMSBoxes(as_sizes.tolist(), scores.tolist(), least_score, most_iou), np.int64).reshape(-1)
    return Detections(boxes[kept], scores[kept])
