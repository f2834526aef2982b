"""Tells whether something moves before a camera, so that an empty room is not searched ten times a second."""

from __future__ import annotations

import numpy as np

from transport.blocks import blocks_of, has_moved, learnt_share, median

LOOK_MS = 90.0  # between two looks; one costs 0.3 ms
OPEN_MS = 2000.0  # after the last motion: time for eight searches, half of them of the mirror image
LEARNT_S = 60.0  # what stands still for so long belongs to the background; a change of the light does at once
NOISE_S = 5.0  # how fast the usual difference is learnt
LONGEST_S = 1.0  # counts of the time between two looks: who is there when a camera comes back is not learnt at once


class MotionGate:
    """One camera: whether something has moved in the last two seconds.

    The background is a mean over about a minute of the picture in blocks of 8 px; something moves where blocks differ
    from it by more than this camera's noise. Light that changes everywhere alike is taken off before. So whoever comes
    in opens the gate however slowly he walks, and is background only when he has not moved for half a minute or more.
    """

    def __init__(self) -> None:
        self._background = np.zeros((0, 0), np.float32)
        self._noise, self._seen = 0.0, 0
        self._before_ms = self._moved_ms = 0.0

    @property
    def still_ms(self) -> float:
        """For how long nothing had moved when it was looked at last."""
        return self._before_ms - self._moved_ms

    def is_due(self, now_ms: float) -> bool:
        """Whether a picture captured then is worth a look."""
        return now_ms - self._before_ms >= LOOK_MS

    def look(self, grey: np.ndarray, now_ms: float) -> bool:
        """See the next picture, (H, W) uint8, captured then; whether the gate is open.

        It is open when a camera begins, and when its pictures change their size.
        """
        blocks = blocks_of(grey)
        if blocks.shape != self._background.shape:
            self._background, self._noise, self._seen = blocks, 0.0, 1
            self._before_ms = self._moved_ms = now_ms
            return True
        passed_s = min(LONGEST_S, max(0.0, now_ms - self._before_ms) / 1000)
        self._before_ms = now_ms
        change = blocks - self._background
        light = median(change)
        difference = np.abs(change - light)
        if has_moved(difference, self._noise):
            self._moved_ms = now_ms
        self._seen += 1
        self._noise += learnt_share(self._seen, passed_s / NOISE_S) * (median(difference) - self._noise)
        self._background += light + learnt_share(self._seen, passed_s / LEARNT_S) * (change - light)
        return now_ms - self._moved_ms <= OPEN_MS
