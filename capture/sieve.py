"""Lets so many pictures a second through: of a camera that sends 25, five may be enough to know who is there."""

from __future__ import annotations

import math

TICK_S = 1.0  # so long a read of a camera passes over pictures before it says that there is none yet
_EARLY = 0.1  # of an interval: a picture that comes a little before its time is the one that is meant


class Sieve:
    """Keeps the first picture of each interval of `1 / fps` seconds; all of them without a rate.

    What it keeps follows from the time of a picture and of the one kept before it: a film that is read on from
    somewhere loses and keeps the same ones.

    >>> sieve = Sieve(5)
    >>> [number for number in range(12) if sieve.keeps(number / 25)]
    [0, 5, 10]
    """

    def __init__(self, fps: float | None) -> None:
        self.fps = fps
        self._kept: int | None = None
        self.skipped = 0

    def keeps(self, time_s: float) -> bool:
        """Whether a picture of that time is to be looked at; the others are counted."""
        if self.fps is None:
            return True
        interval = self._interval(time_s)
        if interval == self._kept:
            self.skipped += 1
            return False
        self._kept = interval
        return True

    def begin(self) -> None:
        """Time begins anew: the next picture is kept."""
        self._kept = None

    def taken(self) -> int:
        """How many were skipped since this was last asked."""
        skipped, self.skipped = self.skipped, 0
        return skipped

    def _interval(self, time_s: float) -> int:
        assert self.fps is not None
        return math.floor(time_s * self.fps + _EARLY)
