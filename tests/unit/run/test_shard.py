"""A shard's lease: who may take it, what its owner writes, and what a life leaves for the next one."""

import os
import subprocess
import sys
import threading
import time
from contextlib import closing

import msgspec
import pytest

from configs.errors import InputError
from configs.labels import Labels, labels_of
from configs.schema import OverlayConfig, PipelineConfig, RunConfig
from run.lease import Lease, boot_id, is_held, open_process, process_start, read_lease, write_private
from run.shard import Shard, read_note
from run.shard_folder import in_shard, shard_folder
from run.take import Fenced, Held, hold
from transport.ledger import Ledger

LIFE, OTHER = "3fa98c01d2e4b567", "0123456789abcdef"


def lease(**known):
    usual = {"shard": "n", "site": "", "host": "h", "epoch": 3, "life": LIFE, "pid": os.getpid(), "port": 0}
    more = {"started": process_start(os.getpid()), "boot": boot_id(), "config": "", "version": "", "began": ""}
    return Lease(**(usual | more | known))


def shard(folder, **known):
    return closing(Shard(folder, folder / "epoch", Labels(shard="n", run=LIFE), lease(**known)))


def taken(folder, epoch=0, life=LIFE, grant=""):
    run = RunConfig(shard="n", folder=str(folder), epoch=epoch, grant=grant)
    return hold(run, Labels(host="h", shard="n", run=life), "config", 0)


def soon(holds):
    deadline_s = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.01)
    return True


def test_without_an_owner_each_life_has_one_epoch_more(tmp_path):
    for epoch in (1, 2):
        with taken(tmp_path) as held:
            assert held.lease.epoch == epoch
            assert is_held(tmp_path)
            held.code = 0
        last = read_lease(tmp_path)
        assert (last.epoch, last.state, last.code) == (epoch, "ended", 0)
        assert not is_held(tmp_path)


def test_an_owner_says_the_epoch_and_an_older_one_is_refused(tmp_path):
    with taken(tmp_path, epoch=7):
        pass
    with taken(tmp_path, epoch=7):  # the same decision: it was started again
        pass
    with pytest.raises(Fenced, match="epoch 6 is over, its owner has given out 7"), taken(tmp_path, epoch=6):
        pass


def test_a_grant_that_has_a_name_keeps_its_epoch_and_a_new_one_is_newer_than_all(tmp_path):
    with taken(tmp_path, grant="pod-a") as held:
        first = held.lease.epoch
        assert abs(first - 1000 * time.time()) < 60_000
    with taken(tmp_path, grant="pod-a") as held:  # the same grant, started again
        assert held.lease.epoch == first
        held.hear({"web": {"grant": str(first + 10**9)}}, {})  # as of a host whose clock is ahead
        assert soon(lambda: held.is_fenced)
    with pytest.raises(Fenced, match=f"epoch {first} is over"), taken(tmp_path, grant="pod-a"):
        pass
    with taken(tmp_path, grant="pod-b") as held:
        assert held.lease.epoch == first + 10**9 + 1


def test_after_a_fence_nobody_starts_without_the_newer_epoch(tmp_path):
    with taken(tmp_path) as held:
        held.hear({"web": {"grant": "4"}}, {})
        assert soon(lambda: held.is_fenced)
    assert read_lease(tmp_path).fenced_by == 4
    with pytest.raises(Fenced, match="start it with --epoch 4"), taken(tmp_path):
        pass
    with taken(tmp_path, epoch=4) as held:
        assert held.lease.epoch == 4
    with taken(tmp_path) as held:  # it is this folder's now
        assert held.lease.epoch == 5


def test_a_shard_that_is_held_stays_whose_it_is(tmp_path):
    with taken(tmp_path):
        with pytest.raises(Held), taken(tmp_path, life=OTHER):
            pass
        assert read_lease(tmp_path).life == LIFE


@pytest.mark.parametrize(
    ("text", "ends", "epoch"),
    [
        ("2", "", 3),
        ("3", "", 3),
        ("4", "epoch 4 was given out", 3),
        (f"4 {OTHER}", "epoch 4 was given out", 3),
        (f"4 {LIFE}", "", 4),
        ("four", "", 3),
    ],
)
def test_what_the_owner_writes_ends_it_or_lets_it_go_on(tmp_path, text, ends, epoch):
    (tmp_path / "epoch").write_text(f"{text}\n")
    with shard(tmp_path) as held:
        held._look()
        assert held.ends.startswith(ends)
        assert bool(held.ends) == bool(ends)
        assert (held.lease.epoch, read_lease(tmp_path).epoch) == (epoch, epoch)
        said = held.hear({}, {})
        assert any("is no epoch" in line for line in said) == (text == "four")


