"""What a simulated run knows of its processes and streams by itself, to hold the protocol's account against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from greenlet import greenlet

from transport import header as at
from transport.frame import Box, Face
from transport.pool import Pool
from transport.slot import FIRST
from transport.spec import StreamPlace

STAGES = ("detect", "classify", "overlay")
LAST = FIRST + len(STAGES) - 1
LOST, STALE = at.OUTCOMES.index("lost"), at.OUTCOMES.index("stale")


def faces_of(segment: int, seq: int, place: int) -> tuple[Face, ...]:
    """What the stages before `place` have found in a frame."""
    return tuple(Face(Box(seq, stage, segment % 997, 0)) for stage in range(FIRST, place) for _ in range(seq % 3))


@dataclass
class Process:
    """A stage or a capture, over its lives. `inbox` holds encoded messages; reliable ones only get lost in a death."""

    name: str
    stream: Stream | None = None
    place: int = 0  # of a stage
    index: int = 0  # which of its row's processes it is
    life: int = 0
    greenlet: greenlet | None = None
    inbox: list[bytes] = field(default_factory=list)
    done: bool = False
    pools: list[Pool] = field(default_factory=list)
    turns: int = 0  # writes that it may do before others have their turn


@dataclass
class Stream:
    """A stream: what was done with it, and what was seen of it."""

    name: str
    fd: int
    pool: Pool
    length: int
    live: bool
    place: StreamPlace = None
    capture: Process = None
    stopping: bool = False
    shown: list[int] = field(default_factory=list)
    stale: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    deaths: Counter = field(default_factory=Counter)  # (seq, place) -> lives that died with it, at most
    sure_deaths: Counter = field(default_factory=Counter)  # without those that were just about to keep it for later
    twice: set[int] = field(default_factory=set)  # may be shown twice: a death between the sinks and their mark
    told_ended: set[str] = field(default_factory=set)
    skipped: int = 0
