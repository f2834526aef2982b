"""What a shard's run prints: one file that does not grow for ever, though the run writes it itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

FILE = "run.log"
LARGEST_BYTES = 8_000_000  # of the file and of the one before it; a shard of 25 cameras writes some 50 MB a day
_TAIL_BYTES = 16_384


class RunLog:
    """`run.log` in a folder, and `run.log.1` before it. Raises OSError where it cannot be written."""

    def __init__(self, folder: Path, name: str = FILE) -> None:
        self.path, self._before = folder / name, folder / f"{name}.1"
        self._began = 0  # where the life of now begins to write

    def open(self) -> int:
        """A handle for the life that begins now; the caller closes it."""
        self.trim()
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._began = os.fstat(handle).st_size
        return handle

    def trim(self) -> None:
        """Begin the file anew if it is too large: it is copied, since the run holds it open and writes on.

        Lines that come between the copy and the cut are lost.
        """
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size > LARGEST_BYTES:
                beside = self._before.with_suffix(".new")
                shutil.copyfile(self.path, beside)
                beside.chmod(0o600)
                beside.replace(self._before)
                os.truncate(self.path, 0)
                self._began = 0

    def last_line(self) -> str:
        """The line that tells most of how the life of now stands, or has ended: an error, a warning, or just the last.

        Empty if it has said nothing. Secrets are hidden in it already: the run itself does that.
        """
        return telling(self.tail().splitlines())

    def tail(self) -> str:
        """The end of what the life of now has said, as far as it can be read."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._began if self._began <= size else 0, size - _TAIL_BYTES))
                return file.read(_TAIL_BYTES).decode(errors="replace")
        except OSError:
            return ""


def telling(lines: list[str]) -> str:
    """Of lines for people and of JSON the last that matters.

    >>> telling(['{"level": "WARNING", "process": "capture-door", "message": "away"}', '{"message": "stream"}'])
    'capture-door: away'
    >>> telling(["maskstream: error: x.yaml:3: unknown option"])
    'x.yaml:3: unknown option'
    """
    last = plain = ""
    for line in reversed(lines):
        if line.startswith("maskstream: "):
            return line.removeprefix("maskstream: ").removeprefix("error: ")
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            plain = plain or line.strip()
            continue
        text = f"{record.get('process', '')}: {record.get('message', '')}"
        if record.get("level") in ("WARNING", "ERROR", "CRITICAL"):
            return text
        last = last or ("" if record.get("message") == "stream" else text)
    return last or plain
