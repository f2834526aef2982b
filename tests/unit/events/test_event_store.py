"""The history's file: what is kept, for whom it waits, how large it gets."""

import sqlite3

import pytest

from configs.errors import InputError
from events.event import Event, Ids, utc
from events.report import page
from events.store import Store

IDS = Ids()


def event(number=0, stream="door", label="mask", rule="decision"):
    return Event(
        id=IDS.next(1e9), time=utc(1e9 + number), rule=rule, stream=stream, text="x", track=number, label=label
    )


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "new" / "events.db")
    yield store
    store.close()


def test_events_come_back_as_they_were_in_order_and_by_what_is_asked_for(store):
    kept = [event(2), event(1, stream="hall"), event(3, label="no_mask")]
    for one in kept:
        store.add(one, b"jpeg" if one.track == 1 else b"")
    assert list(store.read()) == [(kept[1], b"jpeg"), (kept[0], None), (kept[2], None)]
    assert [one.track for one, _ in store.read(stream="door")] == [2, 3]
    assert [one.track for one, _ in store.read(label="no_mask", since=utc(1e9 + 3))] == [3]
    store.add(kept[0])
    assert len(list(store.read())) == 3


def test_a_receiver_gets_what_comes_after_it_registered_until_it_has_it(store):
    store.add(event(0))
    store.register("hook")
    store.register("hook")
    for number in (1, 2, 3):
        store.add(event(number))
    waiting = store.waiting("hook", 2)
    assert [one.track for _, one, _ in waiting] == [1, 2]
    store.delivered("hook", waiting[0][0])
    store.delivered("hook", waiting[1][0], refused=True)
    assert [one.track for _, one, _ in store.waiting("hook", 9)] == [3]
    assert store.receivers() == {"hook": {"delivered": 1, "refused": 1, "lost": 0}}


def test_the_file_stays_within_its_bound_and_what_waited_too_long_is_counted(store):
    store.register("hook")
    for number in range(4000):
        store.add(event(number), 1000 * b"p")
    assert store.used_bytes() > 4e6
    gone = store.prune(days=1, megabytes=2)
    assert 1.7e6 < store.used_bytes() < 2e6
    assert gone == store.receivers()["hook"]["lost"] > 1000
    assert [one.track for _, one, _ in store.waiting("hook", 1)] == [gone]
    assert store.prune(days=0, megabytes=2) == 4000 - gone


def test_a_file_that_is_no_history_is_refused(tmp_path):
    (tmp_path / "a.db").write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(InputError, match="cannot be used"):
        Store(tmp_path / "a.db")
    with pytest.raises(InputError, match="no such file"):
        Store(tmp_path / "b.db", must_exist=True)
    with pytest.raises(InputError, match="cannot be used"):
        Store(tmp_path / "a.db" / "c.db")


def test_two_may_write_at_once(tmp_path):
    one, other = Store(tmp_path / "a.db"), Store(tmp_path / "a.db")
    one.add(event(1))
    other.add(event(2))
    assert len(list(one.read())) == 2
    assert sqlite3.connect(tmp_path / "a.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_report_counts_by_hour_and_hides_no_limit():
    text = page([event(0), event(1), event(3601, label="no_mask"), event(5, rule="<b>crowd</b>")], "24h", 1e9)
    assert "2001-09-09 01:00" in text
    assert "2001-09-09 02:00" in text
    assert "Faces that are not seen are not counted" in text
    assert "<b>crowd" not in text
    assert page([], "1h", 1e9).count("None.") == 1
