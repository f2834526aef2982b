"""Gives pictures to the process that has the windows, where several overlays draw: the newest, never waiting for it."""

from __future__ import annotations

import time

import msgspec
import numpy as np
import zmq

from overlay.sinks.sink import Sink
from transport.feed import Feed
from transport.frame import Frame

PICTURE, STREAMS = b"picture", b"streams"  # the topics
FPS = 60.0  # of a stream; no screen shows more
_QUEUED = 4  # pictures; where the windows are slower, what comes then is not shown


def feed_address(feeds: str, process: str) -> str:
    """Where the windows hear an overlay: beside the address of its feed for the page."""
    return f"{feeds}{process}-window"


class WindowFeed(Sink):
    """Sends what is drawn to overlay/show_windows.py, and twice a second which streams have a window.

    `STREAMS` is a state, not a change: one that gets lost is told again.
    """

    def __init__(self, address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._feed = Feed(self._context, address, _QUEUED)
        self._sent_s: dict[str, float] = {}

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        now_s = time.monotonic()
        if now_s - self._sent_s.get(frame.stream, 0.0) >= 1 / FPS:
            self._sent_s[frame.stream] = now_s
            self._feed.wanted()  # takes in who listens
            height, width = picture.shape[:2]
            self._feed.send(PICTURE, msgspec.msgpack.encode((frame.stream, height, width)), picture.data)

    def idle(self, silent_s: dict[str, float]) -> None:
        self._feed.send(STREAMS, msgspec.msgpack.encode({name: silent_s.get(name, 0.0) for name in self._sent_s}))

    def ended(self, stream: str) -> None:
        if self._sent_s.pop(stream, None):
            self.idle({})

    def close(self) -> None:
        self._feed.__exit__()
        self._context.term()
