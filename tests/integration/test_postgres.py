"""Events into PostgreSQL, which is really there, is killed, stopped, and refuses."""

import threading

import pytest
from deliveries import IDS, delivering, event, filled, kill_and_start
from servers import until

from configs.errors import InputError
from events.deliver import open_receiver
from events.event import Event
from events.store import Store


def test_postgres_is_killed_under_2000_events_and_stores_each_once(database, tmp_path):
    url = f"{database.url}?table=killed"
    ids = filled(tmp_path / "e.db", 2000, url)
    with delivering(url, tmp_path / "e.db") as delivery:
        until(lambda: delivery.counts.get("delivered", 0) >= 500)
        kill_and_start(database)
        until(lambda: delivery.counts["delivered"] == 2000)
    assert [one for (one,) in database.ask("SELECT id FROM killed ORDER BY id")] == ids
    again = open_receiver(url)
    waiting = [(one, picture) for _, one, picture in Store(tmp_path / "e.db").waiting(0, 50)]
    assert again.send(waiting) == [True] * 50
    again.close()
    assert database.ask("SELECT count(*) FROM killed") == [(2000,)]


def test_a_row_of_postgres_has_what_the_event_has(database):
    receiver = open_receiver(f"{database.url}?table=public.rows")
    one = Event(
        id=IDS.next(1e9), time="2026-11-26T12:00:00.250Z", rule="decision", stream="door", text="a\0b", track=7,
        label="mask", before="no_mask", confidence=0.5, duration_s=1.5,
        site="north", host="box-1", shard="north-0", run="3fa98c01d2e4b567",
    )  # fmt: skip
    assert receiver.send([(one, b"jpeg"), (event(1), None)]) == [True, True]
    receiver.close()
    columns = "time AT TIME ZONE 'UTC', stream, rule, text, track, label, \"before\", confidence, duration_s, picture"
    columns += ", site, host, shard, run"
    [(time_utc, *rest)] = database.ask(f"SELECT {columns} FROM rows WHERE id = %s", one.id)
    assert time_utc.isoformat() == "2026-11-26T12:00:00.250000"
    assert rest == [
        "door",
        "decision",
        "a�b",
        7,
        "mask",
        "no_mask",
        0.5,
        1.5,
        b"jpeg",
        "north",
        "box-1",
        "north-0",
        one.run,
    ]
    assert database.ask("SELECT body->>'label' FROM rows WHERE id = %s", one.id) == [("mask",)]


def test_a_database_that_is_stopped_is_waited_for(database, tmp_path, monkeypatch, caplog):
    import psutil

    monkeypatch.setattr("events.postgres.TIMEOUT_S", 1.0)
    url = f"{database.url}?table=stopped"
    filled(tmp_path / "e.db", 3, url)
    with delivering(url, tmp_path / "e.db") as delivery:
        until(lambda: delivery.counts.get("delivered") == 3)
        family = [psutil.Process(database.pid), *psutil.Process(database.pid).children(recursive=True)]
        for process in family:
            process.suspend()
        try:
            Store(tmp_path / "e.db").add(event(3))
            until(lambda: "away" in caplog.text)
        finally:
            for process in family:
                process.resume()
        until(lambda: delivery.counts["delivered"] == 4)
    assert database.ask("SELECT count(*) FROM stopped") == [(4,)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("s3cret", "wr0ng"), 'password authentication failed for user "me"'),
        (("me:s3cret", "nobody:wr0ng"), 'password authentication failed for user "nobody"'),
        (("/postgres", "/nothing"), 'database "nothing" does not exist'),
        (("?table=ours", "?table=others"), 'column "time" of relation "others" does not exist'),
        (("?table=ours", "?table=keyless"), "no unique or exclusion constraint matching the ON CONFLICT"),
        (("?table=ours", "?table=nowhere.ours"), 'schema "nowhere" does not exist'),
        (("me:s3cret", "reader:s3cret"), "permission denied for table ours"),
        (("?table=ours", "?table=ours&sslmod=require"), 'invalid URI query parameter: "sslmod"'),
        (("?table=ours", "?table=ours&sslmode=require"), "server does not support SSL, but SSL was required"),
    ],
)
def test_a_database_that_will_never_take_events_is_refused_in_one_line(database, change, said):
    ours = open_receiver(f"{database.url}?table=ours")
    ours.check()
    ours.close()
    database.ask("CREATE TABLE IF NOT EXISTS others (id text PRIMARY KEY, weight real)")
    database.ask("CREATE TABLE IF NOT EXISTS keyless (LIKE ours)")
    if not database.ask("SELECT 1 FROM pg_roles WHERE rolname = 'reader'"):
        database.ask("CREATE ROLE reader LOGIN PASSWORD 's3cret'")
    receiver = open_receiver(f"{database.url}?table=ours".replace(*change))
    with pytest.raises(InputError) as refused:
        receiver.check()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "wr0ng" not in str(refused.value)


def test_many_runs_make_the_table_at_once(database):
    receivers = [open_receiver(f"{database.url}?table=at_once") for _ in range(6)]
    threads = [threading.Thread(target=receiver.check) for receiver in receivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [receiver.send([(event(1), None)]) for receiver in receivers] == [[True]] * 6
    for receiver in receivers:
        receiver.close()
    assert database.ask("SELECT count(*) FROM at_once") == [(6,)]
