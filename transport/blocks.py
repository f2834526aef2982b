"""Whether something moves before a camera that stands still: blocks of a coarse grey picture that differ from a mean.

Capture and detect both look, each with a mean of its own. The rule is one, so that what opens detect's gate is what
capture passes on.
"""

from __future__ import annotations

import cv2
import numpy as np

BLOCK_PX = 8  # of a grey picture about as wide as the one that is followed: its smallest face covers four blocks
LEAST_BLOCKS = 2  # that must differ; a single one is a sensor's bad pixel, or the camera's own clock in a corner
LEAST_CHANGE = 5.0  # grey levels; the mean of 64 pixels of a usual sensor stays within 2
NOISES = 8.0  # and so many times what a block of this camera usually differs by: 5.4 standard deviations
FIRST = 10  # pictures of which a mean is the plain one


def blocks_of(grey: np.ndarray) -> np.ndarray:
    """The means (H, W) float32 of the blocks of a picture (8 H, 8 W) uint8."""
    height, width = (max(1, side // BLOCK_PX) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def has_moved(difference: np.ndarray, noise: float) -> bool:
    """Whether blocks differ by more than the noise of their camera: `difference` (H, W) and `noise` in grey levels."""
    return bool(np.count_nonzero(difference > max(LEAST_CHANGE, NOISES * noise)) >= LEAST_BLOCKS)


def learnt_share(count: int, usual: float) -> float:
    """What the newest of so many pictures adds to a mean: of the first ones its part, then the usual share."""
    return min(1.0, max(1 / count if count <= FIRST else 0.0, usual))


def median(values: np.ndarray) -> float:
    """That of numbers in an array, in a tenth of the Python steps of numpy's."""
    ordered = np.sort(values, axis=None)
    return float((ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]) / 2)
