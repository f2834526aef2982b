"""All processes of a run: a capture for each stream, the stages behind them, and what runs beside the frames."""

from __future__ import annotations

from collections.abc import Sequence

from run.process import Launch, Process, Say, Work
from transport.spec import Spec
from transport.stage import Aside, Table


class Processes:
    """The processes by their place in the table. `by_name` holds those of now."""

    def __init__(self, table: Table, asides: Sequence[Aside], say: Say, launch: Launch) -> None:
        self._captures_name = table[0].name
        self._stage_names = [name for row in table[1:] for name in row.names]
        self._aside_names = [aside.name for aside in asides]
        self._say, self._launch = say, launch
        self._gone = Work()  # what the captures of removed streams have done
        self.by_name: dict[str, Process] = {}

    def add(self, spec: Spec) -> Process:
        """One more, not started yet."""
        process = self.by_name[spec.process] = Process(spec, self._say, self._launch)
        return process

    def remove(self, process: Process) -> None:
        """Forget a capture that has ended, but not what it has done."""
        self._gone += self.by_name.pop(process.name).work

    def capture_of(self, stream: str) -> Process:
        """The process that reads a stream's source."""
        return self.by_name[f"{self._captures_name}-{stream}"]

    @property
    def captures(self) -> list[Process]:
        """Those that read sources."""
        return [process for process in self.by_name.values() if process.spec.stream]

    @property
    def stages(self) -> list[Process]:
        """Those that the frames pass through."""
        return [self.by_name[name] for name in self._stage_names if name in self.by_name]

    @property
    def asides(self) -> list[Process]:
        """Those beside the frames."""
        return [self.by_name[name] for name in self._aside_names if name in self.by_name]

    @property
    def others(self) -> list[Process]:
        """All but the captures."""
        return [*self.stages, *self.asides]

    def starting(self, since_s: float) -> int:
        """How many captures have been started since then (time.monotonic()) and are not ready yet."""
        return sum(process.started_s > since_s and not process.ready and not process.done for process in self.captures)

    def work(self) -> dict[str, tuple[list[Process], Work]]:
        """What each process of a stage has done, and the captures together."""
        captures = self.captures
        together = sum((process.work for process in captures), self._gone)
        return {self._captures_name: (captures, together)} | {
            process.name: ([process], process.work) for process in self.stages
        }

    def facts(self) -> dict[str, str]:
        """What the stages said of themselves when they became ready, or say now: model, provider, detector, ..."""
        return {key: value for one in self.stages for key, value in (one.facts | one.beat.says).items()}

    def kill_all(self, but: Sequence[Process] = ()) -> None:
        """End all at once, `but` these, and wait for it."""
        ending = [process for process in self.by_name.values() if process not in but]
        for process in ending:
            process.kill()
            process.done = True
        for process in ending:
            process.wait(5)
