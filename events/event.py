"""An event: something that happened in front of a camera, once."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event. `id` is unique, and later events have greater ones; `time` is when it happened, UTC.

    `rule` is what was met: `decision` when a person's label became certain or changed (`before` is the one before),
    else the name of a rule. `duration_s` is for how long it had held by then. `track` and `label` are of the
    person it is about, None where it is about all who are seen. `text` says it in words. `site`, `host`, `shard` and
    `run` tell which run saw it (configs/labels.py); a plain run has none of them.
    """

    id: str
    time: str
    rule: str
    stream: str
    text: str
    track: int | None = None
    label: str | None = None
    before: str | None = None
    confidence: float | None = None
    duration_s: float = 0.0
    site: str = ""
    host: str = ""
    shard: str = ""
    run: str = ""


class Ids:
    """Numbers events: Unix time in ms, a count, and what tells two runs apart.

    >>> ids = Ids()
    >>> one, other = ids.next(5.0), ids.next(4.0)
    >>> one < other, len(one)
    (True, 32)
    """

    def __init__(self) -> None:
        self._run = os.urandom(8).hex()  # with 2 bytes, 300 runs shared one at even odds
        self._last = 0

    def next(self, unix_s: float) -> str:
        """An id that is greater than the one before, also when the clock was set back."""
        self._last = max(self._last + 1, round(unix_s * 1000) << 16)
        return f"{self._last:016x}{self._run}"


def utc(unix_s: float) -> str:
    """A time as events and the JSON lines have it.

    >>> utc(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    text = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def unix_s(captured_ns: int) -> float:
    """The Unix time of a moment of time.monotonic_ns()."""
    return time.time() - (time.monotonic_ns() - captured_ns) / 1e9
