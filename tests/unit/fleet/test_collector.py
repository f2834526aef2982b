"""What shards tell, taken in: lives, epochs, silence and accounts. Times are those of the collector alone."""

import json
import random

import pytest

from configs.errors import InputError
from fleet.collector import GONE, Collector, Past
from fleet.lives import KEPT, KNOWN, Lives, Moment
from fleet.plan import Shard
from fleet.told import read_told

ONE, TWO, THREE = (f"{number:016x}" for number in (1, 2, 3))


def at(now, began=-10.0):
    return Moment(float(now), float(began), 6.0)


def shard(name="north-0", cameras=("door",)):
    return Shard(
        name=name, site="north", host="box-1", room=5.0, load=1.0, cores=2.0, threads=2, cameras=tuple(cameras)
    )


def told(run=ONE, epoch=1, name="north-0", captured=10, in_flight=2, phase="running", **more):
    stream = {"name": "door", "state": "flowing", "captured": captured, "shown": captured - in_flight - 1}
    stream |= {"dropped": {"superseded": 1}, "in_flight": in_flight, "fps": 24.9, "persons": {"mask": 1}}
    stream |= more.pop("stream", {})
    status = {"shard": name, "run": run, "epoch": epoch, "host": "box-1", "site": "north", "phase": phase, "port": 8081}
    return read_told(json.dumps(status | {"streams": [stream]} | more).encode())


def before(run, captured=10, unaccounted=3):
    """As the next life in the same folder tells of one that was killed."""
    account = {"captured": captured, "shown": captured - unaccounted, "unaccounted": unaccounted}
    return {"before": {"run": run, "epoch": 1, "host": "box-1", "streams": {"door": account}}}


@pytest.fixture
def collector():
    made = Collector({}, Past())
    made.plan([shard()])
    return made


def balanced(collector, now):
    account = collector.account(at(now))
    dropped = sum(account.dropped.values())
    assert account.captured == account.shown + dropped + account.in_flight + account.unaccounted
    return account


def camera(collector, now):
    [only] = collector.as_json(at(now))["cameras"]
    return only["state"], only["since"]


def test_the_answer_is_the_newest_epoch_and_the_life_that_goes_on_by_it(collector):
    assert collector.hear(told(ONE, 7), "192.0.2.5", at(1))[0].epoch == 7
    grant, says = collector.hear(told(TWO, 8), "192.0.2.6", at(2))
    assert (grant.epoch, grant.life) == (8, TWO)
    assert "by epoch 8" in says[0]
    grant, says = collector.hear(told(ONE, 7), "192.0.2.5", at(60))  # the net is back
    assert (grant.epoch, grant.life) == (8, TWO)
    assert "epoch 7 is over since 8" in says[0]
    assert collector.hear(told(ONE, 7), "192.0.2.5", at(61))[1] == []  # said once
    assert collector.address("north-0") == "192.0.2.6:8081"
    assert collector.hear(told(TWO, 9), "192.0.2.6", at(62))[0].epoch == 9  # adopted by a newer grant


def test_a_life_that_follows_by_the_same_epoch_takes_the_place_of_one_that_ended_or_is_silent(collector):
    collector.hear(told(ONE), "h", at(1))
    assert collector.hear(told(TWO), "h", at(3))[0].life == ONE  # two at once, which no owner does: the first stays
    assert collector.hear(told(TWO), "h", at(8))[0].life == TWO
    collector.hear(told(TWO, phase="closing", in_flight=0), "h", at(9))
    assert collector.hear(told(THREE), "h", at(10))[0].life == THREE
    collector.hear(told(f"{4:016x}", **before(THREE)), "h", at(11))
    assert collector.lives["north-0"].run == f"{4:016x}"


def test_what_a_silent_shard_had_under_way_is_unaccounted_for_until_it_is_heard_again(collector):
    assert camera(collector, 0) == ("not_started", None)
    collector.hear(told(), "h", at(1))
    assert camera(collector, 2) == ("flowing", None)
    assert balanced(collector, 6).in_flight == 2
    assert collector.look(at(6)) == []
    assert collector.look(at(8)) == ["north-0: silent, last heard 7 s ago"]
    assert camera(collector, 8) == ("silent", 1.0)
    assert (balanced(collector, 8).in_flight, balanced(collector, 8).unaccounted) == (0, 2)
    collector.hear(told(captured=20), "h", at(9))
    assert collector.look(at(9)) == ["north-0: is heard again"]
    assert (balanced(collector, 9).in_flight, balanced(collector, 9).unaccounted) == (2, 0)


def test_a_page_that_was_started_again_shows_nothing_of_before_as_of_now_and_gives_shards_time_to_tell(collector):
    collector.hear(told(), "h", at(1))
    assert collector.as_json(at(3, began=2))["cameras"][0]["state"] == "silent"
    assert collector.look(at(100, began=98)) == []
    assert collector.look(at(105, began=98)) == ["north-0: silent, last heard 104 s ago"]
    assert collector.as_json(at(105, began=98))["shards"][0]["heard"] == 1.0


def test_accounts_of_all_lives_are_summed_and_the_note_in_the_folder_is_newer_than_what_was_sent(collector):
    collector.hear(told(ONE, captured=10), "h", at(1))
    collector.hear(told(TWO, captured=5, **before(ONE, captured=14, unaccounted=3)), "h", at(20))
    account = balanced(collector, 20)
    assert (account.captured, account.unaccounted, account.in_flight) == (19, 3, 2)
    collector.hear(told(TWO, captured=6, **before(ONE, captured=14, unaccounted=3)), "h", at(21))
    assert balanced(collector, 21).captured == 20
    assert collector.as_json(at(21))["lives"] == 2


