"""What a run has done lately, beside what it has done since its start."""

from __future__ import annotations

from collections import deque

import numpy as np
from msgspec.structs import replace

from tell.status import StageStatus, Status, StreamStatus

OVER_S = 10.0  # while the sources run


class Recent:
    """The last ten seconds of a run, from its Statuses."""

    def __init__(self) -> None:
        self._past: deque[Status] = deque()

    def add(self, status: Status) -> None:
        """The newest."""
        self._past.append(status)
        while status.ran_s - self._past[0].ran_s > OVER_S or (len(self._past) > 1 and not self._past[1].started):
            self._past.popleft()

    @property
    def newest(self) -> Status:
        """How the run stands, counted since its start."""
        return self._past[-1]

    def lately(self) -> Status:
        """The newest Status, but what is counted in it is of the last ten seconds, or of as much as there was."""
        return since(self._past[0], self._past[-1])


def since(then: Status, now: Status) -> Status:
    """The later of two Statuses, but what is counted in it is of the time between them: figures are made of it alike.

    `ran_s` is that time, too. What came in between is counted from its beginning.
    """
    if then is now:
        return now
    return replace(
        now,
        ran_s=now.ran_s - then.ran_s,
        streams={
            name: _stream(then.streams[name], stream, now.ran_s - then.ran_s)
            if name in then.streams and then.streams[name].captured <= stream.captured
            else stream
            for name, stream in now.streams.items()
        },
        stages={
            name: _stage(then.stages[name], stage) if name in then.stages else stage
            for name, stage in now.stages.items()
        },
    )


def _stream(then: StreamStatus, now: StreamStatus, over_s: float) -> StreamStatus:
    shown = now.shown - then.shown
    dropped = {reason: count - then.dropped.get(reason, 0) for reason, count in now.dropped.items()}
    return replace(
        now,
        captured=now.captured - then.captured,
        shown=shown,
        dropped={reason: count for reason, count in dropped.items() if count},
        faces=now.faces - then.faces,
        corrupt=now.corrupt - then.corrupt,
        skipped=now.skipped - then.skipped,
        fps=shown / over_s if over_s > 0 else 0.0,
        reconnects=now.reconnects - then.reconnects,
        ages=(np.array(now.ages) - np.array(then.ages)).tolist() if len(now.ages) == len(then.ages) else now.ages,
    )


def _stage(then: StageStatus, now: StageStatus) -> StageStatus:
    return replace(
        now,
        frames=now.frames - then.frames,
        batches=now.batches - then.batches,
        busy_ns=now.busy_ns - then.busy_ns,
        cpu_ns=now.cpu_ns - then.cpu_ns,
        restarts=now.restarts - then.restarts,
        counts={name: count - then.counts.get(name, 0) for name, count in now.counts.items()},
    )
