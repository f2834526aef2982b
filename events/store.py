"""The history: events in one SQLite file, which is also where they wait for receivers that are away."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from configs.errors import InputError
from events.event import Event

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, stored REAL NOT NULL, time TEXT NOT NULL,
    stream TEXT NOT NULL, rule TEXT NOT NULL, text TEXT NOT NULL, track INTEGER, label TEXT, before TEXT,
    confidence REAL, duration_s REAL NOT NULL, picture BLOB);
CREATE INDEX IF NOT EXISTS by_time ON events (time);
CREATE TABLE IF NOT EXISTS receivers (
    receiver TEXT PRIMARY KEY, number INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0);
"""
_FIELDS = ("id", "time", "stream", "rule", "text", "track", "label", "before", "confidence", "duration_s")
_BUSY_S = 5.0


class Store:
    """The file, opened. WAL: readers and the writer do not wait for each other, and a kill leaves no broken file."""

    def __init__(self, path: Path, must_exist: bool = False) -> None:
        if must_exist and not path.is_file():
            raise InputError(f"{path}: no such file; runs with --sink sqlite:{path} write it")
        try:
            if not must_exist:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"{path}: cannot be used as a file of events ({error})") from None

    def add(self, event: Event, picture: bytes = b"") -> None:
        """Keep an event; one whose id is there already is not kept twice. Raises sqlite3.Error (disk full)."""
        values = [getattr(event, name) for name in _FIELDS]
        marks = ", ".join("?" * (len(_FIELDS) + 2))
        self._db.execute(
            f"INSERT OR IGNORE INTO events ({', '.join(_FIELDS)}, stored, picture) VALUES ({marks})",
            [*values, time.time(), picture or None],
        )

    def read(
        self, since: str = "", stream: str = "", label: str = "", rule: str = ""
    ) -> Iterator[tuple[Event, bytes | None]]:
        """Events in the order of their time, with their pictures; `since` is a UTC time as events have it."""
        wanted = {"stream": stream, "label": label, "rule": rule}
        given = {name: value for name, value in wanted.items() if value}
        where = " AND ".join(["time >= ?", *(f"{name} = ?" for name in given)])
        query = f"SELECT {', '.join(_FIELDS)}, picture FROM events WHERE {where} ORDER BY time, number"
        for *values, picture in self._db.execute(query, [since, *given.values()]):
            yield Event(**dict(zip(_FIELDS, values, strict=True))), picture

    def register(self, receiver: str) -> None:
        """From now on events wait for this receiver; what was before its time it does not get."""
        self._db.execute(
            "INSERT OR IGNORE INTO receivers (receiver, number) SELECT ?, COALESCE(MAX(number), 0) FROM events",
            [receiver],
        )

    def waiting(self, receiver: str, limit: int) -> list[tuple[int, Event, bytes | None]]:
        """The next events for a receiver, with their numbers."""
        query = (
            f"SELECT number, {', '.join(_FIELDS)}, picture FROM events "
            "WHERE number > (SELECT number FROM receivers WHERE receiver = ?) ORDER BY number LIMIT ?"
        )
        rows = self._db.execute(query, [receiver, limit]).fetchall()
        return [(row[0], Event(**dict(zip(_FIELDS, row[1:-1], strict=True))), row[-1]) for row in rows]

    def delivered(self, receiver: str, number: int, refused: bool = False) -> None:
        """The receiver has that event, or will never take it."""
        count = "refused" if refused else "delivered"
        self._db.execute(
            f"UPDATE receivers SET number = ?, {count} = {count} + 1 WHERE receiver = ?", [number, receiver]
        )

    def receivers(self) -> dict[str, dict[str, int]]:
        """For each receiver, how many events were delivered, refused by it, lost because they waited too long."""
        rows = self._db.execute("SELECT receiver, delivered, refused, lost FROM receivers")
        return {name: {"delivered": got, "refused": no, "lost": lost} for name, got, no, lost in rows}

    def prune(self, days: float, megabytes: float) -> int:
        """Delete what is older, and the oldest of what is too much; what still waited for a receiver counts as lost."""
        total = self._delete("stored < ?", time.time() - days * 86400)
        while self.used_bytes() > megabytes * 1e6:
            count = int(self._db.execute("SELECT COUNT(*) FROM events").fetchone()[0])
            if not count:
                break
            query = "SELECT number FROM events ORDER BY number LIMIT 1 OFFSET ?"
            total += self._delete("number <= ?", self._db.execute(query, [count // 10]).fetchone()[0])
        if total:
            self._db.execute("PRAGMA incremental_vacuum")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return total

    def _delete(self, where: str, value: float) -> int:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(
            f"UPDATE receivers SET lost = lost + (SELECT COUNT(*) FROM events WHERE {where} "
            "AND events.number > receivers.number)", [value],
        )  # fmt: skip
        gone = self._db.execute(f"DELETE FROM events WHERE {where}", [value]).rowcount
        self._db.execute("COMMIT")
        return gone

    def used_bytes(self) -> int:
        """How much of the file is in use."""
        pages, free, size = (
            int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def close(self) -> None:
        self._db.close()
