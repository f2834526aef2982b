"""The history: events in one SQLite file, which is also where they wait for receivers that are away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from configs.errors import InputError
from events.event import Event

VERSION = 1  # of the tables, in user_version; files from before it was written have 0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, stored REAL NOT NULL, time TEXT NOT NULL,
    stream TEXT NOT NULL, rule TEXT NOT NULL, text TEXT NOT NULL, track INTEGER, label TEXT, before TEXT,
    confidence REAL, duration_s REAL NOT NULL, picture BLOB, site TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '', shard TEXT NOT NULL DEFAULT '', run TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS by_time ON events (time);
CREATE TABLE IF NOT EXISTS receivers (
    receiver TEXT PRIMARY KEY, number INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0);
"""
_FIRST_FIELDS = ("id", "time", "stream", "rule", "text", "track", "label", "before", "confidence", "duration_s")
_LABELS = ("site", "host", "shard", "run")  # columns that files of before do not have; older programs ignore them
_FIELDS = _FIRST_FIELDS + _LABELS
_BUSY_S = 0.5  # for a lock; who uses the file tries again, and must hear in between that the run ends
_MAGIC = b"SQLite format 3\0"
_HEADER = 100  # bytes that every SQLite file begins with
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_WORDS = {
    sqlite3.SQLITE_BUSY: "another program has it locked",
    sqlite3.SQLITE_LOCKED: "another program has it locked",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_FULL: "no space left on the disk",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is damaged",
}

Unusable = (sqlite3.Error, OSError, InputError)
"""What every use of the file may raise while it cannot be used; all of it may pass."""


