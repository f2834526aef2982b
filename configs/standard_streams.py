"""Standard output and error that may be closed, or lose their reader, while a command works on.

A camera's run must not end because somebody read its first lines only (`2>&1 | head -1`), because its terminal is gone,
or because the script that started it had closed them (`>&-`). Nor may it stand still because its log is not read.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from configs.errors import InputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NOBODY_READS = (errno.EPIPE, errno.EIO)  # EIO: the terminal has hung up
_FULL = (errno.ENOSPC, errno.EDQUOT)
_PATIENCE_MS = 1000  # with a reader of the log that has stopped reading, once
_MOST = select.PIPE_BUF  # a pipe that poll() calls writable takes so many bytes without blocking


def keep_standard_streams() -> None:
    """From now on what nobody reads is left out.

    A full disk still ends a command where its results go to standard output, with InputError; of the lines on standard
    error those are left out then. Streams that somebody else put in their place (a test, a notebook) stay as they are.
    """
    fill_closed()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(sys.stdout, _Results(1, "wb", closefd=False))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(sys.stderr, _Log(2, "wb", closefd=False))


def fill_closed() -> None:
    """Take the numbers of those that are closed: the next file or socket would get one, and a library's printf."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _text(stream: TextIO | None, raw: io.FileIO) -> io.TextIOWrapper:
    """The same stream, written to by `raw`. Python has None for one that was closed."""
    if not isinstance(stream, io.TextIOWrapper):
        return open(os.devnull, "w")
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",  # a name that this terminal cannot show is no reason to end
        line_buffering=stream.line_buffering or stream.write_through,
    )


class _Results(io.FileIO):
    """Standard output: waits for its reader."""

    _given_up = False

    def write(self, text: ReadableBuffer, /) -> int:
        size = memoryview(text).nbytes
        try:
            while not self._given_up:
                written = super().write(text)
                if written is not None:  # type: ignore[redundant-expr] # None: somebody made the pipe non-blocking
                    return written
                select.select([], [self], [])
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                self._given_up = True  # said once, not again while the interpreter ends
                raise InputError(f"standard output cannot be written: {error.strerror}") from error
        return size


class _Log(io.FileIO):
    """Standard error: waits for nobody. The supervisor writes to it between looking after its processes."""

    _is_read = True

    def write(self, text: ReadableBuffer, /) -> int:
        content = memoryview(text).cast("B")
        writable = select.poll()
        writable.register(self, select.POLLOUT)
        self._is_read = bool(writable.poll(_PATIENCE_MS if self._is_read else 0))
        try:
            return super().write(content[:_MOST]) if self._is_read else len(content)
        except OSError as error:
            if error.errno not in (*_NOBODY_READS, *_FULL):
                raise
            return len(content)
