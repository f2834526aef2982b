"""The files that sinks write: their names, what an earlier life of this run left in them, and a full disk."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from configs.errors import InputError


def target(template: str, stream: str) -> Path:
    """Where the frames of a stream go: `{stream}` in the template is replaced by the stream's name.

    >>> target("out/{stream}.mp4", "hall/2").as_posix()
    'out/hall_2.mp4'
    """
    return Path(template.replace("{stream}", re.sub(r"[^\w.-]+", "_", stream)))


class Targets:
    """A file for each stream; where two would have the same one, the later gets its name added.

    That happens when a stream is added while the run goes on: until then there was only one.

    >>> targets = Targets("out.mp4")
    >>> [targets.of(stream).as_posix() for stream in ("door", "hall", "door")]
    ['out.mp4', 'out-hall.mp4', 'out.mp4']
    """

    def __init__(self, template: str) -> None:
        self._template = template
        self._paths: dict[str, Path] = {}

    def of(self, stream: str) -> Path:
        if stream not in self._paths:
            path = target(self._template, stream)
            if path in self._paths.values():
                path = path.with_name(f"{path.stem}-{target('{stream}', stream)}{path.suffix}")
            self._paths[stream] = path
        return self._paths[stream]


def free_name(path: Path) -> Path:
    """The path, with a number behind it where a file of that name is there already."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def left_by_this_run(path: Path) -> bool:
    """Whether the file was written since the supervisor, our parent process, started: an earlier run's is replaced."""
    return path.is_file() and path.stat().st_mtime >= psutil.Process(os.getppid()).create_time()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line which file could not be written, and why (disk full, folder removed)."""
    try:
        yield
    except OSError as error:
        kept = "; what was written before is kept" if path.is_file() else ""
        raise InputError(
            f"{path}: cannot be written ({error.strerror}{kept}): free some space or choose another place"
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; half of one, as a full disk leaves it, is removed. Raises OSError."""
    try:
        path.write_bytes(content)
    except OSError:
        with contextlib.suppress(OSError):
            if path.is_file():
                path.unlink()
        raise
