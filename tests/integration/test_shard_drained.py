"""A shard that is drained reads no more, delivers what waits, and ends: then, or after a time, or at a signal."""

import json
import signal
import time
import urllib.request

from ports import free_port
from shards import TOKEN, asked, command, kept, stages_of

from events.reading import waiting
from run.lease import read_lease


def test_a_drained_shard_delivers_what_waits_before_it_ends_and_tells_of_itself_meanwhile(shard, collector, tmp_path):
    collector.takes = False
    page = ("--sink", "web", "--port", port := free_port(), "--token", TOKEN)
    run = shard("a", *page, "--sink", f"webhook:{collector.url}/a")
    run.until(lambda: sum(waiting(tmp_path / "a" / "events.db").values()) >= 2)
    told = asked(f"http://127.0.0.1:{port}/api/drain", {})
    assert told["shard"] == "north-1"
    run.until(lambda: read_lease(tmp_path / "a").state == "draining")
    run.until(lambda: not {"capture-demo", "overlay"} & stages_of(run))
    time.sleep(4)  # longer than the end of a run may take otherwise
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=30) as alive:
        assert alive.status == 200
    collector.takes = True
    assert run.wait() == 0
    assert collector.ids == kept(tmp_path / "a")
    assert read_lease(tmp_path / "a").state == "ended"


def test_a_signal_ends_a_run_that_still_waits_for_receivers(shard, collector, tmp_path):
    collector.takes = False
    run = shard("a", "--sink", f"webhook:{collector.url}/a")
    run.until(lambda: sum(waiting(tmp_path / "a" / "events.db").values()) >= 2)
    owner = shard("a", "--sink", f"webhook:{collector.url}/a", "--adopt")
    owner.until(lambda: "waiting for its end" in owner.stderr)
    (tmp_path / "a" / "drain").write_text(read_lease(tmp_path / "a").life)
    run.until(lambda: "overlay" not in stages_of(run))
    time.sleep(3)  # longer than what still runs gets after a signal
    owner.signal(signal.SIGTERM)
    assert run.wait() == owner.wait() == 0  # else it would wait for run.deliver_s, 300 s
    assert "wait for the next run" in run.stderr


def test_what_cannot_be_delivered_is_waited_for_no_longer_than_asked_and_kept_for_the_next_life(
    shard, collector, tmp_path
):
    collector.takes = False
    run = shard("a", "--sink", f"webhook:{collector.url}/a", "--set", "run.deliver_s=1")
    run.until(lambda: sum(waiting(tmp_path / "a" / "events.db").values()) >= 2)
    drained = command("north-1", "drain", "--folder", tmp_path / "a", "--json")
    assert drained.returncode == 0
    assert run.wait() == 0
    assert "wait for the next run" in run.stderr
    left = sum(json.loads(drained.stdout)["waiting"].values())
    assert left >= 2
    collector.takes = True
    options = tmp_path / "shard.yaml"
    options.write_text(f"overlay: {{sinks: ['webhook:{collector.url}/a']}}")
    delivered = command("north-1", "deliver", "--config", options, "--folder", tmp_path / "a", "--json")
    assert delivered.returncode == 0, delivered.stderr
    assert set(json.loads(delivered.stdout)["waiting"].values()) == {0}
    assert collector.ids == kept(tmp_path / "a")
