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
from run.changes import Changes
from run.interrupts import interrupts
from run.plan import Plan
from run.process import Process, Say
from run.processes import Processes
from run.run_folder import run_folder
from run.snapshot import snapshot
from run.streams import Streams
from tell.status import Status
from transport.channel import Inbox
from transport.codec import Beat, Command, Ready, Refused
from transport.feed import Feed
from transport.ledger import Ledger
from transport.stage import Aside, Stage

_POLL_S = 0.05
_TELL_S = 0.5
_DRAIN_S = 1.5  # after Ctrl-C: time for the frames under way, then the sinks are closed without them
_KILL_S = 2.6  # after Ctrl-C: whoever still runs is killed, so that all is gone within 3 s

STARTING, RUNNING, DRAINING, CLOSING = range(4)
_PHASES = ("starting", "running", "draining", "closing")


class Supervisor:
    """The processes of one run. `run()` returns when all have ended; `status` and `ledgers` tell what was, then, too.

    `on_tick` is told twice a second how the run stands. `asides` are processes beside the stages; with any, the
    run tells them, too, and they may have streams added: `admit` makes a name and options of what they give (JSON,
    and the names that are taken).
    """

    def __init__(
        self,
        stages: list[Stage],
        run: RunConfig,
        say: Say,
        on_tick: Callable[[Status], None],
        asides: Sequence[Aside] = (),
        admit: Callable[[bytes, list[str]], tuple[str, Any]] | None = None,
        trace: TraceConfig | None = None,
    ) -> None:
        self._table, self._run, self._say, self._on_tick = stages, run, say, on_tick
        self._aside_rows, self.admit, self._trace = asides, admit, trace
        self._streams = Streams(stages[0].config)
        self._processes = Processes(stages, asides, say)
        self._changes = Changes()
        self.refused: dict[str, str] = {}
        self._phase = STARTING
        self._started_s = self._ended_s = 0.0
        self._feed: Feed | None = None
        self._ticked_s = 0.0
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
                self._processes.add(spec)
            if self._aside_rows:
                self._feed = stack.enter_context(Feed(context, f"ipc://{folder}/feed-supervisor"))
            stack.enter_context(interrupts(self.stop))
            try:
                self._supervise(control)
            finally:
                self._processes.kill_all()
            for stream, rest in self._streams.settle().items():
                self._say(stream, f"still under way when the run was stopped: {counted(rest, 'frame')}")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the run in order, as Ctrl-C does; a second time, at once."""
        self._interrupts += 1

    @property
    def status(self) -> Status:
        """How the run stands, now or at the end."""
        phase = _PHASES[self._phase]
        return snapshot(phase, self._started_s, self._ended_s, self._run.cores, self._streams, self._processes)

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """The accounts of all streams, now or at the end; those that were removed while the run went on come first."""
        return {stream: self._streams.ledger(stream) for stream in (*self.removed, *self.streams)}

    @property
    def streams(self) -> list[str]:
        """The names of all streams of now."""
        return self._streams.names

    @property
    def removed(self) -> list[str]:
        """Those that were removed while the run went on; their ledgers are kept."""
        return list(self._streams.removed)

    @property
    def is_running(self) -> bool:
        """Whether the sources run, and nothing has told them to end."""
        return self._phase == RUNNING and not self._interrupts and self._failure is None

    def add(self, stream: str, config: Any) -> None:
        """Begin a stream while the run goes on; the stages learn of it by what walks ahead of its frames."""
        self._streams.add(stream, config)
        spec = self._plan.capture(stream, added=True, gone=self.removed)
        self._processes.add(spec).start()

    def end(self, stream: str) -> None:
        """Ask a stream's source to end; its frames come home, then it is done."""
        self._processes.capture_of(stream).close()

    def is_done(self, stream: str) -> bool:
        """Whether its source has ended, and all its frames are home."""
        return self._processes.capture_of(stream).done

    def pause(self, stream: str, paused: bool) -> None:
        """Let a source be, or go on with it."""
        self._streams.pause(stream, paused)

    def forget(self, stream: str) -> None:
        """Give back what an ended stream held; its ledger stays for the account at the end."""
        self._processes.remove(self._processes.capture_of(stream))
        self._streams.forget(stream)

    def answer(self, text: bytes) -> None:
        """Tell those beside the frames what became of a command."""
        if self._feed is not None:
            self._tell()  # how the run stands first: who asks as soon as the answer is there is to see what it did
            self._feed.send(b"answer", text)

    def _supervise(self, control: Inbox) -> None:
        for process in self._processes.others:
            process.start()
        looked_s = time.monotonic()
        processes = self._processes.by_name
        while not all(process.done for process in processes.values()):
            self._listen(control)
            now_s = time.monotonic()
            if now_s - looked_s > 1:  # we were stopped (Ctrl-Z) or starved, and so perhaps was everyone
                for process in processes.values():
                    process.heard_s = now_s
            looked_s = now_s
            for process in list(processes.values()):
                self._watch(process, control)
            self._changes.advance(self)
            self._advance()
            if time.monotonic() - self._ticked_s >= _TELL_S:
                self._ticked_s = time.monotonic()
                self._tell()

    def _tell(self) -> None:
        """Tell all who watch how the run stands."""
        status = self.status
        self._on_tick(status)
        if self._feed is not None:
            self._feed.send(b"status", msgspec.msgpack.encode(status))

    def _listen(self, control: Inbox, timeout_s: float = _POLL_S) -> None:
        message = control.receive(timeout_s)
        while message is not None:
            if isinstance(message, Beat | Ready | Refused):
                if message.process in self._processes.by_name:
                    self._hear(self._processes.by_name[message.process], message)
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
        if process.spec.stream in self._streams.paused:
            self._streams.pause(process.spec.stream, True)
        if process.restarts and process in self._processes.stages:
            for capture in self._processes.captures:
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
        is_capture = bool(process.spec.stream)
        if process.refusal:
            self._refuse(process, is_capture)
        elif is_capture and (self._phase >= DRAINING or self._streams.has_finished(process.spec.stream)):
            process.done = True
        elif self._phase == CLOSING and process.exit_code in (0, -signal.SIGTERM):
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
        if self._phase < DRAINING and told_to_end:
            self._phase = DRAINING
            for process in self._processes.captures:
                process.close()
                process.done = process.done or not process.alive
        elif self._phase == STARTING and all(process.ready for process in self._processes.others):
            self._phase, self._started_s = RUNNING, now_s
            for process in self._processes.captures:
                process.start()
        if self._phase in (RUNNING, DRAINING) and all(process.done for process in self._processes.captures):
            self._phase, self._ended_s = CLOSING, now_s
        elif self._phase == DRAINING and told_for_s > _DRAIN_S:
            self._phase, self._ended_s = CLOSING, now_s
            for process in self._processes.captures:
                process.kill()  # it waits for tickets that would come too late; their slots say what became of them
        if self._phase == CLOSING:
            for process in self._processes.others:
                if process.ready or told_to_end:
                    process.close()
                process.done = process.done or (told_to_end and not process.alive)
        if told_to_end and (self._interrupts > 1 or told_for_s > _KILL_S):
            self._processes.kill_all()