def test_a_life_that_nobody_heard_is_counted_by_what_the_next_one_tells_of_it(collector):
    collector.hear(told(TWO, captured=5, **before(ONE, captured=14)), "h", at(1))
    assert balanced(collector, 1).captured == 19


def test_nothing_grows_with_what_was_and_no_life_is_counted_twice(collector):
    lives = 2 * KNOWN
    for number in range(1, lives + 1):
        earlier = before(f"{number - 1:016x}", captured=10) if number > 1 else {}
        collector.hear(told(f"{number:016x}", number, captured=10, **earlier), "h", at(number))
    kept = collector.lives["north-0"]
    assert len(kept.lives) == KEPT
    assert len(kept.known) == KNOWN
    assert kept.count == lives
    assert balanced(collector, lives).captured == 10 * lives
    collector.hear(told(f"{lives - 2 * KEPT:016x}", lives - 2 * KEPT, captured=11), "h", at(lives))  # one of the older
    assert balanced(collector, lives).captured == 10 * lives
    assert len(json.dumps(collector.as_json(at(lives)))) < 2000


@pytest.mark.parametrize("seed", range(20))
def test_it_balances_whatever_comes_in_which_order(collector, seed):
    draw = random.Random(seed)
    runs = [f"{number:016x}" for number in range(1, 14)]
    now = 0.0
    for _ in range(300):
        now += draw.choice((0.5, 2.0, 9.0))
        run = draw.choice(runs)
        earlier = before(draw.choice(runs), draw.randrange(5, 50)) if draw.random() < 0.3 else {}
        phase, in_flight = draw.choice((("running", 2), ("closing", 0)))
        status = told(run, int(run, 16), captured=draw.randrange(5, 50), phase=phase, in_flight=in_flight, **earlier)
        assert collector.hear(status, "h", at(now))[0].epoch >= status.epoch
        balanced(collector, now + draw.choice((0.0, 20.0)))
    assert collector.lives["north-0"].count <= len(runs)


def test_shards_that_are_not_in_the_plan_are_refused_and_those_that_left_it_still_count(collector):
    collector.hear(told(), "h", at(1))
    with pytest.raises(InputError, match="no shard north-9 is in the plan"):
        collector.hear(told(name="north-9"), "h", at(1))
    collector.plan([shard("north-1")])
    with pytest.raises(InputError, match="no shard north-0"):
        collector.hear(told(), "h", at(2))
    assert collector.address("north-0") == ""
    assert balanced(collector, 1).captured == 10
    names = [f"s-{number}" for number in range(GONE + 5)]
    collector.plan(map(shard, names))
    for name in names:
        collector.hear(told(name=name), "h", at(3))
    dropped = collector.plan([shard("north-1")])
    assert len(dropped) == len(names) + 1 - GONE
    assert len(collector.lives) == GONE
    assert balanced(collector, 3).captured == 10 * (len(names) + 1)


def test_a_camera_is_away_since_when_by_the_collectors_clock(collector):
    away = {"state": "away", "away_s": 30.0, "why": ["away for 30 s", "next try in 2 s"], "fps": 0.0}
    collector.hear(told(stream=away, sent=1e9), "h", at(100))
    [only] = collector.as_json(at(101))["cameras"]
    assert (only["state"], only["since"], only["why"][1]) == ("away", 70.0, "next try in 2 s")


def test_cameras_are_those_of_the_plan_and_what_a_shard_has_beside_them():
    collector = Collector({}, Past())
    collector.plan([shard(cameras=["door", "hall"])])
    collector.hear(told(stream={"name": "by-hand"}), "h", at(1))
    found = {one["name"]: (one["state"], one["in_plan"]) for one in collector.as_json(at(1))["cameras"]}
    assert found == {"door": ("missing", True), "hall": ("missing", True), "by-hand": ("flowing", False)}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"shard": "a", "run": "x", "epoch": 1}',
        b'{"shard": "a", "run": "3fa98c01d2e4b567", "epoch": 0}',
        b'{"shard": "a", "run": "3fa98c01d2e4b567", "epoch": 1000000000000000}',
        b'{"shard": "a", "run": "3fa98c01d2e4b567", "epoch": 1, "streams": [{"name": "d", "captured": -1}]}',
        b'{"shard": "a", "run": "3fa98c01d2e4b567", "epoch": 1, "port": 70000}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_status_is_refused(body):
    with pytest.raises(InputError, match="no status of a shard"):
        read_told(body)


def test_a_shard_that_was_never_heard_has_an_empty_account():
    assert Lives().account(at(1)).captured == 0


def test_the_account_of_a_life_that_was_killed_never_goes_back_where_its_note_is_older_than_what_it_sent(collector):
    collector.hear(told(ONE, captured=81), "h", at(0))
    collector.hear(told(TWO, captured=5, **before(ONE, captured=57)), "h", at(10))
    assert balanced(collector, 10).captured == 81 + 5
    collector.hear(told(TWO, captured=6, **before(ONE, captured=57)), "h", at(12))
    assert balanced(collector, 12).captured == 81 + 6
