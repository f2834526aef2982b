"""Inbox and outbox: one-way links between processes over ZeroMQ.

The receiver binds, the sender connects: so what waits in the sender's queue survives the death of the receiver
and is delivered to the one that replaces it, in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, Self

import zmq

from transport.codec import Message, WireError, decode, encode

_LINGER_MS = 500  # the default, -1, can hang a process for ever on exit when the other side is gone
_POLLIN = int(zmq.POLLIN)  # an int, as its own type does the same in Python
_RECONNECT_MS = 20  # the default of 100 ms is most of what a restart would cost


class Receiver(Protocol):
    """Where messages arrive: an Inbox, or a list in a test."""

    def receive(self, timeout_s: float, on_junk: Callable[[WireError], None] | None) -> Message | None:
        """The next message, or None if none came in time."""


class Sender(Protocol):
    """Where messages leave: an Outbox, or a list in a test."""

    def send(self, message: Message | bytes) -> None:
        """Send a message, or one that is encoded already."""

    def close(self) -> None:
        """Send no more."""


class _Link:
    _socket: zmq.Socket[bytes]

    def close(self) -> None:
        """Close the socket; what is queued is still sent, for up to half a second after."""
        self._socket.close(_LINGER_MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Inbox(_Link):
    """Where messages arrive. `wake_fd` is a file descriptor that ends a wait early when it becomes readable."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, wake_fd: int | None = None) -> None:
        self._socket = context.socket(zmq.PULL)
        try:
            self._socket.bind(address)
        except zmq.ZMQError:
            self._socket.close(0)  # else context.term() waits for it for ever
            raise
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        if wake_fd is not None:
            self._poller.register(wake_fd, zmq.POLLIN)

    def receive(self, timeout_s: float = 0.0, on_junk: Callable[[WireError], None] | None = None) -> Message | None:
        """The next message, or None if none came in time. What is no message is given to `on_junk`, or raised.

        It is asked first, which costs a system call for each message: an exception where there is none costs more, and
        most of all in a process that has just woken up (250 of the 1,900 Python steps of a frame in classify).
        """
        deadline_s, left_s = time.monotonic() + timeout_s, timeout_s
        while True:
            left_ms = int(left_s * 1000)
            if left_ms > 0:
                if self._socket not in dict(self._poller.poll(left_ms)):
                    return None
            elif not int(self._socket.get(zmq.EVENTS)) & _POLLIN:
                return None
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return None
            try:
                return decode(data if not self._socket.get(zmq.RCVMORE) else self._whole())
            except WireError as error:
                if on_junk is None:
                    raise
                on_junk(error)
                left_s = deadline_s - time.monotonic()

    def _whole(self) -> bytes:
        """Ours have one part: take in the others, so that what follows is read as what it is."""
        while self._socket.rcvmore:
            self._socket.recv()
        raise WireError("a message of several parts")


class Outbox(_Link):
    """Where messages leave."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        self._socket = context.socket(zmq.PUSH)
        self._socket.reconnect_ivl = _RECONNECT_MS
        try:
            self._socket.connect(address)
        except zmq.ZMQError:
            self._socket.close(0)  # else context.term() waits for it for ever
            raise

    def send(self, message: Message | bytes) -> None:
        """Queue a message, or one that is encoded already; it waits there if the receiver is away."""
        self._socket.send(message if isinstance(message, bytes) else encode(message))
