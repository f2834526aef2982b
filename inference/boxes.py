"""Boxes as arrays of corners, x1, y1, x2, y2 in px: how much they overlap, of NumPy or of PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", np.ndarray, "torch.Tensor")

LEAST_AREA = 1e-6  # px2 by which is divided: boxes without a size overlap nothing


def corners(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) of x, y, width, height as corners.

    >>> corners(np.array([[1, 2, 3, 4]])).tolist()
    [[1, 2, 4, 6]]
    """
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


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
    """Intersection over union of boxes (..., 4) with others, of shapes that broadcast.

    >>> iou(np.array([0, 0, 2, 2]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [0.333, 0.0]
    """
    shared = intersection(boxes, others)
    return shared / (area(boxes) + area(others) - shared).clip(min=LEAST_AREA)


def pairwise_iou(ones: Array, others: Array) -> Array:
    """Intersection over union (N, M) of all pairs of boxes (N, 4) and (M, 4).

    >>> pairwise_iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3)
    array([[0.333, 0.   ]])
    """
    return iou(ones[:, None], others[None])
