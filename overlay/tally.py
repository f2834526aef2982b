"""How many persons a run has seen, by label: each followed face counts once, with what was last decided of it."""

from __future__ import annotations

from events.decisions import Decisions
from share.persons import PREFIX
from transport.frame import Frame, time_ms


class Tally:
    """Counts into `counts`, as `persons_LABEL`. Faces of pictures of a folder, which are not followed, count each.

    A label must have stood for half a second (events/decisions.py): what flickers is not counted. Where each frame is
    searched and nothing is followed, nobody is counted.
    """

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts
        self._decisions: dict[str, Decisions] = {}

    def see(self, frame: Frame) -> None:
        """Take in a frame."""
        if frame.corrupt:
            return
        if frame.name:
            for face in frame.faces:
                if face.prediction is not None:
                    self._add(face.prediction.label, 1)
            return
        for decision in self._decisions.setdefault(frame.stream, Decisions()).see(frame, time_ms(frame)):
            assert decision.face.prediction is not None
            self._add(decision.face.prediction.label, 1)
            if decision.before:
                self._add(decision.before, -1)

    def forget(self, stream: str) -> None:
        """The stream has ended: a later one of its name has other people."""
        self._decisions.pop(stream, None)

    def _add(self, label: str, persons: int) -> None:
        name = PREFIX + label
        self._counts[name] = self._counts.get(name, 0) + persons
