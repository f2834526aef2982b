"""What runs inside a stage's process: `python -m transport.worker NAME`, told the rest on standard input.

A fresh interpreter for each stage, as multiprocessing's `spawn` gives, but started as a command: the stage is
readable in `ps`, the main script is not imported again, nothing is pickled, and the source's URL with its
password goes over a pipe instead of standing in the argument list.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import os
import signal
import sys
import threading
import time
import typing
from collections.abc import Iterator

import msgspec
import zmq

from configs.errors import InputError
from transport.channel import Inbox, Outbox
from transport.codec import Beat, End, Ready, Refused, Return, Sweep, SweepRequest
from transport.frame import Frame
from transport.pool import Pool
from transport.post import Post, warn
from transport.spec import Spec
from transport.stage import StageContext, StageFunction
from transport.tickets import Stopping, Tickets

REFUSED_EXIT = 2
_BEAT_S = 0.5
_TICK_S = 0.5
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


class Heart:
    """Tells the supervisor that this process lives and since when it is busy, from a thread of its own.

    So that a long inference is not taken for a hang, and a stuck stage is.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], spec: Spec, stage: StageContext) -> None:
        self.frames = self.batches = 0
        self._spec, self._stage, self._zmq = spec, stage, context
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send the last counts."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Outbox(self._zmq, self._spec.control) as outbox:
            while not self._stop.wait(_BEAT_S):
                self._beat(outbox)
            self._beat(outbox)

    def _beat(self, outbox: Outbox) -> None:
        stage = self._stage
        outbox.send(
            Beat(self._spec.process, os.getpid(), stage.busy_since_ns, self.frames, self.batches, stage.busy_ns)
        )


def main() -> None:
    """Run the stage that standard input describes, until it is told to stop or its parent is gone."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    _tie_to_parent(spec)
    stopping = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; only the supervisor decides
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    logging.basicConfig(format="%(name)s\t%(levelname)s\t%(message)s", level=logging.INFO, stream=sys.stderr)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stage = StageContext(restarts=spec.restarts)
    code = 0
    with Outbox(context, spec.control) as control:
        heart = Heart(context, spec, stage)
        try:
            run = _run_source if spec.stream else _run_stage
            run(context, spec, stage, heart, control, stopping)
        except InputError as error:
            control.send(Refused(spec.process, str(error)))
            code = REFUSED_EXIT
        heart.stop()
    context.term()  # waits for unsent pixels: without it 6 of 12 short runs aborted inside libzmq
    logging.shutdown()
    os._exit(code)  # a reader thread may still hang in a camera library; what had to be closed is closed


def _tie_to_parent(spec: Spec) -> None:
    """Die with the supervisor, even if it is SIGKILLed; all sinks write so that this costs the last frames at most."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_NAME, spec.process.encode()[:15])
    if os.getppid() != spec.parent:
        os._exit(1)  # it died before we could ask to be told


def _load(spec: Spec) -> tuple[StageFunction, object]:
    """The stage's function, and its config, typed as the function's first parameter says."""
    module, _, name = spec.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    kind = typing.get_type_hints(function)["config"]
    return function, msgspec.json.decode(spec.config, type=kind)


def _run_stage(
    context: zmq.Context[zmq.Socket[bytes]],
    spec: Spec,
    stage: StageContext,
    heart: Heart,
    control: Outbox,
    stopping: threading.Event,
) -> None:
    function, config = _load(spec)
    with Post(context, spec) as post:
        feed = _batches(spec, post, stage, heart, control, stopping)
        for result in function(config, feed, stage):
            post.pass_on(result)


def _batches(
    spec: Spec, post: Post, stage: StageContext, heart: Heart, control: Outbox, stopping: threading.Event
) -> Iterator[list[Frame]]:
    """Frames for the stage, as many as wait; End and Sweep go on when all frames before them have."""
    control.send(Ready(spec.process, os.getpid(), stage.facts))
    idle_since = time.monotonic()
    while not stopping.is_set():
        batch, behind = _gather(spec, post)
        if batch or time.monotonic() - idle_since > _TICK_S:
            stage.busy_since_ns = time.monotonic_ns()
            post.held = {(frame.stream, frame.seq): frame for frame in batch}
            yield batch
            stage.busy_ns += time.monotonic_ns() - stage.busy_since_ns
            stage.busy_since_ns = 0
            heart.frames += len(batch)
            heart.batches += bool(batch)
            if post.held:
                raise RuntimeError(f"{spec.process} asked for the next batch but kept {list(post.held.values())}")
            idle_since = time.monotonic()
        if behind is not None:
            post.forward(behind)
    stage.busy_since_ns = time.monotonic_ns()  # closing files counts as work: a hang there is found, too


def _gather(spec: Spec, post: Post) -> tuple[list[Frame], End | Sweep | None]:
    """Up to `batch` frames that wait already, or come within `wait_ms` of the first; and what stopped the row."""
    batch: list[Frame] = []
    deadline = 0.0
    while len(batch) < spec.batch:
        message = post.receive(max(0.0, deadline - time.monotonic()) if batch else 0.1)
        if not isinstance(message, Frame):
            return batch, message if isinstance(message, End | Sweep) else None
        deadline = deadline or time.monotonic() + spec.wait_ms / 1e3
        batch.append(message)
    return batch, None


def _run_source(
    context: zmq.Context[zmq.Socket[bytes]],
    spec: Spec,
    stage: StageContext,
    heart: Heart,
    control: Outbox,
    stopping: threading.Event,
) -> None:
    function, config = _load(spec)
    wake_fd = os.eventfd(0, os.EFD_NONBLOCK)
    stage.wake = lambda: os.eventfd_write(wake_fd, 1)
    place = spec.streams[spec.stream]
    with (
        Pool(place.segment) as pool,
        Outbox(context, spec.outbox) as outbox,
        Inbox(context, spec.inbox, wake_fd) as inbox,
    ):

        def receive(timeout_s: float) -> Iterator[Return | Sweep | End | SweepRequest]:
            message = inbox.receive(timeout_s, on_junk=warn)
            _drain(wake_fd)
            while message is not None:
                if isinstance(message, Return | Sweep | End | SweepRequest) and message.stream == spec.stream:
                    yield message
                message = inbox.receive(0, on_junk=warn)

        tickets = Tickets(spec.stream, pool, receive, outbox.send, stopping.is_set)
        stage.ready = lambda: control.send(Ready(spec.process, os.getpid(), stage.facts))
        try:
            for frame in function(config, tickets, stage):
                heart.frames += 1
                heart.batches += 1
                assert isinstance(frame, Frame), "capture numbers its pictures; it ends none itself"
                outbox.send(frame)
        except Stopping:
            pass
        tickets.finish()


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.eventfd_read(fd)


if __name__ == "__main__":
    main()
