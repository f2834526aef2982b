"""How much boxes overlap, all pairs at once."""

from __future__ import annotations

import numpy as np


def iou_matrix(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union (N, M) of all pairs of boxes (N, 4) and (M, 4), x, y, width, height.

    >>> iou_matrix(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 2, 2], [5, 5, 1, 1]])).round(3)
    array([[0.333, 0.   ]])
    """
    first, second = ones[:, None], others[None]
    ends = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    both = np.clip(ends - np.maximum(first[..., :2], second[..., :2]), 0, None).prod(axis=-1)
    return both / (first[..., 2:].prod(axis=-1) + second[..., 2:].prod(axis=-1) - both)
