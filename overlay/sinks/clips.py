"""Records a clip of each event: some seconds before it, and some after."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from msgspec.structs import replace

from configs.errors import InputError
from events.event import Event, unix_s
from overlay.recorder import Recorder
from overlay.sinks.sink import Sink
from overlay.target import free_name, writing
from recordings.retention import Keep, prune, stamped
from transport.cores import give_way
from transport.frame import Frame, time_ms
from transport.pixels import Pixels

log = logging.getLogger("overlay")

JPEG_QUALITY = 90  # the seconds before are held as JPEG: 640x480 takes 60 KB of memory instead of 900, and 0.8 ms
LONGEST = 6.0  # times the seconds after: events that follow each other make one clip, but not without end


@dataclass(slots=True)
class _Stream:
    held: deque[tuple[Frame, bytes]] = field(default_factory=deque)
    clip: list[tuple[Frame, bytes]] | None = None
    until_ms: float = 0.0
    last_ms: float = 0.0


class ClipsSink(Sink):
    """`FOLDER/STREAM-20261125T133000Z.mp4` for each event, or for several that follow each other closely.

    Pictures are held as JPEG; a thread beside the frames makes the video. `show`, `happened` and `ended` are called in
    a thread of each stream (overlay/sinks/beside.py), `idle` and `close` in the stage's own.
    """

    wants_events = True

    def __init__(
        self, folder: str, before_s: float, after_s: float, keep: Keep, encoders: tuple[str, ...] = ("x264",)
    ) -> None:
        self._folder, self._before_ms, self._after_ms, self._keep = Path(folder), 1000 * before_s, 1000 * after_s, keep
        self._encoders = encoders
        self._streams: dict[str, _Stream] = {}
        self._waiting: queue.Queue[list[tuple[Frame, bytes]] | None] = queue.Queue(8)
        self._done: queue.SimpleQueue[tuple[Frame, Exception | None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)
        self._thread.start()
        self._lost = 0

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        stream, now_ms = self._streams.setdefault(frame.stream, _Stream()), time_ms(frame)
        jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        coded = replace(frame, pixels=_NOTHING, slot=None), jpeg
        if stream.clip is not None:
            stream.clip.append(coded)
            if not stream.last_ms <= now_ms < stream.until_ms:
                self._finish(stream)
        stream.last_ms = now_ms
        stream.held.append(coded)
        while not 0 <= now_ms - time_ms(stream.held[0][0]) <= self._before_ms:
            stream.held.popleft()

    def idle(self, silent_s: dict[str, float]) -> None:
        self._say_what_became()

    def happened(self, event: Event, picture: bytes) -> None:
        stream = self._streams.get(event.stream)
        if stream is None or not stream.held:
            return
        now_ms = stream.last_ms
        if stream.clip is None:
            stream.clip = list(stream.held)
        began_ms = time_ms(stream.clip[0][0])
        stream.until_ms = min(now_ms + self._after_ms, began_ms + self._before_ms + LONGEST * self._after_ms)

    def ended(self, stream: str) -> None:
        """What was begun becomes a clip, soon: the thread makes it."""
        gone = self._streams.pop(stream, None)
        if gone is not None and gone.clip is not None:
            self._finish(gone)

    def close(self) -> None:
        for stream in list(self._streams):
            self.ended(stream)
        self._waiting.put(None)
        self._thread.join()
        self._say_what_became()

    def _say_what_became(self) -> None:
        """What the thread wrote or could not write; told here, because events are made by the stage's own thread."""
        while not self._done.empty():
            first, error = self._done.get()
            place = str(self._folder / first.stream)
            if error is None:
                self.outages.worked(place)
            else:
                self.outages.failed(place, first.stream, error, live=first.live)  # its stream may have ended since

    def _finish(self, stream: _Stream) -> None:
        assert stream.clip is not None
        try:
            self._waiting.put_nowait(stream.clip)
        except queue.Full:
            self._lost += 1
            self._done.put((stream.clip[0][0], OSError("the disk is too slow: eight clips wait for it")))
        stream.clip = None

    def _run(self) -> None:
        give_way()
        made = 0
        while (clip := self._waiting.get()) is not None:
            first = clip[0][0]
            name = self._folder / f"{first.stream}.mp4"
            try:
                with writing(name):
                    path = free_name(stamped(name, unix_s(first.captured_ns)))
                    _record(path, clip, self._encoders)
                    prune(name, self._keep, path)
            except (OSError, InputError) as error:
                self._lost += 1
                self._done.put((first, error))
            else:
                made += 1
                self._done.put((first, None))
        log.info("%s: %d clips%s", self._folder, made, f", {self._lost} lost" if self._lost else "")


def _record(path: Path, clip: list[tuple[Frame, bytes]], encoders: tuple[str, ...]) -> None:
    video = None
    try:
        for frame, jpeg in clip:
            picture = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
            video = video or Recorder(path, picture, encoders)
            video.add(picture, frame)
        if video is not None:
            video.close()
    except (OSError, InputError):
        if video is not None:
            video.abandon()
        raise


_NOTHING = Pixels(np.zeros((1, 1, 3), np.uint8))
