"""What runs inside a stage's process, seen as `python -m transport.worker NAME` and told the rest on standard input.

It was forked by a server that has imported what stages need (run/fork_server.py), or is a fresh interpreter. Either
way it is readable in `ps`, the main script is not imported again, nothing is pickled, and the source's URL with its
password goes over a pipe instead of standing in the argument list.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import zmq

from configs.errors import InputError
from configs.imported import imported
from configs.redact import learn_options
from transport.channel import Inbox, Outbox
from transport.codec import Beat, Message, Ready, Refused
from transport.frame import Frame
from transport.junk import Junk
from transport.pool import Pool
from transport.post import Post
from transport.spec import Spec
from transport.stage import StageContext, StageFunction
from transport.still import mark_still
from transport.tickets import Stopping, Tickets
from transport.trace import Trace, tracing

REFUSED_EXIT = 2
_BEAT_S = 0.5
_TICK_S = 0.5
_KEPT_TICK_S = 0.05  # while frames are kept: what they wait for may come without another frame
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def main() -> None:
    """Run the stage that standard input describes, until it is told to stop or its parent is gone."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    tie_to_parent(spec.parent, spec.process)
    logging.basicConfig(format="%(name)s\t%(levelname)s\t%(message)s", level=logging.INFO, stream=sys.stderr)
    code = 1
    try:
        code = Worker(spec).run()
    except Exception:
        traceback.print_exc()  # a bug: the supervisor shows it and starts us again
    logging.shutdown()
    sys.stderr.flush()
    # Not by the interpreter's own way out: a reader thread may hang in a camera library, and ZeroMQ waits for every
    # socket that a bug left open (a stage that failed while connecting hung until its start time-out).
    os._exit(code)


