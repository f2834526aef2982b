"""Writes files that nobody ever sees half of, and that leave nothing behind where the process is killed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from configs.errors import InputError

CANNOT_BE_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)  # NFS, FUSE, overlays before Linux 6.1
UNFINISHED = "unfinished"


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` fill a file that then appears at `path`, whole; an older one stays until then, even on a full disk.

    What `write` is given tells no kind by its suffix. It has no name in the folder, so that a SIGKILL leaves nothing
    of it: a training's state has 256 MB. Where the file system can't do that it has one, and what a killed process
    left is removed the next time. Raises InputError where the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left_over(path)
        handle = open_nameless(path.parent)
        named = handle is None
        if handle is None:
            handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        try:
            write(beside if named else Path(f"/proc/{os.getpid()}/fd/{handle}"))
            if not named:
                give_name(handle, beside)
            os.replace(beside, path)
        finally:
            os.close(handle)
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
        reason = (isinstance(error, OSError) and error.strerror) or str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be written: {reason}") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file so that nobody ever sees half of it."""

    def write(partial: Path) -> None:
        partial.write_bytes(content)

    write_whole(path, write)


def open_nameless(folder: Path) -> int | None:
    """A handle of a new file without a name in the folder; None where the file system has no such files."""
    if not os.path.isdir("/proc/self/fd"):  # it could not be given a name
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError as error:
        if error.errno in CANNOT_BE_NAMELESS:
            return None
        raise


def give_name(handle: int, path: Path) -> None:
    """Let the nameless file appear at `path`. Python's os.link follows /proc's link only if it is given a folder."""
    folder = os.open("/proc/self/fd", os.O_RDONLY)
    try:
        os.link(str(handle), path, src_dir_fd=folder)
    finally:
        os.close(folder)


def remove_left_over(path: Path) -> None:
    """Remove what processes that are dead now left unfinished of this file."""
    prefix, suffix = f".{path.name}.", f".{UNFINISHED}"
    for entry in os.scandir(path.parent):
        if not (entry.name.startswith(prefix) and entry.name.endswith(suffix)):
            continue
        number = entry.name[len(prefix) : -len(suffix)]
        if number.isdecimal() and (int(number) == os.getpid() or not os.path.isdir(f"/proc/{number}")):
            Path(entry.path).unlink(missing_ok=True)
