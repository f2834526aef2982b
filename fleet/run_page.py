"""Asks a shard's run how it stands, at its own page on this host."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from msgspec import Struct

from configs.schema import WebConfig
from fleet.kept import CameraState
from web.where import Page

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
    page = Page(f"{'https' if web.tls_cert else 'http'}://{_near(web.host)}:{port}", token, ours=True)
    request = urllib.request.Request(f"{page.url}/api/status")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with page.open(request, TIMEOUT_S) as answer:
            return read(json.loads(answer.read(_LARGEST_BYTES)), time.time())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, http.client.HTTPException):
        return None  # it is starting or ending, or another program has its port


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
    ('127.0.0.1', '[::1]', '127.0.0.1', 'box')
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{host}]" if address.version == 6 else host
