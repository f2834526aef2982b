"""Recordings as they wait to be uploaded: the segments of a sink, with what lies beside each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from overlay.target import Targets
from recordings.uploaded import Uploaded

BESIDE = {"file": (), "record": (".jsonl", ".vtt")}  # what lies beside a recording of each kind of sink
ANEW_S = 60.0  # all names are read again after this; before, where a folder has changed


@dataclass(slots=True, eq=False)
class Place:
    """What one sink records: its name for a stream's recordings before a time is added, and what was uploaded.

    `done` are recordings that are in the bucket. `looked` has the time of change of each folder when its names were
    read, and when that was; `remembered` the streams that are written down.
    """

    template: Callable[[str], Path]
    beside: tuple[str, ...]
    uploaded: Uploaded
    done: set[Path] = field(default_factory=set)
    looked: dict[Path, tuple[int, float]] = field(default_factory=dict)
    remembered: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Segment:
    """A recording that is not in the bucket yet, with what lies beside it; looked at again at `due_s`.

    It is `finished` when nobody writes it any more and there is a frame in it.
    """

    video: Path
    stream: str
    place: Place
    is_open: bool = True
    finished: bool = False
    due_s: float = 0.0

    @property
    def files(self) -> list[Path]:
        """The video, and what lies beside it."""
        beside = [self.video.with_suffix(suffix) for suffix in self.place.beside]
        return [self.video, *(file for file in beside if file.exists())]

    @property
    def is_uploaded(self) -> bool:
        """Whether all of it is in the bucket, as it is now."""
        try:
            return all(self.place.uploaded.key_of(file, file.stat()) for file in self.files)
        except FileNotFoundError:
            return False


def place_of(sink: str, to: str, first: str) -> Place:
    """Where a sink records, and what was uploaded of it `to` that place. `first` as in `Targets`."""
    kind, _, text = sink.partition(":")
    if kind == "record":
        folder = Path(text)
        return Place(lambda stream: folder / f"{stream}.mp4", BESIDE[kind], Uploaded(folder, to))
    folder = next(parent for parent in Path(text).parents if "{stream}" not in str(parent))
    return Place(Targets(text, first).of, BESIDE[kind], Uploaded(folder, to))


def has_changed(folder: Path, place: Place, now_s: float) -> bool:
    """Whether there may be names in a folder that were not read yet."""
    try:
        changed_ns = folder.stat().st_mtime_ns
    except OSError:  # not there yet
        return False
    known_ns, looked_s = place.looked.get(folder, (0, 0.0))
    if changed_ns == known_ns and now_s - looked_s < ANEW_S:
        return False
    place.looked[folder] = changed_ns, now_s
    return True
