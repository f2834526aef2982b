"""Adds a line of JSON for each event to a file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from events.event import Event
from overlay.sinks.lines import Lines
from overlay.sinks.sink import Sink
from overlay.target import writing
from transport.frame import Frame


class EventLinesSink(Sink):
    """A line for each event, complete in the file as soon as it happened; earlier runs' lines are kept.

    `shared`: other processes of the run write theirs into it, too.
    """

    wants_frames = wants_pixels = False
    wants_events = True

    def __init__(self, path: str, shared: bool = False) -> None:
        self._path, self._shared = Path(path), shared
        self._file: Lines | None = None

    def place(self, stream: str) -> str:
        return str(self._path)

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None: ...

    def happened(self, event: Event, picture: bytes) -> None:
        with writing(self._path):
            if self._file is None:
                self._file = Lines(self._path, shared=self._shared)
            self._file.write(msgspec.json.encode(event) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
