"""Records for as long as one likes: one video after the other, the oldest ones deleted in time."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from events.event import unix_s
from overlay.recorder import Recorder
from overlay.sinks.sink import Sink
from overlay.target import Targets, free_name, is_frameless, writing
from transport.frame import Frame

_STAMP = "%Y%m%dT%H%M%SZ"
_BEGUN_S = 60.0  # a younger file without a frame may be one that another run begins
_STAMPED = re.compile(r"-\d{8}T\d{6}Z([.-]\d+)?$")


@dataclass(frozen=True, slots=True)
class Keep:
    """How long recordings are kept, and how much of them; 0: no bound. The newest file always stays."""

    days: float = 0.0
    gigabytes: float = 0.0


@dataclass(slots=True)
class _Recording:
    video: Recorder
    began_s: float


class SegmentsSink(Sink):
    """`OUT-20261125T133000Z.mp4`, and the next one after `segment_s`; names tell the time of the first frame, UTC.

    A full disk stops it, as overlay/sinks/outages.py says; the next segment begins when there is room.
    """

    def __init__(self, targets: Targets, segment_s: float, keep: Keep, encoders: tuple[str, ...] = ("x264",)) -> None:
        self._targets, self._segment_s, self._keep, self._encoders = targets, segment_s, keep, encoders
        self._recordings: dict[str, _Recording] = {}

    def place(self, stream: str) -> str:
        return str(self._targets.of(stream))

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        now_s = unix_s(frame.captured_ns) if frame.media_ms is None else frame.media_ms / 1000
        recording = self._recordings.get(frame.stream)
        if recording is not None and not 0 <= now_s - recording.began_s < self._segment_s:
            self.ended(frame.stream)
            recording = None
        if recording is None:
            path = free_name(stamped(self._targets.of(frame.stream), unix_s(frame.captured_ns)))
            with writing(path):
                recording = self._recordings[frame.stream] = _Recording(Recorder(path, picture, self._encoders), now_s)
                prune(self._targets.of(frame.stream), self._keep, path)
        with writing(recording.video.path):
            recording.video.add(picture, frame)

    def let_go(self, stream: str) -> None:
        recording = self._recordings.pop(stream, None)
        if recording is not None:
            recording.video.abandon()

    def ended(self, stream: str) -> None:
        if stream in self._recordings:
            self._recordings.pop(stream).video.close()

    def close(self) -> None:
        with ExitStack() as stack:
            for stream in list(self._recordings):
                stack.callback(self.ended, stream)


def stamped(path: Path, unix: float) -> Path:
    """The file's name with the time of its first frame, UTC.

    >>> stamped(Path("out/door.mp4"), 0.0).as_posix()
    'out/door-19700101T000000Z.mp4'
    """
    return path.with_name(f"{path.stem}-{datetime.fromtimestamp(unix, UTC).strftime(_STAMP)}{path.suffix}")


def prune(template: Path, keep: Keep, newest: Path) -> list[Path]:
    """Delete recordings made from this name that are too old, then the oldest of those that are too many.

    `newest` stays: it has just begun. It is told, because two files may have one time of change (the kernel's clock
    goes in steps of 4 ms). It will grow about as large as the one before, and room for that is made now. Others
    without a frame go, too, as a recorder leaves one that was killed at once.
    """
    made = [path for path in template.parent.glob(f"*{template.suffix}") if _made_from(path, template)]
    found = sorted(((path.stat(), path) for path in made if path != newest), key=lambda one: one[0].st_mtime_ns)
    total = newest.stat().st_size + sum(stat.st_size for stat, _ in found) + (found[-1][0].st_size if found else 0)
    gone = []
    for stat, path in found:
        age_s = time.time() - stat.st_mtime
        old = bool(keep.days) and age_s > keep.days * 86400
        if old or (keep.gigabytes and total > keep.gigabytes * 1e9) or (age_s > _BEGUN_S and is_frameless(path)):
            path.unlink(missing_ok=True)
            total -= stat.st_size
            gone.append(path)
    return gone


def _made_from(path: Path, template: Path) -> bool:
    """Whether a recording has this name, a time and perhaps a number: nobody else's files are deleted."""
    stem = _STAMPED.sub("", path.stem)
    return stem == template.stem and stem != path.stem
