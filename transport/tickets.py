"""The tickets of one stream: who may send a frame, and what became of each.

captured = shown + dropped by reason + under way, at every moment and across the death of any process: every step
writes first what loses nothing if the process dies right after it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable

import numpy as np

from transport import header as at
from transport.codec import Message, Pause, encode_frame
from transport.frame import Frame, Recorded
from transport.journal import STOPPED, count_home, count_skipped, recover_captured
from transport.pixels import Colours, Pixels, bytes_of
from transport.pool import Pool
from transport.slot import DONE, FILLING, FIRST, FREE, NEWEST, place_of, publish, word
from transport.trace import Trace

_OF_AGE = {at.OUTCOMES.index(name) for name in ("shown", "stale")}  # the governor looks at the ages of these
_DONE = word(DONE)
_POLL_S = 0.1

Receive = Callable[[float, bool], Iterable[Message]]
"""Gives what has come. Waits up to so many seconds for it, or, if it is not awaited, only for being woken.

Woken by each message, capture used a tenth more CPU on a live frame (3.1 instead of 2.8 ms).
"""


class Stopping(Exception):
    """The pipeline was told to stop while capture waited for something."""


class Tickets:
    """What capture holds of a stream: slots to write into, tickets to send with, and the ledger.

    `life` is the number of this life of the process. `receive` brings word of frames that have ended, `send` tells
    the first stage of a frame (its header), `stopping` says that the run must stop. One thread (the one that built
    this) takes frames home; a reader thread may take rooms and number pictures.
    """

    def __init__(
        self,
        stream: str,
        pool: Pool,
        life: int,
        receive: Receive,
        send: Callable[[bytes], None],
        stopping: Callable[[], bool] = lambda: False,
        trace: Trace | None = None,
    ) -> None:
        self.stream = stream
        self.limit = pool.count - pool.spare - 2
        self._pool, self._life, self._receive, self._send, self._told_to_stop = pool, life, receive, send, stopping
        self._trace = trace or Trace()
        self._changed = threading.Condition()
        self._collector = threading.get_ident()
        self._writing: int | None = None  # the slot that `room` gave and `number` has not taken yet
        self.paused = False  # somebody wants the source to be let alone
        self._finishing = False
        self._oldest_ns: int | None = None
        self._pending = 0  # frames that have their number and no ticket
        self.in_flight = 0  # frames that were sent and are not home
        self._free: list[int] = []
        self._recover()

    @property
    def captured(self) -> int:
        """Pictures taken from the source so far, in all lives of this process: the next seq."""
        return self._pool.head[at.CAPTURED]

    @property
    def bookmarks(self) -> tuple[tuple[int, bytes], ...]:
        """What the source noted down to be read on from, as (number of the picture, bookmark), newest first."""
        return self._pool.bookmarks.read(self.captured)

    @property
    def ended(self) -> bool:
        """Whether an earlier life of this process has said that no more frames come."""
        return bool(self._pool.head[at.ENDED])

    def stopping(self) -> bool:
        """Whether no more pictures are wanted."""
        return self._finishing or self._told_to_stop()

    def oldest_ms(self) -> float | None:
        """The age of the oldest frame that was drawn, or dropped for its age, since this was last asked; None: none.

        Without the time for which a stage kept it: that does not become less if fewer frames are sent.
        """
        oldest_ns, self._oldest_ns = self._oldest_ns, None
        return None if oldest_ns is None else oldest_ns / 1e6

    def mark(self, bookmark: bytes) -> None:
        """Keep a bookmark that leads to the next picture to be numbered, for the next life of this process."""
        self._pool.bookmarks.write(self.captured, bookmark)

    def passed_by(self, count: int) -> None:
        """Note down pictures that came and were not to be looked at: they get no number."""
        self._pool.head[at.SKIPPED] += count

    @property
    def still_ns(self) -> int:
        """When the newest picture was captured before which nothing moved; 0: something does."""
        return self._pool.head[at.STILL_NS]

    def paced(self, fps: float) -> None:
        """Note down that the source is held to that rate, 1/s; 0: it is not."""
        self._pool.head[at.PACED_MHZ] = round(fps * 1000)

    def state(self, name: str) -> None:
        """Say how the source is: opening, flowing, away, ended, failed, paused."""
        self._pool.set_state(name)

    def room(self, height: int, width: int, colours: Colours | None = None) -> np.ndarray:
        """A free slot to write a picture into, as Pool.room gives it. Called again, it gives the same slot.

        A picture larger than the slots waits until all frames are back, then the slots grow. Raises Stopping.
        """
        pool, nbytes = self._pool, bytes_of(height, width, colours)
        if nbytes > pool.slot_bytes:
            self.wait(lambda: not (self._pending or self.in_flight))
            pool.grow(nbytes)
        if self._writing is None:
            self.wait(lambda: bool(self._free))
            self._writing = self._free.pop()
            publish(pool.words, self._writing, word(FILLING, self._life))
        return pool.room(self._writing, height, width, colours)

    def number(
        self,
        image: np.ndarray | Pixels,
        captured_ns: int,
        media_ms: float | None = None,
        name: str = "",
        live: bool = False,
        corrupt: bool = False,
        recorded: Recorded | None = None,
    ) -> Frame:
        """The picture just written into the room, as a frame: it is captured now, and waits for a ticket."""
        pixels = image if isinstance(image, Pixels) else Pixels(image)
        pixels.array.setflags(write=False)
        pool, slot = self._pool, self._writing
        assert slot is not None, "room() comes before number()"
        with self._changed:
            if self._finishing:
                raise Stopping
            self._writing, seq = None, self.captured
            about = {"media_ms": media_ms, "name": name, "live": live, "corrupt": corrupt, "recorded": recorded}
            frame = Frame(self.stream, seq, captured_ns, pixels, slot=slot, **about)  # type: ignore[arg-type]
            pool.seqs[slot], pool.outcomes[slot], pool.corrupt[slot] = seq, 0, corrupt
            pool.held_ns[slot] = pool.waited_ns[slot] = 0
            pool.note(slot, FIRST, encode_frame(frame, pool.id))
            publish(pool.words, slot, word(NEWEST, self._life))
            pool.head[at.CAPTURED] = seq + 1  # set, not added to: a life that finds NEWEST sets it again
            self._pending += 1
            self._changed.notify_all()
        self._trace.captured(seq, captured_ns)
        return frame

    def fly(self, frame: Frame) -> Frame:
        """Give a numbered frame to the first stage; `tell` it afterwards."""
        assert frame.slot is not None
        with self._changed:
            self._pending, self.in_flight = self._pending - 1, self.in_flight + 1
            publish(self._pool.words, frame.slot, word(FIRST))
        return frame

    def tell(self, slot: int | None) -> None:
        """Send word of a frame that was given to the first stage."""
        assert slot is not None
        self._send(self._pool.noted(slot, FIRST))

    def drop(self, frame: Frame, outcome: str) -> None:
        """End a numbered frame that was not sent."""
        assert frame.slot is not None
        with self._changed:
            if self._finishing:  # it was counted as stopped
                return
            self._pending -= 1
            self._count(frame.slot, at.OUTCOMES.index(outcome))
        self._trace.gone(frame.seq, outcome)

    def skip(self, outcome: str) -> None:
        """Count a picture that gave no frame (undecodable)."""
        with self._changed:
            seq = self.captured
            count_skipped(self._pool, at.OUTCOMES.index(outcome))
        self._trace.gone(seq, outcome)

    def wait(self, until: Callable[[], bool], patience_s: float = math.inf, lazily: bool = False) -> bool:
        """Wait until something holds, taking frames home; False if out of patience. Raises Stopping.

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
        """Whether a frame may be sent. Those that a stage keeps have no ticket."""
        return self.in_flight < self.limit or (self._pool.spare > 0 and self.in_flight - self._kept() < self.limit)

    def _kept(self) -> int:
        return sum(since_ns > 0 for since_ns in self._pool.held_ns.tolist())

    def finish(self) -> None:
        """Say that no more frames come, and wait until all that was sent is home. Raises Stopping never."""
        pool = self._pool
        with self._changed:
            self._finishing = True
            for slot in range(pool.count):
                if place_of(pool.words[slot]) == NEWEST:  # it was read, and the run ends before it had a ticket
                    self._count(slot, STOPPED)
            self._pending = 0
            pool.end()
        while self.in_flight or not pool.head[at.CLOSED]:
            self.collect(_POLL_S)
        self.state("ended")
        pool.head[at.FINISHED] = 1
        self._trace.stopped()

    def collect(self, timeout_s: float, awaited: bool = True) -> None:
        """Take home what has ended: wait for word of it if it is awaited, else until woken or out of time.

        Who ends a frame marks it first, and then looks whether word of it is awaited; here it is the other way round.
        So either it is seen here, or told of.
        """
        pool = self._pool
        if awaited:
            pool.head[at.AWAITED] = 1
            timeout_s = 0.0 if _DONE in pool.words.tolist() else timeout_s
        for message in self._receive(timeout_s, awaited):
            if isinstance(message, Pause):
                self.paused = message.paused
        if awaited:
            pool.head[at.AWAITED] = 0
        words = pool.words.tolist()
        if _DONE in words:
            for slot in [slot for slot, word in enumerate(words) if word == _DONE]:
                self._take_home(slot)

    def _take_home(self, slot: int) -> None:
        pool = self._pool
        seq, outcome, age_ns = pool.seqs[slot], pool.outcomes[slot], pool.ages_ns[slot] - pool.waited_ns[slot]
        if outcome in _OF_AGE:
            self._oldest_ns = max(self._oldest_ns or 0, age_ns)
        with self._changed:
            self.in_flight -= 1
            self._count(slot, outcome)
        self._trace.home(seq)

    def _count(self, slot: int, outcome: int) -> None:
        count_home(self._pool, slot, outcome)
        self._free.append(slot)
        self._changed.notify_all()

    def _recover(self) -> None:
        """Go on where an earlier life of this process stood.

        What it was counting is counted, a picture that it was writing is forgotten, and one that had its number flies,
        ticket or not. The first stage is told again of what it has not taken: word of it may have died with that life.
        """
        pool = self._pool
        recover_captured(pool)
        places = [place_of(word) for word in pool.words]
        for slot in sorted(range(pool.count), key=pool.seqs.__getitem__):
            if places[slot] == FILLING:
                publish(pool.words, slot, word(FREE))
            elif places[slot] == NEWEST:
                publish(pool.words, slot, word(FIRST))
        words = list(pool.words)
        self._free = [slot for slot in reversed(range(pool.count)) if words[slot] == word(FREE)]
        self.in_flight = pool.count - len(self._free)
        for slot in sorted(range(pool.count), key=pool.seqs.__getitem__):
            if words[slot] == word(FIRST):
                self.tell(slot)
