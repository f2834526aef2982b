"""What is told of a shard: its cameras as its page tells them, its account over lives, its lease where no keeper is."""

import msgspec
import pytest

from fleet.kept import CameraState, Kept, accounted, of_lease
from fleet.run_page import read
from run.lease import Lease
from tell.account import Account, Note


def stream(name, state="flowing", shown=1, away_s=0):
    return {"name": name, "state": state, "shown": shown, "away_s": away_s}


def told(*streams, phase="running", silent_s=0):
    return {"run": "3f", "phase": phase, "silent_s": silent_s, "streams": list(streams)}


def test_cameras_that_are_away_have_a_time_since_when():
    answer = read(told(stream("door"), stream("hall", "away", away_s=12.5)), now=1000.0)
    assert answer.cameras == {"door": CameraState("flowing"), "hall": CameraState("away", 987.5)}
    kept = Kept(shard="north-0", cameras=answer.cameras)
    assert (kept.flowing, kept.away) == ({"door"}, {"hall": 987.5})


@pytest.mark.parametrize(
    ("answer", "settled"),
    [
        (told(stream("door"), stream("hall", "away")), True),
        (told(stream("door"), stream("hall", "opening", shown=0)), False),
        (told(stream("door", shown=0)), False),  # its first picture is still under way
        (told(stream("door"), phase="starting"), False),
        (told(), False),
    ],
)
def test_a_shard_is_settled_when_no_camera_is_still_being_opened(answer, settled):
    assert read(answer, now=0.0).settled is settled


def test_what_is_no_answer_of_a_run_is_none():
    with pytest.raises((KeyError, TypeError)):
        read({"streams": [{"name": "door"}]}, now=0.0)


def test_the_account_is_that_of_all_lives(tmp_path):
    assert accounted(tmp_path) == (Account(), 0)
    before = Account(captured=10, shown=8, unaccounted=2)
    note = Note(
        run="3f",
        epoch=1,
        host="box",
        noted=0.0,
        streams={"door": Account(7, 4, {"stale": 1}, 2)},
        lives=1,
        total=before,
    )
    (tmp_path / "status.json").write_bytes(msgspec.json.encode(note))
    # nobody holds the shard, and its last life did not end in order: what it had under way is not known
    assert accounted(tmp_path) == (Account(17, 12, {"stale": 1}, 0, 4), 2)


@pytest.mark.parametrize(
    ("fields", "alive", "state", "line"),
    [
        ({}, True, "unknown", ""),
        ({"state": "draining"}, True, "draining", ""),
        ({"state": "ended", "code": 0}, False, "ended", ""),
        ({}, False, "ended", "was killed"),
        ({"state": "ended", "code": 5, "fenced_by": 9}, False, "fenced", ""),
    ],
)
def test_without_a_keeper_the_lease_tells(fields, alive, state, line):
    about = {"shard": "north-0", "site": "north", "host": "box", "epoch": 1, "life": "3f", "pid": 7, "started": 1}
    lease = Lease(**about, boot="b", port=8080, config="c", version="1", began="", **fields)
    kept = of_lease(lease, alive)
    assert (kept.state, kept.line, kept.pid) == (state, line, 7 if alive else 0)
