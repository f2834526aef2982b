"""All that a worker is told by its supervisor, as JSON over the worker's standard input."""

from __future__ import annotations

import msgspec

from configs.labels import NONE, Labels
from transport.stage import EVER, RunStart


class StreamPlace(msgspec.Struct, frozen=True):
    """Where a stream's shared memory is, and where its capture hears what has ended.

    `id` is that of the segment: by the time that somebody opens it, its path may be another's. `lane` says which
    process of each stage its frames go through.
    """

    segment: str
    id: int
    returns: str
    lane: int = 0


class TraceSpec(msgspec.Struct, frozen=True):
    """Which frames are traced, and where to. `epoch_ns` added to `time.monotonic_ns()` is Unix time.

    It is the run's: a process that took its own could place a span before the one that it follows.
    """

    every: int
    endpoint: str
    run: str
    epoch_ns: int


class Spec(msgspec.Struct, frozen=True):
    """All that a worker is told by the supervisor.

    `row` is the name of its row in the table, of whose `processes` it is the one with the number `index`. `outboxes`
    are those of the next row's processes; none: the last stage, or an `aside`. `showing` are the processes of the last
    stage. `streams` are all of the run, those of other lanes, too.

    `life` is the number of this life of the process; none is used twice in a run. `place` is where frames are that this
    stage has (transport/slot.py). `added`: a source that came while the run went on. `first` is the stream that the run
    began with first. `counted` is what its earlier lives have counted, as far as it was heard. `modules` are imported
    before the process is forked, for all that come after it, too.
    """

    process: str
    row: str
    function: str
    config: msgspec.Raw
    inbox: str
    outboxes: tuple[str, ...]
    control: str
    feeds: str
    streams: dict[str, StreamPlace]
    processes: int = 1
    index: int = 0
    showing: tuple[str, ...] = ()
    stream: str = ""
    first: str = ""
    batch: int = 1
    wait_ms: float = 0.0
    restarts: int = 0
    counted: dict[str, int] = {}
    parent: int = 0
    aside: bool = False
    added: bool = False
    place: int = 0
    life: int = 0
    began: RunStart = EVER
    trace: TraceSpec | None = None
    modules: tuple[str, ...] = ()
    labels: Labels = NONE
