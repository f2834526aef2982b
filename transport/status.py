"""How a run stands, as its supervisor tells it twice a second to whoever watches."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from configs.redact import redact
from transport.figures import limited_by

if TYPE_CHECKING:
    from transport.supervisor import Supervisor

PHASES = ("starting", "running", "draining", "closing")


class StreamStatus(Struct, frozen=True):
    """A stream: what it is, how it is, its ledger. Counts are since the start of the run.

    `nominal_fps` is what the source says of itself, 0: nothing. While it is away, `away` says why (one line, no
    password), since when, and when it is tried again (time.monotonic_ns). `ages` is the histogram of transport/pool.py.
    """

    source: str
    kind: str
    live: bool
    state: str
    captured: int
    shown: int
    dropped: dict[str, int]
    in_flight: int
    faces: int
    corrupt: int
    fps: float
    paced_fps: float
    nominal_fps: float
    reconnects: int
    away: str
    away_since_ns: int
    next_try_ns: int
    ages: list[int]


class StageStatus(Struct, frozen=True):
    """A stage: what all its processes have done since the start."""

    frames: int
    batches: int
    busy_ns: int
    cpu_ns: int
    members: int
    restarts: int
    counts: dict[str, int]


class ProcessStatus(Struct, frozen=True):
    """A process of the run."""

    pid: int
    ready: bool
    restarts: int


class Status(Struct, frozen=True):
    """The run. `now_ns` is time.monotonic_ns(), `started` the Unix time at which the sources were started, s."""

    now_ns: int
    started: float
    phase: str
    streams: dict[str, StreamStatus]
    stages: dict[str, StageStatus]
    processes: dict[str, ProcessStatus]
    facts: dict[str, str]
    limited_by: str | None


def status_of(supervisor: Supervisor) -> Status:
    """How the run stands now."""
    started_s = supervisor.started_s
    processes = {
        name: ProcessStatus(p.pid, p.ready and p.alive, p.restarts) for name, p in supervisor.processes.items()
    }
    processes["supervisor"] = ProcessStatus(os.getpid(), True, 0)
    return Status(
        now_ns=time.monotonic_ns(),
        started=time.time() - (time.monotonic() - started_s) if started_s else 0.0,
        phase=PHASES[supervisor.phase],
        streams={stream: _stream(supervisor, stream) for stream in supervisor.streams},
        stages={
            name: StageStatus(
                work.frames, work.batches, work.busy_ns, work.cpu_ns, len(members), sum(p.restarts for p in members),
                dict(work.counts),
            )
            for name, (members, work) in supervisor.work().items()
        },
        processes=processes,
        facts=supervisor.facts(),
        limited_by=limited_by(supervisor),
    )  # fmt: skip


def _stream(supervisor: Supervisor, stream: str) -> StreamStatus:
    ledger, capture = supervisor.ledger(stream), supervisor.capture_of(stream)
    says = capture.beat.says if ledger.state == "away" else {}
    return StreamStatus(
        source=redact(supervisor.source_of(stream)),
        kind=capture.facts.get("source", ""),
        live=capture.facts.get("mode") == "latest",
        state=ledger.state,
        captured=ledger.captured,
        shown=ledger.shown,
        dropped=ledger.dropped,
        in_flight=ledger.in_flight,
        faces=ledger.faces,
        corrupt=ledger.corrupt,
        fps=ledger.fps,
        paced_fps=ledger.paced_fps,
        nominal_fps=float(capture.facts.get("fps", 0)),
        reconnects=capture.work.counts.get("reconnects", 0),
        away=redact(says.get("away", "")),
        away_since_ns=int(says.get("away_since_ns", 0)),
        next_try_ns=int(says.get("next_try_ns", 0)),
        ages=ledger.ages.tolist(),
    )
