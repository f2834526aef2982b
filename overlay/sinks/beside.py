"""Lets a sink encode and write beside the frames: a thread for each stream, behind a bounded queue."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Literal

import numpy as np
from msgspec.structs import replace

from configs.errors import InputError
from configs.plural import counted
from events.event import Event
from overlay.drawn import Drawn
from overlay.sinks.outages import Outages
from overlay.sinks.sink import Sink
from transport.cores import give_way
from transport.frame import Frame
from transport.pixels import Pixels
from transport.recordings import RecordingCount

log = logging.getLogger("overlay")

LEAST, MOST = 2, 16  # pictures of a stream that wait; of a film LEAST, because a death of the stage loses what waits
WAITING_BYTES = 64 << 20  # of all streams together; beyond it LEAST of each wait. 1080p takes 6 MB a picture
KEEPS_UP_S = 5.0  # without leaving out a frame, and it is said that a recording keeps up again
LAST_OF_FILM_S = 10.0  # so long others go on while a film's end is written; then it counts as a hang some time
LAST_S, FINISH_S = 0.4, 0.4  # at a camera's end: for what waits, then for the file. All must be closed within 1 s

Became = Literal["waits", "full", "failed"]


class Beside(Sink):
    """Another sink, which is given its frames in a thread for each stream.

    A camera's thread gives way to the frames. A live frame that finds its queue full is left out, said and counted. A
    film's waits for its thread, which does not give way: on a box that others use, too, all of the film would wait for
    it. What the sink cannot write is told in the stage's own thread, when the next frame comes.
    `recordings` gives the account of a stream; None: what is left out counts as not written.
    """

    is_beside = True

    def __init__(self, sink: Sink, recordings: Callable[[str], RecordingCount] | None) -> None:
        self._sink, self._recordings = sink, recordings
        self.wants_pixels, self.wants_events = sink.wants_pixels, sink.wants_events
        self._room = _Room()
        self._queues: dict[str, _StreamQueue] = {}
        self._until_s = 0.0  # until when what waits may be written, once the run ends

    @property
    def outages(self) -> Outages:  # type: ignore[override]
        """Of all sinks of the stage."""
        return self._sink.outages

    @outages.setter
    def outages(self, outages: Outages) -> None:
        self._sink.outages = outages

    def place(self, stream: str) -> str:
        return self._sink.place(stream)

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        about = replace(frame, pixels=Pixels(picture), slot=None)  # its own pixels are another frame's by then
        self._later(about, picture.nbytes, partial(self._sink.show, about, picture, age_ms))

    def take(self, frame: Frame, drawn: Drawn | None, age_ms: float) -> None:
        if drawn is None:
            super().take(frame, drawn, age_ms)
        else:
            about = replace(frame, pixels=drawn.pixels, slot=None)
            self._later(about, drawn.nbytes, lambda: self._sink.show(about, drawn.image, age_ms))

    def _later(self, frame: Frame, nbytes: int, show: Callable[[], None]) -> None:
        queue = self._queue(frame.stream, frame.live)
        queue.count.given()
        became: Became = "failed"
        while became == "failed":
            self._tell(queue)
            if self.outages.waits(queue.place):
                self.outages.lost(queue.place)
                queue.count.not_recorded()
                return
            became = queue.put(show, nbytes)
        if became == "full":
            self._left_out(queue)

    def happened(self, event: Event, picture: bytes) -> None:
        if event.stream in self._queues:
            self._queues[event.stream].call(partial(self._sink.happened, event, picture))

    def idle(self, silent_s: dict[str, float]) -> None:
        for queue in self._queues.values():
            self._tell(queue)
        self._sink.idle(silent_s)

    def is_ending(self, stream: str) -> bool:
        return stream in self._queues and self._queues[stream].is_ending()

    def ended(self, stream: str) -> None:
        """What waits is written and the file finished; a camera's within LAST_S + FINISH_S, or what waits is let go."""
        if (queue := self._queues.get(stream)) is not None:
            queue.end()
            self._finish(queue)

    def close(self) -> None:
        self._until_s = time.monotonic() + LAST_S
        for queue in self._queues.values():
            queue.end()
        with ExitStack() as stack:
            stack.callback(self._close)
            for stream in self._queues:
                stack.callback(self.outages.finish, self, stream)

    def _close(self) -> None:
        if not self._queues:  # else a thread hangs in it
            self._sink.close()

    def _queue(self, stream: str, live: bool) -> _StreamQueue:
        queue = self._queues.get(stream)
        if queue is None or not queue.thread.is_alive():
            count = self._recordings(stream) if self._recordings else RecordingCount()
            queue = self._queues[stream] = _StreamQueue(self._sink, stream, live, count, self._room)
        return queue

    def _finish(self, queue: _StreamQueue) -> None:
        """Wait for the queue of a stream that has ended. Raises what it could not write, or that it hangs."""
        is_done = queue.join(self._until_s or queue.until_s)
        error, lost, _ = queue.news()
        self.outages.lost(queue.place, lost)
        if queue.left_out:
            log.info("%s: %s left out of the recording", queue.stream, counted(queue.left_out, "frame"))
        if is_done:
            del self._queues[queue.stream]
        else:
            error = error or InputError(f"{queue.place}: could not be finished in time")
        if error is not None:
            raise error

    def _tell(self, queue: _StreamQueue) -> None:
        """Tell what became of what was written meanwhile. Raises InputError where that ends the run."""
        error, lost, wrote = queue.news()
        if isinstance(error, OSError | InputError):
            self.outages.failed(queue.place, queue.stream, error, lost, queue.live)
        elif error is not None:
            raise error  # a bug: it kills the process, and the supervisor says so
        elif wrote:
            self.outages.worked(queue.place)
        if queue.left_out and time.monotonic() - queue.left_out_s > KEEPS_UP_S:
            text = f"the recording keeps up again, {counted(queue.left_out, 'frame')} left out"
            log.info("%s: %s", queue.stream, text)
            self.outages.told(queue.stream, text)
            queue.left_out = 0

    def _left_out(self, queue: _StreamQueue) -> None:
        if self._recordings:
            queue.count.not_recorded()
        else:
            self.outages.lost(queue.place)
        if not queue.left_out:
            text = "cannot keep up: frames are left out of it"
            log.warning("%s: the recording %s %s", queue.stream, queue.place, text)
            self.outages.told(queue.stream, f"the recording {text}")
        queue.left_out += 1
        queue.left_out_s = time.monotonic()


class _Room:
    """How many bytes of pictures wait in all queues."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken = 0

    def take(self, nbytes: int) -> None:
        with self._lock:
            self.taken += nbytes


class _StreamQueue:
    """A stream's thread and what waits for it.

    The frame that was written last counts as recorded when the next one is written, or all is finished: the muxer
    holds it until it knows how long it lasts, and a kill loses it.
    """

    def __init__(self, sink: Sink, stream: str, live: bool, count: RecordingCount, room: _Room) -> None:
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
