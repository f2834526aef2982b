"""Tells systemd how the run is (`Type=notify`), and that its supervisor still lives (`WatchdogSec=`).

The protocol is lines of text to the datagram socket that NOTIFY_SOCKET names (sd_notify(3)).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

from transport.supervisor import DRAINING, Supervisor

_STATUS_S = 5.0


class Notifier:
    """Ready when the sources run, then a watchdog's feed at a third of its time. Without systemd it does nothing.

    `environment` holds what systemd sets: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)  # @: a name outside the file system
        meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        fed_us = int(environment.get("WATCHDOG_USEC", "0")) if meant else 0
        self._feed_s = fed_us / 3e6
        self._fed_s = self._told_s = 0.0
        self._is_ready = self._is_stopping = False

    def tick(self, supervisor: Supervisor) -> None:
        """Called often, by the loop whose life the watchdog is to see."""
        if not self._address:
            return
        now_s, lines = time.monotonic(), []
        if supervisor.started_s and not self._is_ready:
            self._is_ready = True
            lines.append("READY=1")
        if supervisor.phase >= DRAINING and not self._is_stopping:
            self._is_stopping = True
            lines.append("STOPPING=1")
        if self._feed_s and now_s - self._fed_s >= self._feed_s:
            self._fed_s = now_s
            lines.append("WATCHDOG=1")
        if self._is_ready and now_s - self._told_s >= _STATUS_S:
            self._told_s = now_s
            shown = sum(supervisor.ledger(stream).shown for stream in supervisor.streams)
            flowing = sum(supervisor.ledger(stream).state == "flowing" for stream in supervisor.streams)
            lines.append(f"STATUS={flowing} of {len(supervisor.streams)} streams flowing, {shown} frames shown")
        if lines:
            self._send("\n".join(lines))

    def _send(self, text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            try:
                link.connect(self._address)
                link.send(text.encode())
            except OSError:
                self._address = ""  # nobody listens: no reason to end a run