class Store:
    """The file, opened. WAL: readers and the writer do not wait for each other, and a kill leaves no broken file.

    Every method raises sqlite3.Error while the file cannot be used: locked by another program, read-only, disk full,
    damaged. Opening also raises InputError for a database that is not ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()  # SQLite takes a relative `file:x` for a URI, and `:memory:` for no file
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._files = self._on_disk()
            if check_tables(self._db, path):
                self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self._add_columns()
            if not self._db.execute("PRAGMA user_version").fetchone()[0]:
                with contextlib.suppress(sqlite3.OperationalError):  # a file of before, locked: it can be used as it is
                    self._db.execute(f"PRAGMA user_version={VERSION}")
            self._files = self._on_disk()
        except BaseException:
            self._db.close()
            raise

    def _add_columns(self) -> None:
        """Those that a file of before lacks; both processes that use it may find that."""
        for name in set(_LABELS) - _columns(self._db):
            try:
                self._db.execute(f"ALTER TABLE events ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
            except sqlite3.OperationalError:
                if name not in _columns(self._db):
                    raise

    def _on_disk(self) -> list[tuple[int, int] | None]:
        """Which files lie there now under its name: a connection goes on with those that it opened."""
        return [_file_number(self.path), _file_number(_beside(self.path, "-wal"))]

    @property
    def file(self) -> tuple[int, int] | None:
        """Which file it is: another one of the same name has another number."""
        return self._files[0]

    @property
    def replaced(self) -> bool:
        """Whether the file was deleted, moved or replaced since it was opened; then what is written is lost."""
        return self._on_disk() != self._files

    def add(self, event: Event, picture: bytes = b"") -> None:
        """Keep an event; one whose id is there already is not kept twice."""
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
        return read_events(self._db, since, stream, label, rule)

    def register(self, receiver: str, since_s: float) -> int:
        """From now on events wait for this receiver: those after the one whose number it gives.

        What was kept before `since_s` (Unix time) a new receiver does not get. One that is known already costs no
        write: its events can be read while another program has the file locked.
        """
        query = "SELECT number FROM receivers WHERE receiver = ?"
        if (known := self._db.execute(query, [receiver]).fetchone()) is None:
            self._db.execute(
                "INSERT OR IGNORE INTO receivers (receiver, number) "
                "SELECT ?, COALESCE(MAX(number), 0) FROM events WHERE stored < ?",
                [receiver, since_s],
            )
            known = self._db.execute(query, [receiver]).fetchone()
        return int(known[0])

    def waiting(self, after: int, limit: int) -> list[tuple[int, Event, bytes | None]]:
        """The next events behind one of that number, with their numbers."""
        query = f"SELECT number, {', '.join(_FIELDS)}, picture FROM events WHERE number > ? ORDER BY number LIMIT ?"
        rows = self._db.execute(query, [after, limit]).fetchall()
        return [(row[0], Event(**dict(zip(_FIELDS, row[1:-1], strict=True))), row[-1]) for row in rows]

    def delivered(self, receiver: str, number: int, taken: int = 1, refused: int = 0) -> None:
        """The receiver has the events up to that number: so many more it took, and so many it never will."""
        self._db.execute(
            "UPDATE receivers SET number = ?, delivered = delivered + ?, refused = refused + ? WHERE receiver = ?",
            [number, taken, refused, receiver],
        )

    def count_after(self, number: int) -> int:
        """How many events come behind the one of that number."""
        return int(self._db.execute("SELECT COUNT(*) FROM events WHERE number > ?", [number]).fetchone()[0])

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
        try:
            self._db.execute(
                f"UPDATE receivers SET lost = lost + (SELECT COUNT(*) FROM events WHERE {where} "
                "AND events.number > receivers.number)", [value],
            )  # fmt: skip
            gone = self._db.execute(f"DELETE FROM events WHERE {where}", [value]).rowcount
            self._db.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):  # a full disk has ended it already
                self._db.execute("ROLLBACK")
            raise
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


def read_events(
    db: sqlite3.Connection, since: str = "", stream: str = "", label: str = "", rule: str = ""
) -> Iterator[tuple[Event, bytes | None]]:
    """Events of an opened history, as `Store.read` gives them."""
    wanted = {"stream": stream, "label": label, "rule": rule}
    given = {name: value for name, value in wanted.items() if value}
    where = " AND ".join(["time >= ?", *(f"{name} = ?" for name in given)])
    there = _columns(db)
    fields = [name for name in _FIELDS if name in there]  # a file of before may lie on read-only media
    query = f"SELECT {', '.join(fields)}, picture FROM events WHERE {where} ORDER BY time, number"
    for *values, picture in db.execute(query, [since, *given.values()]):
        yield Event(**dict(zip(fields, values, strict=True))), picture


def _columns(db: sqlite3.Connection) -> set[str]:
    return {row[1] for row in db.execute("PRAGMA table_info(events)")}


def check_tables(db: sqlite3.Connection, path: Path) -> bool:
    """True: there are none yet. Raises InputError where a database is another program's, or of a later maskstream."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version > VERSION and "receivers" in tables:
        raise InputError(f"{path}: was written by a newer maskstream: update this one, or choose another file")
    if tables and not _columns(db) >= set(_FIRST_FIELDS):
        raise InputError(f"{path}: is the database of another program: choose another file")
    return not tables


def check_header(path: Path) -> None:
    """Refuse a file that cannot be a history, without opening it as one; raises InputError.

    What a power cut leaves of one (nothing, zeros, a part) is not refused: it is set aside when it is opened.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if header.strip(b"\0") and not header.startswith(_MAGIC):
        raise InputError(f"{path}: is no history of events (no SQLite file): choose another file")


def set_aside(path: Path, store: Store | None) -> Path | None:
    """Give a damaged history another name, what SQLite keeps beside it too, so that a new one can begin.

    `store` is the file as it was opened, None where that failed; it is closed. Both processes that use it may find the
    damage: the folder's lock lets only one of them look and rename. None: the other one has done it.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    if store is not None:
        store.close()
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not (_opens_damaged(path) if store is None else _file_number(path) == store.file):
            return None
        path.rename(aside)
        for ending in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                _beside(path, ending).rename(_beside(aside, ending))
        return aside
    finally:
        os.close(folder)


def _opens_damaged(path: Path) -> bool:
    try:
        Store(path).close()
    except Unusable as error:
        return is_damaged(error)
    return False


def is_damaged(error: BaseException) -> bool:
    """Whether SQLite said that the file itself is broken."""
    return _code(error) in _DAMAGED


def is_locked(error: BaseException) -> bool:
    """Whether another program holds the file."""
    return _code(error) in _LOCKED


def reason(error: BaseException) -> str:
    """Why the file cannot be used now, in words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return _WORDS.get(_code(error), str(error))


def _code(error: BaseException) -> int:
    """SQLite's primary result code; 0: none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _file_number(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
