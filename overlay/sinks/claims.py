"""What this run writes is its own: no two sinks, and no two runs at once, write the same file."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from glob import escape
from pathlib import Path

from configs.errors import InputError
from configs.file_lock import FileLock
from configs.redact import redact
from overlay.target import Targets, target, written_since
from transport.stage import RunStart

GONE = 32  # recordings of streams that are gone whose parts are remembered: a run may have any number of them


class Claims:
    """The files of all sinks, each with a lock beside it: `.NAME.lock`, which ends with the process that holds it.

    The supervisor holds them, so they outlive a stage that is started again. A folder that no lock can be made in
    (read-only, full) is the sink's to complain about.
    """

    def __init__(self, sinks: Sequence[str]) -> None:
        self._sinks = [spec for spec in sinks if places(spec, Targets(""), "")]
        self._began = RunStart()
        self._first = ""
        self._taken: dict[Path, str] = {}
        self._locks: dict[Path, FileLock] = {}
        self._of: dict[str, set[Path]] = {}  # stream -> what is written of it
        self._parts: dict[str, list[str]] = {}  # of streams that are gone

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *_: object) -> None:
        for path in list(self._locks):
            self._unlock(path)

    def take(self, stream: str) -> None:
        """Claim what the sinks write of a stream; raises InputError where another sink or run writes it."""
        self._first = self._first or stream
        for spec in self._sinks:
            for place in places(spec, self._targets(spec), stream):
                if is_device(place):
                    continue
                path = Path(os.path.realpath(place))
                self._of.setdefault(stream, set()).add(path)
                other = self._taken.setdefault(path, spec)
                if other != spec:
                    raise InputError(f"sinks {redact(other)!r} and {redact(spec)!r} would both write {path}")
                if path not in self._locks:
                    try:
                        self._locks[path] = FileLock(path)
                    except BlockingIOError:
                        reason = "another run is writing it: end that one, or choose another name"
                        raise InputError(f"sink {redact(spec)!r}: {reason}") from None

    def keep(self, streams: Collection[str]) -> None:
        """Let go of what was written of all other streams: they are gone, and their files finished."""
        for stream in self._of.keys() - set(streams):
            self._parts |= self._parts_of(stream)
            for video in list(self._parts)[:-GONE]:
                del self._parts[video]
            for path in self._of.pop(stream).difference(*self._of.values()):
                self._taken.pop(path, None)
                self._unlock(path)

    def parts(self) -> dict[str, list[str]]:
        """The videos that were recorded in more than one part, each with its parts after the first."""
        parts = dict(self._parts)
        for stream in self._of:
            parts |= self._parts_of(stream)
        return parts

    def _parts_of(self, stream: str) -> dict[str, list[str]]:
        parts = {}
        for spec in self._sinks:
            for place in places(spec, self._targets(spec), stream) if spec.startswith("file:") else ():
                found = [
                    (int(path.suffixes[-2][1:]), str(path))
                    for path in place.parent.glob(f"{escape(place.stem)}.*{place.suffix}")
                    if re.fullmatch(rf"{re.escape(place.stem)}\.\d+", path.stem)
                    and written_since(path, self._began)
                    and Path(os.path.realpath(path)) not in self._taken
                ]
                if found:
                    parts[str(place)] = [path for _, path in sorted(found)]
        return parts

    def _targets(self, spec: str) -> Targets:
        return Targets(spec.partition(":")[2], self._first)

    def _unlock(self, path: Path) -> None:
        lock = self._locks.pop(path, None)
        if lock is not None:
            lock.release()


def is_device(place: Path) -> bool:
    """Whether it is there and neither a file nor a folder, as /dev/null or a pipe: many may write it at once."""
    return place.exists() and not (place.is_file() or place.is_dir())


def places(spec: str, targets: Targets, stream: str) -> list[Path]:
    """What a sink writes of a stream, as names that tell two outputs apart; none: it writes no file."""
    kind, _, text = spec.partition(":")
    if kind == "file":
        return [targets.of(stream)]
    if kind == "jsonl":
        return [target(text, stream)]
    if kind in ("contact", "events", "sqlite"):
        return [Path(text)]
    if kind in ("clips", "record"):
        return [Path(text) / f"{target('{stream}', stream)}.{kind}"]
    return [target(text, stream) / "images"] if kind == "images" else []
