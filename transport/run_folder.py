"""The private folder of a run, where its sockets are; what crashed runs left is removed at the next start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "maskstream-"
_LOCK = "lock"


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A folder that only this user can enter (0700: a socket file itself takes the umask), gone afterwards.

    A second bind on the same ipc path succeeds silently and steals it, so each run has a folder of its own,
    with a lock that tells a living run from a dead one.
    """
    parent = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if not os.access(parent, os.W_OK) or len(str(parent)) > 60:  # a socket path may have 107 bytes
        parent = Path("/tmp")
    _remove_dead(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def living_runs() -> list[Path]:
    """The folders of this user's runs that go on now."""
    parents = {Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()), Path("/tmp")}
    return [folder for parent in parents for folder in sorted(parent.glob(_PREFIX + "*")) if _lives(folder)]


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
