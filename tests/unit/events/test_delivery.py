"""Delivery of a history to a receiver, while either of them is away."""

import sqlite3
import threading
import time

import pytest

from events import delivery
from events.delivery import Delivery
from events.event import Event, Ids, utc
from events.receiver import NotTaken, OneByOne
from events.store import Store

IDS = Ids()


def event(number=0):
    return Event(id=IDS.next(1e9), time=utc(1e9 + number), rule="decision", stream="door", text="x", track=number)


class Takes:
    """A receiver that answers as it is told; `tries` are the events that it was offered, and when."""

    def __init__(self, answer=lambda: True):
        self.answer, self.tries, self.got = answer, [], []

    def send(self, event, picture):
        self.tries.append((time.monotonic(), event.track))
        taken = self.answer()
        if taken:
            self.got.append(event.track)
        return taken

    def close(self): ...


class Running:
    """A delivery in a thread, as the process runs it."""

    def __init__(self, path, receiver):
        self._end = threading.Event()
        self.counts = {}
        self._thread = threading.Thread(
            target=Delivery(OneByOne(receiver), "hook", path, self._end.is_set, self.counts).run
        )
        self._thread.start()

    def stop(self):
        self._end.set()
        self._thread.join(5)
        assert not self._thread.is_alive()


def until(holds):
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "e.db"


@pytest.mark.parametrize("error", [NotTaken("it answers 308"), NotTaken("503", 2000.0), ConnectionRefusedError("no")])
def test_a_receiver_that_is_away_is_not_tried_more_often_because_the_run_ends(path, error):
    def away():
        raise error

    receiver = Takes(away)
    run = Running(path, receiver)
    store = Store(path)
    until(lambda: store.receivers())
    store.add(event(1))
    until(lambda: receiver.tries)
    run.stop()
    assert len(receiver.tries) <= 3  # 0.5 s after the first, then a second later
    assert [one.track for _, one, _ in store.waiting(0, 9)] == [1]
    assert store.receivers()["hook"]["delivered"] == 0


def test_a_time_that_the_receiver_names_is_kept_within_a_bound(path, monkeypatch):
    monkeypatch.setattr(delivery, "ASKED_FOR_S", 1.5)
    answers = iter([NotTaken("429", 9999.0)])

    def once_away():
        for answer in answers:
            raise answer
        return True

    receiver = Takes(once_away)
    run = Running(path, receiver)
    store = Store(path)
    until(lambda: store.receivers())
    store.add(event(1))
    until(lambda: receiver.got)
    run.stop()
    (first_s, _), (second_s, _) = receiver.tries
    assert 1.4 < second_s - first_s < 5


def test_what_waited_is_delivered_while_another_program_has_the_file_locked_and_noted_afterwards(path, caplog):
    store = Store(path)
    store.register("hook", 0)
    for number in range(60):  # more than are read at once
        store.add(event(number))
    browser = sqlite3.connect(path, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    receiver = Takes()
    run = Running(path, receiver)
    until(lambda: len(receiver.got) == 60)
    assert store.receivers()["hook"]["delivered"] == 0
    until(lambda: "cannot be used (another program has it locked)" in caplog.text)
    browser.execute("ROLLBACK")
    until(lambda: store.receivers()["hook"]["delivered"] == 60)
    run.stop()
    assert receiver.got == list(range(60))
    assert caplog.text.count("locked") == 1
    assert run.counts == {"delivered": 60}
    again = Takes()
    Running(path, again).stop()
    assert again.got == []


@pytest.mark.parametrize("left", [b"", bytes(8192), b"SQLite format 3\0" + b"\xff" * 9000, b"SQLite format 3\0"])
def test_what_a_power_cut_left_is_set_aside_and_a_new_file_begins(path, left, caplog):
    path.write_bytes(left)
    receiver = Takes()
    run = Running(path, receiver)
    until(lambda: _receivers(path))
    Store(path).add(event(1))
    until(lambda: receiver.got == [1])
    run.stop()
    damaged = [file.read_bytes() for file in path.parent.glob("e.db.damaged-*Z")]
    assert damaged == ([left] if left else [])  # an empty file is a history that has not begun
    assert caplog.text.count("a new one begins") == len(damaged)


def test_a_file_that_is_deleted_begins_anew(path):
    store, receiver = Store(path), Takes()
    run = Running(path, receiver)
    until(store.receivers)
    store.add(event(1))
    until(lambda: receiver.got == [1])
    for file in sorted(path.parent.iterdir(), reverse=True):
        file.unlink()
    assert store.replaced
    until(lambda: _receivers(path))
    Store(path).add(event(2))
    until(lambda: receiver.got == [1, 2])
    run.stop()


def _receivers(path):
    try:
        return path.exists() and Store(path).receivers()
    except sqlite3.Error:
        return {}
