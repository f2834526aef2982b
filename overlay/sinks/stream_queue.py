"""A stream's thread beside the frames, and the pictures that wait for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal

from overlay.sinks.sink import Sink
from transport.cores import give_way
from transport.recordings import RecordingCount

LEAST, MOST = 2, 16  # pictures of a stream that wait; of a film LEAST, because a death of the stage loses what waits
WAITING_BYTES = 64 << 20  # of all streams together; beyond it LEAST of each wait. 1080p takes 6 MB a picture
LAST_OF_FILM_S = 10.0  # so long others go on while a film's end is written; then it counts as a hang some time
LAST_S, FINISH_S = 0.4, 0.4  # at a camera's end: for what waits, then for the file. All must be closed within 1 s

Became = Literal["waits", "full", "failed"]


class Room:
    """How many bytes of pictures wait in all queues."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken = 0

    def take(self, nbytes: int) -> None:
        with self._lock:
            self.taken += nbytes


class StreamQueue:
    """A stream's thread and what waits for it.

    The frame that was written last counts as recorded when the next one is written, or all is finished: the muxer
    holds it until it knows how long it lasts, and a kill loses it.
    """

    def __init__(self, sink: Sink, stream: str, live: bool, count: RecordingCount, room: Room) -> None:
        self.stream, self.place, self.live, self.count = stream, sink.place(stream), live, count
        self.left_out, self.left_out_s = 0, 0.0  # frames since it could not keep up; when the last one was
        self._sink, self._room = sink, room
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Callable[[], None], int]] = deque()  # what is to be done, bytes of its picture
        self._ending_s = 0.0  # when it was told to end; 0: not yet
        self._error: Exception | None = None
        self._lost, self._wrote = 0, False
        self._last = 0  # 1: a frame was written that may not be whole yet
        self.thread = threading.Thread(target=self._run, name=f"rec-{stream}", daemon=True)
        self.thread.start()

    def put(self, show: Callable[[], None], nbytes: int) -> Became:
        """Have a frame shown. `failed`: what was to be written before could not be, see `news`."""
        with self._changed:
            while True:
                if self._error is not None:
                    return "failed"
                if self._ending_s:
                    return "full"  # of a stream of the same name; it hangs
                waiting = len(self._waiting)
                if waiting < LEAST or (self.live and waiting < MOST and self._room.taken + nbytes <= WAITING_BYTES):
                    break
                if self.live:
                    return "full"
                self._changed.wait()
            self._waiting.append((show, nbytes))
            self._room.take(nbytes)
            self._changed.notify_all()
        return "waits"

    def call(self, happened: Callable[[], None]) -> None:
        """Have something done behind the frames that wait."""
        with self._changed:
            self._waiting.append((happened, 0))
            self._changed.notify_all()

    def news(self) -> tuple[Exception | None, int, bool]:
        """Since it was asked last: what could not be written, frames lost so, whether one was written."""
        with self._changed:
            told = self._error, self._lost, self._wrote
            self._error, self._lost, self._wrote = None, 0, False
        return told

    def end(self) -> None:
        """Finish, when all that waits is written."""
        with self._changed:
            self._ending_s = self._ending_s or time.monotonic()
            self._changed.notify_all()

    def is_ending(self) -> bool:
        """Finish; whether that is not done, and of a camera may still take its time."""
        self.end()
        return self.thread.is_alive() and time.monotonic() < self.until_s

    @property
    def until_s(self) -> float:
        """Until when what waits of a stream that has ended is written while others go on."""
        return self._ending_s + (LAST_S if self.live else LAST_OF_FILM_S)

    def join(self, until_s: float) -> bool:
        """Wait for the end: of a film for as long as it takes, of a camera until then, and on without what waits."""
        self.thread.join(max(0.0, until_s - time.monotonic()) if self.live else None)
        if self.thread.is_alive():
            with self._changed:
                self.count.not_recorded(self._let_go())
            self.thread.join(FINISH_S)
        return not self.thread.is_alive()

    def _let_go(self) -> int:
        """Forget what waits; how many frames that were."""
        frames = sum(nbytes > 0 for _, nbytes in self._waiting)
        self._room.take(-sum(nbytes for _, nbytes in self._waiting))
        self._waiting.clear()
        self._changed.notify_all()
        return frames

    def _run(self) -> None:
        if self.live:
            give_way()
        while (todo := self._next()) is not None:
            do, nbytes = todo
            if self._done(do, int(nbytes > 0)) and nbytes:
                self.count.recorded(self._last)
                self._last, self._wrote = 1, True
            self._room.take(-nbytes)
            del todo, do  # the picture: the next one may not come for hours
        if self._done(partial(self._sink.ended, self.stream), 0):
            self.count.recorded(self._last)

    def _next(self) -> tuple[Callable[[], None], int] | None:
        with self._changed:
            while not self._waiting and not self._ending_s:
                self._changed.wait()
            self._changed.notify_all()
            return self._waiting.popleft() if self._waiting else None

    def _done(self, do: Callable[[], None], frames: int) -> bool:
        """Do it. Where that fails all that waits is let go, until the stage's own thread has heard of it."""
        try:
            do()
        except Exception as error:  # a bug, too: it is raised again in the stage's own thread
            self._sink.let_go(self.stream)
            with self._changed:
                lost = frames + self._let_go()
                self.count.not_recorded(lost + self._last)
                self._error, self._lost, self._wrote, self._last = error, self._lost + lost, False, 0
            return False
        return True
