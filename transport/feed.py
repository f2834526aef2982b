"""What a run tells those who watch it: sent once, to whoever asked for it, and nobody is ever waited for.

A PUB-like socket drops for a reader that is slow or away, and its subscriptions tell what anybody wants to have:
a picture that nobody looks at is not even encoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import zmq

_QUEUED = 16


def follow(link: zmq.Socket[Any], feeds: str, senders: Iterable[str], topics: Iterable[bytes]) -> None:
    """Have a SUB socket hear of these topics, from those of the run who tell at `feeds`."""
    for sender in senders:
        link.connect(feeds + sender)
    for topic in topics:
        link.subscribe(topic)


class Feed:
    """The sending end; it binds, so that a reader that is started again finds it. For one thread.

    So many messages (`queued`) wait for a slow reader; then they are dropped for it.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, queued: int = _QUEUED) -> None:
        self._socket = context.socket(zmq.XPUB)
        self._socket.sndhwm = queued
        self._socket.bind(address)
        self._topics: set[bytes] = set()

    def wanted(self, timeout_s: float = 0.0) -> set[bytes]:
        """The topics that somebody has subscribed to; waits so long for a change of it."""
        while self._socket.poll(round(timeout_s * 1000)):
            message = self._socket.recv()
            change = self._topics.add if message[:1] == b"\x01" else self._topics.discard
            change(message[1:])
            timeout_s = 0.0
        return self._topics

    def send(self, topic: bytes, *parts: bytes | memoryview) -> None:
        """Send to all that subscribed; never waits."""
        self._socket.send_multipart([topic, *parts], copy=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close(0)
