"""The history while its file cannot be used: events wait in memory, it is said once, and nothing ends the run."""

import sqlite3
import time

import pytest

from configs.errors import InputError
from events.event import Event, Ids, utc
from events.store import Store
from overlay.sinks import history
from overlay.sinks.history import HistorySink
from overlay.sinks.outages import Outages

IDS = Ids()


def event(number=0):
    return Event(id=IDS.next(1e9), time=utc(1e9 + number), rule="decision", stream="door", text="x", track=number)


class Keeping:
    """A history sink as the stage has it; `told` is what became of its file."""

    def __init__(self, path, live=True, goes_on=False, pictures=False):
        self.told, self.counts = [], {}
        self.sink = HistorySink(str(path), 30, 500, pictures, self.counts, goes_on)
        self.sink.outages = Outages(self._tell, self.counts)
        self.sink.outages.saw("door", live)

    def _tell(self, *said):
        """As the stage does: what is told of a sink is an event, for this sink, too."""
        self.told.append(said[2])
        self.sink.outages.attempt(self.sink, "door", lambda: self.sink.happened(event(99), b""))

    def happens(self, *numbers, picture=b""):
        for number in numbers:
            self.sink.happened(event(number), picture)

    def until(self, holds):
        deadline_s = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline_s
            self.sink.idle({})
            time.sleep(0.01)

    def close(self):
        self.sink.close()


def kept(path):
    return [one.track for one, _ in Store(path).read()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "e.db"


@pytest.mark.parametrize("locked_before", [False, True])
def test_while_another_program_holds_a_transaction_events_wait_and_none_is_lost(path, locked_before):
    Store(path).close()
    browser = sqlite3.connect(path, isolation_level=None)
    if locked_before:
        browser.execute("BEGIN EXCLUSIVE")
    keeping = Keeping(path)
    if not locked_before:
        browser.execute("BEGIN IMMEDIATE")
    keeping.happens(*range(20))
    keeping.until(lambda: keeping.told)
    keeping.happens(20)
    assert kept(path) == []
    browser.execute("ROLLBACK")
    keeping.until(lambda: keeping.counts["events_kept"] == 23 and len(keeping.told) == 2)
    keeping.close()
    assert kept(path) == [*range(21), 99, 99]
    assert keeping.told[0].endswith("another program has it locked; events wait in memory, 10000 at most")
    assert keeping.told[1] == "records again"
    assert keeping.counts == {"events_kept": 23, "events_lost": 0, "not_written": 0}


def test_what_is_too_much_for_the_memory_is_counted(path, monkeypatch):
    monkeypatch.setattr(history, "QUEUED", 5)
    monkeypatch.setattr(history, "QUEUED_BYTES", 2500)
    Store(path).close()
    browser = sqlite3.connect(path, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    keeping = Keeping(path, pictures=True)
    keeping.happens(*range(8), picture=bytes(1000))
    browser.execute("ROLLBACK")
    keeping.until(lambda: keeping.counts["events_kept"] == 5)
    keeping.close()
    assert [(one.track, bool(picture)) for one, picture in Store(path).read()] == [
        (0, True), (1, True), (2, False), (3, False), (4, False),
    ]  # fmt: skip
    assert keeping.counts["events_lost"] == 3


@pytest.mark.parametrize("live", [True, False])
def test_a_lock_that_outlasts_the_run_costs_what_waits_and_a_film_is_not_called_whole(path, live, monkeypatch):
    monkeypatch.setattr(history, "LAST_S", 0.1)
    monkeypatch.setattr(history, "LAST_OF_FILE_S", 0.1)
    Store(path).close()
    browser = sqlite3.connect(path, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    keeping = Keeping(path, live)
    keeping.happens(1, 2)
    if live:
        keeping.close()
    else:
        with pytest.raises(InputError, match="2 events could not be kept"):
            keeping.close()
    assert keeping.counts["events_lost"] == 2


def test_one_that_is_deleted_begins_anew(path):
    keeping = Keeping(path)
    keeping.happens(1)
    keeping.until(lambda: keeping.counts["events_kept"] == 1)
    for file in sorted(path.parent.iterdir(), reverse=True):
        file.unlink()
    keeping.happens(2)
    keeping.until(lambda: keeping.counts["events_kept"] == 2)
    keeping.close()
    assert kept(path) == [2]


@pytest.mark.parametrize("left", [bytes(8192), b"SQLite format 3\0" + b"\xff" * 9000])
def test_what_a_power_cut_left_is_set_aside(path, left, caplog):
    path.write_bytes(left)
    keeping = Keeping(path)
    keeping.happens(1)
    keeping.until(lambda: keeping.counts["events_kept"] >= 1)
    keeping.close()
    assert kept(path)[0] == 1
    assert [file.read_bytes() for file in path.parent.glob("e.db.damaged-*")] == [left]
    assert caplog.text.count("a new one begins") == 1


def test_a_foreign_file_is_refused_at_the_start_and_waited_for_later(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE notes (text)")
    with pytest.raises(InputError, match="another program"):
        Keeping(path)
    keeping = Keeping(path, goes_on=True)
    keeping.happens(1)
    keeping.until(lambda: keeping.told)
    path.unlink()
    keeping.until(lambda: keeping.counts["events_kept"] >= 2)
    keeping.close()
    assert kept(path)[0] == 1
