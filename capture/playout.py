"""When each picture of a live stream is due, by its own timestamps.

HLS brings pictures a segment at a time: 50 in some milliseconds, then nothing for two seconds. As they came, two thirds
of them were superseded and the picture stood still in between. A player shows them at their own pace; so does this.
"""

from __future__ import annotations

from collections import deque

TOLERANCE_S = 0.2  # a picture this much late keeps its due time; later than that the pace begins anew
LONGEST_WAIT_S = 10.0  # HLS segments are at most about that long; a picture due later means that the clock jumped
JUMP_S = 1.0  # a step of the timestamps beyond it, and beyond three usual ones, is a jump: the picture is shown at once
GAP_S = 0.4  # a picture that comes this much later than its timestamp says, after the one before, ends a standstill
GAPS = 3  # so many standstills ...
GAPS_WITHIN_S = 20.0  # ... within this time mean that the pictures come in bursts


class Playout:
    """Releases pictures at the pace of their timestamps.

    Paced from the start (`bursts`), or from when it is seen that pictures come in bursts. Until then a picture is due
    when it comes: a camera that sends evenly gets no older. `tolerance_s`: a picture that comes later than that after
    it was due is no longer made up for; those behind it are due that much later, too.
    """

    def __init__(self, bursts: bool, tolerance_s: float = TOLERANCE_S) -> None:
        self.paced = bursts
        self._tolerance_s = tolerance_s
        self._base_s: float | None = None  # due = base + timestamp
        self._came_s = self._stamp_s = 0.0  # of the picture before
        self._step_s = 0.0  # the usual one between two timestamps
        self._gaps_s: deque[float] = deque(maxlen=GAPS)
        self._began = False

    def due_s(self, stamp_s: float | None, came_s: float) -> float:
        """When the picture is due that has this timestamp and came now, by the same clock as `came_s`."""
        if stamp_s is None:
            return came_s
        jumped = self._follow(stamp_s, came_s)
        if not self.paced:
            return came_s
        if self._base_s is None or jumped:
            self._base_s = came_s - stamp_s
        late_s = came_s - (self._base_s + stamp_s)
        if late_s > self._tolerance_s or late_s < -LONGEST_WAIT_S:
            self._base_s = came_s - stamp_s
        return self._base_s + stamp_s

    def _follow(self, stamp_s: float, came_s: float) -> bool:
        """Learn from the steps of both clocks whether pictures come in bursts; whether the timestamps jumped."""
        step_s, waited_s = stamp_s - self._stamp_s, came_s - self._came_s
        began, self._began = self._began, True
        self._stamp_s, self._came_s = stamp_s, came_s
        if not began:
            return False
        if step_s < 0:
            return True
        usual_s, self._step_s = self._step_s, step_s
        if step_s > max(JUMP_S, 3 * usual_s):
            return True
        if not self.paced and waited_s - step_s > GAP_S:
            self._gaps_s.append(came_s)
            self.paced = len(self._gaps_s) == GAPS and came_s - self._gaps_s[0] < GAPS_WITHIN_S
        return False
