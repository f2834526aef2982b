"""What `ps` shows of a process that was forked: its command, as if it had been started as that."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

ROOM = " " * 200  # an argument to be written over: a stream's name has 64 letters at most
_ARGUMENTS = slice(45, 47)  # where they begin and end: words of /proc/PID/stat behind the name, which is in brackets


def set_title(command: str) -> None:
    """Have this process seen as `python -P -m COMMAND`. ROOM was among its arguments.

    As setproctitle does it: of arguments whose last byte is not 0 the kernel shows what is before the first 0.
    """
    words = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[_ARGUMENTS]
    start, end = map(int, words)
    size = end - start
    if size > len(ROOM):  # else they are not told here, as in some sandboxes
        text = f"{sys.executable} -P -m {command}".encode()[: size - 2]
        ctypes.memmove(start, text.ljust(size - 1, b"\0") + b" ", size)
