"""Reads a history that others may write, that lies on read-only media, or that is damaged; changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote

from configs.errors import InputError
from events.event import Event
from events.store import check_header, check_tables, is_damaged, read_events, reason

_BUSY_S = 5.0
_NOT_CHECKED_IN = ("-wal", "-journal")  # what was written last, and what is to be undone; SQLite needs them too


def read_history(
    path: Path, since: str = "", stream: str = "", label: str = "", rule: str = ""
) -> tuple[list[Event], str]:
    """The events that are asked for, in the order of their time, and a line about what could not be read, or "".

    Raises InputError in one line for what is no history, is damaged, or stays locked.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; runs with --sink sqlite:{path} write it")
    check_header(path)
    asked = since, stream, label, rule
    try:
        return _read(path, asked)
    except sqlite3.Error as error:
        if is_damaged(error):
            advice = f"what is left of it: sqlite3 {path} .recover | sqlite3 new.db"
            raise InputError(f"{path}: is damaged, not all can be read ({error}); {advice}") from None
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None


def _read(path: Path, asked: tuple[str, str, str, str]) -> tuple[list[Event], str]:
    """One that nobody has open is read as it lies: SQLite would put two files beside it, and could not on a CD.

    Others have their newest events in a file beside. Where SQLite cannot open both in place they are copied.
    """
    beside = [Path(f"{path}{ending}") for ending in _NOT_CHECKED_IN if _size(Path(f"{path}{ending}"))]
    if not beside:
        before = path.stat()
        found = _query(path, "mode=ro&immutable=1", asked)
        after = path.stat()
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            return found, ""  # else somebody has begun to write
    if Path(f"{path}-shm").exists() or not beside:
        try:
            return _query(path, "mode=ro", asked), ""
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
    try:
        with tempfile.TemporaryDirectory(prefix="maskstream-history-") as folder:
            copy = Path(folder) / "events.db"
            for file in (path, *beside):
                shutil.copyfile(file, f"{copy}{file.name.removeprefix(path.name)}")
            return _query(copy, "mode=rw", asked, path), ""
    except OSError as error:
        names = " and ".join(file.name for file in beside)
        note = f"{path}: the newest events, in {names}, are not among these (no copy could be made: {error.strerror})"
        return _query(path, "mode=ro&immutable=1", asked), note


def _query(path: Path, mode: str, asked: tuple[str, str, str, str], called: Path | None = None) -> list[Event]:
    db = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?{mode}", uri=True, timeout=_BUSY_S)
    try:
        return [] if check_tables(db, called or path) else [event for event, _ in read_events(db, *asked)]
    finally:
        db.close()


def waiting(path: Path) -> dict[str, int]:
    """How many events of a history wait for each of its receivers; none where it is not there or cannot be read."""
    query = (
        "SELECT receiver, (SELECT COUNT(*) FROM events WHERE events.number > receivers.number) FROM receivers "
        "ORDER BY receiver"
    )
    if not path.is_file():
        return {}
    db = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True, timeout=_BUSY_S)
    try:
        return dict(db.execute(query).fetchall())
    except sqlite3.Error:
        return {}
    finally:
        db.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
