"""Whose a slot of shared memory is: one word, written in one store, that no death can tear.

A word is a place, the number of the life that holds the slot there, and how often it was taken there:
place << 56 | tries << 48 | holder. Life numbers are never used twice in a run; the first is 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

FREE, FILLING, NEWEST, DONE, FIRST = range(5)
"""Places. FIRST is the first stage behind capture, FIRST + 1 the next one, and so on.

FILLING: capture writes a picture. NEWEST: it is numbered, and waits for a ticket. DONE: its way has ended.
"""
NOBODY = 0
MAX_TRIES = 2  # a frame that two lives of a stage died with is not given to a third: it may be what kills them
_PLACE_BIT, _TRIES_BIT = 56, 48
_HOLDER = (1 << _TRIES_BIT) - 1


class Numbers(Protocol):
    """Numbers of 64 bits in shared memory: a memoryview, or what a test puts before one."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, number: int, /) -> None: ...
    def __iter__(self) -> Iterator[int]: ...
    def tolist(self) -> list[int]: ...


def word(place: int, holder: int = NOBODY, tries: int = 0) -> int:
    """The word of a slot at a place.

    >>> place_of(word(5, 7, 2)), holder_of(word(5, 7, 2)), tries_of(word(5, 7, 2))
    (5, 7, 2)
    """
    return place << _PLACE_BIT | tries << _TRIES_BIT | holder


def place_of(word: int) -> int:
    """Where the slot is: FREE, FILLING, NEWEST, DONE, or at a stage."""
    return word >> _PLACE_BIT


def holder_of(word: int) -> int:
    """Which life has taken it there; NOBODY: none yet."""
    return word & _HOLDER


def tries_of(word: int) -> int:
    """How often it was taken at this place."""
    return (word >> _TRIES_BIT) & 0xFF


def publish(words: Numbers, slot: int, word: int) -> None:
    """Give a slot away, or take it. All that the next owner reads was written before: the order is the protocol.

    x86-64 keeps stores in order, and this is one aligned store of 8 bytes. A machine that does not keep them in
    order (arm64) needs a fence here, before the store.
    """
    words[slot] = word
