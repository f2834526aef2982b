"""Keeps what the fleet's page knows over its own end: one row for each shard, in one SQLite file."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from configs.errors import InputError
from fleet.collector import Collector, Past
from fleet.lives import Lives
from fleet.state_folder import Lock, made

log = logging.getLogger("fleet")

FILE = "serve.db"
_PAST = ""  # the row of shards that are no more; no shard has such a name


class Store:
    """The file in a folder. Raises InputError where it cannot be used, or another page has it.

    A damaged file is put aside by another name, and said: the fleet goes on without its past.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._turn = threading.Lock()  # of what is written by threads beside the page's
        self._lock = Lock(made(folder), FILE, f"{folder}: another fleet serve has it: end that one, or give --folder")
        self._open()

    def _open(self) -> None:
        try:
            self._rows = self._connected()
            self._rows.execute("SELECT count(record) FROM shards").fetchone()
        except OSError as error:
            self._lock.release()
            raise InputError(f"{self._file}: cannot be used ({error.strerror}): give --folder") from None
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # the folder, not the file
                self._lock.release()
                raise InputError(f"{self._file}: cannot be used ({error}): give --folder") from None
            aside = self._file.with_suffix(".damaged")
            log.warning("%s is damaged (%s): it is now %s, and the page begins anew", self._file, error, aside.name)
            self._rows.close()
            self._file.replace(aside)
            for left in ("-wal", "-shm"):
                self._file.with_name(FILE + left).unlink(missing_ok=True)
            self._rows = self._connected()

    def _connected(self) -> sqlite3.Connection:
        self._file.touch(mode=0o600)
        rows = self._rows = sqlite3.connect(self._file, check_same_thread=False)  # _turn sees to it
        rows.execute("PRAGMA journal_mode=WAL")
        rows.execute("PRAGMA synchronous=FULL")  # an epoch that was answered is known after a power cut, too
        rows.execute("CREATE TABLE IF NOT EXISTS shards (name TEXT PRIMARY KEY, record BLOB NOT NULL)")
        return rows

    def read(self) -> Collector:
        """What was known; a row that cannot be read is left out, and said."""
        lives: dict[str, Lives] = {}
        past = Past()
        for name, record in self._rows.execute("SELECT name, record FROM shards ORDER BY rowid"):
            try:
                if name == _PAST:
                    past = msgspec.json.decode(record, type=Past)
                else:
                    lives[name] = msgspec.json.decode(record, type=Lives)
            except msgspec.DecodeError as error:
                log.warning("%s: what is kept of %s cannot be read (%s)", self._file, name or "the past", error)
        return Collector(lives, past)

    def write(self, records: dict[str, bytes]) -> None:
        """Keep these rows, all or none. Raises sqlite3.Error where the disk does not take them."""
        with self._turn, self._rows:
            self._rows.executemany("INSERT OR REPLACE INTO shards VALUES (?, ?)", records.items())

    def drop(self, names: Iterable[str], past: Past) -> None:
        """Forget shards that became part of the past."""
        with self._turn, self._rows:
            self._rows.executemany("DELETE FROM shards WHERE name = ?", [(name,) for name in names])
            self._rows.execute("INSERT OR REPLACE INTO shards VALUES (?, ?)", (_PAST, msgspec.json.encode(past)))

    def close(self) -> None:
        """Nothing is written any more."""
        with contextlib.suppress(sqlite3.Error):
            self._rows.close()
        self._lock.release()


def rows(collector: Collector, names: Iterable[str]) -> dict[str, bytes]:
    """The rows of these shards as they are now."""
    return {name: msgspec.json.encode(collector.lives[name]) for name in names if name in collector.lives}
