"""The frames that a run has shown so far, counted by stream while it writes its JSON lines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmark.score import read_lines


class ShownFrames:
    """Counts the lines of a growing file; each is read once."""

    def __init__(self, lines: Path) -> None:
        self._lines, self._read = lines, 0
        self._counts = Counter[str]()

    def count(self) -> int:
        """How many frames of all streams together."""
        if self._lines.exists():
            with self._lines.open("rb") as lines:
                lines.seek(self._read)
                content = lines.read()
            whole = content[: content.rfind(b"\n") + 1]
            self._read += len(whole)
            self._counts.update(frame.stream for frame in read_lines(whole))
        return self._counts.total()

    def of_each(self, streams: int) -> int:
        """How many frames the slowest of so many streams has shown; 0 where one has shown none."""
        self.count()
        return min(self._counts.values(), default=0) if len(self._counts) >= streams else 0
