"""What happens as lines of JSON, for a log collector: `--log json`."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np

from tell.recent import Recent
from transport.ledger import percentile_ms

_STREAMS_S = 30.0  # how often it is told how the streams stand


class LogLines:
    """In place of Progress: each line of a process, and now and then the streams, as JSON on standard error."""

    def __init__(self, labels: dict[str, str] | None = None) -> None:
        self._labels = labels or {}
        self._told_s = time.monotonic()

    def say(self, process: str, line: str) -> None:
        """A line of a process. Workers write name, level and message with tabs between; other lines have no level."""
        parts = line.split("\t", 2)
        level, text = (parts[1], parts[2]) if len(parts) == 3 else ("INFO", line)
        self._write(level=level, process=process, message=text)

    def tick(self, recent: Recent) -> None:
        """Called some times a second; tells of the streams when it is time."""
        if time.monotonic() - self._told_s < _STREAMS_S or not recent.newest.started:
            return
        self._told_s = time.monotonic()
        lately = recent.lately()
        for name, stream in recent.newest.streams.items():
            figures = {
                "state": stream.state,
                "captured": stream.captured,
                "shown": stream.shown,
                "recorded": stream.recorded,
                "not_recorded": stream.not_recorded,
                "corrupt": stream.corrupt,
                "skipped": stream.skipped,
                "dropped": stream.dropped,
                "in_flight": stream.in_flight,
                "fps": round(lately.streams[name].fps, 2),
                "age_ms_p95": percentile_ms(np.array(lately.streams[name].ages), 95),
            }
            self._write(level="INFO", process="supervisor", message="stream", stream=name, **figures)

    def _write(self, **record: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sys.stderr.write(json.dumps({"time": now} | self._labels | record) + "\n")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
