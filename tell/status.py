"""How a run stands at one moment: what its supervisor tells to the terminal, the log, systemd and the page."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class StreamStatus(Struct, frozen=True):
    """A stream: what it is, how it is, its ledger. Counts are since the start of the run.

    `source` holds no password. `nominal_fps` is what the source says of itself, 0: nothing. While it is away, `away`
    says why (one line, no password), since when, and when it is tried again (time.monotonic_ns). `ages` is the
    histogram of transport/header.py. `recorded` and `not_recorded` are of the frames that sinks were to record.
    `decoder` is what decodes it, as the option `decode` names it; empty where FFmpeg does not.
    `still`: nothing moves before it, and only some pictures a second go on (`still_fps`); the others are skipped.
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
    skipped: int
    fps: float
    paced_fps: float
    nominal_fps: float
    reconnects: int
    away: str
    away_since_ns: int
    next_try_ns: int
    ages: list[int]
    recorded: int = 0
    not_recorded: int = 0
    decoder: str = ""
    still: bool = False


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
    """The run. `now_ns` is time.monotonic_ns(), `started` the Unix time at which the sources began, s; 0: not yet.

    `ran_s` is how long the sources have run, until they ended; `cores` how many cores the run may use; `facts` what
    the stages say of themselves; `beside` what the processes beside them have counted.
    `phase` is one of starting, running, draining, closing. `about` says which run of a fleet it is: site, host, shard,
    run, and of a shard what run/shard.py tells of its epoch and its lives before; empty for a plain run. `says` is what
    the processes beside the frames say right now.
    """

    now_ns: int
    started: float
    ran_s: float
    phase: str
    cores: int
    streams: dict[str, StreamStatus]
    stages: dict[str, StageStatus]
    processes: dict[str, ProcessStatus]
    facts: dict[str, str]
    beside: dict[str, dict[str, int]]
    about: dict[str, Any] = {}
    says: dict[str, dict[str, str]] = {}
