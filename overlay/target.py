"""The files that sinks write: their names, what an earlier life of this run left in them, and a full disk."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Container, Iterator
from functools import lru_cache
from itertools import count, takewhile
from pathlib import Path

from configs.errors import InputError
from recordings.retention import is_frameless
from transport.stage import EVER, RunStart


@lru_cache(maxsize=256)  # asked twice for each frame
def target(template: str, stream: str) -> Path:
    """Where the frames of a stream go: `{stream}` in the template is replaced by the stream's name.

    >>> target("out/{stream}.mp4", "hall/2").as_posix()
    'out/hall_2.mp4'
    """
    return Path(template.replace("{stream}", re.sub(r"[^\w.-]+", "_", stream)))


class Targets:
    """A file for each stream. A template without `{stream}` is the name of one file, that of the stream `first`;
    others, which are added while the run goes on, get theirs behind it. Empty: all have that one.

    >>> targets = Targets("out.mp4", first="door")
    >>> [targets.of(stream).as_posix() for stream in ("door", "hall")]
    ['out.mp4', 'out-hall.mp4']
    """

    def __init__(self, template: str, first: str = "", began: RunStart = EVER) -> None:
        self._template, self._first, self._began = template, first, began

    def of(self, stream: str) -> Path:
        """The stream's file."""
        path = target(self._template, stream)
        if "{stream}" in self._template or not self._first or stream == self._first:
            return path
        return path.with_name(f"{path.stem}-{target('{stream}', stream)}{path.suffix}")

    def begin(self, stream: str, being_written: Container[Path] = ()) -> Path:
        """Where its recording begins: in its file, or in a new part where this run has begun that already.

        A last part without a frame, as a recorder leaves it that was killed at once, is begun anew.
        """
        path = self.of(stream)
        if not written_since(path, self._began):
            return path
        *_, last = takewhile(Path.exists, _parts(path))
        return last if last not in being_written and is_frameless(last) else free_name(path)


def free_name(path: Path) -> Path:
    """The path, as a part with a number where a file of that name is there already: `out.2.mp4`."""
    return next(part for part in _parts(path) if not part.exists())


def _parts(path: Path) -> Iterator[Path]:
    """The names of a recording's parts: `out.mp4`, `out.2.mp4`, `out.3.mp4` and so on."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}.{number}{path.suffix}")


def written_since(path: Path, began: RunStart) -> bool:
    """Whether the file was written since the run began. What was there before is an earlier run's, and is replaced."""
    return path.is_file() and began.was_before(path.stat().st_mtime)


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
