"""The accounts of streams that were removed while the run went on: the last by their names, all others as one sum."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from transport.ledger import Ledger

KEPT = 32  # by name: a run to which streams come for years takes no more memory for it
OTHERS = "(removed before)"  # no stream can have this name


class Removed:
    """What has become of the frames of streams that are gone. A name that was used again is one account."""

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}

    def add(self, name: str, ledger: Ledger) -> None:
        """One more is gone."""
        known = self._ledgers
        known[name] = together(known.pop(name), ledger) if name in known else ledger
        if len(known) - (OTHERS in known) > KEPT:
            oldest = next(name for name in known if name != OTHERS)
            sum_of_all = together(known.pop(oldest), known.pop(OTHERS, Ledger()))
            self._ledgers = {OTHERS: sum_of_all} | known

    def together_with(self, living: dict[str, Ledger]) -> dict[str, Ledger]:
        """All accounts, those of living streams last."""
        both = {name: together(self._ledgers[name], living[name]) for name in living if name in self._ledgers}
        gone = {name: ledger for name, ledger in self._ledgers.items() if name not in living}
        return gone | living | both


def together(first: Ledger, second: Ledger) -> Ledger:
    """Two accounts as one, as it stands with the second."""
    dropped = {
        reason: first.dropped.get(reason, 0) + second.dropped.get(reason, 0)
        for reason in (*first.dropped, *second.dropped)
    }
    ages = [ledger.ages for ledger in (first, second) if ledger.ages.size]
    return replace(
        second,
        captured=first.captured + second.captured,
        shown=first.shown + second.shown,
        dropped=dropped,
        in_flight=first.in_flight + second.in_flight,
        faces=first.faces + second.faces,
        corrupt=first.corrupt + second.corrupt,
        skipped=first.skipped + second.skipped,
        span_s=first.span_s + second.span_s,
        given=first.given + second.given,
        recorded=first.recorded + second.recorded,
        not_recorded=first.not_recorded + second.not_recorded,
        ages=functools.reduce(np.add, ages) if ages else second.ages,
    )
