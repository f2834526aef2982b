"""The keeper of one shard and the real program: it ends for good when fenced, and sees a run that hangs."""

import os
import signal
import time

import pytest
import yaml
from ports import free_port
from program import gone, workers_below

from fleet import life
from fleet.keeper import Keeper
from run.lease import Grant, read_lease, write_private


@pytest.fixture
def keep(tmp_path):
    """`keep("grant")` is a keeper that has not begun; at the end all runs are ended."""
    config = tmp_path / "shard.yaml"
    source = {"source": "demo", "realtime": True, "loop": True, "fps": 5, "name": "door"}
    options = {
        "sources": [source],
        "overlay": {"sinks": ["web"]},
        "web": {"port": free_port(), "token": "token-of-the-fleet"},
        "run": {"shard": "north-0", "folder": str(tmp_path / "data")},
    }
    config.write_text(yaml.safe_dump(options))
    made = []

    def keeper(grant="first", **changed):
        config.write_text(yaml.safe_dump(options | changed))
        made.append(Keeper("north-0", config, tmp_path, os.environ, grant))
        return made[-1]

    yield keeper
    for one in made:
        one.end()
        one.join(30)
    assert gone(lambda: [process for process in workers_below(tmp_path) if process.pid != os.getpid()])


def until(keeper, *states, patience_s=60.0):
    deadline_s = time.monotonic() + patience_s
    while keeper.known.state not in states:
        assert time.monotonic() < deadline_s, keeper.known
        time.sleep(0.02)


def test_a_fenced_run_ends_for_good_and_only_a_new_decision_starts_it_again(keep, tmp_path):
    keeper = keep()
    keeper.start()
    until(keeper, "flows")
    epoch = read_lease(tmp_path / "data").epoch
    write_private(tmp_path / "data" / "epoch", f"{Grant(epoch + 1)}\n".encode())
    until(keeper, "fenced")
    assert keeper.join(5)
    assert keeper.known.code == 5
    assert f"epoch {epoch + 1} was given out" in keeper.known.line
    same = keep()
    same.start()
    until(same, "fenced")
    other = keep("second")
    other.start()
    until(other, "flows")
    assert read_lease(tmp_path / "data").epoch > epoch + 1
    other.drain()
    until(other, "ended")
    assert (other.known.code, other.known.pid) == (0, 0)


def test_a_run_that_hangs_is_killed_and_one_with_other_options_is_drained(keep, monkeypatch):
    monkeypatch.setattr(life, "HUNG_S", 4.0)
    keeper = keep()
    keeper.start()
    until(keeper, "flows")
    pid = keeper.known.pid
    os.kill(pid, signal.SIGSTOP)
    until(keeper, "waits", "starting")
    until(keeper, "flows")
    assert keeper.known.pid != pid
    assert keeper.known.restarts == 1
    keeper.let_go()
    assert keeper.join(5)

    pid = keeper.known.pid
    heir = keep()
    heir.start()
    until(heir, "flows")
    assert (heir.known.pid, heir.known.restarts) == (pid, 0)
    heir.let_go()
    assert heir.join(5)
    other = keep(classify={"refresh_ms": 900})
    other.start()
    until(other, "draining")
    until(other, "flows")
    assert other.known.pid != pid
    assert other.known.restarts == 0


def test_a_run_that_cannot_start_is_tried_again_later_and_says_why(keep):
    keeper = keep(detect={"detector": "yunet"})  # its file is not there
    keeper.start()
    until(keeper, "waits")
    assert keeper.known.failures > 0
    assert keeper.known.code == 1
    assert "yunet" in keeper.known.line
    keeper.end()
    until(keeper, "ended")
    broken = keep(detect={"detectr": "haar"})
    broken.start()
    until(broken, "waits")
    assert "did you mean detector?" in broken.known.line
