"""What is told of a shard: who it is stands in all that leaves it, and its status is sent to who gathers them."""

import asyncio
import json
import signal
import urllib.request

from ports import free_port
from shards import DEMO, TOKEN, asked

from events.reading import read_history
from run.lease import read_lease


def test_site_host_shard_and_run_are_in_events_metrics_log_lines_and_reports(shard, collector, tmp_path):
    page = ("--sink", "web", "--port", port := free_port(), "--token", TOKEN)
    sinks = ("--sink", f"webhook:{collector.url}/a", "--sink", "events:lines.jsonl", "--log", "json")
    run = shard("a", *page, *sinks, "--set", "run.host=box-3")
    run.until(lambda: len(collector.events) >= 1 and (tmp_path / "a" / "lines.jsonl").exists())
    life = read_lease(tmp_path / "a").life
    labels = {"site": "north", "host": "box-3", "shard": "north-1", "run": life}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        metrics = answer.read().decode()
    status = asked(f"http://127.0.0.1:{port}/api/status")
    shown_events = asked(f"http://127.0.0.1:{port}/api/events")
    run.signal(signal.SIGTERM)
    assert run.wait() == 0
    in_file = [json.loads(line) for line in (tmp_path / "a" / "lines.jsonl").read_text().splitlines()]
    [stored, *_] = read_history(tmp_path / "a" / "events.db")[0]
    for told in (*collector.events, *in_file, *shown_events, status, run.report):
        assert {name: told[name] for name in labels} == labels
    assert (stored.site, stored.host, stored.shard, stored.run) == tuple(labels.values())
    samples = [line for line in metrics.splitlines() if line and not line.startswith("#")]
    assert all('site="north"' in line and 'host="box-3"' in line and 'shard="north-1"' in line for line in samples)
    assert f'run="{life}"' in next(line for line in samples if line.startswith("maskstream_info"))
    lines = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
    assert lines
    assert all({name: line[name] for name in labels} == labels for line in lines)
    assert {
        path.stat().st_mode & 0o777 for path in (tmp_path / "a" / "lease.json", tmp_path / "a" / "status.json")
    } == {0o600}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_a_status_goes_to_nats_too_and_a_server_that_is_killed_ends_nothing(maskstream, nats_at):
    server = nats_at(f"authorization {{ token: {TOKEN} }}")

    async def heard(count):
        import nats

        client = await nats.connect(server.url, token=TOKEN, max_reconnect_attempts=0)
        told = await client.subscribe("plant.status")
        found = [json.loads((await told.next_msg(30)).data) for _ in range(count)]
        await client.close()
        return found

    status = ("--set", f"run.status={server.url}/plant.status", "--set", f"run.status_token={TOKEN}")
    run = maskstream(*DEMO, "--sink", "null", *status, "--set", "run.status_every_s=0.5", "--json")
    first, second = asyncio.run(heard(2))
    server.kill()
    run.until(lambda: "push: nats://127.0.0.1" in run.stderr and "away" in run.stderr)
    server.start()
    [third] = asyncio.run(heard(1))
    run.until(lambda: ": back" in run.stderr)
    run.signal(signal.SIGTERM)
    assert run.wait() == 0
    assert first["streams"][0]["name"] == "demo"
    assert third["sent"] > second["sent"]
    assert run.report["push"]["not_sent"] >= 1
    assert "Traceback" not in run.stderr
    assert TOKEN not in run.stderr