def test_a_lease_that_another_life_has_taken_is_left_alone(tmp_path):
    """Where a file system has no locks two may take it: the one before sees that, and ends."""
    with shard(tmp_path) as held:
        other = lease(life=OTHER, epoch=3)
        write_private(tmp_path / "lease.json", msgspec.json.encode(other))
        assert soon(lambda: held.is_fenced)
    assert read_lease(tmp_path) == other


def test_only_the_life_that_is_named_is_drained(tmp_path):
    (tmp_path / "drain").write_text(OTHER)
    with shard(tmp_path) as held:
        held._look()
        assert not held.ends
        (tmp_path / "drain").write_text(f"{LIFE}\n")
        assert soon(lambda: "is drained" in held.ends)
        assert read_lease(tmp_path).state == "draining"


def test_what_a_killed_life_had_under_way_is_unaccounted_for_in_the_next_ones(tmp_path):
    with shard(tmp_path) as held:
        held.hear({}, {"door": Ledger(captured=10, shown=6, dropped={"superseded": 1}, in_flight=3)})
        held._write_note()  # the last before SIGKILL
        killed = (tmp_path / "status.json").read_bytes()
    (tmp_path / "status.json").write_bytes(killed)
    for lives, streams in ((1, {"door": Ledger(captured=5, shown=5)}), (2, {})):
        with shard(tmp_path) as held:
            about = held.about
            assert about["lives_before"]["lives"] == lives
            assert about["lives_before"]["unaccounted"] == 3
            if lives == 1:
                assert about["before"]["killed"]
                [door] = about["before"]["streams"].values()
                assert door == {
                    "captured": 10,
                    "shown": 6,
                    "dropped": {"superseded": 1},
                    "in_flight": 0,
                    "unaccounted": 3,
                }
            else:
                assert not about["before"]["killed"]
                assert about["lives_before"]["captured"] == 15
            held.hear({}, streams)
    assert read_note(tmp_path).ended


def test_a_process_of_the_same_number_is_not_the_same_process(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        there = lease(pid=process.pid, started=process_start(process.pid))
        os.close(open_process(there))
        assert open_process(msgspec.structs.replace(there, started=there.started + 1)) is None
        assert open_process(msgspec.structs.replace(there, boot="another")) is None
        process.communicate(b"\n")
    assert open_process(there) is None


def test_what_is_written_is_for_this_user_only_and_leaves_nothing_beside(tmp_path):
    write_private(tmp_path / "a", b"1")
    write_private(tmp_path / "a", b"22")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    (tmp_path / "lease.json").write_text("{")
    with pytest.raises(InputError, match="is no lease"):
        read_lease(tmp_path)


def test_relative_sinks_lie_in_the_folder_and_events_wait_there(tmp_path, monkeypatch):
    run = RunConfig(shard="n", folder=str(tmp_path))
    sinks = ("web", "record:rec/", "file:/elsewhere/a.mp4", "webhook:http://127.0.0.1/")
    placed = in_shard(PipelineConfig(run=run, overlay=OverlayConfig(sinks=sinks))).overlay.sinks
    assert placed == ("web", f"record:{tmp_path}/rec/", *sinks[2:], f"sqlite:{tmp_path}/events.db")
    own = in_shard(PipelineConfig(run=run, overlay=OverlayConfig(sinks=("sqlite:mine.db",)))).overlay.sinks
    assert own == (f"sqlite:{tmp_path}/mine.db",)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert shard_folder(RunConfig(shard="n")) == tmp_path / "state" / "maskstream" / "shards" / "n"


@pytest.mark.parametrize("name", ["a/b", "-a", "..", "a b", "ä", "a" * 64, "a\n"])
def test_what_is_no_name_is_refused(name):
    for option in ("site", "host", "shard"):
        with pytest.raises(InputError, match=f"run.{option}"):
            labels_of(RunConfig(**{option: name}))


def test_a_run_of_no_fleet_has_no_labels_and_two_of_one_have_different_runs():
    assert labels_of(RunConfig()).given == {}
    one, other = (labels_of(RunConfig(site="north")) for _ in range(2))
    assert one.host
    assert len({one.run, other.run}) == 2
