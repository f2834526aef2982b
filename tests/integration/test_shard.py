"""A shard of a fleet as its owner meets it: the real program, killed, started twice and adopted for real."""

import json
import signal

import psutil
import pytest
from shards import TOKEN, command, shown

from run.lease import read_lease
from run.shard import read_note


def test_a_killed_shard_flows_again_and_its_last_account_is_known(shard, collector, tmp_path):
    status = ("--set", f"run.status={collector.url}/status", "--set", "run.status_every_s=0.5")
    first = shard("a", "--sink", "null", *status, "--set", "run.status_token=${SECRET}")
    assert first.wait() == 1  # the variable is not set
    assert "the variable SECRET is not set" in first.stderr

    run = shard("a", "--sink", "null", *status, "--set", f"run.status_token={TOKEN}")
    run.until(lambda: shown(tmp_path / "a") > 20 and _captured(collector) > 20)
    life = read_lease(tmp_path / "a").life
    run.kill()  # SIGKILL of the supervisor; its processes go with it
    last = collector.statuses[-1][1]
    assert {authorization for authorization, _ in collector.statuses} == {f"Bearer {TOKEN}"}
    assert (last["shard"], last["site"], last["run"], last["epoch"]) == ("north-1", "north", life, 1)
    assert last["streams"][0]["captured"] > 20
    told = json.loads(command("north-1", "--folder", tmp_path / "a", "--json").stdout)
    assert told["killed"]
    assert not told["alive"]
    [stream] = told["streams"].values()
    assert stream["captured"] == stream["shown"] + sum(stream["dropped"].values()) + stream["unaccounted"]
    assert stream["in_flight"] == 0

    again = shard("a", "--sink", "null", *status, "--set", f"run.status_token={TOKEN}")
    again.until(lambda: read_lease(tmp_path / "a").life != life and read_note(tmp_path / "a").run != life)
    again.until(lambda: shown(tmp_path / "a") > 0)
    again.until(lambda: len(collector.statuses) > 1 and collector.statuses[-1][1].get("lives_before", {}).get("lives"))
    again.signal(signal.SIGTERM)
    assert again.wait() == 0
    report = again.report
    assert (report["shard"], report["site"], report["epoch"]) == ("north-1", "north", 2)
    before = report["before"]
    assert (before["run"], before["killed"]) == (life, True)
    assert before["streams"] == told["streams"]
    assert f"the life before ({life}) was killed" in again.stderr
    sums = report["lives_before"]
    assert sums["lives"] == 1
    assert sums["captured"] == sums["shown"] + sum(sums["dropped"].values()) + sums["in_flight"] + sums["unaccounted"]
    assert TOKEN not in run.stderr + run.stdout + again.stderr + again.stdout
    end = collector.statuses[-1][1]  # the last that is sent is the whole account
    assert end["streams"][0]["in_flight"] == 0
    assert end["streams"][0]["captured"] == next(iter(report["streams"].values()))["captured"]


def _captured(collector):
    """Frames, by the last status."""
    streams = collector.statuses[-1][1]["streams"] if collector.statuses else ()
    return sum(stream["captured"] for stream in streams)


def test_a_shard_that_runs_is_not_started_twice_but_adopted(shard, tmp_path):
    options = ("--sink", "null", "--epoch", 1)
    run = shard("a", *options)
    run.until(lambda: shown(tmp_path / "a") > 5)
    lease = read_lease(tmp_path / "a")
    assert (lease.pid, lease.port) == (run.pid, 0)
    twice = shard("a", *options)
    assert twice.wait() == 3
    assert f"already runs (pid {run.pid}, port 0, epoch 1, life {lease.life})" in twice.stderr
    other = shard("a", *options, "--set", "overlay.corner=false")
    assert other.wait() == 4
    assert "runs with other options" in other.stderr

    owner = shard("a", *options[:3], 2, "--adopt")  # an owner of a newer epoch goes on with the same life
    owner.until(lambda: "waiting for its end" in owner.stderr)
    owner.kill()  # and its death ends nothing
    assert read_lease(tmp_path / "a").epoch == 2
    before = shown(tmp_path / "a")
    run.until(lambda: shown(tmp_path / "a") > before)
    late = shard("a", *options, "--adopt")  # an owner of before, that was cut off
    assert late.wait() == 5
    assert "epoch 1 is over" in late.stderr
    next_owner = shard("a", *options[:3], 2, "--adopt")
    next_owner.until(lambda: "waiting for its end" in next_owner.stderr)
    assert len(psutil.Process(next_owner.pid).children()) == 0  # it only waits
    next_owner.signal(signal.SIGTERM)
    assert next_owner.wait() == 0
    assert run.wait() == 0
    assert run.report["epoch"] == 2


def test_an_owner_of_a_run_that_is_killed_hears_of_it(shard, tmp_path):
    run = shard("a", "--sink", "null")
    run.until(lambda: shown(tmp_path / "a") > 0)
    owner = shard("a", "--sink", "null", "--adopt")
    owner.until(lambda: "waiting for its end" in owner.stderr)
    run.kill()
    assert owner.wait() == 1
    assert f"its run (pid {run.pid}) died" in owner.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--shard", "a/b"), "begins with a letter or digit"),
        (("--adopt",), "name one with --shard"),
        (("--epoch", "3"), "name one with --shard"),
        (("--set", "run.status=ftp://host/"), "write http(s)://HOST/PATH"),
        (("--set", "run.status_token=abcdefgh"), "there is no run.status"),
        (("--shard", "x", "--set", "run.folder=/proc/none"), "cannot be used"),
    ],
)
def test_what_cannot_be_a_shard_is_one_line(maskstream, options, says):
    run = maskstream("--source", "demo", "--sink", "null", *options)
    assert run.wait() == 1
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) == 1
