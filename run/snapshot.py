"""The Status of a run, from what its supervisor holds."""

from __future__ import annotations

import math
import os
import time
from typing import Any

from configs.redact import redact
from run.process import Process
from run.processes import Processes
from run.streams import Streams
from tell.status import ProcessStatus, StageStatus, Status, StreamStatus
from transport.cores import usable_cores


def snapshot(
    phase: str,
    started_s: float,
    ended_s: float,
    cores: int,
    streams: Streams,
    processes: Processes,
    about: dict[str, Any],
) -> Status:
    """How the run stands now. Times are of time.monotonic(), 0: not yet; `cores` 0: all there are."""
    now_s = time.monotonic()
    told = {name: ProcessStatus(p.pid, p.ready and p.alive, p.restarts) for name, p in processes.by_name.items()}
    return Status(
        now_ns=time.monotonic_ns(),
        started=time.time() - (now_s - started_s) if started_s else 0.0,
        ran_s=(ended_s or now_s) - started_s if started_s else 0.0,
        phase=phase,
        cores=cores or usable_cores(),
        streams={capture.spec.stream: _stream(streams, capture) for capture in processes.captures},
        stages={
            name: StageStatus(
                work.frames, work.batches, work.busy_ns, work.cpu_ns, len(members), sum(p.restarts for p in members),
                dict(work.counts),
            )
            for name, (members, work) in processes.work().items()
        },
        processes=told | {"supervisor": ProcessStatus(os.getpid(), True, 0)},
        facts=processes.facts(),
        beside={a.name: counts for a in processes.asides if (counts := dict(a.work.counts) | a.beat.gauges)},
        about=about,
        says={aside.name: dict(aside.beat.says) for aside in processes.asides if aside.beat.says},
    )  # fmt: skip


def _stream(streams: Streams, capture: Process) -> StreamStatus:
    name = capture.spec.stream
    ledger = streams.ledger(name)
    says = capture.beat.says if ledger.state == "away" else {}
    return StreamStatus(
        source=redact(str(streams.config[name].source)),
        kind=capture.facts.get("source", ""),
        live=capture.facts.get("mode") == "latest",
        state=ledger.state,
        captured=ledger.captured,
        shown=ledger.shown,
        dropped=ledger.dropped,
        in_flight=ledger.in_flight,
        faces=ledger.faces,
        corrupt=ledger.corrupt,
        skipped=ledger.skipped,
        fps=ledger.fps,
        paced_fps=ledger.paced_fps,
        nominal_fps=_number(capture.facts.get("fps", "")),
        reconnects=capture.work.counts.get("reconnects", 0),
        away=redact(says.get("away", "")),
        away_since_ns=int(_number(says.get("away_since_ns", ""))),
        next_try_ns=int(_number(says.get("next_try_ns", ""))),
        ages=ledger.ages.tolist(),
        recorded=ledger.recorded,
        not_recorded=ledger.not_recorded,
        decoder=capture.facts.get("decoder", ""),
        still=ledger.state == "flowing" and "still" in capture.beat.says,
    )


def _number(text: str) -> float:
    """What a process says of itself; a word that is no number must not end the run."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0
