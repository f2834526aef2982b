"""Where each picture of a film stands on the time since its first one."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """The position of a picture, ms since the first one, and the time stamp that has position 0, ms; None: unknown."""

    position_ms: float
    zero_ms: float | None = None


class Timeline:
    """Positions that begin at 0 and always grow: time stamps that are missing, go back or jump are bridged.

    `step_ms` is the usual time between two pictures; a step longer than `longest_ms` is a jump of the clock.
    `before` and `now` are the moments of the last two pictures; to set `now` is to go on from there. `bridged`: a step
    was not the clock's.

    >>> film = Timeline(40, 10_000)
    >>> [film.next(stamp_s) for stamp_s in (3600.0, 3600.04, None, 3601.0, 0.0, 0.04)]
    [0.0, 40.0, 80.0, 1000.0, 1040.0, 1080.0]
    """

    def __init__(self, step_ms: float, longest_ms: float) -> None:
        self._step_ms, self._longest_ms = step_ms, longest_ms
        self.before = self.now = Moment(-step_ms)
        self.bridged = False

    def next(self, stamp_s: float | None) -> float:
        """The position of the next picture, ms, by its time stamp."""
        self.before = self.now
        position_ms, zero_ms = self.now
        following_ms = position_ms + self._step_ms
        if stamp_s is not None:
            stamp_ms = stamp_s * 1000
            if zero_ms is None or not 0 < stamp_ms - zero_ms - position_ms <= self._longest_ms:
                self.bridged = self.bridged or zero_ms is not None
                zero_ms = stamp_ms - position_ms - self._step_ms
            following_ms = stamp_ms - zero_ms
        self.now = Moment(following_ms, zero_ms)
        return following_ms

    @property
    def length_ms(self) -> float:
        """How long the film is up to the end of the newest picture."""
        return self.now.position_ms + self._step_ms
