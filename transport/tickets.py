"""The tickets of one stream: who may send a frame, what became of each, and what a dead stage took with it.

captured = shown + dropped by reason + in flight, at every moment and across the death of any process: every
step writes first what loses nothing if the process dies right after it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable

import numpy as np

from transport.codec import End, Pause, Return, Sweep, SweepRequest, Ticket
from transport.frame import Frame
from transport.pool import AGE_BUCKETS, AGE_STEP, FLYING, FREE, OUTCOMES, PENDING, STATES, WRITING, Pool
from transport.trace import Trace

_LOST, _SHOWN = OUTCOMES.index("lost"), OUTCOMES.index("shown")
_POLL_S = 0.1

Receive = Callable[[float, bool], Iterable[Return | Sweep | End | SweepRequest | Pause]]
"""Gives what has come back. Waits up to so many seconds for it, or, if it is not awaited, only for being woken.

Woken by each message, capture used a tenth more CPU on a live frame (3.1 instead of 2.8 ms).
"""


class Stopping(Exception):
    """The pipeline was told to stop while capture waited for something."""


class Tickets:
    """What capture holds of a stream: slots to write into, tickets to send with, and the ledger.

    `receive` brings returned tickets, `forward` sends a Sweep or End behind the frames, `stopping` says that
    the run must stop. One thread (the one that built this) collects returns; a reader thread may take rooms and
    number pictures.
    """

    def __init__(
        self,
        stream: str,
        pool: Pool,
        receive: Receive,
        forward: Callable[[Sweep | End], None],
        stopping: Callable[[], bool] = lambda: False,
        trace: Trace | None = None,
    ) -> None:
        self.stream = stream
        self.limit = len(pool.slots) - int(pool.header["spare"]) - 2
        self._pool, self._receive, self._forward, self.stopping = pool, receive, forward, stopping
        self._trace = trace or Trace()
        self._changed = threading.Condition()
        self._collector = threading.get_ident()
        self._writing: int | None = None  # the slot that `room` gave and `number` has not taken yet
        self.paused = False  # somebody wants the source to be let alone
        self._end_sent = False
        self._end_returned = False
        self._oldest_ns: int | None = None
        self._recover()

    @property
    def captured(self) -> int:
        """Pictures taken from the source so far, in all lives of this process: the next seq."""
        return int(self._pool.header["captured"])

    @property
    def bookmarks(self) -> tuple[tuple[int, bytes], ...]:
        """What the source noted down to be read on from, as (number of the picture, bookmark), newest first."""
        return self._pool.bookmarks.read(self.captured)

    @property
    def in_flight(self) -> int:
        """Frames that were sent and are not back."""
        return self._pool.count(FLYING)

    def oldest_ms(self) -> float | None:
        """The age of the oldest frame that was drawn, or dropped for its age, since this was last asked; None: none.

        Without the time for which a stage kept it: that does not become less if fewer frames are sent.
        """
        oldest_ns, self._oldest_ns = self._oldest_ns, None
        return None if oldest_ns is None else oldest_ns / 1e6

    def mark(self, bookmark: bytes) -> None:
        """Keep a bookmark that leads to the next picture to be numbered, for the next life of this process."""
        self._pool.bookmarks.write(self.captured, bookmark)

    def paced(self, fps: float) -> None:
        """Note down that the source is held to that rate, 1/s; 0: it is not."""
        self._pool.header["paced_fps"] = fps

    def state(self, name: str) -> None:
        """Say how the source is: opening, flowing, away, ended, failed, paused."""
        self._pool.header["state"] = STATES.index(name)

    def room(self, height: int, width: int) -> np.ndarray:
        """A free slot to write a picture into, (height, width, 3) uint8. Called again, it gives the same slot.

        A picture larger than the slots waits until all frames are back, then the slots grow. Raises Stopping.
        """
        pool, nbytes = self._pool, height * width * 3
        if nbytes > pool.slot_bytes:
            self.wait(lambda: not (pool.count(PENDING) or pool.count(FLYING)))
            pool.states[:] = FREE
            pool.grow(nbytes)
            self._writing = None
        if self._writing is None:
            self.wait(lambda: pool.first(FREE) is not None)
            self._writing = pool.first(FREE)
            pool.states[self._writing] = WRITING
        assert self._writing is not None
        return pool.pixels(self._writing, height, width)

    def number(
        self,
        image: np.ndarray,
        captured_ns: int,
        media_ms: float | None = None,
        name: str = "",
        live: bool = False,
        corrupt: bool = False,
    ) -> Frame:
        """The picture just written into the room, as a frame: it is captured now, and pending."""
        with self._changed:
            slot, seq = self._writing, self.captured
            assert slot is not None, "room() comes before number()"
            self._writing = None
            row = self._pool.slots[slot : slot + 1]
            row["seq"], row["outcome"], row["held"], row["waited_ns"], row["state"] = seq, 0, 0, 0, PENDING
            self._pool.header["captured"] = seq + 1
            self._pool.header["corrupt"] += corrupt
            self._changed.notify_all()
        self._trace.captured(seq, captured_ns)
        image.setflags(write=False)
        return Frame(
            self.stream, seq, captured_ns, image, media_ms=media_ms, name=name, live=live, corrupt=corrupt, slot=slot
        )

    def fly(self, frame: Frame) -> Frame:
        """Mark a pending frame as under way, right before it is sent."""
        self._pool.states[frame.slot] = FLYING
        return frame

    def drop(self, frame: Frame, outcome: str) -> None:
        """End a pending frame that was not sent."""
        with self._changed:
            self._count(int(frame.slot or 0), OUTCOMES.index(outcome))
        self._trace.gone(frame.seq, outcome)

    def skip(self, outcome: str) -> None:
        """Count a picture that gave no frame (undecodable)."""
        with self._changed:
            seq = self.captured
            self._pool.header["captured"] += 1
            self._pool.header["counts"][OUTCOMES.index(outcome)] += 1
        self._trace.gone(seq, outcome)

    def wait(self, until: Callable[[], bool], patience_s: float = math.inf, lazily: bool = False) -> bool:
        """Wait until something holds, taking in returned tickets; False if out of patience. Raises Stopping.

        `lazily`: while there are free tickets, those that come back do not end the wait.
        """
        deadline = time.monotonic() + patience_s
        while not until():
            if self.stopping():
                raise Stopping
            if time.monotonic() > deadline:
                return False
            timeout_s = min(_POLL_S, max(0.0, deadline - time.monotonic()))
            if threading.get_ident() == self._collector:
                self.collect(timeout_s, awaited=not (lazily and self.has_free()))
            else:
                with self._changed:
                    self._changed.wait(timeout_s)
        return True

    def has_free(self) -> bool:
        """Whether a frame may be sent."""
        return self._pool.count_flying() < self.limit

    def finish(self) -> None:
        """Send End and wait until all that was sent is back: then nothing is in flight. Raises Stopping never."""
        self._end_sent = True
        self._forward(End(self.stream))
        while not (self._end_returned and self.in_flight == 0):
            self.collect(_POLL_S)
        self.state("ended")
        self._pool.header["finished"] = 1
        self._trace.stopped()

    def collect(self, timeout_s: float, awaited: bool = True) -> None:
        """Take in what has come back: within the time if it is awaited, else when woken, or when the time is over."""
        for message in self._receive(timeout_s, awaited):
            if isinstance(message, Return):
                for ticket in message.tickets:
                    self._settle(ticket)
            elif isinstance(message, Sweep):
                self._swept(message)
            elif isinstance(message, SweepRequest):
                self._sweep()
            elif isinstance(message, Pause):
                self.paused = message.paused
            else:
                self._end_returned = True

    def _settle(self, ticket: Ticket) -> None:
        slot = self._pool.slot_of(ticket.seq)
        if slot is not None:
            row = self._pool.slots[slot]
            row["age_ns"], row["faces"] = ticket.age_ns, ticket.faces
            self._oldest_ns = max(self._oldest_ns or 0, ticket.age_ns - int(row["waited_ns"]))
            with self._changed:
                self._count(slot, OUTCOMES.index(ticket.outcome))
            self._trace.home(ticket.seq)

    def _sweep(self) -> None:
        self._forward(Sweep(self.stream, self.captured))
        if self._end_sent:
            self._forward(End(self.stream))  # the one sent before may have died with the stage

    def _swept(self, sweep: Sweep) -> None:
        """The way is first in, first out: what was sent before the sweep and is not back will not come."""
        slots = self._pool.slots
        for slot in np.flatnonzero((slots["state"] == FLYING) & (slots["seq"] < sweep.before_seq)):
            outcome = int(slots["outcome"][slot]) or _LOST
            with self._changed:
                self._count(int(slot), outcome)
            self._trace.gone(int(slots["seq"][slot]), OUTCOMES[outcome])

    def _count(self, slot: int, outcome: int) -> None:
        header, row = self._pool.header, self._pool.slots[slot]
        row["state"] = FREE  # before the counter: a death in between is found by _recover, a second count would not be
        header["counts"][outcome] += 1
        if outcome == _SHOWN:
            now_ns = time.monotonic_ns()
            header["first_shown_ns"] = header["first_shown_ns"] or now_ns
            header["last_shown_ns"] = now_ns
            header["faces"] += row["faces"]
            header["ages"][age_bucket(int(row["age_ns"]))] += 1
        self._changed.notify_all()

    def _recover(self) -> None:
        """Go on where an earlier life of this process stood: frames under way are swept for, the rest is lost."""
        header, slots = self._pool.header, self._pool.slots
        slots["state"][slots["state"] != FLYING] = FREE
        missing = self.captured - int(header["counts"].sum()) - self.in_flight
        header["counts"][_LOST] += missing
        if self.in_flight:
            self._sweep()


def settle_rest(pool: Pool) -> int:
    """After the end of all processes: frames that were still under way are `stopped`. Returns how many."""
    header, slots = pool.header, pool.slots
    known = slots["outcome"][slots["state"] == FLYING]
    for outcome in known[known > 0]:
        header["counts"][outcome] += 1
    slots["state"] = FREE
    rest = int(header["captured"]) - int(header["counts"].sum())
    header["counts"][OUTCOMES.index("stopped")] += rest
    return rest


def age_bucket(age_ns: int) -> int:
    """The bucket of the age histogram that an age falls into."""
    return min(AGE_BUCKETS - 1, max(0, math.ceil(math.log(max(age_ns, 1) / 1e5, AGE_STEP))))
