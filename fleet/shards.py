"""A shard as `maskstream run --config` takes it, and the secrets that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import yaml
from msgspec import Struct

from configs.address import HIDDEN
from configs.load import Steps
from configs.references import as_printed, from_files, has_reference, references
from fleet.file import Fleet, is_sink, texts
from fleet.plan import Shard

TOKEN = "${MASKSTREAM_TOKEN}"
SECRETS = "/run/secrets"  # where Docker puts them, and where we have Kubernetes put them
SHARD_MB = 250  # of 8 cameras of 480x270 at 5 frames/s a shard had 200 and 45 for each, 26 November 2026
CAMERA_MB = 60


class Place(Struct, frozen=True, kw_only=True):
    """Where a shard runs: the folder that is its own, the address its page listens on, and how secrets come there.

    `port` is its page's, None: that of the options. `starts_triton`: the engine starts the server of `inference`, too.
    """

    data: str
    rules: str
    host: str
    port: int | None = None
    secrets_are_files: bool = False
    starts_triton: bool = False


class ShardRun(Struct, frozen=True, kw_only=True):
    """What one shard is started with: its YAML, and the secrets it needs, as variables and as files of SECRETS."""

    shard: Shard
    text: str
    variables: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def memory_mb(self) -> int:
        """What it is expected to take; it is killed at twice as much."""
        return SHARD_MB + CAMERA_MB * len(self.shard.cameras)


def shard_runs(fleet: Fleet, place: Place) -> list[ShardRun]:
    """All shards, for containers. Raises InputError where a secret stands in the fleet's file itself."""
    _check_secrets(fleet)
    return [_shard_run(fleet, shard, place) for shard in fleet.planned().shards]


def host_runs(fleet: Fleet, place_of: Callable[[Shard], Place]) -> list[ShardRun]:
    """All shards, as processes of hosts: each has its own place, and secrets may be in files anywhere.

    Raises InputError where a secret stands in the fleet's file itself.
    """
    _check_secrets(fleet, in_containers=False)
    return [_shard_run(fleet, shard, place_of(shard)) for shard in fleet.planned().shards]


def _shard_run(fleet: Fleet, shard: Shard, place: Place) -> ShardRun:
    values = shard_options(fleet, shard, place)
    if place.secrets_are_files:
        values = _from_files(values)
    named = {name for steps, text in texts(values) for name in references(text, steps[:2] == ["overlay", "sinks"])}
    return ShardRun(
        shard=shard,
        text=yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000),
        variables=tuple(sorted(name for name in named if not name.startswith("file:"))),
        files=tuple(sorted(name.removeprefix(f"file:{SECRETS}/") for name in named if name.startswith("file:"))),
    )


def shard_options(fleet: Fleet, shard: Shard, place: Place) -> dict[str, Any]:
    """The options of a shard as plain values; references stay as they are written."""
    values: dict[str, Any] = deepcopy(fleet.values.get("defaults") or {})
    cameras = {camera["name"]: camera for camera in fleet.values["cameras"]}
    overlay = values.setdefault("overlay", {})
    sinks = [*overlay.get("sinks", []), *fleet.config.recordings, *fleet.config.events]
    if not any(sink.startswith("sqlite:") for sink in sinks):
        sinks.insert(0, f"sqlite:{place.data}/events.db")  # also where events wait for their receivers
    if "web" not in sinks:
        sinks.insert(0, "web")  # probes, metrics and the fleet's page ask it
    overlay["sinks"] = [_filled(sink, fleet, shard) for sink in sinks]
    if fleet.rules:
        overlay["rules"] = place.rules
    web = values.setdefault("web", {})
    web["host"] = place.host
    if place.port is not None:
        web["port"] = place.port
    web.setdefault("token", TOKEN)
    values["run"] = (
        {"keep_going": True, "cores": shard.threads} | values.get("run", {}) | _identity(fleet, shard, place)
    )
    if fleet.config.inference is not None:
        values["classify"] = values.get("classify", {}) | _remote(fleet, place)
    return {"sources": [_source(cameras[name]) for name in shard.cameras]} | values


def _identity(fleet: Fleet, shard: Shard, place: Place) -> dict[str, Any]:
    """Who the shard is, and where it tells how it stands."""
    options = {"site": shard.site, "shard": shard.name, "folder": place.data}
    serve = fleet.config.serve
    if serve is not None:
        options |= {"status": f"{serve.url.rstrip('/')}/status", "status_token": serve.token or TOKEN}
    return options


def _remote(fleet: Fleet, place: Place) -> dict[str, Any]:
    """The server that classifies; raises InputError where there is none and the engine starts none."""
    server = fleet.config.inference
    if server is None:
        return {}
    if not (server.url or place.starts_triton):
        raise fleet.given.refusal(["inference", "url"], "only the Kubernetes chart starts a Triton: give its address")
    remote = server.url or f"http://{fleet.config.fleet}-inference:8000/{server.model}"
    options = {"remote": remote, "remote_deadline_ms": server.deadline_ms}
    return options | ({"remote_token": server.token} if server.token else {})


def _source(camera: dict[str, Any]) -> dict[str, Any]:
    """A camera as a source: one that is away when its shard starts is waited for."""
    source = {name: value for name, value in camera.items() if name not in ("site", "weight")}
    if "://" in camera["source"] or has_reference(camera["source"]):
        source.setdefault("wait", True)
    return source


def _filled(sink: str, fleet: Fleet, shard: Shard) -> str:
    for name, value in (("fleet", fleet.config.fleet), ("site", shard.site), ("shard", shard.name)):
        sink = sink.replace("${" + name + "}", "\0").replace("{" + name + "}", value).replace("\0", "${" + name + "}")
    return sink


def _from_files(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _from_files(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_from_files(one) for one in value]
    return from_files(value, SECRETS) if isinstance(value, str) else value


def _check_secrets(fleet: Fleet, in_containers: bool = True) -> None:
    """Refuse secrets as such, which would stand in what is rendered, and files where an engine does not put them."""
    for steps, text in texts(fleet.values):
        shown = as_printed(text, str(steps[-1]).endswith("token"), is_sink(steps))
        if HIDDEN in shown and HIDDEN not in text:
            reason = "holds a secret, which would stand in what is rendered: write ${NAME}, or file:/run/secrets/NAME"
            raise fleet.given.refusal(steps, reason)
        for name in _files(text, steps) if in_containers else ():
            if "/" in name.removeprefix(f"file:{SECRETS}/"):
                raise fleet.given.refusal(
                    steps, f"{name}: engines put secrets into {SECRETS}: write file:{SECRETS}/NAME"
                )


def _files(text: str, steps: Steps) -> Iterator[str]:
    yield from (name for name in references(text, is_sink(steps)) if name.startswith("file:"))
