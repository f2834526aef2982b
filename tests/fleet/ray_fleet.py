"""A fleet on Ray whose hosts are namespaces: its file, its commands, and how it is watched."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from cameras import film
from collector import Collector
from hosts import Host, Hosts, Program, missing_for_hosts, until

TOKEN = "token-of-the-fleet-1"
RAY_TOKEN = "token-of-ray-0123456789abcdef0123"
FILMS = 4
_WATCH = """
import os, ray, time
ray.init(os.environ["RAY_ADDRESS"] + ":6379", log_to_driver=False, logging_level="ERROR")
known = {}
while True:
    for node in ray.nodes():
        name = node["Labels"].get("maskstream-host", "") if node.get("Labels") else known.get(node["NodeID"], ("",))[0]
        now = (name, node["Alive"])
        if known.get(node["NodeID"]) != now:
            known[node["NodeID"]] = now
            print(name, "is there" if node["Alive"] else "is gone", flush=True)
    time.sleep(0.1)
"""


class RayFleet:
    """`count` cameras of 480x270 at 5 pictures/s in four shards, two to a host, or in as many as `shards` says."""

    def __init__(self, hosts: Hosts, folder: Path, count: int = 12, cores: int = 16, spare: int = 1) -> None:
        self.hosts, self.file = hosts, folder / "fleet.yaml"
        self.collector = Collector(hosts.office.listener(9000))
        films = [film(folder / f"film{number}.mp4", 40 * number) for number in range(FILMS)]
        self.secrets = {"MASKSTREAM_TOKEN": TOKEN}
        self.ray = {"RAY_AUTH_TOKEN": RAY_TOKEN, "RAY_ADDRESS": hosts.office.address}
        self.options: dict[str, Any] = {
            "fleet": "plant",
            "engine": "ray",
            "sites": [
                {
                    "name": "north",
                    "hosts": [{"name": host.name, "cores": cores, "streams_per_core": 0.6} for host in hosts],
                }
            ],
            "cameras": [
                {
                    "name": f"cam{number:02d}",
                    "site": "north",
                    "source": str(films[number % FILMS]),
                    "realtime": True,
                    "loop": True,
                }
                for number in range(count)
            ],
            "defaults": {"run": {"cores": 1, "status_every_s": 0.5}},
            "events": [f"webhook:{self.collector.url}/events"],
            "serve": {"url": self.collector.url},
            "failover": {"after_s": 8, "spare_hosts": spare},
        }
        self.write()

    def write(self) -> None:
        self.file.write_text(yaml.safe_dump(self.options, sort_keys=False))

    def join(self, host: Host) -> Program:
        """`maskstream fleet host`: Ray on a host, which has the secrets."""
        return host.maskstream("fleet", "host", host.name, self.file, **self.ray, **self.secrets)

    def head(self) -> Program:
        return self.hosts.office.maskstream("fleet", "host", "office", self.file, "--head", **self.ray)

    def start_ray(self) -> list[Program]:
        """The head in the office, and all hosts."""
        head = self.head()
        head.until(lambda: "Ray runs" in head.stdout)
        joined = [self.join(host) for host in self.hosts]
        for program in joined:
            program.until(lambda program=program: "Ray runs" in program.stdout)
        return [head, *joined]

    def command(self, *words: object) -> Program:
        """`maskstream fleet WORDS` in the office."""
        return self.hosts.office.maskstream("fleet", *words, **self.ray)

    def up(self, *words: object) -> str:
        """`fleet up`; what it says."""
        program = self.command("up", self.file, *words)
        code = program.wait(240)
        assert code == 0, f"{program.stdout}{program.stderr}"
        return program.stdout

    def status(self) -> dict[str, dict[str, Any]]:
        """The shards by name, as `fleet status --json` tells them."""
        program = self.command("status", "--json")
        assert program.wait(60) == 0, program.stderr
        return {shard["shard"]: shard for shard in json.loads(program.stdout)["shards"]}

    def watch(self) -> Program:
        """A program that says when Ray sees a host come or go, and uses nothing of ours."""
        return self.hosts.office.run(sys.executable, "-c", _WATCH, **self.ray, RAY_AUTH_MODE="token")

    def until_all_flow(self, since_s: float, patience_s: float = 120.0) -> float:
        """Until each camera has shown more since then; the seconds that were waited for."""
        wanted = {camera["name"] for camera in self.options["cameras"]}
        return until(
            lambda: self.collector.flowing(since_s) >= wanted,
            patience_s,
            lambda: f"without {sorted(wanted - self.collector.flowing(since_s))}",
        )

    def close(self) -> None:
        self.collector.close()


def missing_for_ray() -> str:
    """Why no fleet can be on Ray here; empty: one can."""
    if find_spec("ray") is None:
        return "Ray is not installed: pip install -e '.[fleet]'"
    return missing_for_hosts()


def skip_without_ray() -> None:
    if why := missing_for_ray():
        pytest.skip(why)
