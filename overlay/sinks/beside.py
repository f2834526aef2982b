"""Lets a sink encode and write beside the frames: a thread for each stream, behind a bounded queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import numpy as np
from msgspec.structs import replace

from configs.errors import InputError
from configs.plural import counted
from events.event import Event
from overlay.drawn import Drawn
from overlay.sinks.outages import Outages
from overlay.sinks.sink import Sink
from overlay.sinks.stream_queue import LAST_S, Became, Room, StreamQueue
from transport.frame import Frame
from transport.pixels import Pixels
from transport.recordings import RecordingCount

log = logging.getLogger("overlay")

KEEPS_UP_S = 5.0  # without leaving out a frame, and it is said that a recording keeps up again


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
        self._room = Room()
        self._queues: dict[str, StreamQueue] = {}
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

    def _queue(self, stream: str, live: bool) -> StreamQueue:
        queue = self._queues.get(stream)
        if queue is None or not queue.thread.is_alive():
            count = self._recordings(stream) if self._recordings else RecordingCount()
            queue = self._queues[stream] = StreamQueue(self._sink, stream, live, count, self._room)
        return queue

    def _finish(self, queue: StreamQueue) -> None:
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

    def _tell(self, queue: StreamQueue) -> None:
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

    def _left_out(self, queue: StreamQueue) -> None:
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
