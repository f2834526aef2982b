"""Which recordings are in the bucket: a small SQLite file beside them. Losing it costs a question for each file."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

log = logging.getLogger("upload")

NAME = ".uploaded.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, target TEXT NOT NULL, key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS streams (name TEXT PRIMARY KEY);
"""
_BUSY_S = 2.0
_ADD = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)"
_Row = tuple[str, int, int, str, str]


class Uploaded:
    """What was uploaded of a folder to `target`, and the streams whose recordings were. For one thread
    at a time.

    What cannot be written down (disk full) is known as long as this lives, so that room can be made; the next one asks
    the bucket. A damaged file begins anew.
    """

    def __init__(self, folder: Path, target: str) -> None:
        self._folder, self._path, self._target = folder, folder / NAME, target
        self._db: sqlite3.Connection | None = None
        self._unnoted: dict[str, _Row] = {}
        self._said = ""

    def key_of(self, file: Path, found: os.stat_result) -> str:
        """The key under which the file was uploaded as it is now; empty: it was not."""
        name = self._name(file)
        row = self._unnoted.get(name) or next(iter(self._ask("SELECT * FROM files WHERE name = ?", name)), None)
        if row is None or row[1:4] != (found.st_size, found.st_mtime_ns, self._target):
            return ""
        return str(row[4])

    def add(self, file: Path, found: os.stat_result, key: str) -> None:
        """The file, as it was then, is in the bucket under this key."""
        self._unnoted[self._name(file)] = (self._name(file), found.st_size, found.st_mtime_ns, self._target, key)
        self._write()

    def forget(self, file: Path) -> None:
        """The file is no more."""
        self._unnoted.pop(self._name(file), None)
        self._ask("DELETE FROM files WHERE name = ?", self._name(file))

    @property
    def streams(self) -> set[str]:
        """The streams that were recorded here, also by earlier runs."""
        return {row[0] for row in self._ask("SELECT name FROM streams")} if self._path.exists() else set()

    def remember(self, stream: str) -> None:
        """Recordings of this stream are uploaded, by the next run too."""
        self._ask("INSERT OR IGNORE INTO streams VALUES (?)", stream)

    def close(self) -> None:
        self._write()
        if self._db is not None:
            self._db.close()
            self._db = None

    def _name(self, file: Path) -> str:
        return os.path.relpath(file, self._folder)

    def _write(self) -> None:
        """Write down what is not; all of it, or it is tried with the next file."""
        if not self._unnoted:
            return
        try:
            with self._opened() as db:
                db.executemany(_ADD, self._unnoted.values())
        except (sqlite3.Error, OSError) as error:
            self._trouble(error)
        else:
            self._unnoted.clear()
            self._said = ""

    def _ask(self, query: str, *values: str) -> list[tuple[str, int, int, str, str]]:
        try:
            with self._opened() as db:
                return db.execute(query, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._trouble(error)
            return []

    def _opened(self) -> sqlite3.Connection:
        if self._db is not None and not self._path.exists():
            self._db.close()
            self._db = None
        if self._db is None:
            self._db = sqlite3.connect(self._path, timeout=_BUSY_S, check_same_thread=False)
            self._db.executescript(_SCHEMA)
        return self._db

    def _trouble(self, error: sqlite3.Error | OSError) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            with contextlib.suppress(OSError):
                self._path.unlink()
        if str(error) != self._said:
            log.warning("%s: cannot be used (%s); what is in the bucket is asked for again", self._path, error)
        self._said = str(error)