def tie_to_parent(parent: int, name: str) -> None:
    """Die with the supervisor, even if it is SIGKILLed; all sinks write so that this costs the last frames at most."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_NAME, name.encode()[:15])
    if os.getppid() != parent:
        os._exit(1)  # it died before we could ask to be told


class Worker:
    """One life of a stage's process: feeds its function and sends on what it yields."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.stopping = threading.Event()
        self.stage = StageContext(
            restarts=spec.restarts,
            counted=spec.counted,
            streams=len(spec.streams),
            first=spec.first,
            began=spec.began,
            feeds=spec.feeds,
            folder=Path(spec.control.removeprefix("ipc://")).parent,
            process=spec.process,
            processes=spec.processes,
            showing=spec.showing,
            labels=spec.labels,
            stopping=self.stopping.is_set,
        )
        self.zmq: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.frames = self.batches = 0
        self._is_ready = False
        self._ready_cpu_ns = 0

    def run(self) -> int:
        """The exit code. What the user gave and cannot be used is reported to the supervisor; a bug is raised."""
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # kept back until now: process.py
        code = 0
        self.heart = Heart(self)
        try:
            function, config = self._load()
            if self.spec.aside:
                self.stage.ready = self._ready
                function(config, self.stage)
            elif self.spec.stream:
                self._run_source(function, config)
            else:
                self._run_stage(function, config)
        except InputError as error:
            self.heart.tell(Refused(self.spec.process, str(error)))
            code = REFUSED_EXIT
        self.heart.stop()
        self.zmq.term()  # waits for unsent pixels: without it 6 of 12 short runs aborted inside libzmq
        return code

    def _load(self) -> tuple[StageFunction, object]:
        """The stage's function, and its config, typed as the function's first parameter says."""
        function = imported(self.spec.function)
        kind = typing.get_type_hints(function)["config"]
        config = msgspec.json.decode(self.spec.config, type=kind)
        learn_options(config)
        return function, config

    def _ready(self) -> None:
        """Say so, once."""
        if not self._is_ready:
            self._is_ready = True
            self._ready_cpu_ns = time.process_time_ns()
            self.heart.tell(Ready(self.spec.process, os.getpid(), self.stage.facts))

    def cpu_ns(self) -> int:
        """CPU time used since it was ready: loading a model is not part of the work on frames."""
        return time.process_time_ns() - self._ready_cpu_ns if self._is_ready else 0

    def _run_stage(self, function: StageFunction, config: object) -> None:
        spec = self.spec
        with (
            tracing(spec) as trace,
            Inbox(self.zmq, spec.inbox) as inbox,
            contextlib.closing(self._post(inbox, trace)) as post,
        ):
            self.stage.recordings = post.recordings.__getitem__
            self.stage.still = functools.partial(mark_still, post.stations)
            for result in function(config, self._feed(post), self.stage):
                post.pass_on(result)

    def _post(self, inbox: Inbox, trace: Trace) -> Post:
        return Post(self.spec, inbox, functools.partial(Outbox, self.zmq), trace)

    def _feed(self, post: Post) -> Iterator[list[Frame]]:
        """Frames for the stage, as many as wait, and the names of streams that have ended."""
        self._ready()
        stage, idle_since_s = self.stage, time.monotonic()
        while not self.stopping.is_set():
            batch = post.gather()
            if batch or time.monotonic() - idle_since_s > (_KEPT_TICK_S if post.kept else _TICK_S):
                yield from self._handed(batch, post)
                idle_since_s = time.monotonic()
            if ended := post.ended():
                stage.ended.extend(ended)
                yield from self._handed([], post)
                stage.ended.clear()
                ended = [stream for stream in ended if stream not in stage.finishing]
                stage.finishing.clear()
                post.let_go(ended)  # now that the stage knows: with the answer to a removal its files are finished
        stage.busy_since_ns = time.monotonic_ns()  # closing files counts as work: a hang there is found, too

    def _handed(self, batch: list[Frame], post: Post) -> Iterator[list[Frame]]:
        """The batch, until the stage asks for the next one."""
        stage = self.stage
        stage.busy_since_ns = time.monotonic_ns()
        yield batch
        stage.busy_ns += time.monotonic_ns() - stage.busy_since_ns
        stage.busy_since_ns = 0
        self.frames += len(batch)
        self.batches += bool(batch)
        if post.held:
            kept = list(post.held.values())
            raise RuntimeError(f"{self.spec.process} asked for the next batch but kept {kept}")

    def _run_source(self, function: StageFunction, config: object) -> None:
        spec, stage, wake_fd = self.spec, self.stage, os.eventfd(0, os.EFD_NONBLOCK)
        stage.wake = lambda: os.eventfd_write(wake_fd, 1)
        stage.ready = self._ready
        place = spec.streams[spec.stream]
        with (
            tracing(spec) as trace,
            Pool(place.segment, place.id) as pool,
            Outbox(self.zmq, spec.outboxes[place.lane % len(spec.outboxes)]) as outbox,
            Inbox(self.zmq, spec.inbox, wake_fd) as inbox,
        ):
            ignore = Junk(logging.getLogger("transport").warning)

            def receive(timeout_s: float, awaited: bool) -> Iterator[Message]:
                if not awaited:
                    select.select([wake_fd], [], [], timeout_s)
                message = inbox.receive(timeout_s if awaited else 0, on_junk=ignore)
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(wake_fd)
                while message is not None:
                    yield message
                    message = inbox.receive(0, on_junk=ignore)

            tickets = Tickets(spec.stream, pool, spec.life, receive, outbox.send, self.stopping.is_set, trace)
            try:
                for frame in () if tickets.ended else function(config, tickets, stage):
                    self.frames += 1
                    self.batches += 1
                    assert isinstance(frame, Frame), "capture numbers its pictures; it ends none itself"
                    trace.passed(frame)
                    tickets.tell(frame.slot)
            except Stopping:
                pass
            self._ready()  # also if an earlier life had said that its source has ended, and died before all was home
            tickets.finish()


class Heart:
    """Tells the supervisor that this process lives and since when it is busy, from a thread of its own.

    So that a long inference is not taken for a hang, and a stuck stage is. What else is to be told goes over the same
    link: each costs the supervisor a file descriptor.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._words: queue.SimpleQueue[Ready | Refused | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def tell(self, message: Ready | Refused) -> None:
        """Send a message of the worker."""
        self._words.put(message)

    def stop(self) -> None:
        """Send the last counts."""
        self._words.put(None)
        self._thread.join()

    def _run(self) -> None:
        with Outbox(self._worker.zmq, self._worker.spec.control) as control:
            due_s = time.monotonic() + _BEAT_S
            while True:
                try:
                    message = self._words.get(timeout=max(0.0, due_s - time.monotonic()))
                except queue.Empty:
                    control.send(self._beat())
                    due_s = time.monotonic() + _BEAT_S
                else:
                    if message is None:
                        break
                    control.send(message)
            control.send(self._beat())

    def _beat(self) -> Beat:
        worker, stage = self._worker, self._worker.stage
        return Beat(
            process=worker.spec.process,
            pid=os.getpid(),
            busy_since_ns=stage.busy_since_ns,
            frames=worker.frames,
            batches=worker.batches,
            busy_ns=stage.busy_ns,
            cpu_ns=worker.cpu_ns(),
            counts=dict(stage.counts),
            says=dict(stage.says),
            gauges=dict(stage.gauges),
        )


if __name__ == "__main__":
    main()
