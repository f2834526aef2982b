"""Starts what the stage table says, watches it, restarts what dies, and ends it in order."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import zmq

from configs.errors import InputError
from configs.labels import NONE, Labels
from configs.plural import counted
from configs.schema import RunConfig, TraceConfig
from run.changes import Admit, Changes
from run.closing import Closing
from run.code import UPGRADED
from run.interrupts import interrupts
from run.launcher import Launcher
from run.limits import check_memory, check_open_files, free_memory, raise_open_files
from run.plan import Plan, place_of
from run.process import Process, Say
from run.processes import Processes
from run.reconcile import Phase, Reconciler
from run.run_folder import run_folder
from run.snapshot import snapshot
from run.streams import Streams, Wanted, slots_of
from tell.status import Status
from transport.channel import Inbox, Outbox
from transport.codec import Beat, Command, Ready, Refused, WireError
from transport.feed import Feed
from transport.junk import Junk
from transport.ledger import Ledger
from transport.stage import Aside, Table, lanes_of

if TYPE_CHECKING:
    from run.shard import Shard

_ROUND_S = 0.05
_LISTEN_S = 1.0  # longer at most where messages come without an end
_TELL_S = 0.5
_DRAIN_S = 1.5  # after Ctrl-C: time for the frames under way, then the sinks are closed without them
_KILL_S = 2.6  # after Ctrl-C: whoever still runs is killed, so that all is gone within 3 s


class Supervisor:
    """The processes of one run. `run()` returns when all have ended; `status` and `ledgers` tell what was, then, too.

    `on_tick` is told twice a second how the run stands. `asides` are processes beside the stages; with any, the
    run tells them, too, and they may have streams added: `admit` makes a name and options of what they give (JSON,
    and the names that are taken). `launcher` may have begun already. `labels` tell the run from others of a fleet;
    one that is a `shard` ends when that says so.
    """

    def __init__(
        self,
        table: Table,
        run: RunConfig,
        say: Say,
        on_tick: Callable[[Status], None],
        asides: Sequence[Aside] = (),
        admit: Admit | None = None,
        trace: TraceConfig | None = None,
        launcher: Launcher | None = None,
        labels: Labels = NONE,
        shard: Shard | None = None,
    ) -> None:
        self._labels, self._shard = labels, shard
        self._table, self._run, self._say, self._on_tick = table, run, say, on_tick
        self._aside_rows, self._trace = asides, trace
        self._streams = Streams(table[0].config, sum(row.keeps for row in table[1:]), lanes_of(table))
        self._launcher = launcher or Launcher(
            ["transport.worker", *(place_of(row.function).partition(":")[0] for row in table)]
        )
        self._processes = Processes(table, asides, say, self._launcher.start)
        self._reconciler = Reconciler(run, self._streams, self._processes, say)
        self._changes = Changes(admit)
        self._ignore = Junk(partial(say, "supervisor"))
        self._phase = Phase.STARTING
        self._started_s = self._ended_s = 0.0
        self._feed: Feed | None = None
        self._ticked_s = 0.0
        self._told_s: float | None = None
        self._interrupts = 0
        self._closing = Closing(self._processes, asides)
        self._awaited_delivery, self._closed = False, 0

    def run(self) -> None:
        """Run until the sources end, a signal comes or something fails.

        Raises InputError if a stage refused what the user gave, Failure if a stage kept dying.
        """
        self._open_files = raise_open_files()
        check_open_files(len(self.wanted), self._open_files, lanes_of(self._table))
        with contextlib.ExitStack() as stack:
            stack.callback(self._launcher.close)
            self._launcher.begin()
            folder = stack.enter_context(run_folder())
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(context.term)
            self._control = stack.enter_context(Inbox(context, f"ipc://{folder}/control"))
            stack.enter_context(self._streams.opened(folder, context))
            self._plan = Plan(self._table, self._aside_rows, folder, self._streams.places, self._trace, self._labels)
            # open all the while: a message to a stage that is being started would go with a link that closes
            self._stage_links = [stack.enter_context(Outbox(context, inbox)) for inbox in self._plan.inboxes]
            for spec in [*map(self._plan.capture, self._streams.names), *self._plan.processes()]:
                self._processes.add(spec)
            if self._aside_rows:
                self._feed = stack.enter_context(Feed(context, f"ipc://{folder}/feed-supervisor"))
            stack.enter_context(interrupts(self.stop))
            try:
                self._supervise()
            finally:
                self._processes.kill_all()
            self._settle()
        if self._reconciler.failure is not None:
            raise self._reconciler.failure

    def stop(self) -> None:
        """End the run in order, as Ctrl-C does; a second time, at once."""
        self._interrupts += 1

    def drain(self) -> None:
        """End the run in order, but let what delivers events go on until all are delivered, or `deliver_s` is over."""
        self._closing.drain(self._run.deliver_s)

    @property
    def status(self) -> Status:
        """How the run stands, now or at the end."""
        phase, times = self._phase.name.lower(), (self._started_s, self._ended_s)
        about = self._shard.about if self._shard is not None else dict(self._labels.given)
        return snapshot(phase, *times, self._run.cores, self._streams, self._processes, about)

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """The accounts of all streams, now or at the end; those that were removed while the run went on come first."""
        return self._streams.ledgers()

    @property
    def refused(self) -> dict[str, str]:
        """The sources that could not be used, and why."""
        return self._reconciler.refused

    @property
    def wanted(self) -> dict[str, Wanted]:
        """The streams of now, and what is wanted of each: what is written here will be so."""
        return self._streams.wanted

    @property
    def is_running(self) -> bool:
        """Whether the sources run, and nothing has told them to end."""
        return self._phase == Phase.RUNNING and not self._is_told_to_end

    @property
    def _is_told_to_end(self) -> bool:
        return bool(self._interrupts or self._reconciler.failure or self._closing.is_draining)

    def add(self, stream: str, config: Any) -> None:
        """Begin a stream while the run goes on. A stage that is started later is told of it as of all others.

        Raises InputError if there is no room for it, or its process would be of another version of the program.
        """
        if self._reconciler.was_upgraded:
            raise InputError(UPGRADED)
        check_open_files(len(self.wanted) + 1, self._open_files, lanes_of(self._table))
        check_memory(slots_of(config), free_memory())
        self._streams.add(stream, config)
        for link in self._stage_links:
            link.send(self._streams.opening(stream))
        self._processes.add(self._plan.capture(stream, added=True))

    def has_ended(self, stream: str) -> bool:
        """Whether its source has ended, and all its frames are home."""
        return self._processes.capture_of(stream).done

    def answer(self, text: bytes) -> None:
        """Tell those beside the frames what became of a command."""
        if self._feed is not None:
            self._tell()  # how the run stands first: who asks as soon as the answer is there is to see what it did
            self._feed.send(b"answer", text)

    def _supervise(self) -> None:
        self._launcher.settle(self._say, lambda: bool(self._interrupts), self._run.start_timeout_s)
        for process in self._processes.others:
            self._reconciler.start(process)
        while not all(process.done for process in self._processes.by_name.values()):
            self._listen()
            self._launcher.look()
            self._reconciler.round(self._phase)
            self._changes.advance(self)
            before = self._phase
            self._advance()
            # at once where the phase is another: a run may end within _TELL_S, and systemd waits for STOPPING
            if self._phase != before or time.monotonic() - self._ticked_s >= _TELL_S:
                self._ticked_s = time.monotonic()
                self._tell()

    def _tell(self) -> None:
        """Tell all who watch how the run stands."""
        status = self.status
        if self._shard is not None:
            for line in self._shard.hear(status.says, self.ledgers):
                self._say("shard", line)
            if self._shard.ends and not self._closing.is_draining:
                self._say("shard", self._shard.ends)
                self.drain()
        self._on_tick(status)
        if self._feed is not None:
            self._feed.send(b"status", msgspec.msgpack.encode(status))

    def _listen(self) -> None:
        """Take in what comes until the next round. What is no message of this run is said and ignored.

        A round after each message looked after each of 200 processes 400 times a second. What waits when a round is
        due is heard before it: who has said something is not silent.
        """
        until_s = time.monotonic() + _ROUND_S
        while time.monotonic() < until_s + _LISTEN_S:
            left_s = until_s - time.monotonic()
            waits = left_s > 0.001  # the least that it waits for
            message = self._control.receive(left_s if waits else 0, on_junk=self._ignore)
            if message is None and not waits:
                return
            if isinstance(message, Beat | Ready | Refused):
                self._reconciler.hear(message)
                if isinstance(message, Ready):
                    until_s = time.monotonic()  # others may have waited for it to be started
            elif isinstance(message, Command):
                self._changes.take(self, message)
            elif message is not None:
                self._ignore(WireError(f"{type(message).__name__} does not belong here"))

    def _advance(self) -> None:
        """From starting over running and draining to closing."""
        now_s = time.monotonic()
        told_to_end = self._is_told_to_end
        if told_to_end and self._told_s is None:
            self._told_s = now_s
        told_for_s = now_s - self._told_s if self._told_s is not None else 0.0
        if self._phase < Phase.DRAINING and told_to_end:
            self._phase = Phase.DRAINING
            for process in self._processes.captures:
                process.close()
                process.done = process.done or not process.alive
        elif self._phase == Phase.STARTING and all(process.ready for process in self._processes.others):
            self._phase, self._started_s = Phase.RUNNING, now_s
        if self._phase in (Phase.RUNNING, Phase.DRAINING) and all(process.done for process in self._processes.captures):
            self._phase, self._ended_s = Phase.CLOSING, now_s
        elif self._phase == Phase.DRAINING and told_for_s > _DRAIN_S:
            self._phase, self._ended_s = Phase.CLOSING, now_s
            for process in self._processes.captures:
                process.kill()  # it waits for tickets that would come too late; their slots say what became of them
        awaits_delivery = self._closing.awaits_delivery and not self._interrupts
        if self._awaited_delivery and not awaits_delivery:
            self._told_s = now_s  # what was kept open is told now, and gets its time
        self._awaited_delivery = awaits_delivery
        if self._phase == Phase.CLOSING:
            self._close(self._closing.due(awaits_delivery), told_to_end)
        if told_to_end and (self._interrupts > 1 or now_s - (self._told_s or now_s) > _KILL_S):
            self._processes.kill_all(but=self._processes.asides if awaits_delivery else ())

    def _close(self, due: list[Process], told_to_end: bool) -> None:
        """Have these finish, and tell of it when they become more: the last of them is to hear the whole account."""
        if len(due) != self._closed:
            self._closed = len(due)
            if self._closing.frames_ended:
                self._settle()
            self._tell()
        for process in due:
            if process.ready or told_to_end:
                process.close()
            process.done = process.done or (told_to_end and not process.alive)

    def _settle(self) -> None:
        """Count what was still under way when the last process of the frames ended."""
        for stream, rest in self._streams.settle().items():
            self._say(stream, f"still under way when the run was stopped: {counted(rest, 'frame')}")
