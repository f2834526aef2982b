"""What became of a shard's frames over its lives, also of one that was killed: nobody is left to say what it had
under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from transport.ledger import Ledger


class Account(Struct, frozen=True):
    """captured = shown + dropped (by reason) + in flight + unaccounted, at every moment.

    `unaccounted` are frames of which it is known that they were captured, and not what became of them.
    """

    captured: int = 0
    shown: int = 0
    dropped: dict[str, int] = {}
    in_flight: int = 0
    unaccounted: int = 0

    @property
    def left_open(self) -> Account:
        """As it stands when its run was killed: what was under way is unaccounted for.

        >>> Account(10, 7, {"superseded": 1}, 2).left_open
        Account(captured=10, shown=7, dropped={'superseded': 1}, in_flight=0, unaccounted=2)
        """
        return replace(self, in_flight=0, unaccounted=self.captured - self.shown - sum(self.dropped.values()))


def account_of(ledger: Ledger) -> Account:
    """The account of a stream of a run that lives, or has ended in order."""
    return Account(ledger.captured, ledger.shown, dict(ledger.dropped), ledger.in_flight)


def total(accounts: Iterable[Account]) -> Account:
    """Several accounts as one.

    >>> total([Account(2, 1, {"stale": 1}), Account(3, 2, {"stale": 1})])
    Account(captured=5, shown=3, dropped={'stale': 2}, in_flight=0, unaccounted=0)
    """
    found = list(accounts)
    return Account(
        captured=sum(one.captured for one in found),
        shown=sum(one.shown for one in found),
        dropped=dict(sum((Counter(one.dropped) for one in found), Counter())),
        in_flight=sum(one.in_flight for one in found),
        unaccounted=sum(one.unaccounted for one in found),
    )


class Note(Struct, frozen=True, kw_only=True):
    """How a life of a shard stood when it last noted it (status.json in the shard's folder), for whoever comes after.

    `noted` is the Unix time of that, s; `total` the sum of the `lives` before. `ended`: in order, so that the account
    is final.
    """

    run: str
    epoch: int
    host: str
    noted: float
    streams: dict[str, Account]
    ended: bool = False
    lives: int = 0
    total: Account = Account()

    @property
    def final(self) -> dict[str, Account]:
        """The accounts of its streams when its run lives no more."""
        return self.streams if self.ended else {name: one.left_open for name, one in self.streams.items()}

    @property
    def told(self) -> dict[str, Any]:
        """The life, for who reads of it when it is over."""
        return {
            "run": self.run,
            "epoch": self.epoch,
            "host": self.host,
            "noted": self.noted,
            "killed": not self.ended,
            "streams": msgspec.to_builtins(self.final),
        }

    @property
    def with_earlier(self) -> Account:
        """All lives up to this one, when it lives no more."""
        return total([self.total, *self.final.values()])
