"""The process of the windows, for a run with several lanes: shows the newest picture of each stream of all overlays."""

from __future__ import annotations

import contextlib

import msgspec
import numpy as np
import zmq

from configs.schema import OverlayConfig
from overlay.sinks import check_sinks
from overlay.sinks.window import Windows
from overlay.sinks.window_feed import PICTURE, STREAMS, feed_address
from transport.stage import StageContext

LOOK_MS = 50  # how often keys are looked at while no picture comes
_QUEUED = 4  # messages of each overlay

Told = list[bytes]  # a topic and what is said


def show_windows(config: OverlayConfig, context: StageContext) -> None:
    """Show them until the run ends. Raises InputError where there is no display."""
    check_sinks(("window",))
    with contextlib.ExitStack() as stack:
        sockets: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(sockets.destroy, linger=0)
        poller, links = zmq.Poller(), {}
        for overlay in context.showing:
            link = sockets.socket(zmq.SUB)
            link.rcvhwm = _QUEUED
            for topic in (PICTURE, STREAMS):
                link.subscribe(topic)
            link.connect(feed_address(context.feeds, overlay))
            poller.register(link, zmq.POLLIN)
            links[link] = overlay
        windows = Windows()
        stack.callback(windows.close)
        known = Shown(windows)
        context.ready()
        while not context.stopping():
            told = [(links[link], message) for link, _ in poller.poll(LOOK_MS) for message in _waiting(link)]
            known.take(told)


def _waiting(link: zmq.Socket[bytes]) -> list[Told]:
    """All that has come."""
    messages: list[Told] = []
    with contextlib.suppress(zmq.Again):
        while len(messages) < 2 * _QUEUED:
            messages.append(link.recv_multipart(zmq.NOBLOCK))
    return messages


class Shown:
    """What the overlays have told: of each stream the newest picture is shown, and a stream that none names is gone."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._streams: dict[str, dict[str, float]] = {}  # overlay -> its streams, and for how long each is silent, s

    def take(self, told: list[tuple[str, Told]]) -> None:
        """Messages with the overlay that each is of."""
        newest: dict[str, np.ndarray] = {}
        is_new = False
        for overlay, (topic, *parts) in told:
            if topic == PICTURE:
                stream, height, width = msgspec.msgpack.decode(parts[0], type=tuple[str, int, int])
                newest[stream] = np.frombuffer(parts[1], np.uint8).reshape(height, width, 3)
                self._streams.setdefault(overlay, {})[stream] = 0.0
            else:
                self._streams[overlay] = msgspec.msgpack.decode(parts[0], type=dict[str, float])
                is_new = True
        silent_s = {stream: s for streams in self._streams.values() for stream, s in streams.items()}
        for stream in [stream for stream in self._windows.streams if stream not in silent_s]:
            self._windows.ended(stream)
        for stream, picture in newest.items():
            if stream in silent_s:  # else it ended meanwhile
                self._windows.show(stream, picture)
        if is_new or not newest:
            self._windows.idle({stream: s for stream, s in silent_s.items() if is_new and s})
