"""Starts what the stage table says, watches it, restarts what dies, and ends it in order."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import zmq

from configs.errors import Failure, InputError
from configs.plural import counted
from configs.schema import RunConfig, TraceConfig
from transport.changes import Changes
from transport.channel import Inbox
from transport.codec import Beat, Command, Ready, Refused
from transport.feed import Feed
from transport.interrupts import interrupts
from transport.ledger import Ledger
from transport.plan import Plan
from transport.process import Process, Say, Work
from transport.run_folder import run_folder
from transport.stage import Aside, Stage
from transport.status import status_of
from transport.streams import Streams

_POLL_S = 0.05
_TELL_S = 0.5
_DRAIN_S = 1.5  # after Ctrl-C: time for the frames under way, then the sinks are closed without them
_KILL_S = 2.6  # after Ctrl-C: whoever still runs is killed, so that all is gone within 3 s

STARTING, RUNNING, DRAINING, CLOSING = range(4)


class Supervisor:
    """The processes of one run. `run()` returns when all have ended; then `ledgers` and `stages` tell what was.

    `asides` are processes beside the stages; with any, the run tells twice a second how it stands, and they may have
    streams added: `admit` makes a name and options of what they give (JSON, and the names that are taken).
    """

    def __init__(
        self,
        stages: list[Stage],
        run: RunConfig,
        say: Say,
        on_tick: Callable[[Supervisor], None],
        asides: Sequence[Aside] = (),
        admit: Callable[[bytes, list[str]], tuple[str, Any]] | None = None,
        trace: TraceConfig | None = None,
    ) -> None:
        self._table, self._run, self._say, self._on_tick = stages, run, say, on_tick
        self._aside_rows, self.admit, self._trace = asides, admit, trace
        self._streams = Streams(stages[0].config)
        self._changes = Changes()
        self._gone = Work()  # what the captures of removed streams have done
        self.processes: dict[str, Process] = {}
        self.refused: dict[str, str] = {}
        self.phase = STARTING
        self.started_s = 0.0
        self.ended_s = 0.0
        self._feed: Feed | None = None
        self._fed_s = 0.0
        self._told_s: float | None = None
        self._interrupts = 0
        self._failure: Exception | None = None

    def run(self) -> None:
        """Run until the sources end, a signal comes or something fails.

        Raises InputError if a stage refused what the user gave, Failure if a stage kept dying.
        """
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(run_folder())
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(context.term)
            control = stack.enter_context(Inbox(context, f"ipc://{folder}/control"))
            stack.enter_context(self._streams.opened(folder, context))
            self._plan = Plan(self._table, self._aside_rows, folder, self._streams.places, self._trace)
            for spec in [*map(self._plan.capture, self.streams), *self._plan.processes()]:
                self.processes[spec.process] = Process(spec, self._say)
            if self._aside_rows:
                self._feed = stack.enter_context(Feed(context, f"ipc://{folder}/feed-supervisor"))
            stack.enter_context(interrupts(self.stop))
            try:
                self._supervise(control)
            finally:
                self._kill_all()
            for stream, rest in self._streams.settle().items():
                self._say(stream, f"still under way when the run was stopped: {counted(rest, 'frame')}")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the run in order, as Ctrl-C does; a second time, at once."""
        self._interrupts += 1

    def ledger(self, stream: str) -> Ledger:
        """The account of a stream, now or at the end."""
        return self._streams.ledger(stream)

    @property
    def streams(self) -> list[str]:
        """The names of all streams of now."""
        return self._streams.names

    @property
    def removed(self) -> list[str]:
        """Those that were removed while the run went on; their ledgers are kept."""
        return list(self._streams.removed)

    def work(self) -> dict[str, tuple[list[Process], Work]]:
        """Per stage its processes, and what they have done together."""
        members = {row.name: self._members(row) for row in self._table}
        gone = {self._table[0].name: self._gone}
        return {
            name: (those, sum((process.work for process in those), gone.get(name, Work())))
            for name, those in members.items()
        }

    def beside(self) -> dict[str, dict[str, int]]:
        """What the processes beside the stages have counted of their own work."""
        return {process.name: dict(process.work.counts) for process in self._asides if process.work.counts}

    def capture_of(self, stream: str) -> Process:
        """The process that reads a stream's source."""
        return self.processes[f"{self._table[0].name}-{stream}"]

    def source_of(self, stream: str) -> str:
        """What the user named as the source of a stream; it may hold a password."""
        return str(self._table[0].config[stream].source)

    @property
    def cores(self) -> int:
        """How many the run may use; 0: all there are."""
        return self._run.cores

    def facts(self) -> dict[str, str]:
        """What the stages said of themselves when they became ready: model, provider, detector, ..."""
        return {key: value for row in self._table[1:] for p in self._members(row) for key, value in p.facts.items()}

    @property
    def is_running(self) -> bool:
        """Whether the sources run, and nothing has told them to end."""
        return self.phase == RUNNING and not self._interrupts and self._failure is None

    def add(self, stream: str, config: Any) -> None:
        """Begin a stream while the run goes on; the stages learn of it by what walks ahead of its frames."""
        self._streams.add(stream, config)
        spec = self._plan.capture(stream, added=True, gone=self.removed)
        self.processes[spec.process] = Process(spec, self._say)
        self.processes[spec.process].start()

    def end(self, stream: str) -> None:
        """Ask a stream's source to end; its frames come home, then it is done."""
        self.capture_of(stream).close()

    def pause(self, stream: str, paused: bool) -> None:
        """Let a source be, or go on with it."""
        self._streams.pause(stream, paused)

    def forget(self, stream: str) -> None:
        """Give back what an ended stream held; its ledger stays for the account at the end."""
        self._gone += self.processes.pop(self.capture_of(stream).name).work
        self._streams.forget(stream)

    def answer(self, text: bytes) -> None:
        """Tell those beside the frames what became of a command."""
        if self._feed is not None:
            self._fed_s = 0.0
            self._tell()  # how the run stands first: who asks as soon as the answer is there is to see what it did
            self._feed.send(b"answer", text)

    def _members(self, row: Stage) -> list[Process]:
        if row is self._table[0]:
            return [self.capture_of(stream) for stream in self.streams]
        return [self.processes[row.name]]

    @property
    def _captures(self) -> list[Process]:
        return self._members(self._table[0])

    @property
    def _others(self) -> list[Process]:
        """All but the captures: the stages behind them, and what runs beside."""
        return [*(process for row in self._table[1:] for process in self._members(row)), *self._asides]

    @property
    def _asides(self) -> list[Process]:
        return [self.processes[aside.name] for aside in self._aside_rows]

    def _supervise(self, control: Inbox) -> None:
        for process in self._others:
            process.start()
        looked_s = time.monotonic()
        while not all(process.done for process in self.processes.values()):
            self._listen(control)
            now_s = time.monotonic()
            if now_s - looked_s > 1:  # we were stopped (Ctrl-Z) or starved, and so perhaps was everyone
                for process in self.processes.values():
                    process.heard_s = now_s
            looked_s = now_s
            for process in list(self.processes.values()):
                self._watch(process, control)
            self._changes.advance(self)
            self._advance()
            self._on_tick(self)
            self._tell()

    def _tell(self) -> None:
        """Tell those who watch how the run stands."""
        if self._feed is not None and time.monotonic() - self._fed_s >= _TELL_S:
            self._fed_s = time.monotonic()
            self._feed.send(b"status", msgspec.msgpack.encode(status_of(self)))

    def _listen(self, control: Inbox, timeout_s: float = _POLL_S) -> None:
        message = control.receive(timeout_s)
        while message is not None:
            if isinstance(message, Beat | Ready | Refused):
                if message.process in self.processes:
                    self._hear(self.processes[message.process], message)
            elif isinstance(message, Command):
                self._changes.take(self, message)
            message = control.receive(0)

    def _hear(self, process: Process, message: Beat | Ready | Refused) -> None:
        if isinstance(message, Refused):
            process.refusal = message.reason
        elif message.pid == process.pid:  # not the last words of an earlier life
            process.heard_s = time.monotonic()
            if isinstance(message, Beat):
                process.beat = message
            else:
                self._became_ready(process, message)

    def _became_ready(self, process: Process, message: Ready) -> None:
        process.ready, process.facts, process.deaths_unready = True, message.facts, 0
        facts = ", ".join(f"{key} {value}" for key, value in message.facts.items())
        self._say(process.name, f"ready (pid {message.pid}{'; ' if facts else ''}{facts})")
        if process in self._captures and process.spec.stream in self._streams.paused:
            self._streams.pause(process.spec.stream, True)
        if process.restarts and process not in self._captures and process not in self._asides:
            for capture in self._captures:
                if not capture.done:
                    self._streams.sweep(capture.spec.stream)

    def _watch(self, process: Process, control: Inbox) -> None:
        """What a process's exit, silence or long work means now."""
        if process.done:
            return
        now_s = time.monotonic()
        if process.restart_at_s is not None:
            if now_s >= process.restart_at_s:
                process.start()
        elif process.pid and not process.alive:
            self._listen(control, 0.1)  # its last words may still be on their way
            self._ended(process)
        elif process.alive and (why := process.overdue(self._run)):
            self._say(process.name, f"{why}: killed")
            process.kill()
            process.wait(1)

    def _ended(self, process: Process) -> None:
        """A process is gone: it may, it was refused, or it is started again."""
        is_capture = process in self._captures
        if process.refusal:
            self._refuse(process, is_capture)
        elif is_capture and (self.phase >= DRAINING or self._streams.has_finished(process.spec.stream)):
            process.done = True
        elif self.phase == CLOSING and process.exit_code in (0, -signal.SIGTERM):
            process.done = True
        else:
            self._restart(process)

    def _refuse(self, process: Process, is_capture: bool) -> None:
        process.done = True
        if is_capture and (self._run.keep_going or process.spec.added) and len(self.streams) > 1:
            self._say(process.name, process.refusal)
            self.refused[process.spec.stream] = process.refusal
            self._streams.failed(process.spec.stream)
        else:
            self._fail(InputError(process.refusal))

    def _restart(self, process: Process) -> None:
        how = process.how_it_ended()
        delay_s = process.died(self._run.max_restarts)
        if delay_s is None:
            process.done = True
            self._fail(Failure(f"{process.name} died {len(process.deaths)} times within a minute, last: {how}"))
        else:
            self._say(process.name, f"died ({how}), starting it again in {delay_s:.2g} s")

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error

    def _advance(self) -> None:
        """From starting over running and draining to closing."""
        now_s = time.monotonic()
        told_to_end = bool(self._interrupts or self._failure)
        if told_to_end and self._told_s is None:
            self._told_s = now_s
        told_for_s = now_s - self._told_s if self._told_s is not None else 0.0
        if self.phase < DRAINING and told_to_end:
            self.phase = DRAINING
            for process in self._captures:
                process.close()
                process.done = process.done or not process.alive
        elif self.phase == STARTING and all(process.ready for process in self._others):
            self.phase, self.started_s = RUNNING, now_s
            for process in self._captures:
                process.start()
        if self.phase in (RUNNING, DRAINING) and all(process.done for process in self._captures):
            self.phase, self.ended_s = CLOSING, now_s
        elif self.phase == DRAINING and told_for_s > _DRAIN_S:
            self.phase, self.ended_s = CLOSING, now_s
            for process in self._captures:
                process.kill()  # it waits for tickets that would come too late; their slots say what became of them
        if self.phase == CLOSING:
            for process in self._others:
                if process.ready or told_to_end:
                    process.close()
                process.done = process.done or (told_to_end and not process.alive)
        if told_to_end and (self._interrupts > 1 or told_for_s > _KILL_S):
            self._kill_all()

    def _kill_all(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.done = True
        for process in self.processes.values():
            process.wait(5)
