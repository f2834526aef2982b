"""What became of the frames: captured = shown + dropped by reason + in flight; rates and ages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transport import header as at
from transport.pool import Pool
from transport.slot import FREE, NEWEST, place_of, word


@dataclass(frozen=True, slots=True)
class Ledger:
    """The account of one stream at one moment. `ages` counts shown frames by age (transport/header.py).

    `skipped` pictures came beside the captured ones, and were not to be looked at (`fps`, `still_fps` of the source).
    `corrupt` is how many of the captured pictures the decoder marks as damaged; they are shown like any other.
    `paced_fps` is the rate that the governor holds the source to, 0 while it does not. `given` is how many frames sinks
    that record had, `recorded` and `not_recorded` what became of them; the rest waits for its encoder.
    """

    captured: int = 0
    shown: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    faces: int = 0
    corrupt: int = 0
    skipped: int = 0
    state: str = "opening"
    span_s: float = 0.0
    paced_fps: float = 0.0
    given: int = 0
    recorded: int = 0
    not_recorded: int = 0
    ages: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))

    @property
    def balanced(self) -> bool:
        """Whether every captured frame is accounted for."""
        return self.captured == self.shown + sum(self.dropped.values()) + self.in_flight

    @property
    def nothing_left(self) -> bool:
        """Whether frames were captured and every one of them was lost or could not be decoded."""
        return 0 < self.captured == self.dropped.get("lost", 0) + self.dropped.get("undecodable", 0)

    @property
    def fps(self) -> float:
        """Shown frames per second, from the first shown frame to the last."""
        return (self.shown - 1) / self.span_s if self.span_s > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """The stream's part of the run's JSON."""
        recorded = {"recorded": self.recorded, "not_recorded": self.not_recorded} if self.given else {}
        return {
            "captured": self.captured,
            "shown": self.shown,
            "dropped": self.dropped,
            "in_flight": self.in_flight,
            "faces": self.faces,
            "corrupt": self.corrupt,
            **recorded,
            "skipped": self.skipped,
            "fps": round(self.fps, 2),
            "paced_fps": round(self.paced_fps, 2) or None,
            "age_ms": {f"p{p}": percentile_ms(self.ages, p) for p in (50, 95, 99)},
        }


def read_ledger(pool: Pool) -> Ledger:
    """The account as it stands. It balances at every moment, also in the middle of a step, or of one that died."""
    numbers = pool.numbers()
    words = numbers[at.HEADER : at.HEADER + pool.count]
    seqs = numbers[at.HEADER + pool.count : at.HEADER + 2 * pool.count]
    corrupt = numbers[at.HEADER + 5 * pool.count : at.HEADER + 6 * pool.count]
    if numbers[at.JOURNAL]:  # capture is counting, or died while it did
        slot, bucket = numbers[at.J_SLOT], numbers[at.J_BUCKET]
        numbers[at.COUNTS + numbers[at.J_OUTCOME]] = numbers[at.J_COUNT]
        for counter, then in ((at.CAPTURED, at.J_CAPTURED), (at.FACES, at.J_FACES), (at.CORRUPT, at.J_CORRUPT)):
            numbers[counter] = numbers[then]
        if bucket < at.AGE_BUCKETS:
            numbers[at.AGES + bucket] = numbers[at.J_AGES]
        if slot < pool.count:
            words[slot] = word(FREE)
    flying = [slot for slot in range(pool.count) if place_of(words[slot]) >= NEWEST]
    # A slot is numbered one store before `captured` says so.
    captured = max([numbers[at.CAPTURED], *(seqs[slot] + 1 for slot in flying if place_of(words[slot]) == NEWEST)])
    counts = dict(zip(at.OUTCOMES, numbers[at.COUNTS : at.COUNTS + len(at.OUTCOMES)], strict=True))
    return Ledger(
        captured=captured,
        shown=counts["shown"],
        dropped={name: count for name, count in counts.items() if count and name not in ("", "shown")},
        in_flight=len(flying),
        faces=numbers[at.FACES],
        corrupt=numbers[at.CORRUPT] + sum(corrupt[slot] for slot in flying),
        skipped=numbers[at.SKIPPED],
        state=at.STATES[numbers[at.STATE]],
        span_s=(numbers[at.LAST_SHOWN_NS] - numbers[at.FIRST_SHOWN_NS]) / 1e9,
        paced_fps=numbers[at.PACED_MHZ] / 1000,
        given=numbers[at.GIVEN],
        recorded=numbers[at.RECORDED],
        not_recorded=numbers[at.NOT_RECORDED],
        ages=np.array(numbers[at.AGES : at.AGES + at.AGE_BUCKETS], np.uint64),
    )


def percentile_ms(ages: np.ndarray, percent: float) -> float | None:
    """The age in ms that `percent` of the shown frames did not exceed; buckets are 6 % wide. None if none was shown."""
    total = int(ages.sum())
    if total == 0:
        return None
    bucket = int(np.searchsorted(np.cumsum(ages), total * percent / 100))
    return float(f"{0.1 * at.AGE_STEP ** (bucket - 0.5):.3g}")
