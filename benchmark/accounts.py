"""The accounts of a run's streams, read in its shared memory while faults are done: do they balance, who flows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence

from transport import header as at
from transport.ledger import Ledger, read_ledger
from transport.pool import Pool
from transport.slot import NEWEST, place_of

SAMPLE_S = 0.05  # between two looks
STUCK_S = 5.0  # a frame that is under way for longer while others flow is nobody's; with privacy one is kept for 3 s
WINDOW_S = 1.0  # over which a rate is looked at
USUAL_SHARE = 0.7  # of the rate before all faults: then a stream flows as usual
USUAL_OVER_S = 4.0

Sample = tuple[float, dict[str, Ledger]]
"""When (time.monotonic, s), and the account of each stream."""


class Accounts:
    """The ledgers of `pools`, the streams' memory by name. They can be read while the run's processes are dead or
    stopped. `problems` are what must not be: an account that does not balance, a count that went down.
    """

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self._pools = pools
        self._samples: deque[Sample] = deque()
        self.problems: list[str] = []

    @property
    def streams(self) -> list[str]:
        """Their names."""
        return list(self._pools)

    def look(self) -> dict[str, Ledger]:
        """The ledgers of now; what is wrong with them is noted down."""
        now_s, now = time.monotonic(), {stream: read_ledger(pool) for stream, pool in self._pools.items()}
        then = self._samples[-1][1] if self._samples else {}
        for stream, ledger in now.items():
            if not ledger.balanced:
                self.problem(f"{stream}: the ledger does not balance: {ledger.as_json()}")
            if stream in then and (gone := went_down(then[stream], ledger)):
                self.problem(f"{stream}: {gone} went down: {then[stream].as_json()} -> {ledger.as_json()}")
        self._samples.append((now_s, now))
        while now_s - self._samples[0][0] > USUAL_OVER_S:
            self._samples.popleft()
        return now

    def problem(self, text: str) -> None:
        """Note down what must not be."""
        if text not in self.problems:
            self.problems.append(text)

    def rates(self) -> dict[str, float]:
        """Frames shown per second of each stream in the last seconds."""
        if not self._samples:
            return dict.fromkeys(self._pools, 0.0)
        (then_s, then), (now_s, now) = self._samples[0], self._samples[-1]
        return rates(then, now, now_s - then_s)

    def lost(self) -> int:
        """Frames that are booked as lost."""
        return sum(ledger.dropped.get("lost", 0) for ledger in self.look().values())

    def stuck(self) -> int:
        """How many frames that are under way now still are after 5 s: those that nobody will take any more."""
        waiting, deadline = self._under_way(), time.monotonic() + STUCK_S
        while waiting and time.monotonic() < deadline:
            time.sleep(SAMPLE_S)
            self.look()
            waiting &= self._under_way()
        return len(waiting)

    def _under_way(self) -> set[tuple[str, int]]:
        found = set()
        for stream, pool in self._pools.items():
            numbers = pool.numbers()
            words, seqs = numbers[at.HEADER :][: pool.count], numbers[at.HEADER + pool.count :][: pool.count]
            found |= {(stream, seq) for word, seq in zip(words, seqs, strict=True) if place_of(word) >= NEWEST}
        return found

    def flow_since(self, after_s: float, usual: Mapping[str, float]) -> float | None:
        """When all streams flowed again as usual, after a moment; None: not yet. Both of time.monotonic()."""
        return flow_since(self._samples, after_s, usual)


def rates(then: dict[str, Ledger], now: dict[str, Ledger], seconds: float) -> dict[str, float]:
    """Frames shown per second of each stream between two moments."""
    return {
        stream: (ledger.shown - then[stream].shown) / seconds if stream in then and seconds else 0.0
        for stream, ledger in now.items()
    }


def went_down(then: Ledger, now: Ledger) -> str:
    """Which count is smaller than it was; empty: none."""
    earlier = {"captured": then.captured, "shown": then.shown} | then.dropped
    later = {"captured": now.captured, "shown": now.shown} | now.dropped
    return ", ".join(name for name, count in earlier.items() if later.get(name, 0) < count)


def flow_since(samples: Sequence[Sample], after_s: float, usual: Mapping[str, float]) -> float | None:
    """When the last second began, if it is all after a moment and every stream was shown at its usual rate in it."""
    now_s, now = samples[-1]
    begun = [(at_s, then) for at_s, then in samples if after_s <= at_s <= now_s - WINDOW_S]
    if not begun:
        return None
    at_s, then = begun[-1]
    seen = rates(then, now, now_s - at_s)
    return at_s if all(seen[stream] >= USUAL_SHARE * rate for stream, rate in usual.items()) else None
