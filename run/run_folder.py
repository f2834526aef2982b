"""The private folder of a run, where its sockets are; what crashed runs left is removed at the next start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from configs.errors import InputError

_PREFIX = "maskstream-"
_LOCK = "lock"
_LONGEST = 60  # a socket's path may have 107 bytes


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A folder that only this user can enter (0700: a socket file itself takes the umask), gone afterwards.

    A second bind on the same ipc path succeeds silently and steals it, so each run has a folder of its own,
    with a lock that tells a living run from a dead one. Raises InputError where none can be made.
    """
    folder = _made()
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def living_runs() -> list[Path]:
    """The folders of this user's runs that go on now."""
    return [folder for parent in _parents() for folder in sorted(parent.glob(_PREFIX + "*")) if _lives(folder)]


def _made() -> Path:
    """The folder, in the first place that takes it."""
    refused = []
    for parent in _parents():
        if len(str(parent)) > _LONGEST:
            refused.append(f"{parent} is too long a path for sockets")
            continue
        _remove_dead(parent)
        try:
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        except OSError as error:  # not there, read-only, full
            refused.append(f"{parent}: {error.strerror}")
    raise InputError(f"no place for the run's sockets ({'; '.join(refused)}): set TMPDIR to a writable one")


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
