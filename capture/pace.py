"""The governor of a live source: it sends less often while its frames come out too old, and as often as it can else."""

from __future__ import annotations

STEP_S = 0.25  # between two looks at the ages
TOO_OLD = 0.7  # of the age allowed: above it the rate is lowered, before a frame is really too old
FRESH = 0.4  # below it the rate is raised again
SLOWER, FASTER = 1.2, 0.95  # the interval between frames: quickly up, slowly down, as TCP treats a busy line
SHORTEST_S = 0.01  # an interval below this is none
LONGEST_S = 1.0  # every stream stays alive
CATCH_UP_S = 0.02  # a frame that went this much late lets the next one go earlier: pictures come in steps of their own


class Pace:
    """The least interval between two frames of a source.

    Each source has its own, and all meet the same queues: so all become slower by the same share.
    """

    def __init__(self, max_age_ms: float) -> None:
        self._max_age_ms = max_age_ms
        self.interval_s = 0.0
        self._looked_s = self._sent_s = 0.0
        self._slowed_s = 0.0  # until then frames come back that were sent before the rate was lowered
        self._sent = 0

    def wait_s(self, now_s: float) -> float:
        """How long the next frame must still wait; 0: it may go."""
        return max(0.0, self._sent_s + self.interval_s - now_s)

    def sent(self, now_s: float) -> None:
        """A frame went."""
        self._sent_s = max(now_s - CATCH_UP_S, min(now_s, self._sent_s + self.interval_s))
        self._sent += 1

    def due(self, now_s: float) -> bool:
        """Whether it is time for `adapt`."""
        return self._max_age_ms > 0 and now_s - self._looked_s >= STEP_S

    def adapt(self, oldest_ms: float | None, now_s: float) -> None:
        """Take in the age of the oldest frame that came back since the last look; None: none did."""
        span_s, self._looked_s = now_s - self._looked_s, now_s
        sent, self._sent = self._sent, 0
        if oldest_ms is None:
            return
        if oldest_ms > TOO_OLD * self._max_age_ms:
            if now_s < self._slowed_s:
                return
            self._slowed_s = now_s + oldest_ms / 1000
            now_is_s = span_s / sent if sent and span_s < 2 * STEP_S else 0.0
            self.interval_s = min(SLOWER * max(self.interval_s, now_is_s, SHORTEST_S), LONGEST_S)
        elif oldest_ms < FRESH * self._max_age_ms:
            self.interval_s *= FASTER
            if self.interval_s < SHORTEST_S:
                self.interval_s = 0.0

    @property
    def fps(self) -> float:
        """The rate that it allows, 1/s; 0: any."""
        return 1 / self.interval_s if self.interval_s else 0.0
