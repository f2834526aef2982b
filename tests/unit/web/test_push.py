"""Where the status of a run is sent, and what an owner tells a shard over HTTP."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest
from aiohttp import web

from configs.errors import InputError
from configs.schema import RunConfig
from tell.status import Status
from web.metrics import figures
from web.orders import Orders
from web.push_target import Http, check_status
from web.run_state import RunState

ABOUT = {"site": "north", "host": "box-3", "shard": "n-1", "run": "3fa98c01d2e4b567", "epoch": 3}


def state(about):
    run_state = RunState()
    run_state.status = Status(time.monotonic_ns(), 1.0, 2.0, "running", 2, {}, {}, {}, {}, {}, about)
    return run_state


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "h/x", "http://", "http://h:0/", "nats://h", "nats://h/a b", "nats://h/>"]
)
def test_what_nothing_can_be_sent_to_is_refused(url):
    with pytest.raises(InputError, match="write http"):
        check_status(RunConfig(status=url))


def test_what_needs_a_package_names_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs nats-py: pip install 'nats-py>=2.9'"):
        check_status(RunConfig(status="nats://user:pw@h:4222/plant.status"))
    check_status(RunConfig(status="https://h/status"))


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"status": "http://ada:p%40ss@127.0.0.1:9/x"}, "Basic YWRhOnBAc3M="),
        ({"status": "http://127.0.0.1:9/x", "status_token": "s3cret"}, "Bearer s3cret"),
    ],
)
def test_secrets_go_along_in_a_header_and_not_in_the_address(options, sent):
    target = Http(RunConfig(**options))
    assert target._headers["Authorization"] == sent
    assert target._url == "http://127.0.0.1:9/x"
    with pytest.raises(OSError, match="refused"):
        target.send(b"{}", 1)


def ask(orders, handler, body):
    async def read():
        return body

    return asyncio.run(getattr(orders, handler)(SimpleNamespace(read=read)))


def test_an_order_is_said_with_the_next_heartbeat_and_an_older_epoch_does_not_replace_a_newer_one():
    says: dict[str, str] = {}
    orders = Orders(state(ABOUT), says)
    answer = ask(orders, "fence", b'{"epoch": 5, "life": "0123456789abcdef"}')
    assert (answer.status, json.loads(answer.body)) == (202, {"shard": "n-1", "run": ABOUT["run"], "epoch": 3})
    assert says == {"grant": "5 0123456789abcdef"}
    ask(orders, "fence", b'{"epoch": 4}')
    assert says == {"grant": "5 0123456789abcdef"}
    ask(orders, "drain", b"")
    assert says["drain"] == ABOUT["run"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"epoch": "x"}', b'{"epoch": -1}', b'{"epoch": 4, "life": "me"}', b"5"])
def test_what_is_no_epoch_is_answered_with_how_to_write_it(body):
    says: dict[str, str] = {}
    with pytest.raises(web.HTTPBadRequest) as error:
        ask(Orders(state(ABOUT), says), "fence", body)
    assert '{"epoch": NUMBER}' in error.value.text
    assert says == {}


def test_a_run_that_is_no_shard_takes_no_orders():
    for handler in ("fence", "drain"):
        with pytest.raises(web.HTTPConflict):
            ask(Orders(state({"site": "north"}), {}), handler, b'{"epoch": 5}')


def test_metrics_have_labels_where_the_run_has_them_and_the_names_of_a_plain_run_are_as_they_were():
    plain, named = (figures(state(about), 0, 0).decode() for about in ({}, ABOUT))
    assert "maskstream_viewers 0.0\n" in plain
    assert "shard" not in plain
    assert 'maskstream_viewers{host="box-3",shard="n-1",site="north"} 0.0\n' in named
    assert 'run="3fa98c01d2e4b567"' in named
