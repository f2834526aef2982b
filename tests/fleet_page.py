"""A fleet of two sites with a camera each, its page, and its shards: the real programs on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ports import free_port
from program import ROOT, Run

from fleet.file import read_fleet
from fleet.shards import Place, shard_options

TOKEN = "fleet-token-1"
FLEET = """\
fleet: plant
sites:
  - {{name: north, hosts: [{{name: box, cores: 2, streams_per_core: 5}}]}}
  - {{name: south, hosts: [{{name: gate, cores: 2, streams_per_core: 5}}]}}
cameras:
  - {{name: door, site: north, source: demo, realtime: true, loop: true}}
  - {{name: gate, site: south, source: demo, realtime: true, loop: true}}
defaults: {{run: {{status_every_s: 0.5}}}}
serve: {{url: "http://127.0.0.1:{port}"}}
"""


class FleetPage:
    """`maskstream fleet serve` in a folder; it may be killed and started again."""

    def __init__(self, folder: Path, fleet: str = FLEET) -> None:
        self.folder, self.port, self.scheme = folder, free_port(), "http"
        self.file = folder / "fleet.yaml"
        self.file.write_text(fleet.format(port=self.port))
        self._log = folder / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: object) -> None:
        """Returns when it serves."""
        program = [sys.executable, "-P", "-c", "import run_pipeline; run_pipeline.main()", "fleet", "serve"]
        with self._log.open("ab") as log:
            arguments = [str(self.file), "--folder", str(self.folder / "kept"), *map(str, options)]
            environment = os.environ | {"PYTHONPATH": str(ROOT), "MASKSTREAM_TOKEN": TOKEN}
            self._process = subprocess.Popen(
                [*program, *arguments], cwd=self.folder, stdout=log, stderr=log, env=environment
            )
        was = self.log.count("the fleet's page is at")
        self.until(lambda: self.log.count("the fleet's page is at") > was)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def until(self, holds: Callable[[], Any], patience_s: float = 40.0) -> None:
        """Wait until something holds while the page is served."""
        deadline_s = time.monotonic() + patience_s
        while not holds():
            assert self._process is not None
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline_s, f"not within {patience_s} s: {self.log}"
            time.sleep(0.05)

    def ask(self, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, bytes, Any]:
        """Status, body and headers of an answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.scheme}://127.0.0.1:{self.port}{path}", data)
        request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def status(self) -> dict[str, Any]:
        """The whole fleet, as its page has it; at most a second old."""
        told: dict[str, Any] = json.loads(self.ask("/api/status")[1])
        return told

    def camera(self, name: str) -> dict[str, Any]:
        return next(camera for camera in self.status()["cameras"] if camera["name"] == name)

    def shard(self, name: str) -> dict[str, Any]:
        return next(shard for shard in self.status()["shards"] if shard["name"] == name)

    def options(self, shard: str, folder: Path) -> Path:
        """The file of a shard's options, made as for an engine, in which its own folder is as well."""
        folder.mkdir(exist_ok=True)
        fleet = read_fleet(self.file, look_up=False)
        [planned] = [one for one in fleet.planned().shards if one.name == shard]
        values = shard_options(fleet, planned, Place(data=str(folder), rules="", host="127.0.0.1"))
        values["web"]["port"] = free_port()
        file = folder / "shard.yaml"
        file.write_text(yaml.safe_dump(values))
        return file

    def end(self, number: int = signal.SIGTERM) -> int:
        """The exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(10)
        self._process = None
        return code


@pytest.fixture
def fleet_page(maskstream: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FleetPage]:
    """The page of the fleet, not started yet. It ends before the shards: nothing of the test may run on then."""
    monkeypatch.setenv("MASKSTREAM_TOKEN", TOKEN)
    folder = tmp_path / "serve"
    folder.mkdir()
    made = FleetPage(folder)
    yield made
    made.end(signal.SIGKILL)


@pytest.fixture
def shard(maskstream: Callable[..., Run], fleet_page: FleetPage, tmp_path: Path) -> Callable[..., Run]:
    """`shard("north-0", "a", ...)` starts a life of it in the folder `a` of the test."""

    def start(name: str, folder: str, *arguments: object, epoch: int = 1) -> Run:
        options = fleet_page.options(name, tmp_path / folder)
        return maskstream("--config", options, "--epoch", epoch, *arguments)

    return start
