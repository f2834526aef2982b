"""Counts the frames of a stream per second, lately."""

from __future__ import annotations

from collections import deque

RATE_OVER_S = 2.0  # the frame rate in the corner is that of these last seconds


class FrameRate:
    """Frames per second over the last seconds.

    >>> rate = FrameRate()
    >>> [rate.count(now_s) for now_s in (0.0, 0.5, 1.0, 9.0)]
    [0.0, 2.0, 2.0, 0.0]
    """

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def count(self, now_s: float) -> float:
        """Count a frame; the answer is the rate."""
        self._times_s.append(now_s)
        while now_s - self._times_s[0] > RATE_OVER_S:
            self._times_s.popleft()
        span_s = now_s - self._times_s[0]
        return (len(self._times_s) - 1) / span_s if span_s > 0 else 0.0
