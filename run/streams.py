"""What the supervisor holds for each stream: its memory, the way to its capture, its ledger."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import zmq

from configs.errors import InputError
from configs.schema import LIVE_TICKETS
from run.removed import Removed
from transport.channel import Outbox
from transport.codec import Message, Open, Pause
from transport.header import STATE, STATES
from transport.journal import settle_rest
from transport.ledger import Ledger, read_ledger
from transport.pool import Pool, create_segment
from transport.recordings import settle_recordings
from transport.spec import StreamPlace

_AGAIN_S = 1.0

Wanted = Literal["present", "paused", "absent"]


def slots_of(config: Any) -> int:
    """How many pictures of a source are in memory at once: those under way, the newest, and the one being written."""
    return int(config.tickets or LIVE_TICKETS) + 2


def emptiest(lanes: int, taken: Iterable[int]) -> int:
    """The lane for one more stream: that with the fewest of those that have not ended, given by their lanes.

    They are counted, not weighed: what a stream costs is not known before its pictures come, and none moves later.

    >>> emptiest(3, []), emptiest(3, [0, 1, 2, 0, 2])
    (0, 1)
    """
    counts = Counter(taken)
    return min(range(lanes), key=lambda lane: counts[lane])


class Streams:
    """The streams of a run, and what is wanted of each.

    `config` has the options of their sources; `removed` the accounts of those that are gone. `spare` slots more than
    capture needs are for frames that stages keep. Each is in one of so many `lanes`, from its beginning to its end.
    """

    def __init__(self, config: dict[str, Any], spare: int = 0, lanes: int = 1) -> None:
        self.config, self._spare, self._lanes = config, spare, lanes
        self.names: list[str] = list(config)
        self.places: dict[str, StreamPlace] = {}
        self.wanted: dict[str, Wanted] = dict.fromkeys(config, "present")
        self.removed = Removed()
        self._told: dict[str, tuple[bool, float]] = {}  # stream -> what its capture was told last, and when
        self._segments: dict[str, int] = {}
        self._pools: dict[str, Pool] = {}
        self._made = 0

    @contextlib.contextmanager
    def opened(self, folder: Path, context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[None]:
        """Their memory and links, while this holds. The ledgers can be read afterwards, too."""
        self._folder, self._context = folder, context
        try:
            for name in self.names:
                self._create(name)
            yield
        finally:
            for fd in self._segments.values():
                os.close(fd)

    def add(self, name: str, config: Any) -> None:
        """Make room for one more; raises InputError where the system has none."""
        self.config[name] = config
        try:
            self._create(name)
        except OSError as error:
            del self.config[name]
            raise InputError(f"no room for another stream: {error.strerror}") from None
        self.names.append(name)
        self.wanted[name] = "present"

    def _create(self, name: str) -> None:
        slots = slots_of(self.config[name])
        fd = create_segment(name, slots, self._spare)
        try:
            pool = Pool(fd)
        except OSError:
            os.close(fd)
            raise
        pool.close()  # only its counters are read here, and they stay mapped
        self._segments[name], self._pools[name] = fd, pool
        # By number, because a long name would not fit into the 107 bytes of a socket's path.
        returns = f"ipc://{self._folder}/returns-{self._made}"
        self._made += 1
        lane = emptiest(self._lanes, [self.places[other].lane for other in self.places if not self.has_finished(other)])
        self.places[name] = StreamPlace(f"/proc/{os.getpid()}/fd/{fd}", self._pools[name].id, returns, lane)

    def forget(self, name: str) -> None:
        """Give back what an ended stream held; its ledger stays for the account at the end."""
        settle_rest(self._pools[name])  # if its capture could not do it
        settle_recordings(self._pools[name].head)
        self._pools[name].end()
        self.removed.add(name, self.ledger(name))
        self.names.remove(name)
        self.config.pop(name)
        self.wanted.pop(name)
        self._told.pop(name, None)
        self.places.pop(name)
        self._pools.pop(name)
        os.close(self._segments.pop(name))

    def tell(self, name: str) -> None:
        """Have its capture let the source be, or take it up again, if it does otherwise; again each second until so."""
        is_paused = STATES[self._pools[name].head[STATE]] == "paused"
        paused, now_s = self.wanted[name] == "paused", time.monotonic()
        told, told_s = self._told.get(name, (False, 0.0))
        if paused != is_paused and (paused != told or now_s - told_s > _AGAIN_S):
            self._told[name] = paused, now_s
            self._send(name, Pause(name, paused))

    def _send(self, name: str, message: Message) -> None:
        """Over a link made for it: one that stayed open would take two file descriptors for each stream."""
        with Outbox(self._context, self.places[name].returns) as capture:
            capture.send(message)

    def opening(self, name: str) -> Open:
        """What tells a stage of a stream that was added."""
        place = self.places[name]
        return Open(name, place.segment, place.id, place.returns, place.lane)

    def ledger(self, name: str) -> Ledger:
        """The account of a stream of now, or of the end."""
        return read_ledger(self._pools[name]) if name in self._pools else Ledger()

    def ledgers(self) -> dict[str, Ledger]:
        """The accounts of all, those of removed streams first."""
        return self.removed.together_with({name: self.ledger(name) for name in self.names})

    def has_finished(self, name: str) -> bool:
        """Whether its source has ended and all its frames are home."""
        return self._pools[name].finished

    def failed(self, name: str) -> None:
        """Note down that its source cannot be used."""
        self._pools[name].set_state("failed")
        self._pools[name].end()  # the stages need not remember it

    def settle(self) -> dict[str, int]:
        """After the end of all processes: how many frames of each were still under way."""
        for pool in self._pools.values():
            settle_recordings(pool.head)
        return {name: rest for name, pool in self._pools.items() if (rest := settle_rest(pool))}
