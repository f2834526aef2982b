"""The order in which the processes of a run finish, and how long what delivers events is waited for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from run.process import Process
from run.processes import Processes
from transport.stage import Aside


class Closing:
    """First those of the frames, with all beside them but what tells of the run: that is last, and hears the end.

    In a run that is drained, all beside the frames stays until the events that wait are delivered.
    """

    def __init__(self, processes: Processes, rows: Sequence[Aside]) -> None:
        self._processes, self._rows = processes, {row.name: row for row in rows}
        self._ended_ns = 0  # when the last process of the frames was gone
        self._until_s: float | None = None

    @property
    def is_draining(self) -> bool:
        """Whether the run is to end when what waits is delivered."""
        return self._until_s is not None

    def drain(self, within_s: float) -> None:
        """Wait for the delivery, so long at most."""
        if self._until_s is None:
            self._until_s = time.monotonic() + within_s

    @property
    def frames_ended(self) -> bool:
        """Whether nobody works on frames any more."""
        if not self._ended_ns and all(one.done for one in (*self._processes.captures, *self._processes.stages)):
            self._ended_ns = time.monotonic_ns()
        return bool(self._ended_ns)

    @property
    def awaits_delivery(self) -> bool:
        """Whether events may wait that are to be delivered yet."""
        if self._until_s is None or time.monotonic() > self._until_s:
            return False
        if not self.frames_ended:
            return True
        delivering = [one for one in self._processes.asides if self._rows[one.name].delivers]
        return not all(one.done or one.has_delivered_since(self._ended_ns) for one in delivering)

    def due(self, awaits_delivery: bool) -> list[Process]:
        """Those that are to finish by now."""
        last = [one for one in self._processes.asides if self._rows[one.name].outlasts]
        beside = [one for one in self._processes.asides if one not in last]
        due = [*self._processes.stages, *(() if awaits_delivery else beside)]
        return [*due, *last] if self.frames_ended and all(one.done for one in due + beside) else due
