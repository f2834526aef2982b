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
from typing import Self

import msgspec
import numpy as np
import zmq

from configs.errors import InputError
from transport.channel import Inbox, Outbox
from transport.codec import Beat, End, Message, Ready, Refused, Return, Sweep, SweepRequest, WireError
from transport.frame import Ended, Frame
from transport.pool import Pool
from transport.stage import StageContext, StageFunction
from transport.tickets import Stopping, Tickets

REFUSED_EXIT = 2
_BEAT_S = 0.5
_TICK_S = 0.5
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


class StreamPlace(msgspec.Struct, frozen=True):
    """Where a stream's shared memory is, and where its tickets go back to."""

    segment: str
    returns: str


class Spec(msgspec.Struct, frozen=True):
    """All that a worker is told by the supervisor. An empty `outbox`: the last stage."""

    process: str
    function: str
    config: msgspec.Raw
    inbox: str
    outbox: str
    control: str
    streams: dict[str, StreamPlace]
    stream: str = ""
    batch: int = 1
    wait_ms: float = 0.0
    restarts: int = 0
    parent: int = 0


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


class Post:
    """A stage's place in the way of the frames: its inbox, the next one's, and the tickets' way back."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], spec: Spec) -> None:
        self._pools = {name: Pool(place.segment) for name, place in spec.streams.items()}
        self._inbox = Inbox(context, spec.inbox)
        self._outbox = Outbox(context, spec.outbox) if spec.outbox else None
        self._returns = {name: Outbox(context, place.returns) for name, place in spec.streams.items()}
        self._shares_memory = not spec.inbox.startswith("tcp://")
        self.held: dict[tuple[str, int], Frame] = {}

    def receive(self, timeout_s: float) -> Message | None:
        """The next frame, End or Sweep of a stream of this run."""
        message = self._inbox.receive(timeout_s, self._pixels if self._shares_memory else None, on_junk=_warn)
        if isinstance(message, Frame | End | Sweep) and message.stream in self._pools:
            return message
        if message is not None:
            _warn(WireError(f"{message} does not belong here"))
        return None

    def _pixels(self, stream: str, slot: int, seq: int, height: int, width: int) -> np.ndarray | None:
        pool = self._pools.get(stream)
        if pool is None:
            raise WireError(f"frame of a stream that is not of this run: {stream}")
        try:
            return pool.read(slot, seq, height, width)
        except ValueError as error:
            raise WireError(str(error)) from None

    def pass_on(self, result: Frame | Ended) -> None:
        """Send a frame to the next stage, or its ticket back; not if its slot was given away meanwhile."""
        frame = result.frame if isinstance(result, Ended) else result
        del self.held[frame.stream, frame.seq]  # KeyError: the stage yielded a frame that it was not given
        pool = self._pools[frame.stream]
        if frame.slot is not None and not pool.holds(frame.slot, frame.seq):
            return
        if isinstance(result, Ended):
            age_ns = time.monotonic_ns() - frame.captured_ns if result.age_ns is None else result.age_ns
            if frame.slot is not None:
                pool.end(frame.slot, frame.seq, result.outcome, age_ns, len(frame.faces))
            ticket = Return(frame.stream, frame.seq, result.outcome, age_ns, len(frame.faces))
            self._returns[frame.stream].send(ticket)
        elif self._outbox is None:
            raise TypeError(f"the last stage must end each frame, but passed on {frame}")
        else:
            self._outbox.send(frame)

    def forward(self, message: End | Sweep) -> None:
        """Pass on what walks behind the frames; the last stage gives it back to capture."""
        (self._outbox or self._returns[message.stream]).send(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._inbox.close()  # first: context.term() waits for every open socket
        for link in [*self._returns.values(), *([self._outbox] if self._outbox else [])]:
            link.close()
        for pool in self._pools.values():
            pool.close()


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
            message = inbox.receive(timeout_s, on_junk=_warn)
            _drain(wake_fd)
            while message is not None:
                if isinstance(message, Return | Sweep | End | SweepRequest) and message.stream == spec.stream:
                    yield message
                message = inbox.receive(0, on_junk=_warn)

        tickets = Tickets(spec.stream, pool, receive, outbox.send, stopping.is_set)
        stage.ready = lambda: control.send(Ready(spec.process, os.getpid(), stage.facts))
        try:
            for frame in function(config, tickets, stage):
                heart.frames += 1
                heart.batches += 1
                outbox.send(frame)
        except Stopping:
            pass
        tickets.finish()


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.eventfd_read(fd)


def _warn(error: WireError) -> None:
    logging.getLogger("transport").warning("ignored a message: %s", error)


if __name__ == "__main__":
    main()
