"""What a stage is: one row of the process table, and what its function is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs.labels import NONE, Labels
from transport.frame import Ended, Frame, Held
from transport.recordings import RecordingCount

Batches = Iterable[list[Frame]]
StageFunction = Callable[..., Iterator[Frame | Ended | Held]]
Place = str
"""Where a function is, as `room.file:name`. A row that names it so does not make the supervisor import its room."""

_TICK_S = 0.01  # times of files are those of the kernel's last tick, up to 10 ms ago


@dataclass(frozen=True, slots=True)
class RunStart:
    """When a run began, by both clocks: that of the wall may be set while the run goes on."""

    unix_s: float = field(default_factory=time.time)
    monotonic_s: float = field(default_factory=time.monotonic)

    def was_before(self, unix_s: float) -> bool:
        """Whether the run had begun at that time, which was taken from the wall clock before or after it was set.

        In doubt it had: a file that is taken for the run's own is not written over.
        """
        return unix_s >= min(self.unix_s, time.time() - time.monotonic() + self.monotonic_s) - _TICK_S


EVER = RunStart(0.0, 0.0)


@dataclass(slots=True)
class StageContext:
    """What a stage's function is told of its run, and what it tells of itself.

    `restarts` counts how often this process died before in this run: above 0, what it finds of the run is an earlier
    life's.
    `facts` is filled by the function before it asks for its first batch (`model`, `provider`, ...);
    it is printed when the stage is ready and stands in the run's JSON. `counts` is what it counts of its own work while
    it runs (`searched`, `classified`); it stands there, too, added up over the lives of the process. `counted` is what
    is known of the counts of its earlier lives. `gauges`, of a process beside the frames, are numbers of right now.
    `says` is what it says of itself right now.
    `process` is its own name, `processes` how many its stage has: each stream is with one of them for life. `showing`
    are the names of the processes of the last stage.
    `streams` is how many streams the run had when this process was started, those of other lanes, too. `first` is the
    name of the run's first one; empty where there is only one, or where none is added later: a file that is named
    without a stream is its.
    `ended` are the streams whose last frame was in an earlier batch: what is held of them can go. A name stands there
    for one batch, perhaps twice in a run, and may be one that never came; a later stream of that name is a new one.
    A name that the function puts into `finishing` is told again soon, and the stream is not taken for ended before.
    `began` is when the run began: a file that was written since is the run's own.
    `recordings` gives the account of what is recorded of a stream, while a stage has the stream.
    `still(stream, captured_ns)` says that nothing moved before that camera in a picture captured then, and nobody is
    followed; with 0 that this is not so. Capture lets only some pictures go on meanwhile.
    `feeds` is where the run tells of itself to a page (transport/feed.py), followed by who tells; empty: to none.
    `folder` is the run's own, private to this user and gone at its end. `labels` tell the run from others of a fleet.

    The rest is for the worker and for capture, which has no batches: `busy_since_ns` (0: waiting) tells a long
    piece of work from a hang; `ready` is called when the source is open, or waited for; `wake` ends the wait of the
    thread that collects tickets; `stopping` says that the run ends.
    """

    restarts: int = 0
    facts: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    gauges: dict[str, int] = field(default_factory=dict)
    process: str = ""
    processes: int = 1
    showing: tuple[str, ...] = ()
    streams: int = 1
    first: str = ""
    ended: list[str] = field(default_factory=list)
    finishing: set[str] = field(default_factory=set)
    began: RunStart = field(default_factory=RunStart)
    recordings: Callable[[str], RecordingCount] = lambda stream: RecordingCount()
    still: Callable[[str, int], None] = lambda stream, captured_ns: None
    feeds: str = ""
    folder: Path = Path()
    labels: Labels = NONE
    busy_since_ns: int = 0
    busy_ns: int = 0
    ready: Callable[[], None] = lambda: None
    wake: Callable[[], None] = lambda: None
    stopping: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Sources:
    """Where frames begin: a name, a generator function, and the options of each source by its stream's name.

    One process runs for each. `function(config, tickets, context)` gets the options of its own source, numbers its
    pictures and yields each when it has a ticket. `modules` are libraries that these processes share.
    """

    name: str
    function: Callable[..., Iterator[Frame]] | Place
    config: dict[str, Any]
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """One kind of process: a name, a generator function, its section of the options; so many `processes` of it run.

    The run has as many lanes as the row with most processes. A stream belongs to a lane for life, and to the process of
    each row that the lane has: so order never crosses processes, and a row with one process serves all lanes.

    `function(config, batches, context)` yields each frame that goes on, or `Ended` for one that does not.
    It yields all frames of a batch, in order, before it asks for the next batch; one that is to go on later as `Held`,
    and then once more, in the order of its stream. Asking for the first batch
    says that it is ready (model loaded, warmed up); the end of `batches` says that it must close what it opened.
    An empty batch means that nothing came for a while (half a second, less while frames are held), or that a stream has
    ended (`context.ended`); that is told when all its frames have gone on.
    `batch` and `wait_ms` say how many frames are gathered, `keeps` how many of a stream the function may hold.
    """

    name: str
    function: StageFunction | Place
    config: Any
    batch: int = 1
    wait_ms: float = 0.0
    keeps: int = 0
    processes: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """Of its processes: that of the row; of several each has its number behind it (`detect.1`, `detect.2`)."""
        if self.processes == 1:
            return (self.name,)
        return tuple(f"{self.name}.{number}" for number in range(1, self.processes + 1))


@dataclass(frozen=True, slots=True)
class Aside:
    """A process beside the way of the frames: a name, a function, its section of the options.

    `function(config, context)` calls `context.ready()` when it serves, and returns soon after `context.stopping()`.
    It is watched and restarted as a stage is, and no frame waits for it. One that `delivers` is waited for where the
    run is drained: it says how many events or recordings are `waiting`, and when it looked (`looked_ns`). One that
    `outlasts` all others tells of the run, and hears of its end.
    """

    name: str
    function: Callable[..., None] | Place
    config: Any
    delivers: bool = False
    outlasts: bool = False


Table = tuple[Sources, Stage, *tuple[Stage, ...]]
"""The processes that frames go through, in their order."""


def lanes_of(table: Table) -> int:
    """How many lanes the run has."""
    return max(row.processes for row in table[1:])


def row_of(process: str) -> str:
    """The stage that a process of it belongs to.

    >>> [row_of(name) for name in ("detect", "detect.2")]
    ['detect', 'detect']
    """
    return process.partition(".")[0]
