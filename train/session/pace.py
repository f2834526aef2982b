"""How long an epoch takes, said once, as soon as enough of the first one was measured."""

from __future__ import annotations

import time
from collections.abc import Callable

from configs.plural import counted

ENOUGH_S, ENOUGH_STEPS = 3.0, 3
"""Measured before anything is said. The first step does not count: it makes caches and starts workers."""


class Pace:
    """Counts the faces of the first epoch of this process. What is said is of its steps: validation comes on top."""

    def __init__(self, faces: int, epochs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._faces, self._epochs, self._clock = faces, epochs, clock
        self._begun: float | None = None
        self._left = faces
        self._seen = self._steps = 0
        self._said = False

    def step(self, faces: int) -> str:
        """A step of so many faces is done; the line to be said now, empty where there is none."""
        if self._begun is None:
            self._begun = self._clock()
            self._left = self._faces - faces
            return ""
        self._seen += faces
        self._steps += 1
        if self._seen >= self._left:  # the row of the epoch says it
            self._said = True
        taken_s = self._clock() - self._begun
        if self._said or taken_s < ENOUGH_S or self._steps < ENOUGH_STEPS:
            return ""
        self._said = True
        epoch_s = taken_s / self._seen * self._faces
        return (
            f"pace:      about {in_words(epoch_s)} for the {self._faces:,} faces of an epoch, "
            f"{in_words(epoch_s * self._epochs)} for {counted(self._epochs, 'epoch')} to come "
            f"(from {self._steps} steps, without validation)"
        )


def in_words(seconds: float) -> str:
    """
    >>> in_words(9.4), in_words(300), in_words(9000)
    ('9 s', '5 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
