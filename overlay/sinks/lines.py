"""A file of lines that is never left with half a line in it: not by a full disk, and not by a kill before."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from transport.stage import EVER, RunStart

LOOK_S = 1.0  # how often it is looked whether the file was deleted, or moved by a log rotation
_ALONE = contextlib.nullcontext()
_TAIL = 1 << 20  # a line is shorter than that


class Lines:
    """Appends whole lines, each in the file as soon as it is written. Raises OSError where that is not possible.

    What was written before the run began is another run's, and goes. Lines that are there since then stay,
    without one that a kill cut off. `shared`: other processes of the run write the file, too; each line is whole then,
    and each process finds a line that a kill of another one cut off.
    """

    def __init__(self, path: Path, began: RunStart = EVER, shared: bool = False) -> None:
        self._path, self._shared = path, shared
        self._file = _opened(path, began, shared)
        self._looked_s = time.monotonic()

    def write(self, line: bytes) -> None:
        """Add a line, which ends in a newline; all of it or, where OSError is raised, nothing."""
        if time.monotonic() - self._looked_s > LOOK_S:
            self._look()
        with _locked(self._file, True) if self._shared else _ALONE:
            before = os.fstat(self._file)
            is_file = stat.S_ISREG(before.st_mode)
            if self._shared and is_file:
                before = _end_at_a_line(self._file)
            written = 0
            try:
                while written < len(line):
                    written += os.write(self._file, line[written:])
            except OSError:
                if written and is_file:
                    os.ftruncate(self._file, before.st_size)
                raise

    def _look(self) -> None:
        """Begin the file anew where it was moved away."""
        self._looked_s = time.monotonic()
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._path), os.fstat(self._file)):
                return
        file = _opened(self._path, EVER, self._shared)
        os.close(self._file)
        self._file = file

    def fileno(self) -> int:
        """The open file."""
        return self._file

    def close(self) -> None:
        os.close(self._file)


@contextlib.contextmanager
def _locked(file: int, shared: bool) -> Iterator[None]:
    """Nobody else writes the file while this holds, if it is shared; where the file system has locks."""
    if not shared:
        yield
        return
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def _opened(path: Path, began: RunStart, shared: bool) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_file = path.is_file() or not path.exists()
    how = os.O_RDWR if is_file else os.O_WRONLY  # a pipe opened to be read, too, would block when it is full
    file = os.open(path, how | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        if is_file:
            with _locked(file, shared):
                if not began.was_before(os.fstat(file).st_mtime):
                    os.ftruncate(file, 0)
                _end_at_a_line(file)
    except BaseException:
        os.close(file)
        raise
    return file


def _end_at_a_line(file: int) -> os.stat_result:
    """Cut off half a line; a last line that is whole but for its newline gets one. Returns what the file is then."""
    found = os.fstat(file)
    if not found.st_size or os.pread(file, 1, found.st_size - 1) == b"\n":
        return found
    tail = os.pread(file, _TAIL, max(0, found.st_size - _TAIL))
    rest = tail[tail.rfind(b"\n") + 1 :]
    try:
        msgspec.json.decode(rest)
        os.write(file, b"\n")
    except msgspec.DecodeError:
        os.ftruncate(file, found.st_size - len(rest))
    return os.fstat(file)
