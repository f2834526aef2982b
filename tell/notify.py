"""Tells systemd how the run is: ready when the sources run, alive while the supervisor goes round, stopping."""

from __future__ import annotations

import os
import socket
import time

from configs.plural import counted
from tell.status import Status


class Notify:
    """The service manager's socket, as `Type=notify` and `WatchdogSec=` give it in the environment; else nothing."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")  # the workers are not to speak for the service
        watchdog_us = os.environ.pop("WATCHDOG_USEC", "")
        for_us = os.environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._feed_s = int(watchdog_us) / 1e6 / 2 if watchdog_us.isdecimal() and for_us else 0.0
        self._fed_s = 0.0
        self._said_ready = self._said_stopping = False
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._address = "\0" + address[1:] if address[0] == "@" else address

    def tick(self, status: Status) -> None:
        """Called some times a second: a supervisor that hangs feeds no watchdog."""
        if self._socket is None:
            return
        if status.phase == "running" and not self._said_ready:
            self._said_ready = True
            self._send(f"READY=1\nSTATUS={counted(len(status.streams), 'stream')}")
        if self._said_ready and status.phase != "running" and not self._said_stopping:
            self._said_stopping = True
            self._send("STOPPING=1")
        if self._feed_s and time.monotonic() - self._fed_s >= self._feed_s:
            self._fed_s = time.monotonic()
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        assert self._socket is not None
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:  # the manager is gone or full: not our trouble
            return
