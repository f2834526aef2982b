"""The process that delivers events to receivers; what it cannot deliver waits in the history's file."""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from configs.redact import redact
from events.event import Event
from events.mqtt import Mqtt
from events.store import Store
from events.webhook import Webhook
from transport.stage import StageContext

log = logging.getLogger("deliver")

LOOK_S = 0.2  # how often it is looked for new events
AT_ONCE = 50
BACK_OFF_S = (0.5, 30.0)  # first and longest wait before a receiver that is away is tried again
SETTLE_S = 0.5  # the overlay ends at the same time, and may have something to write still
LAST_S = 1.0  # at the end of the run, for what waits; the rest is delivered by the next run


class DeliverConfig(Struct, frozen=True):
    """The history's file, and the receivers as they were given."""

    store: str
    receivers: tuple[str, ...]


class Receiver(Protocol):
    """Takes events, one after the other."""

    def send(self, event: Event, picture: bytes | None) -> bool:
        """True: taken; False: it will never take this one. Raises OSError while it is away."""

    def close(self) -> None: ...


def deliver(config: DeliverConfig, context: StageContext) -> None:
    """Deliver until the run ends, each receiver in a thread of its own; in order, at least once."""
    store = Store(Path(config.store))
    for receiver in config.receivers:
        store.register(name_of(receiver))
    store.close()
    context.facts["receivers"] = ", ".join(map(redact, config.receivers))
    threads = [
        threading.Thread(target=_deliver_to, args=(receiver, config.store, context.stopping), name=f"to-{number}")
        for number, receiver in enumerate(config.receivers)
    ]
    for thread in threads:
        thread.start()
    context.ready()
    for thread in threads:
        thread.join()


def name_of(receiver: str) -> str:
    """How a receiver is called in the file: as it was given, without its password."""
    return redact(receiver)


def open_receiver(text: str) -> Receiver:
    """A receiver from `webhook:URL` or `mqtt://...`; it connects when there is something to send."""
    return Webhook(text.removeprefix("webhook:")) if text.startswith("webhook:") else Mqtt(text)


def _deliver_to(text: str, path: str, stopping: Callable[[], bool]) -> None:
    store, receiver, name = Store(Path(path)), open_receiver(text), name_of(text)
    delay_s, away, ends_s = BACK_OFF_S[0], False, 0.0
    try:
        while True:
            if stopping() and not ends_s:
                ends_s = time.monotonic() + LAST_S
            waiting = _waiting(store, name)
            left_s = ends_s - time.monotonic() if ends_s else LAST_S
            if left_s < (0 if waiting else LAST_S - SETTLE_S):
                break
            try:
                for number, event, picture in waiting:
                    taken = receiver.send(event, picture)
                    if not taken:
                        log.warning("%s refused event %s", name, event.id)
                    store.delivered(name, number, refused=not taken)
                    if away:
                        log.info("%s: back", name)
                    delay_s, away = BACK_OFF_S[0], False
            except OSError as error:
                if not away:
                    log.warning("%s: away (%s); events wait for it", name, redact(str(error)))
                away = True
                _pause(delay_s * random.uniform(0.75, 1.25), stopping)
                delay_s = min(2 * delay_s, BACK_OFF_S[1])
            if not waiting:
                time.sleep(LOOK_S)
    finally:
        receiver.close()
        store.close()


def _waiting(store: Store, name: str) -> list[tuple[int, Event, bytes | None]]:
    try:
        return store.waiting(name, AT_ONCE)
    except sqlite3.OperationalError as error:  # locked for longer than its time-out: a very slow disk
        log.warning("the events cannot be read now (%s)", error)
        return []


def _pause(seconds: float, stopping: Callable[[], bool]) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and not stopping():
        time.sleep(0.1)
