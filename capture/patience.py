"""How long a live source may be without a picture before it counts as lost: a slow camera is slow, not away."""

from __future__ import annotations

import statistics
import time
from collections import deque

BEFORE_KNOWN_S = 30.0  # until two intervals are known: a camera of a picture every 10 s had been reopened every 5 s
INTERVALS = 3.0  # a picture that is late by more than so many usual intervals does not come


class Patience:
    """Counts while somebody waits for a picture.

    A source is lost after `silence_s`, or after three of its own intervals where that is longer.
    A camera's own claim of its rate is not asked: those set to a picture a second still say 25.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._intervals_s: deque[float] = deque(maxlen=5)
        self._heard_s = 0.0  # when the last picture came; 0: none did
        self._since_s: float | None = None  # when the wait for the next one began

    def begin(self) -> None:
        """Somebody waits for a picture, or still does. Time in which nobody did is not the camera's."""
        self._since_s = self._since_s or time.monotonic()

    def heard(self) -> None:
        """A picture came."""
        now_s = time.monotonic()
        if self._heard_s:
            self._intervals_s.append(now_s - self._heard_s)
        self._heard_s, self._since_s = now_s, None

    @property
    def limit_s(self) -> float:
        """How long may pass between two pictures."""
        if len(self._intervals_s) < 2:
            return max(self._silence_s, BEFORE_KNOWN_S)
        return max(self._silence_s, INTERVALS * statistics.median(self._intervals_s))

    @property
    def left_s(self) -> float:
        """How much of it is left; 0: the source is lost."""
        self.begin()
        assert self._since_s is not None
        return max(0.0, self._since_s + self.limit_s - time.monotonic())
