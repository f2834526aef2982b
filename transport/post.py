"""A stage's post in the way of the frames: takes them in, passes them on, sends the tickets back."""

from __future__ import annotations

import logging
import math
import re
import time
from typing import Self

import numpy as np
import zmq

from transport.channel import Inbox, Outbox
from transport.codec import End, Message, Open, Return, Sweep, Ticket, WireError
from transport.frame import Ended, Frame, Held
from transport.pool import Pool
from transport.spec import Spec
from transport.trace import Trace

_LOOK_S = 0.1  # how long to wait for a frame before looking whether the run ends
_HELD_NS = 200_000  # tickets of frames that follow each other more quickly go back together


class Post:
    """A stage's place in the way of the frames: its inbox, the next one's, and the tickets' way back."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], spec: Spec, trace: Trace) -> None:
        self._spec, self._trace = spec, trace
        self._pools = {name: Pool(place.segment) for name, place in spec.streams.items()}
        self._inbox = Inbox(context, spec.inbox)
        self._context = context
        self._outbox = Outbox(context, spec.outbox) if spec.outbox else None
        self._returns = {name: Outbox(context, place.returns) for name, place in spec.streams.items()}
        self._addresses = {name: place.returns for name, place in spec.streams.items()}
        self._shares_memory = not spec.inbox.startswith("tcp://")
        self._due: dict[str, list[Ticket]] = {}
        self._due_since_ns = 0
        self.held: dict[tuple[str, int], Frame] = {}  # of this batch, not passed on yet
        self.kept: dict[tuple[str, int], int] = {}  # for later batches, and since when, ns
        self._behind: list[End | Sweep] = []  # what waits behind those
        self.closed: list[str] = []  # streams that `gather` learnt to be gone; those whose source failed send no End

    def gather(self) -> tuple[list[Frame], End | Sweep | Open | None]:
        """Up to `batch` frames that wait already, or come within `wait_ms` of the first; and what stopped the row."""
        batch: list[Frame] = []
        if self.closed:
            self._behind = [message for message in self._behind if message.stream not in self.closed]
            self.kept = {key: since_ns for key, since_ns in self.kept.items() if key[0] not in self.closed}
            self.closed.clear()
        deadline_s, message = 0.0, None
        while len(batch) < self._spec.batch:
            message = self._receive(max(0.0, deadline_s - time.monotonic()) if batch else _LOOK_S)
            if not isinstance(message, Frame):
                break
            deadline_s = deadline_s or time.monotonic() + self._spec.wait_ms / 1e3
            batch.append(message)
        self.held = {(frame.stream, frame.seq): frame for frame in batch}
        self._trace.took(len(batch))
        return batch, message if isinstance(message, End | Sweep | Open) else None

    def _receive(self, timeout_s: float) -> Message | None:
        """The next frame, End or Sweep of a stream of this run, or word of a new one.

        Before it waits for one, tickets due go back.
        """
        pixels = self._pixels if self._shares_memory else None
        message = self._inbox.receive(0, pixels, on_junk=warn)
        if message is None:
            self.send_back()
            message = self._inbox.receive(timeout_s, pixels, on_junk=warn) if timeout_s else None
        if isinstance(message, Open) and self._open(message):
            return message
        if isinstance(message, Frame | End | Sweep) and message.stream in self._pools:
            return message
        if message is not None:
            warn(WireError(f"{message} does not belong here"))
        return None

    def _open(self, new: Open) -> bool:
        """Get ready for a stream that was added; False for one that is not this run's."""
        folder = self._spec.control.rpartition("/")[0]
        ours = re.fullmatch(rf"/proc/{self._spec.parent}/fd/\d+", new.segment)
        if not ours or new.returns.rpartition("/")[0] != folder:
            return False
        is_known = self._addresses.get(new.stream) == new.returns
        ended = [name for name, returns in self._addresses.items() if returns in new.gone]
        for gone in {*ended, *(() if is_known else self._pools.keys() & {new.stream})}:
            del self._addresses[gone]
            self._pools.pop(gone).close()
            self._returns.pop(gone).close()
            self._due.pop(gone, None)
            self.closed.append(gone)
        if not is_known:
            try:
                self._pools[new.stream] = Pool(new.segment)
            except (OSError, ValueError):  # it was removed again meanwhile, or is no stream's
                return False
            self._returns[new.stream] = Outbox(self._context, new.returns)
            self._addresses[new.stream] = new.returns
        return True

    def _pixels(self, stream: str, slot: int, seq: int, height: int, width: int) -> np.ndarray | None:
        pool = self._pools.get(stream)
        if pool is None:
            raise WireError(f"frame of a stream that is not of this run: {stream}")
        try:
            return pool.read(slot, seq, height, width)
        except ValueError as error:
            raise WireError(str(error)) from None

    def pass_on(self, result: Frame | Ended | Held) -> None:
        """Send a frame to the next stage, or its ticket back; not if its slot was given away meanwhile."""
        frame = result if isinstance(result, Frame) else result.frame
        key, now_ns = (frame.stream, frame.seq), time.monotonic_ns()
        pool = self._pools.get(frame.stream)
        kept_ns = self.kept.pop(key, None)
        if kept_ns is None:
            del self.held[key]  # KeyError: the stage yielded a frame that it was not given
        if pool is None:  # its stream was removed while the frame was kept
            return
        slot = pool.slot_of(frame.seq) if frame.slot is None else frame.slot
        if frame.slot is not None and not pool.holds(frame.slot, frame.seq):
            return
        if isinstance(result, Held):
            self.kept[key] = now_ns
            if slot is not None:
                pool.hold(slot, frame.seq)
            self._due.setdefault(frame.stream, [])  # no ticket, but capture is to look: it may send another frame
            return
        if kept_ns is not None and slot is not None:
            pool.let_go(slot, frame.seq, now_ns - kept_ns)
        if isinstance(result, Ended):
            age_ns = time.monotonic_ns() - frame.captured_ns if result.age_ns is None else result.age_ns
            if frame.slot is not None:
                pool.end(frame.slot, frame.seq, result.outcome, age_ns, len(frame.faces))
            self._trace.ended(frame, result.outcome, age_ns)
            self._due.setdefault(frame.stream, []).append(Ticket(frame.seq, result.outcome, age_ns, len(frame.faces)))
            if time.monotonic_ns() - self._due_since_ns > _HELD_NS:
                self.send_back()
        elif self._outbox is None:
            raise TypeError(f"the last stage must end each frame, but passed on {frame}")
        else:
            self._trace.passed(frame)
            self._outbox.send(frame)

    def send_back(self) -> None:
        """Send the tickets of the frames that ended.

        Each message wakes two threads of ZeroMQ and the receiver, which costs more than all the rest of a ticket's way.
        """
        for stream, tickets in self._due.items():
            self._returns[stream].send(Return(stream, tuple(tickets)))
        self._due.clear()
        self._due_since_ns = time.monotonic_ns()

    def free_to_go(self, behind: End | Sweep | Open | None) -> list[End | Sweep | Open]:
        """Of what has come behind frames, this too, that which waits for no frames that are kept."""
        if isinstance(behind, Open):
            return [behind]
        free: list[End | Sweep | Open] = []
        coming, self._behind = [*self._behind, *([behind] if behind else [])], []
        for message in coming:
            waits = self._is_behind_kept(message) or any(one.stream == message.stream for one in self._behind)
            (self._behind if waits else free).append(message)
        return free

    def _is_behind_kept(self, message: End | Sweep) -> bool:
        """Whether frames that came before it are kept."""
        before_seq = message.before_seq if isinstance(message, Sweep) else math.inf
        return any(stream == message.stream and seq < before_seq for stream, seq in self.kept)

    def forward(self, message: End | Sweep | Open) -> None:
        """Pass on what walks between the frames; the last stage gives End and Sweep back to capture."""
        self.send_back()
        if isinstance(message, Open) and self._outbox is None:
            return
        (self._outbox or self._returns[message.stream]).send(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send_back()
        self._inbox.close()  # first: context.term() waits for every open socket
        for link in [*self._returns.values(), *([self._outbox] if self._outbox else [])]:
            link.close()
        for pool in self._pools.values():
            pool.close()


def warn(error: WireError) -> None:
    """Say that something came which is no message of this run; it is ignored."""
    logging.getLogger("transport").warning("ignored a message: %s", error)
