"""Tells when the decision about a person became certain, and when it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transport.frame import UNSURE, Face, Frame

CERTAIN_MS = 500.0  # a label that stood for so long is a decision; those that flicker at the edge of two are none
GAP_MS = 500.0  # a label that was not seen for longer than this is on trial again
FORGOTTEN_MS = 5000.0  # a track that was not seen for so long does not come back: detect forgets it sooner


@dataclass(slots=True)
class _Person:
    label: str | None = None  # what is said of it now
    since_ms: float = 0.0
    decided: str | None = None  # what was reported
    seen_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's label, certain now; `before` is the one that was certain until then.

    Who was hidden and is back with the same number and label is told no second time.
    """

    face: Face
    before: str | None
    held_s: float


class Decisions:
    """The persons of one stream. Times are of the pictures, ms.

    `decided` is what an earlier life had decided, by track: it is not decided anew of who is still there.
    """

    def __init__(self, decided: Mapping[int, str] | None = None) -> None:
        self._persons = {track: _Person(decided=label) for track, label in (decided or {}).items()}
        self._is_new_life = bool(decided)

    @property
    def decided(self) -> dict[int, str]:
        """What is decided of each person who may still be there, by track."""
        return {track: person.decided for track, person in self._persons.items() if person.decided is not None}

    def see(self, frame: Frame, now_ms: float) -> list[Decision]:
        """Take in a frame; the decisions that it made certain."""
        decisions = []
        if self._is_new_life:
            self._is_new_life = False
            for person in self._persons.values():
                person.seen_ms = now_ms
        for face in frame.faces:
            if face.track is None or face.prediction is None:
                continue
            person = self._persons.setdefault(face.track, _Person())
            label, hidden_ms, person.seen_ms = face.prediction.label, now_ms - person.seen_ms, now_ms
            if label != person.label or hidden_ms > GAP_MS:
                person.label, person.since_ms = label, now_ms
            held_ms = now_ms - person.since_ms
            if label not in (UNSURE, person.decided) and held_ms >= CERTAIN_MS:
                decisions.append(Decision(face, person.decided, held_ms / 1000))
                person.decided = label
        if len(self._persons) > len(frame.faces):
            gone = [track for track, person in self._persons.items() if now_ms - person.seen_ms > FORGOTTEN_MS]
            for track in gone:
                del self._persons[track]
        return decisions
