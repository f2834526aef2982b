"""All lives of one shard, wherever they ran: which is the newest, and what became of the frames of all of them."""

from __future__ import annotations

from msgspec import Struct, field

from fleet.told import Told, ToldBefore
from run.lease import Grant
from tell.account import Account, total

KEPT = 8  # lives that are known one by one; older ones are a sum
KNOWN = 256  # and so many are known by their id, so that none is counted twice


class Moment(Struct, frozen=True):
    """A moment of the collector's clock, s; it has listened since `began`. Clocks of hosts are not asked.

    >>> [Moment(now=100.0, began=0.0, patience_s=6.0).is_silent(heard) for heard in (95.0, 90.0)]
    [False, True]
    >>> Moment(now=100.0, began=99.0, patience_s=6.0).is_silent(98.0)  # what was told then is not of now
    True
    """

    now: float
    began: float
    patience_s: float

    def is_silent(self, heard: float) -> bool:
        """Whether one that was heard then is not known to be so any more."""
        return heard < self.began or self.now - heard > self.patience_s

    @property
    def is_early(self) -> bool:
        """Whether the collector listens for so short that not all can have told something."""
        return self.now - self.began <= self.patience_s


class Life(Struct, kw_only=True):
    """A life and its account as it last told it; `heard` is when that was, s of the collector's clock."""

    run: str
    epoch: int
    host: str
    heard: float
    account: Account
    ended: bool = False

    def settled(self, at: Moment) -> Account:
        """Its account; what one that is silent had under way is unaccounted for until it is heard again."""
        return self.account.left_open if at.is_silent(self.heard) and not self.ended else self.account


class Lives(Struct, kw_only=True):
    """Of one shard. `run` is the life that goes on by the newest `epoch`, `told` its newest status.

    `address` is where that came from. `older` is the sum of the lives that are not among `lives` any more, `known` the
    ids of the last of them.
    """

    epoch: int = 0
    run: str = ""
    told: Told | None = None
    address: str = ""
    lives: list[Life] = field(default_factory=list)
    older: Account = Account()
    older_lives: int = 0
    known: list[str] = field(default_factory=list)

    @property
    def newest(self) -> Life | None:
        """The life that goes on; None: the shard was never heard of."""
        return self.life(self.run)

    @property
    def count(self) -> int:
        """How many lives there were."""
        return self.older_lives + len(self.lives)

    def life(self, run: str) -> Life | None:
        """The one of that id, where it is still known one by one."""
        return next((life for life in self.lives if life.run == run), None)

    def hear(self, told: Told, address: str, at: Moment) -> Grant:
        """Take in a status; gives the newest epoch and its life, as the answer to it."""
        if told.before is not None and told.before.run not in (told.run, *self.known):
            self._end(told.before, at)
        if told.run not in self.known:
            life = self.life(told.run) or self._begin(told, at)
            life.epoch, life.host, life.heard = told.epoch, told.host, at.now
            life.account, life.ended = told.account, told.has_ended
            if self._goes_on(told, at):
                self.epoch, self.run, self.told, self.address = told.epoch, told.run, told, address
            self._fold()
        return Grant(self.epoch, self.run)

    def _begin(self, told: Told, at: Moment) -> Life:
        self.lives.append(Life(run=told.run, epoch=told.epoch, host=told.host, heard=at.now, account=told.account))
        return self.lives[-1]

    def _end(self, before: ToldBefore, at: Moment) -> None:
        """The life before in a folder is over: its note there and what it sent last are each of some second before.

        The later of the two counts: on a busy machine the note was older, and the account of a shard went back.
        """
        account = total(before.streams.values())
        life = self.life(before.run)
        if life is None:  # nobody was here to hear it
            life = Life(run=before.run, epoch=before.epoch, host=before.host, heard=at.now, account=account)
            self.lives.append(life)
        known = life.account if life.ended else life.account.left_open
        life.account, life.ended = max(account, known, key=lambda one: one.captured), True

    def _goes_on(self, told: Told, at: Moment) -> bool:
        """Whether it is the newest life, or takes its place: by a newer epoch, or by the same after its end."""
        newest = self.newest
        if newest is None or told.run == self.run or told.epoch != self.epoch:
            return newest is None or told.run == self.run or told.epoch > self.epoch
        return newest.ended or at.is_silent(newest.heard)

    def _fold(self) -> None:
        """Make the oldest lives one sum, so that nothing grows with what was."""
        while len(self.lives) > KEPT:
            life = next(life for life in self.lives if life.run != self.run)
            self.lives.remove(life)
            self.older = total([self.older, life.account if life.ended else life.account.left_open])
            self.older_lives += 1
            self.known = [*self.known, life.run][-KNOWN:]

    def account(self, at: Moment) -> Account:
        """Of all lives: captured = shown + dropped + in flight + unaccounted."""
        return total([self.older, *(life.settled(at) for life in self.lives)])
