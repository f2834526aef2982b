"""How many of a stream's frames were recorded: counted in the stream's memory, where no death loses it."""

from __future__ import annotations

import threading

from transport.header import GIVEN, HEADER, NOT_RECORDED, RECORDED
from transport.slot import Numbers


class RecordingCount:
    """The account of one stream: given to sinks that record = recorded + not recorded + waiting for its encoder.

    `head` is the header of the stream's memory (transport/header.py). Each such sink counts: two of them make two of
    each frame. The last stage is the only writer, from several threads.
    """

    def __init__(self, head: Numbers | None = None) -> None:
        self._head = memoryview(bytearray(8 * HEADER)).cast("Q") if head is None else head
        self._lock = threading.Lock()

    def given(self) -> None:
        """A sink was given one frame more."""
        self._add(GIVEN, 1)

    def recorded(self, count: int = 1) -> None:
        """So many are whole in what it writes: a kill does not take them away."""
        self._add(RECORDED, count)

    def not_recorded(self, count: int = 1) -> None:
        """So many it will never write."""
        self._add(NOT_RECORDED, count)

    def _add(self, place: int, count: int) -> None:
        with self._lock:
            self._head[place] += count

    @property
    def counts(self) -> tuple[int, int, int]:
        """Given, recorded, not recorded."""
        return self._head[GIVEN], self._head[RECORDED], self._head[NOT_RECORDED]


def settle_recordings(head: Numbers) -> int:
    """What waited when the last stage died, or was killed at the end of the run, is not recorded; how many frames."""
    waited = head[GIVEN] - head[RECORDED] - head[NOT_RECORDED]
    head[NOT_RECORDED] += waited
    return waited
