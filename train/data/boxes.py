"""Boxes of faces as arrays of corners, x1, y1, x2, y2 in px: sizes, overlaps, non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", np.ndarray, "torch.Tensor")

LEAST_AREA = 1e-6  # px2 by which is divided: boxes without a size overlap nothing


def no_boxes() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


def longest_sides(boxes: np.ndarray) -> np.ndarray:
    """Longest sides (N,) px of boxes (N, 4).

    >>> longest_sides(np.array([[10, 10, 14, 17]])).tolist()
    [7]
    """
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


def area(boxes: Array) -> Array:
    """Areas (...) of boxes (..., 4)."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def intersection(boxes: Array, others: Array) -> Array:
    """Area that boxes (..., 4) share with others, of shapes that broadcast."""
    if isinstance(boxes, np.ndarray):
        low = np.maximum(boxes[..., :2], others[..., :2])
        high = np.minimum(boxes[..., 2:], others[..., 2:])
    else:
        import torch

        low = torch.maximum(boxes[..., :2], others[..., :2])
        high = torch.minimum(boxes[..., 2:], others[..., 2:])
    return (high - low).clip(min=0).prod(-1)


def iou(boxes: Array, others: Array) -> Array:
    """Intersection over union of boxes (..., 4) with others, of shapes that broadcast; NumPy arrays or tensors.

    All pairs of N boxes and M others are `iou(boxes[:, None], others[None])`, (N, M).

    >>> iou(np.array([0, 0, 2, 2]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [0.333, 0.0]
    """
    shared = intersection(boxes, others)
    return shared / (area(boxes) + area(others) - shared).clip(min=LEAST_AREA)


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
