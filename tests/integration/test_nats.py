"""Events into NATS JetStream, which is really there, is killed, stopped, and refuses."""

import time

import pytest
from deliveries import IDS, delivering, event, filled, kill_and_start
from servers import PAUSE, RESUME, until

from configs.errors import InputError
from events.deliver import open_receiver
from events.event import Event, utc
from events.receiver import NotTaken
from events.store import Store


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
