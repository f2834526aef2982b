"""Recordings in many files, one after the other: their names, and which of them are deleted in time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_STAMP = "%Y%m%dT%H%M%SZ"
_STAMPED = re.compile(r"-\d{8}T\d{6}Z([.-]\d+)?$")
_BEGUN_S = 60.0  # a younger file without a frame may be one that another run begins
_HEAD_BYTES = 128  # more than an MP4 without a frame has


@dataclass(frozen=True, slots=True)
class Keep:
    """How long recordings are kept, and how much of them; 0: no bound. The newest file always stays."""

    days: float = 0.0
    gigabytes: float = 0.0


def stamped(path: Path, unix: float) -> Path:
    """The file's name with the time of its first frame, UTC.

    >>> stamped(Path("out/door.mp4"), 0.0).as_posix()
    'out/door-19700101T000000Z.mp4'
    """
    return path.with_name(f"{path.stem}-{datetime.fromtimestamp(unix, UTC).strftime(_STAMP)}{path.suffix}")


def prune(
    template: Path,
    keep: Keep,
    newest: Path,
    beside: tuple[str, ...] = (),
    may_go: Callable[[Path], bool] = lambda path: True,
) -> list[Path]:
    """Delete recordings made from this name that are too old, then the oldest of those that are too many.

    Those that may not go, because they are nowhere else yet, stay. `newest` stays: it has just begun. It is told,
    because two files may have one time of change (the kernel's clock goes in steps of 4 ms). It will grow about as
    large as the one before, and room for that is made now. Others without a frame go, too, as a recorder leaves one
    that was killed at once. What lies beside a recording, with one of the suffixes `beside` in place of its own, goes
    with it.
    """
    found = sorted(
        ((path.stat(), path) for path in made_from(template) if path != newest), key=lambda one: one[0].st_mtime_ns
    )
    total = newest.stat().st_size + sum(stat.st_size for stat, _ in found) + (found[-1][0].st_size if found else 0)
    gone = []
    for stat, path in found:
        age_s = time.time() - stat.st_mtime
        due = (keep.days and age_s > keep.days * 86400) or (keep.gigabytes and total > keep.gigabytes * 1e9)
        if (due and may_go(path)) or (age_s > _BEGUN_S and is_frameless(path)):
            path.unlink(missing_ok=True)
            for suffix in beside:
                path.with_suffix(suffix).unlink(missing_ok=True)
            total -= stat.st_size
            gone.append(path)
    return gone


def made_from(template: Path) -> list[Path]:
    """The recordings that have this name, a time and perhaps a number: nobody else's files are deleted, or uploaded."""
    return [
        path
        for path in template.parent.glob(f"*{template.suffix}")
        if path.stem.startswith(f"{template.stem}-") and _STAMPED.sub("", path.stem) == template.stem
    ]


def is_frameless(path: Path) -> bool:
    """Whether an MP4 is a head of 88 bytes at most, which no player takes: the index comes with the first frame."""
    if path.stat().st_size > _HEAD_BYTES:
        return False
    content = path.read_bytes()
    return not content or content[4:8] == b"ftyp"
