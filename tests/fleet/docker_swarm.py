"""A fleet in a Docker swarm whose nodes are the hosts of tests, each with an engine (dockerd) of its own.

The engines are real: images, containers, secrets, overlay networks, and a manager in the office that runs no shard.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import yaml
from cameras import film
from collector import Collector
from hosts import Host, Hosts, Program, missing_for_hosts, until
from image import CHANGES

from fleet.file import read_fleet
from fleet.render import render

SOCKET = "unix:///srv/docker.sock"
IMAGE = "maskstream:test"
TOKEN, CAMERA = "token-of-the-fleet-1", "/films/film1.mp4"
STACK = "plant"
FILMS = 2
_CGROUPS = Path("/sys/fs/cgroup")
# /run of each host is its own, as docker, containerd and runc have files there; no image is asked of a registry
_ENGINE = '[ -e /run/own ] || { mount -t tmpfs run /run && touch /run/own; }; exec dockerd "$@"'
_OFFLINE = {"DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1"}


def films(folder: Path) -> dict[str, Path]:
    """The files that cameras of the fleet play, by their paths in the image."""
    return {f"films/film{number}.mp4": film(folder / f"film{number}.mp4", 40 * number) for number in range(FILMS)}


def missing_for_swarm() -> str:
    """Why there can be no swarm here; empty: there can."""
    needed = ("docker", "dockerd", "containerd", "runc", "iptables")
    if absent := [name for name in needed if shutil.which(name) is None]:
        return f"a swarm needs {', '.join(absent)} (Debian's docker.io)"
    return missing_for_hosts()


class Swarm:
    """Two shards with six cameras on three nodes, which hold one shard each: one of them is spare."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.collector = Collector(hosts.office.listener(9000))
        self.secrets = {"MASKSTREAM_TOKEN": TOKEN, "lane": CAMERA}
        cameras = [{"name": f"cam{number}", "source": f"/films/film{number % FILMS}.mp4"} for number in range(5)]
        # flows only if the secret is there; a film cannot be waited for
        cameras.append({"name": "lane", "source": "file:/run/secrets/lane", "wait": False})
        self.options: dict[str, Any] = {
            "fleet": STACK,
            "sites": [{"name": "north", "hosts": [{"name": "host", "count": 3, "cores": 2, "streams_per_core": 3}]}],
            "cameras": [{"site": "north", "realtime": True, "loop": True, **camera} for camera in cameras],
            "defaults": {"run": {"cores": 1, "status_every_s": 0.5}},
            "events": [f"webhook:{self.collector.url}/events"],
            "serve": {"url": self.collector.url},
            "failover": {"after_s": 8},
            "image": IMAGE,
        }

    def start_engine(self, host: Host) -> Program:
        """dockerd on a host; returns when it answers."""
        words = {
            "--host": SOCKET,
            "--data-root": "/srv/docker",
            "--exec-root": "/run/docker",
            "--pidfile": "/srv/docker.pid",
            "--cgroup-parent": f"/{_cgroup(host)}",
            "--bridge": "none",
            "--iptables": str(host is not self.hosts.office).lower(),  # it would drop what passes the office's bridge
        }
        (host.disk / "docker.pid").unlink(missing_ok=True)  # of an engine that lost power
        engine = host.run("sh", "-c", _ENGINE, "dockerd", *map("=".join, words.items()), **_OFFLINE)
        engine.until(lambda: "API listen on" in engine.stderr.rpartition("Starting up")[2], 60)
        return engine

    def docker(self, *words: object, on: Host | None = None) -> str:
        """A command of docker, in the office if no host is named; what it prints."""
        program = (on or self.hosts.office).run("docker", "--host", SOCKET, *words)
        code = program.wait(120)
        assert code == 0, f"docker {words}: {program.stdout}{program.stderr}"
        return program.stdout.strip()

    def form(self, image: Path) -> None:
        """An engine on each host, the image on each node, manager and workers, the label of their site, the secrets."""
        for host in self.hosts.all:
            self.start_engine(host)
        changes = [word for change in CHANGES for word in ("--change", change)]
        imports = [host.run("docker", "--host", SOCKET, "import", *changes, image, IMAGE) for host in self.hosts]
        self.docker("swarm", "init", "--advertise-addr", self.hosts.office.address, "--availability", "drain")
        token = self.docker("swarm", "join-token", "--quiet", "worker")
        for host in self.hosts:
            self.docker("swarm", "join", "--token", token, f"{self.hosts.office.address}:2377", on=host)
            self.docker("node", "update", "--label-add", "maskstream.site=north", host.name)
        for name, text in self.secrets.items():
            file = self.folder / f"{name}.secret"
            file.write_text(text)
            self.docker("secret", "create", name, file)
        for program in imports:
            assert program.wait(240) == 0, program.stderr

    def deploy(self) -> Path:
        """Render the stack and deploy it as it is; its file."""
        file = self.folder / "fleet.yaml"
        file.write_text(yaml.safe_dump(self.options, sort_keys=False))
        render(read_fleet(file, look_up=False), "swarm", self.folder / "stack")
        stack = self.folder / "stack" / "stack.yaml"
        [update] = re.findall(r"docker (swarm update .*)", stack.read_text())
        self.docker(*update.split())
        self.docker("stack", "deploy", "--resolve-image", "never", "-c", stack, STACK)
        return stack

    @property
    def cameras(self) -> set[str]:
        return {camera["name"] for camera in self.options["cameras"]}

    def until_all_flow(self, since_s: float, but: set[str] | frozenset[str] = frozenset()) -> float:
        """Until each camera has shown more since then; the seconds that were waited for."""
        return until(
            lambda: self.collector.flowing(since_s, but) >= self.cameras,
            240,
            lambda: f"without {sorted(self.cameras - self.collector.flowing(since_s, but))}\n{self.tasks_told()}",
        )

    def tasks_told(self) -> str:
        """The tasks of the stack, as people read them."""
        return self.docker("stack", "ps", "--no-trunc", STACK)

    def nodes(self) -> dict[str, str]:
        """Where each shard is to run now, by its name."""
        form = "{{.Name}} {{.Node}}"
        told = self.docker("stack", "ps", "--filter", "desired-state=running", "--format", form, STACK)
        return {
            name.removeprefix(f"{STACK}_").rpartition(".")[0]: node for name, node in map(str.split, told.splitlines())
        }

    def state(self, host: Host) -> str:
        """Of a node, as the manager sees it: ready or down."""
        told: str = json.loads(self.docker("node", "inspect", host.name))[0]["Status"]["State"]
        return told

    def lives(self) -> dict[str, str]:
        """The newest life of each shard."""
        return {told.status["shard"]: told.life for told in list(self.collector.told)}

    def close(self) -> None:
        """What hosts leave behind: their groups, and the layers of images, a gigabyte for each."""
        self.collector.close()
        for host in self.hosts.all:
            for controller in _CGROUPS.iterdir():
                _remove(controller / _cgroup(host))
            shutil.rmtree(host.disk / "docker", ignore_errors=True)


def _cgroup(host: Host) -> str:
    return f"maskstream-{host.name}"


def _remove(group: Path) -> None:
    """A control group whose processes are gone."""
    if group.is_dir():
        for path in [*sorted(group.rglob("*/"), key=lambda one: -len(one.parts)), group]:
            for _ in range(50):
                with contextlib.suppress(OSError):
                    path.rmdir()
                    break
                time.sleep(0.1)
