"""Events into NATS JetStream and PostgreSQL, which are really there, are killed, stopped, and refuse."""

import contextlib
import signal
import threading
import time

import pytest
from conftest import _free_port
from servers import PAUSE, RESUME, Nats, Postgres, until

from configs.errors import InputError
from events.deliver import names_of, open_receiver
from events.delivery import Delivery
from events.event import Event, Ids, utc
from events.receiver import NotTaken
from events.store import Store

IDS = Ids()


def event(number, stream="door"):
    return Event(id=IDS.next(1e9), time=utc(1e9 + number), rule="decision", stream=stream, text="no mask", track=number)


@pytest.fixture
def nats_at(tmp_path):
    """`nats_at(more)` starts one; it is killed at the end."""
    pytest.importorskip("nats")
    servers = []

    def start(more=""):
        folder = tmp_path / f"nats{len(servers)}"
        folder.mkdir()
        servers.append(Nats(folder, more))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    pytest.importorskip("psycopg")
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.kill()


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


def test_nats_is_killed_under_2000_events_and_stores_each_once_and_in_order(nats_at, tmp_path):
    server = nats_at()
    server.add_stream("EVENTS", "masks.>")
    url = f"{server.url}/masks"
    ids = filled(tmp_path / "e.db", 2000, url)
    with delivering(url, tmp_path / "e.db") as delivery:
        until(lambda: delivery.counts.get("delivered", 0) >= 500)
        kill_and_start(server)
        until(lambda: delivery.counts["delivered"] == 2000)
    assert server.ids("EVENTS") == ids
    assert Store(tmp_path / "e.db").receivers()[delivery.name] == {"delivered": 2000, "refused": 0, "lost": 0}


def test_what_nats_stored_and_could_not_acknowledge_is_not_stored_again_when_it_has_forgotten_the_ids(
    nats_at, tmp_path
):
    """The sender dies after the server has stored a batch and before it notes that."""
    server = nats_at()
    server.add_stream("EVENTS", "masks.>", window_s=0.2)
    url = f"{server.url}/masks"
    ids = filled(tmp_path / "e.db", 70, url)
    receiver = open_receiver(url)
    stored = [(one, picture) for _, one, picture in Store(tmp_path / "e.db").waiting(0, 30)]
    assert receiver.send(stored) == [True] * 30
    receiver.close()
    time.sleep(0.5)
    with delivering(url, tmp_path / "e.db") as delivery:
        until(lambda: delivery.counts.get("delivered") == 70)
    assert server.ids("EVENTS") == ids


