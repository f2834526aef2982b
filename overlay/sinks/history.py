"""Keeps events in a SQLite file. The frames never wait for the disk, and no event for the file is lost at once."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np

from configs.errors import InputError
from configs.plural import counted
from events.event import Event
from events.store import Store, Unusable, is_damaged, is_locked, reason, set_aside
from overlay.sinks.sink import Sink
from transport.frame import Frame

log = logging.getLogger("overlay")

QUEUED = 10_000  # events that wait in memory while the file cannot be written; a person makes one every few seconds
QUEUED_BYTES = 32_000_000  # of their pictures; beyond it events wait without theirs
AGAIN_S = 0.5  # how often a file that cannot be used is tried again
LAST_S = 0.8  # how long the end of a camera's run waits for the file
LAST_OF_FILE_S = 30.0  # and that of a film, whose result must be whole
PRUNE_EVERY_S, PRUNE_EVERY = 60.0, 200  # s or events, whichever comes first: in a minute of a flood come thousands


class HistorySink(Sink):
    """Events into a SQLite file, by a thread of its own; older ones and what is too much is deleted.

    While the file is locked, read-only or its disk full, events wait in memory; a damaged one is set aside, and one
    that was deleted begins anew. `goes_on`: a life of this stage before has used it, so nothing about it ends the run.
    Raises InputError for a file that is something else's.
    """

    wants_frames = wants_pixels = False
    wants_events = True

    def __init__(
        self, path: str, days: float, megabytes: float, pictures: bool, counts: dict[str, int], goes_on: bool = False
    ) -> None:
        self._path, self._days, self._megabytes, self._pictures = Path(path), days, megabytes, pictures
        self._counts = counts
        counts.update(events_kept=0, events_lost=0)
        self._store: Store | None = None
        self._waiting: deque[tuple[Event, bytes]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._last_s = LAST_OF_FILE_S
        self._ends_s: float | None = None
        self._why = self._said = ""  # why it cannot be used now; what was said of that
        self._pruned_s, self._pruned_at = 0.0, 0
        try:
            self._opened()
        except InputError:
            if not goes_on:
                raise
        except Unusable:
            pass  # the thread meets it again, and says so
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None: ...

    def happened(self, event: Event, picture: bytes) -> None:
        with self._changed:
            if len(self._waiting) >= QUEUED:
                self._counts["events_lost"] += 1
                return
            kept = picture if self._pictures and self._bytes + len(picture) <= QUEUED_BYTES else b""
            self._waiting.append((event, kept))
            self._bytes += len(kept)
            self._changed.notify()

    def idle(self, silent_s: dict[str, float]) -> None:
        """Say what became of the file; the thread only notes it, because events are told by the stage's own."""
        if self.outages.is_live:
            self._last_s = LAST_S
        why = self._why
        if why and why != self._said:
            self.outages.began(str(self._path), "", f"{why}; events wait in memory, {QUEUED} at most")
        elif not why and self._said:
            self.outages.worked(str(self._path))
        self._said = why

    def close(self) -> None:
        """Keep what still waits. Raises InputError where the events of a file that was processed are not whole."""
        self.idle({})
        with self._changed:
            self._ends_s = time.monotonic() + self._last_s
            if self._waiting and self._why:
                log.warning("%s: still waiting (%s): %s", self._path, self._why, counted(len(self._waiting), "event"))
            self._changed.notify()
        self._thread.join()
        lost = len(self._waiting)
        self._counts["events_lost"] += lost
        if self._store is not None:
            self._store.close()
        kept, lost_all = self._counts["events_kept"], self._counts["events_lost"]
        log.info("%s: %s%s", self._path, counted(kept, "event"), f", {lost_all} lost" if lost_all else "")
        if lost and not self.outages.is_live:
            raise InputError(f"{self._path}: {counted(lost, 'event')} could not be kept ({self._why})")

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and self._ends_s is None:
                    self._changed.wait(1.0)
                if self._ends_s is not None and (not self._waiting or time.monotonic() > self._ends_s):
                    return
            try:
                self._keep()
            except Unusable as error:
                self._cannot(error)
            else:
                self._why = ""

    def _keep(self) -> None:
        store = self._opened()
        if self._waiting:
            event, picture = self._waiting[0]
            store.add(event, picture)
            with self._changed:
                self._waiting.popleft()
                self._bytes -= len(picture)
            self._counts["events_kept"] += 1
        kept = self._counts["events_kept"]
        if time.monotonic() - self._pruned_s > PRUNE_EVERY_S or kept - self._pruned_at >= PRUNE_EVERY:
            self._pruned_s, self._pruned_at = time.monotonic(), kept
            try:
                store.prune(self._days, self._megabytes)
            except (
                sqlite3.Error
            ) as error:  # it is tried again in a minute; that events cannot be kept is said when it is so
                if is_damaged(error):
                    raise

    def _opened(self) -> Store:
        """The file, opened again where it was deleted or replaced."""
        if self._store is not None and self._store.replaced:
            log.warning("%s: was deleted or replaced; it begins anew", self._path)
            self._store.close()
            self._store = None
        if self._store is None:
            self._store = Store(self._path)
        return self._store

    def _cannot(self, error: BaseException) -> None:
        self._why = reason(error)
        if is_damaged(error):
            aside = set_aside(self._path, self._store)
            if aside:
                log.warning("%s was damaged: it is %s now, and a new one begins", self._path, aside.name)
        if not is_locked(error) and self._store is not None:
            self._store.close()
            self._store = None
        time.sleep(AGAIN_S if self._ends_s is None else 0.1)
