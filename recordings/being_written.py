"""Tells a recording that is finished from one that is being written: its writer holds a lock on it, until it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Self

_QUIET_S = 60.0  # on a file system without locks: what nobody has changed for so long is finished


def hold(file: int) -> None:
    """Say that this open file is being written, until it is closed. Where there are no locks nothing is said."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class BeingWritten:
    """Says so of a file that somebody else writes, as FFmpeg, as long as this is not closed. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        hold(self._file)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_being_written(path: Path) -> bool:
    """Whether a process holds the file. Raises OSError where it cannot be opened."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return time.time() - os.fstat(file).st_mtime < _QUIET_S
    finally:
        os.close(file)
    return False
