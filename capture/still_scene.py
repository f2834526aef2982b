"""Lets only some pictures a second go on while nothing moves before a camera, and all as soon as one differs.

Most of what a picture of an empty room costs beside its decoding is its way through four processes. With 5 of 30
pictures/s a run took 1.7 times the CPU of decoding alone, with all 2.6 times (640x480, 27 November 2026).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from transport.blocks import blocks_of, has_moved, learnt_share, median
from transport.still import FRESH_NS

LOOK_S = 0.09  # between two looks, as detect's gate has it. One costs 0.5 ms where all else went on meanwhile
GO_ON_S = 0.2  # all pictures after one that differs: detect's gate looks each 90 ms, and says then that something moves
WIDTH_PX = 320  # about as wide is what is compared: each `n`th pixel of each such row, so the size does not matter
LEARNT_S = 1.0  # the mean that pictures are compared with: less noisy than the one before, and of now
NOISE_S = 5.0  # how fast the usual difference is learnt
EARLY = 0.1  # of an interval: a picture that comes a little before its time is the one that is meant


class StillScene:
    """One camera: which of its pictures go on.

    `still_ns` tells when the newest picture was captured before which nothing moved, as detect saw it; 0: something
    does. While that is fresh, a picture goes on if it is due, `fps` a second, or if it differs from the mean of the
    last second by more than this camera's noise; so do those after it. Light that changes everywhere alike is taken
    off before. Who moves too slowly for that is seen by detect in the pictures that go on: it compares them with a
    mean over a minute.
    """

    def __init__(
        self, fps: float, still_ns: Callable[[], int], clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._interval_s, self._still_ns, self._clock_ns = 1 / fps, still_ns, clock_ns
        self._fresh_ns = FRESH_NS + round(1e9 / fps)
        self._mean = np.zeros((0, 0), np.float32)
        self._noise, self._learnt = 0.0, 0  # of how many pictures
        self._seen = 0  # pictures since the mean began
        self._kept_s = self._looked_s = self._moved_s = -math.inf
        self.is_still = self._is_blind = False
        self._skipped = 0

    def keeps(self, luma: Callable[[], np.ndarray | None], time_s: float) -> bool:
        """Whether the next picture goes on, by its brightness (H, W) uint8 and its time; others are counted.

        Of a camera whose brightness cannot be read all do.
        """
        is_fresh = self._clock_ns() - self._still_ns() <= self._fresh_ns
        was_still, self.is_still = self.is_still, is_fresh and not self._is_blind
        if not self.is_still:
            return True
        if not was_still:
            self._seen = 0
        if not 0 <= time_s - self._kept_s < (1 - EARLY) * self._interval_s:
            self._kept_s = self._looked_s = time_s  # the next look is detect's
            return True
        if self._has_moved(luma, time_s):
            self._kept_s = time_s
            return True
        self._skipped += 1
        return False

    def keeps_bgr(self, image: np.ndarray, time_s: float) -> bool:
        """The same of a picture (H, W, 3) uint8 BGR. Green is most of its brightness, and lies there already."""
        return self.keeps(lambda: image[:, :, 1], time_s)

    def taken(self) -> int:
        """How many were skipped since this was last asked."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def _has_moved(self, luma: Callable[[], np.ndarray | None], time_s: float) -> bool:
        """Whether something moves in this picture, or did in one just before it."""
        if 0 <= time_s - self._moved_s < GO_ON_S:
            return True
        if 0 <= time_s - self._looked_s < LOOK_S:
            return False
        grey = luma()
        if grey is None:
            self._is_blind = True
        elif not self._differs(grey, time_s):
            return False
        self._moved_s = time_s
        return True

    def _differs(self, grey: np.ndarray, time_s: float) -> bool:
        """Whether a picture differs from the mean, and learn from it."""
        step = max(1, grey.shape[1] // WIDTH_PX)
        blocks = blocks_of(np.ascontiguousarray(grey[::step, ::step]))
        passed_s, self._looked_s = min(1.0, max(0.0, time_s - self._looked_s)), time_s
        if blocks.shape != self._mean.shape:
            had_another_size = self._mean.size > 0
            self._mean, self._seen, self._noise, self._learnt = blocks, 1, 0.0, 0
            return had_another_size
        if not self._seen:  # nothing moved until now, as detect saw it
            self._mean, self._seen = blocks, 1
            return False
        change = blocks - self._mean
        light = median(change)
        difference = np.abs(change - light)
        self._seen, self._learnt = self._seen + 1, self._learnt + 1
        self._noise += learnt_share(self._learnt, passed_s / NOISE_S) * (median(difference) - self._noise)
        self._mean += light + learnt_share(self._seen, passed_s / LEARNT_S) * (change - light)
        return has_moved(difference, self._noise)
