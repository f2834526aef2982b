"""Bookmarks in shared memory: the newest whole one is there after a death at any byte of writing."""

import contextlib

import pytest

from transport.bookmark import BYTES, LONGEST, Bookmarks
from transport.pool import Pool, create_segment
from transport.tickets import Tickets


class Dead(Exception):
    """The process died here."""


class DyingMemory:
    """Memory whose writer dies after so many bytes."""

    def __init__(self, memory, bytes_left):
        self.memory, self.bytes_left = memory, bytes_left

    def __getitem__(self, part):
        inner = self.memory[part]
        return inner if isinstance(part, slice) and len(inner) < 500 else _Place(inner, self)


class _Place:
    def __init__(self, memory, whole):
        self.memory, self.whole = memory, whole

    def __getitem__(self, part):
        return self.memory[part]

    def __setitem__(self, part, data):
        begin = part.start or 0
        for place, byte in enumerate(data, begin):
            if not self.whole.bytes_left:
                raise Dead
            self.whole.bytes_left -= 1
            self.memory[place] = byte


def test_nothing_is_there_at_first_and_then_the_last_two_newest_first():
    places = Bookmarks(memoryview(bytearray(BYTES)))
    assert places.read(10**9) == ()
    for number, bookmark in ((0, b"a"), (25, b"bb"), (50, b"ccc")):
        places.write(number, bookmark)
    assert places.read(60) == ((50, b"ccc"), (25, b"bb"))
    assert places.read(49) == ((25, b"bb"),)  # what leads to a picture that is still to come is none


def test_a_death_at_any_byte_leaves_the_bookmark_before_or_the_new_one():
    outcomes = set()
    for bytes_left in range(80):
        memory = memoryview(bytearray(BYTES))
        Bookmarks(memory).write(3, b"one")
        Bookmarks(memory).write(5, b"two")
        with contextlib.suppress(Dead):
            Bookmarks(DyingMemory(memory, bytes_left)).write(9, b"x" * 40)
        newest = Bookmarks(memory).read(100)[0]
        assert newest in ((5, b"two"), (9, b"x" * 40))
        outcomes.add(newest[0])
    assert outcomes == {5, 9}


def test_one_that_is_too_long_is_refused():
    places = Bookmarks(memoryview(bytearray(BYTES)))
    places.write(1, b"x" * LONGEST)
    with pytest.raises(ValueError, match="room for 496"):
        places.write(2, b"x" * (LONGEST + 1))
    assert places.read(9) == ((1, b"x" * LONGEST),)


def test_the_next_life_of_a_capture_finds_them():
    segment = create_segment("s", 8)

    def life():
        return Tickets("s", Pool(segment), 1, lambda timeout_s, awaited: (), lambda message: None)

    first = life()
    for number in range(3):
        if number == 2:
            first.mark(b"here")
        first.number(first.room(4, 4), 0)
    assert life().captured == 3
    assert life().bookmarks == ((2, b"here"),)
