"""A file of lines that is never left with half a line in it: not by a full disk, and not by a kill before."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

import msgspec

LOOK_S = 1.0  # how often it is looked whether the file was deleted, or moved by a log rotation
_TAIL = 1 << 20  # a line is shorter than that


class Lines:
    """Appends whole lines, each in the file as soon as it is written. Raises OSError where that is not possible.

    With `keep` the lines that are there already stay, without one that a kill cut off; else the file begins empty.
    """

    def __init__(self, path: Path, keep: bool) -> None:
        self._path = path
        self._file = _opened(path, keep)
        self._looked_s = time.monotonic()

    def write(self, line: bytes) -> None:
        """Add a line, which ends in a newline; all of it or, where OSError is raised, nothing."""
        if time.monotonic() - self._looked_s > LOOK_S:
            self._look()
        before = os.fstat(self._file)
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            if written and stat.S_ISREG(before.st_mode):
                os.ftruncate(self._file, before.st_size)
            raise

    def _look(self) -> None:
        """Begin the file anew where it was moved away."""
        self._looked_s = time.monotonic()
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._path), os.fstat(self._file)):
                return
        file = _opened(self._path, keep=True)
        os.close(self._file)
        self._file = file

    def close(self) -> None:
        os.close(self._file)


def _opened(path: Path, keep: bool) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_file = path.is_file() or not path.exists()
    how = os.O_RDWR if is_file else os.O_WRONLY  # a pipe opened to be read, too, would block when it is full
    file = os.open(path, how | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (0 if keep else os.O_TRUNC), 0o666)
    try:
        if keep and is_file:
            _end_at_a_line(file)
    except BaseException:
        os.close(file)
        raise
    return file


def _end_at_a_line(file: int) -> None:
    """Cut off half a line; a last line that is whole but for its newline gets one."""
    size = os.fstat(file).st_size
    tail = os.pread(file, _TAIL, max(0, size - _TAIL))
    rest = tail[tail.rfind(b"\n") + 1 :]
    if not rest:
        return
    try:
        msgspec.json.decode(rest)
        os.write(file, b"\n")
    except msgspec.DecodeError:
        os.ftruncate(file, size - len(rest))
