"""Delivers the events of a history to one receiver, in order; both may be away for as long as they like."""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from configs.plural import counted
from configs.redact import redact
from events.event import Event
from events.receiver import NotTaken, Receiver
from events.store import Store, Unusable, is_damaged, is_locked, reason, set_aside

log = logging.getLogger("deliver")

LOOK_S = 0.2  # how often it is looked for new events
AT_ONCE = 50
FIRST_S = 0.5  # the first wait before a receiver is tried again; it doubles each time
UNREACHABLE_S = 5.0  # the longest where there is no connection: a try costs little, and it may be back
UNWILLING_S = 30.0  # the longest where it answers, but takes nothing
ASKED_FOR_S = 300.0  # and where it names a time itself (Retry-After)
TROUBLED_S = 1.0  # how often a file that cannot be used is tried again
SETTLE_S = 0.5  # the overlay ends at the same time, and may have something to write still
LAST_S = 1.0  # at the end of the run, for what waits; the rest is delivered by the next run


class Delivery:
    """One receiver, called `name` in the history's file. `counts` gets what it took and refused.

    How far it has come is in the file, so that the next run goes on there. While that cannot be written (locked by
    another program, disk full) it is known here, and delivering goes on.
    """

    def __init__(
        self, receiver: Receiver, name: str, history: Path, stopping: Callable[[], bool], counts: dict[str, int]
    ) -> None:
        self._receiver, self._name, self._path = receiver, name, history
        self._stopping, self._counts = stopping, counts
        self._since_s = time.time()
        self._store: Store | None = None
        self._file: tuple[int, int] | None = None
        self._number = 0
        self._unnoted: Counter[str] = Counter()  # taken and refused, not in the file yet
        self._waiting: deque[tuple[int, Event, bytes | None]] = deque()
        self._delay_s, self._next_try_s, self._away = FIRST_S, 0.0, False
        self._trouble, self._next_look_s = "", 0.0
        self._looked: tuple[int, int] = (1, 0)

    @property
    def looked(self) -> tuple[int, int]:
        """How many events wait at least, and when that was so (time.monotonic_ns)."""
        return self._looked

    def check(self) -> None:
        """Refuse, before the run begins, a receiver that will never take anything as it was named: InputError.

        One that cannot be reached is said, and may come later.
        """
        try:
            self._receiver.check()
        except OSError as error:
            self._is_away(error)

    def run(self) -> None:
        """Deliver until the run ends."""
        ends_s = 0.0
        while True:
            self._use_file()
            now_s = time.monotonic()
            if self._stopping() and not ends_s:
                ends_s = now_s + LAST_S
            if ends_s and (now_s > ends_s or (not self._waiting and now_s > ends_s - LAST_S + SETTLE_S)):
                break
            if ends_s and self._waiting and self._next_try_s > ends_s:
                break  # it is away: no tries but those that are due
            if self._waiting and now_s >= self._next_try_s:
                self._send()
            else:
                time.sleep(LOOK_S)
        self._receiver.close()
        self._use_file()
        if self._store is not None:
            self._say_what_is_left(self._store)
            self._let_go()

    def _use_file(self) -> None:
        """Note what was delivered and read what waits; whatever is wrong with the file is waited for."""
        if time.monotonic() < self._next_look_s:
            return
        trouble: BaseException | None = None
        try:
            if self._store is not None and self._store.replaced:
                self._let_go()
            store = self._store or self._open()
            if self._unnoted:
                try:
                    store.delivered(self._name, self._number, self._unnoted["taken"], self._unnoted["refused"])
                    self._unnoted.clear()
                except sqlite3.OperationalError as error:
                    trouble = error  # while it is locked it can still be read
            looked_ns = time.monotonic_ns()
            if not self._waiting:
                self._waiting.extend(store.waiting(self._number, AT_ONCE))
            self._looked = len(self._waiting) + self._unnoted.total(), looked_ns
        except Unusable as error:
            trouble = error
        if trouble is not None:
            self._in_trouble(trouble)
        elif self._trouble:
            log.info("%s: can be used again", self._path)
            self._trouble = ""

    def _open(self) -> Store:
        store = Store(self._path)
        try:
            number = store.register(self._name, self._since_s)
        except BaseException:
            store.close()
            raise
        if store.file != self._file:  # else it is known better here, where it could not be noted
            self._file, self._number = store.file, number
            self._waiting.clear()
            self._unnoted.clear()
        self._store = store
        return store

    def _in_trouble(self, error: BaseException) -> None:
        why = reason(error)
        if why != self._trouble:
            log.warning("%s: cannot be used (%s); events wait, it is tried again", self._path, why)
        self._trouble, self._next_look_s = why, time.monotonic() + TROUBLED_S
        if is_damaged(error) and (aside := set_aside(self._path, self._store)):
            log.warning("%s is %s now, and a new one begins", self._path, aside.name)
        if not is_locked(error):
            self._let_go()

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _send(self) -> None:
        try:
            taken = self._receiver.send([(event, picture) for _, event, picture in self._waiting])
        except OSError as error:
            self._is_away(error)
            return
        if self._away:
            log.info("%s: back", self._name)
        self._delay_s, self._away = FIRST_S, False
        for is_taken in taken:
            self._number, event, _ = self._waiting.popleft()
            if not is_taken:
                log.warning("%s refused event %s", self._name, event.id)
            what = "delivered" if is_taken else "refused"
            self._unnoted["taken" if is_taken else "refused"] += 1
            self._counts[what] = self._counts.get(what, 0) + 1

    def _is_away(self, error: OSError) -> None:
        if not self._away:
            log.warning("%s: away (%s); events wait for it", self._name, redact(str(error)))
        self._away = True
        asked_s, longest_s = 0.0, UNREACHABLE_S
        if isinstance(error, NotTaken):
            asked_s, longest_s = min(error.after_s, ASKED_FOR_S), UNWILLING_S
        self._next_try_s = time.monotonic() + max(asked_s, self._delay_s * random.uniform(0.75, 1.25))
        self._delay_s = min(2 * self._delay_s, longest_s)

    def _say_what_is_left(self, store: Store) -> None:
        try:
            left = store.count_after(self._number)
        except Unusable:
            return  # said before
        if self._unnoted:
            log.warning("%s: what it took last could not be noted: the next run sends it again", self._name)
        if left:
            log.info("%s: wait for the next run: %s", self._name, counted(left, "event"))