def test_a_nats_server_that_is_stopped_is_waited_for(nats_at, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("events.jetstream.TIMEOUT_S", 0.5)
    server = nats_at()
    server.add_stream("EVENTS", "masks.>")
    url = f"{server.url}/masks"
    ids = filled(tmp_path / "e.db", 3, url)
    with delivering(url, tmp_path / "e.db") as delivery:
        until(lambda: delivery.counts.get("delivered") == 3)
        server.signal(PAUSE)
        more = event(3)
        Store(tmp_path / "e.db").add(more)
        until(lambda: "away (no answer within 0.5 s)" in caplog.text)
        server.signal(RESUME)
        until(lambda: delivery.counts["delivered"] == 4)
    assert server.ids("EVENTS") == [*ids, more.id]


def test_what_nats_refused_is_not_taken_for_stored_because_the_next_event_is(nats_at, tmp_path):
    """The stream takes no message of more than 400 bytes for a while."""
    from nats.js.api import StreamConfig

    server = nats_at()
    narrow = StreamConfig(name="EVENTS", subjects=["masks.>"], max_msg_size=400)
    server.ask(lambda jetstream: jetstream.add_stream(narrow))
    receiver = open_receiver(f"{server.url}/masks")
    long = Event(id=IDS.next(1e9), time=utc(1e9), rule="decision", stream="door", text="x" * 500)
    both = [(long, None), (event(2), None)]
    with pytest.raises(NotTaken, match=r"it says: .*message size exceeds maximum allowed"):
        receiver.send(both)
    assert server.ids("EVENTS") == [both[1][0].id]
    wide = StreamConfig(name="EVENTS", subjects=["masks.>"], max_msg_size=4000)
    server.ask(lambda jetstream: jetstream.update_stream(wide))
    assert receiver.send(both) == [True, True]
    receiver.close()
    assert server.ids("EVENTS") == [both[1][0].id, long.id]


@pytest.mark.parametrize(
    ("subjects", "path", "found"),
    [
        (("masks.>",), "masks", "masks.door"),
        (("masks.*.*",), "masks.north", "masks.north.door"),
        (("masks",), "masks", "masks"),
        ((), "EVENTS", "EVENTS"),
        (("other.>",), "EVENTS", "other.door"),
    ],
)
def test_the_path_is_a_subject_or_the_name_of_a_stream(nats_at, subjects, path, found):
    server = nats_at()
    server.add_stream("EVENTS", *subjects)
    receiver = open_receiver(f"{server.url}/{path}")
    one = event(1)
    assert receiver.send([(one, None)]) == [True]
    receiver.close()
    last = server.ask(lambda jetstream: jetstream.get_msg("EVENTS", 1))
    assert (last.subject, last.headers["Nats-Msg-Id"]) == (found, one.id)


USERS = "authorization { users: [{user: me, password: s3cret}, {user: half, password: s3cret, permissions: {%s}}] }"


@pytest.mark.parametrize(
    ("login", "path", "more", "said"),
    [
        (
            "me:wr0ng@",
            "masks",
            USERS % "publish: '>'",
            r"nats://\*\*\*@127.*: it does not let us in: user and password",
        ),
        ("", "masks", USERS % "publish: '>'", "it does not let us in"),
        ("", "misks", "", r"no JetStream stream takes misks.\*, and none has this name: nats stream add EVENTS "),
    ],
)
def test_a_nats_server_that_will_never_take_events_is_refused_in_one_line(nats_at, login, path, more, said):
    server = nats_at(more)
    server.add_stream("EVENTS", "masks.>", **({"user": "me", "password": "s3cret"} if more else {}))
    receiver = open_receiver(f"nats://{login}127.0.0.1:{server.port}/{path}")
    with pytest.raises(InputError, match=said) as refused:
        receiver.check()
    receiver.close()
    assert "\n" not in str(refused.value)
    assert "wr0ng" not in str(refused.value)


def test_a_user_who_may_not_publish_is_said_and_the_events_wait(nats_at, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("events.jetstream.TIMEOUT_S", 0.5)
    server = nats_at(USERS % "publish: '$JS.API.>'")
    server.add_stream("EVENTS", "masks.>", user="me", password="s3cret")
    url = f"nats://half:s3cret@127.0.0.1:{server.port}/masks"
    filled(tmp_path / "e.db", 3, url)
    with delivering(url, tmp_path / "e.db") as delivery:
        until(lambda: "away (it says: permissions violation" in caplog.text.lower())
    assert delivery.counts == {}
    assert "s3cret" not in caplog.text


def test_nats_without_tls_gets_no_password_where_tls_is_asked_for(nats_at):
    server = nats_at(USERS % "publish: '>'")
    receiver = open_receiver(f"nats+tls://me:s3cret@127.0.0.1:{server.port}/masks")
    with pytest.raises(InputError, match="it speaks no TLS: nothing was sent"):
        receiver.check()
    receiver.close()


def test_nats_over_tls_takes_events_and_one_whose_certificate_nobody_signed_gets_none(nats_at, tmp_path, monkeypatch):
    from certificates import certificate

    cert, key = certificate(tmp_path, also=",IP:127.0.0.1")
    server = nats_at(f'tls {{ cert_file: "{cert}", key_file: "{key}" }}')
    url = f"nats+tls://127.0.0.1:{server.port}/masks"
    receiver = open_receiver(url)
    with pytest.raises(OSError, match="certificate verify failed"):
        receiver.check()
    receiver.close()
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    server.add_stream("EVENTS", "masks.>")
    receiver = open_receiver(url)
    receiver.check()
    assert receiver.send([(event(1), None)]) == [True]
    receiver.close()


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


@pytest.mark.parametrize("url", ["nats://127.0.0.1:{}/masks", "postgres://me:s3cret@127.0.0.1:{}/db"])
def test_a_receiver_that_is_not_there_at_the_start_is_said_once_and_the_events_wait(url, tmp_path, caplog):
    url = url.format(_free_port())
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
