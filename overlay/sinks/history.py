"""Keeps events: in a SQLite file, or as lines of JSON. The frames never wait for the disk."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from configs.plural import counted
from events.event import Event
from events.store import Store
from overlay.sinks.sink import Sink
from overlay.sinks.target import writing
from transport.frame import Frame

log = logging.getLogger("overlay")

QUEUED = 10_000  # events that wait for a slow disk; a person makes one every few seconds
PRUNE_EVERY_S, PRUNE_EVERY = 60.0, 200  # s or events, whichever comes first: in a minute of a flood come thousands


class HistorySink(Sink):
    """Events into a SQLite file, by a thread of its own; older ones and what is too much is deleted."""

    wants_pixels = False
    wants_events = True

    def __init__(self, path: str, days: float, megabytes: float, pictures: bool) -> None:
        self._path, self._days, self._megabytes, self._pictures = Path(path), days, megabytes, pictures
        self._store = Store(self._path)
        self._waiting: queue.Queue[tuple[Event, bytes] | None] = queue.Queue(QUEUED)
        self._kept = self._lost = 0
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None: ...

    def happened(self, event: Event, picture: bytes) -> None:
        try:
            self._waiting.put_nowait((event, picture if self._pictures else b""))
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._store.close()
        log.info("%s: %s%s", self._path, counted(self._kept, "event"), f", {self._lost} lost" if self._lost else "")

    def _run(self) -> None:
        pruned_s, pruned_at, failing = 0.0, 0, False
        while True:
            try:
                item = self._waiting.get(timeout=1)
            except queue.Empty:
                item = ()  # type: ignore[assignment]
            if item is None:
                return
            try:
                if item:
                    self._store.add(*item)
                    self._kept += 1
                if time.monotonic() - pruned_s > PRUNE_EVERY_S or self._kept - pruned_at >= PRUNE_EVERY:
                    pruned_s, pruned_at = time.monotonic(), self._kept
                    self._store.prune(self._days, self._megabytes)
                failing = False
            except sqlite3.Error as error:
                self._lost += bool(item)
                if not failing:
                    log.warning("%s: events cannot be kept (%s); the run goes on", self._path, error)
                failing = True


class EventLinesSink(Sink):
    """A line of JSON for each event, complete in the file as soon as it happened; earlier runs' lines are kept."""

    wants_pixels = False
    wants_events = True

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file: IO[bytes] | None = None

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None: ...

    def happened(self, event: Event, picture: bytes) -> None:
        with writing(self._path):
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab")
            self._file.write(msgspec.json.encode(event) + b"\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            with writing(self._path):
                self._file.close()
