"""The history's file: what is kept, for whom it waits, how large it gets."""

import sqlite3
import time
from pathlib import Path

import pytest

from configs.errors import InputError
from events.event import Event, Ids, utc
from events.reading import read_history, waiting
from events.report import page
from events.store import VERSION, Store, check_header

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
    began_s = time.time()
    after = store.register("hook", began_s)
    for number in (1, 2, 3):
        store.add(event(number))
    assert store.register("hook", time.time()) == after
    assert store.register("late", began_s) == after  # what was kept while it could not be registered is its
    waiting = store.waiting(after, 2)
    assert [one.track for _, one, _ in waiting] == [1, 2]
    store.delivered("hook", waiting[1][0], taken=1, refused=1)
    assert [one.track for _, one, _ in store.waiting(store.register("hook", 0), 9)] == [3]
    assert store.count_after(after) == 3
    assert store.receivers()["hook"] == {"delivered": 1, "refused": 1, "lost": 0}


def test_the_file_stays_within_its_bound_and_what_waited_too_long_is_counted(store):
    after = store.register("hook", 0)
    for number in range(4000):
        store.add(event(number), 1000 * b"p")
    assert store.used_bytes() > 4e6
    gone = store.prune(days=1, megabytes=2)
    assert 1.7e6 < store.used_bytes() < 2e6
    assert gone == store.receivers()["hook"]["lost"] > 1000
    assert [one.track for _, one, _ in store.waiting(after, 1)] == [gone]
    assert store.prune(days=0, megabytes=2) == 4000 - gone


def test_a_file_that_is_no_history_is_refused_and_left_as_it_was(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(InputError, match="no SQLite file"):
        check_header(path)
    path.unlink()
    others = sqlite3.connect(path)
    others.execute("CREATE TABLE events (what)")
    others.commit()
    before = path.read_bytes()
    check_header(path)
    with pytest.raises(InputError, match="the database of another program"):
        Store(path)
    assert path.read_bytes() == before
    with pytest.raises(OSError, match=r"a directory|exists"):
        Store(path / "c.db")


def test_a_file_of_a_newer_maskstream_is_refused_and_one_from_before_versions_is_used(tmp_path):
    path = tmp_path / "a.db"
    store = Store(path)
    store.add(event(1))
    store.close()
    for version, refused in ((VERSION + 1, True), (0, False)):
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version={version}")
        if refused:
            with pytest.raises(InputError, match="newer maskstream"):
                Store(path)
            with pytest.raises(InputError, match="newer maskstream"):
                read_history(path)
        else:
            assert len(list(Store(path).read())) == 1


@pytest.mark.parametrize("name", ["file:a.db", ":memory:", "a?mode=ro", "12:31.db", "-a b%20.db"])
def test_any_name_of_a_file_is_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Store(Path(name)).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_full_disk_in_the_middle_of_pruning_leaves_no_transaction_open(store):
    for number in range(400):
        store.add(event(number), 1000 * b"p")
    store._db.execute("CREATE TRIGGER fails BEFORE DELETE ON events BEGIN SELECT RAISE(FAIL, 'as a full disk'); END")
    with pytest.raises(sqlite3.Error):
        store.prune(days=0, megabytes=1)
    store._db.execute("DROP TRIGGER fails")
    assert store.prune(days=0, megabytes=1) == 400


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


def test_a_file_from_before_runs_had_names_is_read_as_it_lies_and_written_on(tmp_path):
    path = tmp_path / "events.db"
    before = sqlite3.connect(path)
    before.executescript(
        "CREATE TABLE events (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, stored REAL NOT NULL, "
        "time TEXT NOT NULL, stream TEXT NOT NULL, rule TEXT NOT NULL, text TEXT NOT NULL, track INTEGER, label TEXT, "
        "before TEXT, confidence REAL, duration_s REAL NOT NULL, picture BLOB);"
        "INSERT INTO events (id, stored, time, stream, rule, text, duration_s) "
        "VALUES ('1', 0, '2026', 's', 'r', 't', 0)"
    )
    before.commit()
    before.close()
    old = Event(id="1", time="2026", rule="r", stream="s", text="t")
    assert read_history(path)[0] == [old]
    store = Store(path)
    named = Event(id="2", time="2027", rule="r", stream="s", text="t", site="north", host="h", shard="n-1", run="3f")
    store.add(named)
    assert [one for one, _ in store.read()] == [old, named]
    assert [one for _, one, _ in store.waiting(0, 9)] == [old, named]
    store.register("webhook:x", 0)
    store.close()
    assert waiting(path) == {"webhook:x": 2}
