"""A shard whose owner gives out a newer epoch: whoever has an older one reads no more, delivers and ends."""

import json
import os
import signal
import time

import pytest
from ports import free_port
from shards import TOKEN, asked, command, kept, shown

from events.reading import waiting
from run.lease import is_held, read_lease


def test_a_copy_that_was_cut_off_reads_no_more_delivers_and_ends_when_it_sees_a_newer_epoch(shard, collector, tmp_path):
    """Two hosts are two folders. The first is cut off: nothing takes its events, and the second goes on by epoch 2."""
    page = ("--sink", "web", "--port", port := free_port(), "--token", TOKEN)
    old = shard("a", *page, "--sink", f"webhook:{collector.url}/a", "--epoch", 1)
    old.until(lambda: len(collector.events) >= 2)
    collector.takes = False
    new = shard("b", "--sink", f"webhook:{collector.url}/b", "--epoch", 2)
    old.until(lambda: sum(waiting(tmp_path / "a" / "events.db").values()) >= 5)
    new.until(lambda: len(kept(tmp_path / "b")) >= 2)
    collector.takes = True  # the net is back
    assert asked(f"http://127.0.0.1:{port}/api/fence", {"epoch": 2})["epoch"] == 1
    assert old.wait() == 5
    lease = read_lease(tmp_path / "a")
    assert (lease.state, lease.code, lease.fenced_by) == ("ended", 5, 2)
    assert "epoch 2 was given out, this run has 1" in old.stderr
    new.signal(signal.SIGTERM)
    assert new.wait() == 0
    assert sorted(kept(tmp_path / "a")) == sorted(
        event["id"] for event in collector.events if event["run"] == lease.life
    )
    assert len(set(collector.ids)) == len(collector.ids)
    assert old.report["streams"]["demo"]["in_flight"] == 0
    # who starts it again without knowing makes no second copy
    unknowing = shard("a", "--sink", "null")
    assert unknowing.wait() == 5
    assert "given out epoch 2" in unknowing.stderr
    assert shard("a", "--sink", "null", "--epoch", 1).wait() == 5


def test_the_one_who_gathers_the_status_may_fence_in_its_answer(shard, collector, tmp_path):
    """A host behind a NAT cannot be told: it asks, each time that it sends its status."""
    status = ("--set", f"run.status={collector.url}/status", "--set", "run.status_every_s=0.5")
    run = shard("a", "--sink", "null", *status, "--epoch", 3)
    run.until(lambda: collector.statuses and shown(tmp_path / "a") > 5)
    collector.answer = {"epoch": 3}
    run.until(lambda: len(collector.statuses) > 5)
    collector.answer = {"epoch": 4}
    assert run.wait() == 5


def test_a_run_that_is_fenced_before_it_shows_anything_ends_too(shard, collector, tmp_path):
    collector.answer = {"epoch": 9}
    sinks = ("--sink", f"webhook:{collector.url}/a", "--set", f"run.status={collector.url}/status")
    run = shard("a", *sinks, "--epoch", 3)
    assert run.wait() == 5
    assert read_lease(tmp_path / "a").fenced_by == 9


@pytest.mark.parametrize("stopped", [False, True])
def test_a_file_fences_a_run_also_one_that_was_stopped_meanwhile(shard, tmp_path, stopped):
    run = shard("a", "--sink", "null")
    run.until(lambda: shown(tmp_path / "a") > 5)
    if stopped:
        os.kill(run.pid, signal.SIGSTOP)
    fenced = command("north-1", "fence", "--epoch", 7, "--folder", tmp_path / "a", "--json")
    assert fenced.returncode == 0
    assert json.loads(fenced.stdout)["epoch"] == 7
    if stopped:
        time.sleep(1)
        assert is_held(tmp_path / "a")  # it hangs, and nobody has taken its place
        os.kill(run.pid, signal.SIGCONT)
    assert run.wait() == 5
