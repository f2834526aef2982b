"""How many persons a run has seen, by label: each followed face counts once, with what was last decided of it."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from events.decisions import Decisions
from share.persons import PREFIX
from transport.frame import Frame, time_ms


class Kept(msgspec.Struct):
    """What a later life of the overlay needs: what all lives have counted, and as what each person is, by stream."""

    totals: dict[str, int] = {}
    decided: dict[str, dict[int, str]] = {}


class Tally:
    """Counts into `counts`, as `persons_LABEL`. Faces of pictures of a folder, which are not followed, count each.

    A label must have stood for half a second (events/decisions.py): what flickers is not counted. Where each frame is
    searched and nothing is followed, nobody is counted.

    An overlay may be killed while somebody is seen, who is not to count anew. So with a `file` each decision is in it
    before it is counted. The counts of a next life are what that says, less what was `counted`: the supervisor has
    heard so much of the earlier lives, perhaps not all that they counted.
    """

    def __init__(
        self, counts: dict[str, int], counted: Mapping[str, int] | None = None, file: Path | None = None
    ) -> None:
        self._counts, self._counted, self._file = counts, counted or {}, file
        kept = msgspec.json.decode(file.read_bytes(), type=Kept) if file is not None and file.exists() else Kept()
        self._totals = Counter(kept.totals)
        self._decisions = {stream: Decisions(decided) for stream, decided in kept.decided.items()}
        self._count()

    def see(self, frame: Frame) -> None:
        """Take in a frame."""
        if frame.corrupt:
            return
        if frame.name:
            found = [face.prediction.label for face in frame.faces if face.prediction is not None]
            self._totals.update(PREFIX + label for label in found)
        else:
            found = []
            for decision in self._decisions.setdefault(frame.stream, Decisions()).see(frame, time_ms(frame)):
                assert decision.face.prediction is not None
                found.append(decision.face.prediction.label)
                self._totals[PREFIX + found[-1]] += 1
                if decision.before:
                    self._totals[PREFIX + decision.before] -= 1
        if found:
            self._keep()
            self._count()

    def forget(self, stream: str) -> None:
        """The stream has ended: a later one of its name has other people."""
        if self._decisions.pop(stream, None) is not None:
            self._keep()

    def _count(self) -> None:
        for name, total in self._totals.items():
            self._counts[name] = total - self._counted.get(name, 0)

    def _keep(self) -> None:
        """Write it down: a file of the same name takes the place of the last one, so no life finds half of it."""
        if self._file is None:
            return
        kept = Kept(dict(self._totals), {stream: one.decided for stream, one in self._decisions.items()})
        new = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):  # where the disk is full a person may count twice after a death, as before
            new.write_bytes(msgspec.json.encode(kept))
            os.replace(new, self._file)
