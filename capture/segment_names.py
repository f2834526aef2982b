"""Names for the segments of a recording, by the second in which each begins."""

from __future__ import annotations

import time
from pathlib import Path

from recordings.retention import stamped


class SegmentNames:
    """Gives each segment a name that no other one has. `template` is the name before a time is added.

    The folder is asked once, at the beginning: later it may be on a disk that stands still.
    """

    def __init__(self, template: Path) -> None:
        self._template = template
        self._taken = self._there()

    def new(self, unix_s: float) -> Path:
        """The name of a segment that begins at that time, UTC."""
        first = stamped(self._template, unix_s)
        self._taken = {name for name in self._taken if name >= first.stem}
        number, path = 1, first
        while path.stem in self._taken:
            number += 1
            path = first.with_name(f"{first.stem}.{number}{first.suffix}")
        self._taken.add(path.stem)
        return path

    def _there(self) -> set[str]:
        """What an earlier life of this process may have begun in this second."""
        now = stamped(self._template, time.time() - 2).stem
        try:
            found = self._template.parent.glob(f"{self._template.stem}-*{self._template.suffix}")
            return {path.stem for path in found if path.stem >= now}
        except OSError:
            return set()
