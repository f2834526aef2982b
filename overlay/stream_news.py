"""The names of a run's streams, for a process beside the frames; also of those that are added while it goes on."""

from __future__ import annotations

import contextlib
from typing import Any, Self

import msgspec
import zmq


class StreamNews:
    """What the supervisor tells over its feed, whose address begins with `feeds`; empty: nothing, as there is none."""

    def __init__(self, feeds: str) -> None:
        self._sockets: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._link = self._sockets.socket(zmq.SUB)
        self._link.subscribe(b"status")
        if feeds:
            self._link.connect(f"{feeds}supervisor")

    def streams(self) -> set[str]:
        """Those that were told of since it was asked last."""
        found: set[str] = set()
        with contextlib.suppress(zmq.Again):
            while True:
                _, status = self._link.recv_multipart(zmq.NOBLOCK)
                found.update(msgspec.msgpack.decode(status, type=_Streams).streams)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sockets.destroy(linger=0)


class _Streams(msgspec.Struct):
    """Of a Status (tell/status.py), what matters here."""

    streams: dict[str, Any]
