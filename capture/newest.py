"""The newest frame of a live source whenever a ticket is free: those it replaces are superseded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

from capture.pace import Pace
from transport.frame import Frame
from transport.local_tickets import AnyTickets
from transport.stage import StageContext
from transport.tickets import Stopping

log = logging.getLogger("capture")


def newest(frames: Iterator[Frame], tickets: AnyTickets, context: StageContext, pace: Pace) -> Iterator[Frame]:
    """The newest frame whenever a ticket is free; a thread reads on meanwhile, so that no buffer fills up behind us."""
    reader = _Reader(frames, tickets, context)
    reader.start()
    while True:
        tickets.wait(lambda: reader.over or (reader.newest is not None and tickets.has_free()), lazily=True)
        if reader.newest is None:
            break
        tickets.wait(lambda: pace.wait_s(time.monotonic()) == 0, patience_s=pace.wait_s(time.monotonic()))
        tickets.wait(tickets.has_free)
        frame = reader.take()
        if frame is not None:
            pace.sent(time.monotonic())
            yield tickets.fly(frame)
        if pace.due(time.monotonic()):
            _govern(pace, tickets)
    if reader.error is not None:
        raise reader.error


class _Reader(threading.Thread):
    """Reads on and on, and holds the newest frame."""

    def __init__(self, frames: Iterator[Frame], tickets: AnyTickets, context: StageContext) -> None:
        super().__init__(name="reader", daemon=True)
        self._frames, self._tickets, self._context = frames, tickets, context
        self._lock = threading.Lock()
        self.newest: Frame | None = None
        self.over = False
        self.error: BaseException | None = None

    def take(self) -> Frame | None:
        with self._lock:
            frame, self.newest = self.newest, None
        return frame

    def run(self) -> None:
        try:
            for frame in self._frames:
                with self._lock:
                    old, self.newest = self.newest, frame
                if old is not None:
                    self._tickets.drop(old, "superseded")
                self._context.wake()
        except Stopping:
            pass
        except BaseException as error:  # a bug: raised again in the main thread, where it ends the process
            self.error = error
        self.over = True
        self._context.wake()


def _govern(pace: Pace, tickets: AnyTickets) -> None:
    """Send less often if frames come out too old, and say so when that begins and ends."""
    before = pace.fps
    pace.adapt(tickets.oldest_ms(), time.monotonic())
    tickets.paced(pace.fps)
    if bool(before) != bool(pace.fps):
        log.info("%s: %s", tickets.stream, "slower: frames came out too old" if pace.fps else "at its full rate again")
