"""The protocol with one fault each. The simulation has to find every one of them (tests/simulation/test_protocol.py).

A row says what is wrong, and in which functions which text becomes which.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import NamedTuple

from transport import journal, slot
from transport.pool import Pool
from transport.post import Post
from transport.station import Station
from transport.tickets import Tickets


class Edit(NamedTuple):
    """In a function, `old` becomes `new`."""

    function: Callable
    old: str
    new: str


_SEND = "publish(self.pool.words, slot, word(self._place + 1))"
_NOTE = "self.pool.note(slot, self._place + 1, header)"
_NUMBER = "publish(pool.words, slot, word(NEWEST, self._life))"
_CAPTURED = "pool.head[at.CAPTURED] = seq + 1"
_TURN = "2 * slot + (place & 1)"

MUTATIONS: dict[str, list[Edit]] = {
    "the holder is not looked at": [Edit(Station._is_own, "and holder_of(word) != self._life", "")],
    "a message is believed, whatever was before it": [Edit(Station.is_next, "seq == self.expected and", "")],
    "slots are looked at once": [Edit(Station.own, "sorted(self._own())", "sorted(first)")],
    "slots are looked at twice, without a bound": [Edit(Station.own, "if seq <= last", "")],
    "frames are taken in the order of their slots": [Edit(Station.own, "sorted(self._own())", "self._own()")],
    "tries are not counted": [Edit(Station.take, "self.tries(slot) + 1", "1")],
    "a frame is given up after one death": [Edit(Post._take, "> MAX_TRIES", ">= MAX_TRIES")],
    "a frame is given up after three deaths": [Edit(Post._take, "> MAX_TRIES", "> MAX_TRIES + 1")],
    "a frame that a life died with comes beside others": [
        Edit(Post.gather, "station.tries(slot) > 0", "False"),
    ],
    "the outcome is no mark": [Edit(Post._take, "if station.outcome(slot)", "if False")],
    "a frame is given away before its note": [
        Edit(Station.pass_on, f"{_NOTE}\n    {_SEND}", f"{_SEND}\n    {_NOTE}"),
    ],
    "a slot has one note": [Edit(Pool.note, _TURN, "2 * slot"), Edit(Pool.noted, _TURN, "2 * slot")],
    "a frame is sent home before its outcome": [
        Edit(Station.end, "pool.ages_ns[slot]", "self.send_home(slot)\n    pool.ages_ns[slot]")
    ],
    "the outcome is written before the faces": [
        Edit(Station.end, "pool.ages_ns[slot]", "pool.outcomes[slot] = outcome\n    pool.ages_ns[slot]")
    ],
    "the outcome of the frame before stays": [
        Edit(Tickets.number, "= seq, 0, corrupt", "= seq, pool.outcomes[slot], 0"),
    ],
    "captured before the slot says so": [
        Edit(Tickets.number, _NUMBER, f"{_CAPTURED}; {_NUMBER}"),
    ],
    "captured is not set again": [Edit(journal.recover_captured, "if numbered", "if False")],
    "a frame that was kept stays so": [Edit(Station.let_go, "self.pool.held_ns[slot] = 0", "pass")],
    "the journal is not read": [Edit(journal.recover_captured, "finish_counting(pool)", "pool.head[at.JOURNAL] = 0")],
    "the journal is opened before it is written": [
        Edit(journal._count, "head[at.J_SLOT], head", "head[at.JOURNAL] = 1; head[at.J_SLOT], head")
    ],
    "the journal is emptied before it is done": [
        Edit(journal.finish_counting, "slot, bucket =", "head[at.JOURNAL] = 0; slot, bucket =")
    ],
    "counters are added to": [Edit(journal.finish_counting, "= head[at.J_COUNT]", "+= 1")],
    "faces are added to": [
        Edit(journal._count, "head[at.J_FACES], head", "head[at.FACES] += faces; faces = 0; head[at.J_FACES], head")
    ],
    "a picture that was being written stays": [Edit(Tickets._recover, "places[slot] == FILLING", "False")],
    "a picture that had its number is forgotten": [
        Edit(Tickets._recover, "elif places[slot] == NEWEST:\n            publish(pool.words, slot, word(FIRST))",
             "elif places[slot] == NEWEST:\n            publish(pool.words, slot, word(FREE))"),
    ],
    "nobody looks for what no message told of": [
        Edit(Post._listen, "self._clock_ns() - self._looked_ns > _LOOK_NS", "False")
    ],
    "a word is written in two halves": [
        Edit(slot.publish, "words[slot] = word", "words[slot] = word >> 32 << 32; words[slot] = word")
    ],
    "slots grow while frames are under way": [
        Edit(Tickets.room, "self.wait(lambda: not (self._pending or self.in_flight))", "pass")
    ],
    "a stream has ended when its capture says so": [
        Edit(Station.over.fget, "bool(self.pool.head[at.ENDED]) and not any(", "bool(self.pool.head[at.ENDED]) or any(")
    ],
    "capture does not wait until the last stage knows": [Edit(Tickets.finish, "or not pool.head[at.CLOSED]", "")],
    "a process takes the frames of another lane": [
        Edit(Post._open, "place.lane % self._spec.processes != self._spec.index", "False")
    ],
    "the next stream of a name is not opened": [Edit(Post.let_go, "if station.stream in self._later", "if False")],
}  # fmt: skip


@contextlib.contextmanager
def mutated(edits: list[Edit]) -> Iterator[None]:
    """The protocol with these edits, while this holds."""
    codes = []
    try:
        for function, old, new in edits:
            assert isinstance(function, FunctionType)
            codes.append((function, function.__code__))
            function.__code__ = _edited(function, old, new)
        yield
    finally:
        for function, code in reversed(codes):
            function.__code__ = code


def _edited(function: FunctionType, old: str, new: str):
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{function.__qualname__} has no {old!r}, or more than one"
    names: dict = {}
    exec(compile(source.replace(old, new), "mutated", "exec"), vars(sys.modules[function.__module__]) | {}, names)
    made = names[function.__name__]
    return (made.fget if isinstance(made, property) else made).__code__
