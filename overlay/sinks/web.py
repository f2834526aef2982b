"""Gives the pictures that somebody looks at to the page's process: the newest, and never a wait for anybody."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import NamedTuple

import cv2
import msgspec
import numpy as np
import zmq

from events.event import Event
from overlay.sinks.sink import Sink
from transport.cores import give_way
from transport.feed import Feed
from transport.frame import Frame

JPEG_QUALITY = 80  # 640x480: 0.7 ms and about 40 KB
PICTURE = b"picture/"  # topic of a stream's pictures
LOOK_S = 0.1  # how often it is asked who looks at what, while no picture comes
TELL_S = 1.0  # how often it is told who was seen
KEPT_EVENTS = 100  # for a page process that is started again


class Shown(NamedTuple):
    """A picture that was drawn, (H, W, 3) uint8 BGR."""

    seq: int
    captured_ns: int
    age_ms: float
    picture: np.ndarray


class WebSink(Sink):
    """Keeps the newest picture of each stream; a thread beside encodes those that are looked at.

    `feed` is the address where the page's process listens, `name` that of this process; at most `fps` pictures of a
    stream are sent per second, wider ones are shrunk to `width` px.
    """

    wants_events = True

    def __init__(self, feed: str, name: str, fps: float, width: int) -> None:
        self._feed, self._name, self._step_s, self._width = feed, name.encode(), 1 / fps, width
        self._newest: dict[str, Shown] = {}
        self._due_s: dict[str, float] = {}  # when the next picture of a stream that is looked at is due
        self._persons: dict[str, dict[int, str]] = {}  # seen since it was last told: track -> label
        self._events: deque[tuple[bytes, bytes]] = deque(maxlen=KEPT_EVENTS)
        self._untold = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    @property
    def wants_pixels(self) -> bool:  # type: ignore[override]
        """Whether somebody looks: else nothing need be drawn."""
        return bool(self._due_s)

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        with self._changed:
            if picture.size:  # drawn, for nobody looks otherwise
                self._newest[frame.stream] = Shown(frame.seq, frame.captured_ns, age_ms, picture)
            persons = self._persons.setdefault(frame.stream, {})
            for face in frame.faces:
                if face.track is not None and face.prediction is not None:
                    persons[face.track] = face.prediction.label
            if time.monotonic() >= self._due_s.get(frame.stream, math.inf):  # else the thread would wake for nothing
                self._changed.notify()

    def happened(self, event: Event, picture: bytes) -> None:
        with self._changed:
            self._events.append((msgspec.json.encode(event), picture))
            self._untold = min(self._untold + 1, KEPT_EVENTS)
            self._changed.notify()

    def ended(self, stream: str) -> None:
        with self._changed:
            self._newest.pop(stream, None)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        give_way()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with Feed(context, self._feed) as feed:
            told_s = 0.0
            heard: set[bytes] = set()
            while not self._closing:
                with self._changed:
                    self._changed.wait(LOOK_S)
                    now_s = time.monotonic()
                    due = [name for name, due_s in self._due_s.items() if due_s <= now_s and name in self._newest]
                    newest = {name: self._newest.pop(name) for name in due}
                    if b"event" in feed.wanted() - heard:  # it was started again: it knows none of them
                        self._untold = len(self._events)
                    heard = set(feed.wanted())
                    untold = list(self._events)[len(self._events) - self._untold :] if b"event" in heard else []
                    self._untold -= len(untold)
                    looked_at = {topic.removeprefix(PICTURE).decode() for topic in heard if topic.startswith(PICTURE)}
                    self._due_s = {name: self._due_s.get(name, 0.0) for name in looked_at}
                    for name in self._newest.keys() - looked_at:  # who looks again must not be shown an old one
                        del self._newest[name]
                    self._due_s |= dict.fromkeys(due, now_s + 0.9 * self._step_s)  # not to miss every other frame
                for event in untold:
                    feed.send(b"event", *event, self._name)
                for stream, shown in newest.items():
                    feed.send(PICTURE + stream.encode(), *self._encoded(shown))
                if now_s - told_s >= TELL_S:
                    told_s = now_s
                    with self._changed:
                        persons, self._persons = self._persons, {}
                    feed.send(b"persons", msgspec.msgpack.encode(persons))
        context.term()

    def _encoded(self, shown: Shown) -> tuple[bytes, bytes]:
        height, width = shown.picture.shape[:2]
        picture = shown.picture
        if width > self._width:
            size = self._width, max(1, round(height * self._width / width))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        about = {
            "seq": shown.seq,
            "captured_ns": shown.captured_ns,
            "age_ms": round(shown.age_ms, 1),
            "width": picture.shape[1],
            "height": picture.shape[0],
        }
        jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        return msgspec.json.encode(about), jpeg.tobytes()
