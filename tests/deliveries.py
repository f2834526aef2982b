"""Events that wait in a history, and what the process `deliver` does with them for one receiver."""

from __future__ import annotations

import contextlib
import threading
import time

from events.deliver import names_of, open_receiver
from events.delivery import Delivery
from events.event import Event, Ids, utc
from events.store import Store

IDS = Ids()


def event(number, stream="door"):
    return Event(id=IDS.next(1e9), time=utc(1e9 + number), rule="decision", stream=stream, text="no mask", track=number)


class Delivering:
    """What the process `deliver` does for one receiver."""

    def __init__(self, url, path):
        self.counts, self._end = {}, threading.Event()
        self.name = names_of([url])[0]
        self._delivery = Delivery(open_receiver(url), self.name, path, self._end.is_set, self.counts)
        self._thread = threading.Thread(target=self._delivery.run)
        self._thread.start()

    def stop(self):
        self._end.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def delivering(url, path):
    delivery = Delivering(url, path)
    try:
        yield delivery
    finally:
        delivery.stop()


def filled(path, count, url):
    """A history with events of two cameras that wait for the receiver."""
    store = Store(path)
    store.register(names_of([url])[0], 0.0)
    events = [event(number, "door" if number % 3 else "hall 2.a") for number in range(count)]
    for one in events:
        store.add(one)
    return [one.id for one in events]


def kill_and_start(server, down_s=1.0):
    server.kill()
    time.sleep(down_s)
    server.start()
