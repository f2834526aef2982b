"""A host that is cut off from all others and comes back, without any engine: its copy of a shard ends by itself."""

import os
import time
from collections import Counter
from datetime import datetime

import pytest
from cameras import film
from collector import Collector
from hosts import hosts, until

from events.reading import read_history
from run.lease import read_lease

__all__ = ["hosts"]
pytestmark = pytest.mark.fleet
CUT_S = float(os.environ.get("CUT_S", "100"))
OPTIONS = """
sources:
  - {{name: door, source: {film}, realtime: true, loop: true}}
overlay: {{sinks: ["webhook:{url}/events"]}}
run: {{shard: north-0, site: north, status: "{url}/status", status_token: token-of-tests, status_every_s: 0.5}}
"""


def test_a_copy_that_was_cut_off_ends_within_5_s_of_the_nets_return_and_its_events_all_arrive_once(hosts, tmp_path):
    film(tmp_path / "door.mp4")
    collector = Collector(hosts.office.listener(9000))
    options = tmp_path / "shard.yaml"
    options.write_text(OPTIONS.format(film=tmp_path / "door.mp4", url=collector.url))
    folder = hosts[0].disk / ".local/state/maskstream/shards/north-0"

    old = hosts[0].maskstream("run", "--config", options, "--grant", "one", "--adopt")
    old.until(lambda: collector.flowing(0) and collector.events)
    [life] = collector.lives()
    hosts.cut(hosts[0])
    cut_s, cut_unix = time.monotonic(), time.time()
    new = hosts[1].maskstream("run", "--config", options, "--grant", "two", "--adopt")
    new.until(lambda: collector.flowing(cut_s, but={life}))
    twice_since_s = time.monotonic()  # the copy reads on, and knows of nothing
    while time.monotonic() < cut_s + CUT_S:
        assert old.runs
        assert new.runs
        time.sleep(0.5)
    heard = len([event for _, event in collector.events if event["run"] == life])
    hosts.join(hosts[0])
    back_s = time.monotonic()
    until(lambda: read_lease(folder).state == "fenced", 40)
    fenced_s = time.monotonic()
    assert old.wait() == 5, old.stderr
    ended_s = time.monotonic()

    stored = [event for event in read_history(folder / "events.db")[0] if event.run == life]
    of_the_cut = [event for event in stored if datetime.fromisoformat(event.time).timestamp() > cut_unix]
    ids = Counter(event["id"] for _, event in collector.events)
    assert len(of_the_cut) >= 3, "the copy was to see something while it was cut off"
    assert {event.id for event in stored} == {event["id"] for _, event in collector.events if event["run"] == life}
    assert set(ids.values()) == {1}
    until(lambda: len(collector.lives()) == 2 and collector.flowing(ended_s, but={life}))
    assert new.runs
    count = collector.last(life)["streams"][0]["captured"]
    print(
        f"\ncut off for {back_s - cut_s:.0f} s: the new copy flowed after {twice_since_s - cut_s:.1f} s; fenced "
        f"{fenced_s - back_s:.1f} s and ended {ended_s - back_s:.1f} s after the net was back; read twice for "
        f"{fenced_s - twice_since_s:.1f} s; {len(of_the_cut)} events of the cut, {len(stored) - heard} delivered "
        f"afterwards, {sum(ids.values()) - len(ids)} twice; the copy captured {count} frames"
    )
    assert ended_s - back_s < 5, "the fenced copy is to end within 5 s of the net's return"
    collector.close()
