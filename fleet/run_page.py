"""Asks a shard's run how it stands, at its own page on this host."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from msgspec import Struct

from configs.schema import WebConfig
from fleet.kept import CameraState

TIMEOUT_S = 3.0
_LARGEST_BYTES = 8_000_000
_FLOWS = ("flowing", "away", "ended", "failed", "paused")  # all but opening


class Answer(Struct, frozen=True):
    """How the run stands. `silent_s`: for how long its page has heard nothing of it; `settled`: no camera is being
    opened any more."""

    life: str
    silent_s: float
    settled: bool
    cameras: dict[str, CameraState]


def ask(web: WebConfig, port: int, environment: Mapping[str, str]) -> Answer | None:
    """What it answers; None: nothing that can be used."""
    token = web.token or environment.get("MASKSTREAM_TOKEN", "")
    connection = _connection(_near(web.host), port, bool(web.tls_cert))
    try:
        connection.request("GET", "/api/status", headers={"Authorization": f"Bearer {token}"} if token else {})
        return read(json.loads(connection.getresponse().read(_LARGEST_BYTES)), time.time())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, http.client.HTTPException):
        return None  # it is starting or ending, or another program has its port
    finally:
        connection.close()


def _connection(host: str, port: int, speaks_tls: bool) -> http.client.HTTPConnection:
    """No proxy, no redirects. A context that reads the machine's certificates took 5 % of a core for each shard."""
    if not speaks_tls:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # on this host, at a port that the run holds: its certificate is of another name
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)


def read(told: dict[str, Any], now: float) -> Answer:
    """The answer, of the JSON of /api/status; raises KeyError, TypeError or ValueError for what is none."""
    streams = {stream["name"]: stream for stream in told["streams"]}
    cameras = {
        name: CameraState(str(stream["state"]), round(now - float(stream["away_s"]), 1) if stream["away_s"] else 0.0)
        for name, stream in streams.items()
    }
    settled = told["phase"] == "running" and bool(streams)
    for stream in streams.values():
        settled &= stream["state"] in _FLOWS and (stream["state"] != "flowing" or stream["shown"] > 0)
    return Answer(str(told.get("run", "")), float(told["silent_s"]), settled, cameras)


def _near(host: str) -> str:
    """The address at which this host itself reaches who listens there.

    >>> _near("0.0.0.0"), _near("::"), _near("127.0.0.1"), _near("box")
    ('127.0.0.1', '::1', '127.0.0.1', 'box')
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return host
