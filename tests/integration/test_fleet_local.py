"""A fleet on one host with the real program: up, its deaths, a change of options one shard at a time, and its end."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import yaml
from program import ROOT, gone, workers_below

from fleet.local_files import read_seen
from fleet.state_folder import Lock
from run.lease import is_held, read_lease
from run.shard import read_note

TOKEN = "token-of-the-fleet"
SHARDS = ["north-0", "north-1"]


class Fleet:
    """A fleet's file and folder below a test's own, and `maskstream fleet` for it."""

    def __init__(self, folder):
        self.file, self.folder = folder / "fleet.yaml", folder / "state" / "maskstream" / "fleets" / "plant"
        self._environment = os.environ | {
            "XDG_STATE_HOME": str(folder / "state"),
            "MASKSTREAM_TOKEN": TOKEN,
            "PYTHONPATH": str(ROOT),
        }

    def write(self, cameras="abcd", **defaults):
        """Two shards on the one host that is at hand."""
        hosts = [{"name": "box", "count": 3, "cores": 1, "streams_per_core": 3}]
        demo = {"site": "north", "source": "demo", "realtime": True, "loop": True, "fps": 5, "weight": 0.5}
        values = {
            "fleet": "plant",
            "engine": "local",
            "sites": [{"name": "north", "hosts": hosts}],
            "cameras": [{"name": name} | demo for name in cameras],
            "defaults": {"web": {"port": 9640}} | defaults,
        }
        self.file.write_text(yaml.safe_dump(values))

    def __call__(self, *words, code=0):
        """Its output; of what is refused the one line."""
        program = [sys.executable, "-P", "-c", "import run_pipeline; run_pipeline.main()", "fleet", *map(str, words)]
        done = subprocess.run(program, env=self._environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == code, done.stdout + done.stderr
        assert TOKEN not in done.stdout + done.stderr
        if code:
            assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr if code else done.stdout

    @property
    def status(self):
        told = json.loads(self("status", "--json"))
        return {shard["shard"]: shard for shard in told["shards"]}

    @property
    def seen(self):
        return read_seen(self.folder)

    @property
    def pids(self):
        return {name: read_lease(self.folder / name / "data").pid for name in SHARDS}

    def until(self, holds, patience_s=60.0):
        deadline_s = time.monotonic() + patience_s
        while not holds():
            assert time.monotonic() < deadline_s, self.seen
            time.sleep(0.05)


@pytest.fixture
def fleet(tmp_path):
    made = Fleet(tmp_path)
    shared_before = set(os.listdir("/dev/shm"))
    yield made
    if (made.folder / "fleet.json").exists():
        made("down", "--now")
    assert gone(lambda: workers_below(tmp_path)), f"still running: {workers_below(tmp_path)}"
    assert set(os.listdir("/dev/shm")) <= shared_before


def balances(account):
    dropped = sum(account["dropped"].values())
    return account["captured"] == account["shown"] + dropped + account["in_flight"] + account["unaccounted"]


def test_runs_outlive_their_keeper_and_are_started_again_when_they_die(fleet):
    fleet.write()
    told = fleet("up", fleet.file)
    assert "all 2 shards run on this host, not on the 2 of the plan" in told
    assert re.search(r"north-0: 3 cameras flowing \(pid \d+\)", told)
    status, pids = fleet.status, fleet.pids
    assert list(status) == SHARDS
    assert {name: shard["pid"] for name, shard in status.items()} == pids
    assert all(balances(shard["account"]) for shard in status.values())
    assert (fleet.folder.stat().st_mode & 0o777) == 0o700
    assert TOKEN not in (fleet.folder / "north-0" / "shard.yaml").read_text()

    os.kill(fleet.seen.pid, signal.SIGKILL)
    fleet.until(lambda: not psutil.pid_exists(fleet.seen.pid))
    captured = {name: shard["account"]["captured"] for name, shard in fleet.status.items()}
    fleet.until(lambda: all(shard["account"]["captured"] > captured[name] for name, shard in fleet.status.items()))
    assert "no keeper lives" in json.loads(fleet("status", "--json"))["trouble"]
    assert "north-1: adopted, 1 camera flowing" in fleet("up", fleet.file)
    assert fleet.pids == pids
    assert all(shard["lives"] == 1 and not shard["account"]["unaccounted"] for shard in fleet.status.values())

    victim = pids["north-0"]
    os.kill(victim, signal.SIGKILL)
    fleet.until(lambda: fleet.seen.shards["north-0"].state != "flows")
    fleet.until(lambda: fleet.seen.shards["north-0"].state == "flows")
    shard = fleet.status["north-0"]
    assert shard["pid"] != victim
    assert (shard["restarts"], shard["lives"]) == (1, 2)
    assert balances(shard["account"])
    assert fleet.pids["north-1"] == pids["north-1"]  # nobody else was touched

    assert "engine local has all shards on" in fleet("drain", "box-1", code=1)
    assert "north-1: drained" in fleet("drain", "north-1")
    assert read_lease(fleet.folder / "north-1" / "data").state == "ended"
    assert "is down" in fleet("down")
    assert "no fleet plant runs here" in fleet("status", "plant", code=1)


class Watch:
    """Which shards show nothing, as their own folders tell: a keeper that has just begun knows nothing yet."""

    def __init__(self, fleet):
        self._folders = {name: fleet.folder / name / "data" for name in SHARDS}
        self.away, self._ends = set(), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self):
        while not self._ends.wait(0.02):
            self.away.add(tuple(name for name, folder in self._folders.items() if not self._shows(folder)))

    def _shows(self, folder):
        lease, note = read_lease(folder), read_note(folder)
        shown = sum(stream.shown for stream in note.streams.values()) if note.run == lease.life else 0
        return is_held(folder) and lease.state == "running" and shown > 0

    def end(self):
        self._ends.set()
        self._thread.join()
        return self.away


def test_a_change_is_made_one_shard_at_a_time_and_one_that_is_refused_goes_no_further(fleet):
    fleet.write()
    fleet("up", fleet.file)
    pids = fleet.pids
    fleet.write(overlay={"corner": False})
    watch = Watch(fleet)
    try:
        told = fleet("up", fleet.file)
    finally:
        away = watch.end()
    assert told.count("is drained and started anew") == 2
    assert not set(pids.values()) & set(fleet.pids.values())
    assert away == {(), ("north-0",), ("north-1",)}, "never two away"
    assert all(shard["account"]["unaccounted"] == 0 and shard["lives"] == 2 for shard in fleet.status.values())

    pids = fleet.pids
    fleet.write(detect={"detector": "yunet"})  # its file is not there: only the run itself finds that out
    refused = fleet("up", fleet.file, code=1)
    assert "north-0 cannot start: " in refused
    assert "it goes on with the options before; north-1 still as before" in refused
    assert fleet.status["north-0"]["state"] == "flows"
    assert fleet.pids["north-1"] == pids["north-1"]

    cameras = {name: set(shard["cameras"]) for name, shard in fleet.status.items()}
    fleet.write(cameras=sorted(cameras["north-1"]), overlay={"corner": False})  # nothing is left for the other one
    assert "no more in the plan: north-0; drained" in fleet("up", fleet.file)
    assert list(fleet.status) == ["north-1"]
    assert fleet.pids["north-1"] == pids["north-1"]
    os.kill(fleet.seen.pid, signal.SIGKILL)
    assert "is down" in fleet("down")  # also where no keeper is there to do it


def test_what_is_refused_starts_nothing(fleet, tmp_path):
    assert "no fleet runs here" in fleet("status", code=1)
    assert "no fleet runs here" in fleet("down", code=1)
    fleet.write(web={"prot": 1})
    assert "defaults.web.prot: unknown option, did you mean port?" in fleet("up", fleet.file, code=1)
    fleet.write()
    assert "--engine swarm: use local, ray" in fleet("up", fleet.file, "--engine", "swarm", code=1)
    fleet.write(overlay={"sinks": ["webhook:http://${NOBODY}/in"]})
    assert "the variable NOBODY is not set" in fleet("up", fleet.file, code=1)
    fleet.write(detect={"detector": "yunet"})
    refused = fleet("up", fleet.file, code=1)
    assert re.search(r"north-\d cannot start: .*; what this fleet up had started was ended", refused)
    assert "no fleet runs here" in fleet("status", code=1)
    assert gone(lambda: workers_below(tmp_path))
    lock = Lock(fleet.folder, "up", "taken")
    assert "another fleet up, drain or down is at work here" in fleet("up", fleet.file, code=1)
    lock.release()
