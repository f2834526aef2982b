"""How good the connection to a camera is, in words: from rate, reconnections, stalls and damaged pictures."""

from __future__ import annotations

from collections import deque

OVER_S = 60.0
FAIR_DAMAGED, POOR_DAMAGED = 0.01, 0.1  # more damaged pictures than this share are no better than fair, and poor
STALL_S = 1.0  # no picture for so long is a stall, of a slow camera three of its usual intervals


class Quality:
    """What was seen of one live stream over the last minute.

    >>> quality = Quality()
    >>> for second in range(30):
    ...     quality.saw(float(second), captured=25 * second, reconnects=0, flowing=True)
    >>> quality.words(25.0), quality.words(50.0)
    ('excellent', 'poor')
    >>> lossy = Quality()
    >>> for second in range(30):
    ...     lossy.saw(float(second), captured=25 * second, reconnects=0, flowing=True, corrupt=5 * second)
    >>> lossy.words(25.0)
    'poor'
    >>> slow = Quality()
    >>> for second in range(60):
    ...     slow.saw(float(second), captured=second // 10, reconnects=0, flowing=True)
    >>> slow.words(0.1)
    'excellent'
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int, bool, int]] = deque()

    def saw(self, now_s: float, captured: int, reconnects: int, flowing: bool, corrupt: int = 0) -> None:
        """Take in how the stream stands; twice a second will do."""
        self._seen.append((now_s, captured, reconnects, flowing, corrupt))
        while now_s - self._seen[0][0] > OVER_S:
            self._seen.popleft()

    def words(self, nominal_fps: float) -> str:
        """excellent, fair, poor or unusable; empty while it is too early to tell."""
        if not self._seen or self._seen[-1][0] - self._seen[0][0] < 2:
            return "" if not self._seen or self._seen[-1][3] else "unusable"
        first, last = self._seen[0], self._seen[-1]
        span_s = last[0] - first[0]
        stalled_s, stalls = self._stalls()
        rate = (last[1] - first[1] + 1) / span_s  # one more: of a slow camera the next picture is not due yet
        share = rate / nominal_fps if nominal_fps else 1.0
        troubles = stalls + last[2] - first[2]
        damaged = (last[4] - first[4]) / max(1, last[1] - first[1])
        if not last[3] or stalled_s > 0.5 * span_s:
            return "unusable"
        if share >= 0.9 and not troubles and damaged <= FAIR_DAMAGED:
            return "excellent"
        fair = share >= 0.7 and troubles <= 1 and stalled_s < 0.1 * span_s and damaged <= POOR_DAMAGED
        return "fair" if fair else "poor"

    def _stalls(self) -> tuple[float, int]:
        """For how long no picture came, s, and how often that was."""
        stalled_s, stalls, since_s, captured = 0.0, 0, self._seen[0][0], self._seen[0][1]
        pictures = self._seen[-1][1] - captured
        limit_s = max(STALL_S, 3 * (self._seen[-1][0] - since_s) / pictures) if pictures else STALL_S
        for now_s, count, *_ in self._seen:
            if count != captured:
                if now_s - since_s > limit_s:
                    stalled_s, stalls = stalled_s + now_s - since_s, stalls + 1
                since_s, captured = now_s, count
        silent_s = self._seen[-1][0] - since_s
        if silent_s > limit_s:
            stalled_s, stalls = stalled_s + silent_s, stalls + 1
        return stalled_s, stalls
