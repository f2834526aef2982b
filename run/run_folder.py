"""The private folder of a run, where its sockets are; what crashed runs left is removed at the next start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from configs.errors import InputError

_PREFIX = "maskstream-"
_HIDDEN = f".{_PREFIX}"  # while it is made
_MADE_S = 3600.0  # nobody needs so long to make one: it died meanwhile
_LOCK = "lock"
_LONGEST = 60  # a socket's path may have 107 bytes


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A folder that only this user can enter (0700: a socket file itself takes the umask), gone afterwards.

    A second bind on the same ipc path succeeds silently and steals it, so each run has a folder of its own,
    with a lock that tells a living run from a dead one. Raises InputError where none can be made.
    """
    folder, lock = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(lock)


def living_runs() -> list[Path]:
    """The folders of this user's runs that go on now."""
    return [folder for parent in _parents() for folder in sorted(parent.glob(_PREFIX + "*")) if _lives(folder)]


def _made() -> tuple[Path, int]:
    """The folder, in the first place that takes it, and the lock in it."""
    refused = []
    for parent in _parents():
        if len(str(parent)) > _LONGEST:
            refused.append(f"{parent} is too long a path for sockets")
            continue
        _remove_dead(parent)
        try:
            return _locked(Path(tempfile.mkdtemp(prefix=_HIDDEN, dir=parent)))
        except OSError as error:  # not there, read-only, full
            refused.append(f"{parent}: {error.strerror}")
    raise InputError(f"no place for the run's sockets ({'; '.join(refused)}): set TMPDIR to a writable one")


def _locked(hidden: Path) -> tuple[Path, int]:
    """A new folder with its lock held, under the name that runs are found by.

    Before it has that name no other run looks at it: of 2,400 that were made at once, 17 were taken for dead ones
    between their making and their locking.
    """
    lock = os.open(hidden / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return hidden.rename(hidden.with_name(hidden.name.removeprefix("."))), lock
    except OSError:
        os.close(lock)
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def _parents() -> list[Path]:
    """Where a run's folder may be, best first."""
    parents = [Path(os.environ.get("XDG_RUNTIME_DIR", ""))]
    with contextlib.suppress(FileNotFoundError):  # there is no folder for temporary files
        parents.append(Path(tempfile.gettempdir()))
    parents.append(Path("/tmp"))
    return list(dict.fromkeys(parent for parent in parents if parent.is_absolute()))


def _lives(folder: Path) -> bool:
    try:
        if folder.stat().st_uid != os.getuid():
            return False
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _remove_dead(parent: Path) -> None:
    for folder in parent.glob(_PREFIX + "*"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # it lives, or another run is removing it
    for folder in parent.glob(_HIDDEN + "*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.getuid() and time.time() - folder.stat().st_mtime > _MADE_S:
                shutil.rmtree(folder, ignore_errors=True)
