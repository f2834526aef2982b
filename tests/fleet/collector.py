"""What the shards of a test tell of themselves: gathered in the office, and measured there."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Told:
    """One status as it came: when (monotonic, s), and what it said."""

    at_s: float
    status: dict[str, Any]

    @property
    def life(self) -> str:
        return str(self.status["run"])


@dataclass
class Camera:
    """What came in of one camera: (when, life, how many frames were shown, captured and dropped by that life)."""

    told: list[tuple[float, str, int, int, int]] = field(default_factory=list)

    def progress(self, host_lives: set[str] | None = None) -> list[float]:
        """The times at which more frames were known to be shown than before, by any life, or by one of these."""
        shown: dict[str, int] = {}
        times = []
        for at_s, life, count, *_ in self.told:
            if (host_lives is None or life in host_lives) and count > shown.get(life, 0):
                shown[life] = count
                times.append(at_s)
        return times

    def longest_gap_s(self, since_s: float, until_s: float) -> float:
        """The longest time without a new frame; that which began before counts, too."""
        times = [at_s for at_s in self.progress() if at_s < until_s]
        before = max((at_s for at_s in times if at_s <= since_s), default=since_s)
        marks = [before, *(at_s for at_s in times if at_s > since_s), until_s]
        return max(later - sooner for sooner, later in itertools.pairwise(marks))


class Collector:
    """Takes statuses (`/status`) and events, and tells each life of a shard the newest epoch that it has heard of."""

    def __init__(self, listener: socket.socket) -> None:
        self.told: list[Told] = []
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.newest: dict[str, int] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                said = collector._take(body) if self.path == "/status" else collector._take_event(body)
                self.send_response(200)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        self._server.daemon_threads = True
        self._lock = threading.Lock()
        self.url = "http://{}:{}".format(*listener.getsockname())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, status: dict[str, Any]) -> bytes:
        with self._lock:
            shard = status["shard"]
            self.newest[shard] = max(self.newest.get(shard, 0), status["epoch"])
            self.told.append(Told(time.monotonic(), status))
            return json.dumps({"epoch": self.newest[shard]}).encode()

    def _take_event(self, event: dict[str, Any]) -> bytes:
        with self._lock:
            self.events.append((time.monotonic(), event))
        return b"{}"

    @property
    def cameras(self) -> dict[str, Camera]:
        """All cameras by name."""
        found: dict[str, Camera] = {}
        for told in list(self.told):
            for one in told.status["streams"]:
                counts = (one["shown"], one["captured"], sum(one["dropped"].values()))
                found.setdefault(one["name"], Camera()).told.append((told.at_s, told.life, *counts))
        return found

    def flowing(self, since_s: float, but: set[str] | frozenset[str] = frozenset()) -> set[str]:
        """Cameras of which more frames were shown since then, by lives other than `but`."""
        lives = {told.life for told in list(self.told)} - but
        return {
            name for name, camera in self.cameras.items() if any(at_s > since_s for at_s in camera.progress(lives)[1:])
        }

    def lives(self, shard: str = "", host: str = "") -> set[str]:
        """The lives that were heard of a shard, or on a host, or both."""
        return {
            told.life
            for told in list(self.told)
            if shard in ("", told.status["shard"]) and host in ("", told.status["host"])
        }

    def last(self, life: str) -> dict[str, Any]:
        """The last status of a life."""
        return next(told.status for told in reversed(self.told) if told.life == life)
