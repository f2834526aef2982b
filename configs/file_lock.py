"""A lock beside a file that one process at a time may write: `.NAME.lock`. It ends with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class FileLock:
    """The lock of `path`, held until `release`.

    Raises BlockingIOError where another process holds it. Where no file can be made for it (read-only, full), or the
    file system has no locks, nothing is locked: what then cannot be written says so itself.
    """

    def __init__(self, path: Path) -> None:
        self._lock = path.with_name(f".{path.name}.lock")
        self._made = [folder for folder in self._lock.parents if not folder.exists()]
        self._file = _locked(self._lock)

    def release(self) -> None:
        """Let the next process have it; leave neither the lock nor a folder that was only made for it."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._lock.unlink()
                for folder in self._made:
                    folder.rmdir()  # not if something has been written
            os.close(self._file)
            self._file = None


def _locked(lock: Path) -> int | None:
    while True:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(lock), os.fstat(file)):
                return file
        except BlockingIOError:
            os.close(file)
            raise
        except FileNotFoundError:
            pass  # the process that held it has just removed it
        except OSError:
            os.close(file)
            return None
        os.close(file)
