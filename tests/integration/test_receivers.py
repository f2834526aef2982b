"""What is true of all receivers of events, and of a run that has several, which are really there and are killed."""

import signal

import pytest
from deliveries import filled
from ports import free_port

from events.deliver import names_of, open_receiver
from events.delivery import Delivery
from events.store import Store


@pytest.mark.parametrize("url", ["nats://127.0.0.1:{}/masks", "postgres://me:s3cret@127.0.0.1:{}/db"])
def test_a_receiver_that_is_not_there_at_the_start_is_said_once_and_the_events_wait(url, tmp_path, caplog):
    url = url.format(free_port())
    pytest.importorskip("nats" if url.startswith("nats") else "psycopg")
    filled(tmp_path / "e.db", 1, url)
    caplog.set_level("INFO")
    delivery = Delivery(open_receiver(url), names_of([url])[0], tmp_path / "e.db", lambda: True, {})
    delivery.check()
    assert caplog.text.count("away") == 1
    assert "refused" in caplog.text.lower()
    assert "s3cret" not in caplog.text
    delivery.run()
    assert "wait for the next run: 1 event" in caplog.text
    assert caplog.text.count("away") == 1


def test_a_run_delivers_to_both_over_the_death_of_both(maskstream, nats_at, database):
    server = nats_at()
    server.add_stream("EVENTS", "masks.>")
    run = maskstream(
        "--source", "demo", "--realtime", "--loop", "--sink", "sqlite:e.db", "--sink", f"{server.url}/masks",
        "--sink", f"{database.url}?table=of_run", "--json",
    )  # fmt: skip

    def stored():
        try:
            return len(server.ids("EVENTS")), database.ask("SELECT count(*) FROM of_run")[0][0]
        except Exception:
            return 0, 0

    run.until(lambda: min(stored()) >= 2)
    server.kill()
    database.kill()
    run.until(lambda: run.stderr.count("events wait for it") >= 2)
    server.start()
    database.start()
    run.until(lambda: run.stderr.count(": back") >= 2)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    kept = [one.id for _, one, _ in Store(run.folder / "e.db").waiting(0, 999)]
    counts = Store(run.folder / "e.db").receivers()
    assert server.ids("EVENTS") == kept[: len(server.ids("EVENTS"))]
    rows = [one for (one,) in database.ask("SELECT id FROM of_run ORDER BY id")]
    assert rows == kept[: len(rows)]
    assert sum(one["delivered"] for one in counts.values()) == len(rows) + len(server.ids("EVENTS"))
    assert run.report["deliver"]["delivered"] == len(rows) + len(server.ids("EVENTS"))
    assert "s3cret" not in run.stdout + run.stderr


def test_a_wrong_table_ends_the_run_before_a_camera_is_opened(maskstream, database):
    database.ask("CREATE TABLE IF NOT EXISTS others (id text PRIMARY KEY, weight real)")
    run = maskstream(
        "--source", "demo", "--sink", "sqlite:e.db", "--sink", f"{database.url}?table=others", "--sink", "jsonl:o.jsonl"
    )
    assert run.wait() == 1
    assert run.stderr.splitlines()[-1].startswith("maskstream: error: sink 'postgres://***@127.0.0.1")
    assert "Traceback" not in run.stderr
    assert not (run.folder / "o.jsonl").exists()
