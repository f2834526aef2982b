"""`maskstream fleet host`: makes this machine a host of a fleet on Ray."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated

import typer
import yaml

from configs.errors import InputError
from configs.references import resolve
from fleet.commands.up import say
from fleet.file import Fleet, read_fleet, texts
from fleet.ray_host import PORTS, HostPlace, RayHost
from fleet.ray_settings import address, ray_environment
from fleet.shards import Place, host_runs
from fleet.state_folder import Lock, fleets_folder, made
from run.interrupts import interrupts

_SPAN = re.compile(r"(\d{1,5})-(\d{1,5})")
_WORKERS = 10  # ports: one for each shard, and for each command


def host_command(
    name: Annotated[str, typer.Argument(help="this host, as the file has it; any name for a head that holds no shard")],
    file: Annotated[Path, typer.Argument(help="the fleet's YAML file")],
    head: Annotated[bool, typer.Option("--head", help="Ray's head is on this host")] = False,
    at: Annotated[
        str,
        typer.Option("--address", help="Ray's head, with --head as others reach it; else the variable RAY_ADDRESS"),
    ] = "",
    ports: Annotated[
        str, typer.Option(help="Ray's other ports here, as 20000-20099; else any that are free", metavar="FIRST-LAST")
    ] = "",
) -> None:
    """Hold Ray up on this host, so that it gets shards of a fleet.

    It stays in the foreground, as a service of systemd does, and starts Ray again when it ends. Ray's ports are open
    on all addresses of this host: let only the fleet's hosts reach them. All hosts have the same RAY_AUTH_TOKEN, or
    RAY_AUTH_TOKEN_PATH, and the secrets of their site's cameras, as the environment of this command or as files. When
    it ends, the shards' runs go on: to free the host before, do maskstream fleet drain.

    Examples:
      maskstream fleet host office fleet.yaml --head --address 192.0.2.2
      maskstream fleet host box-1 fleet.yaml --address 192.0.2.2
    """
    fleet = read_fleet(file, look_up=False)
    where = address(at)
    environment = ray_environment(fleet.config.failover.after_s)
    place = _place(fleet, name, head)
    _check_secrets(fleet, place)
    span = _span(ports)
    folder = made(fleets_folder() / fleet.config.fleet)
    lock = Lock(folder, "ray", f"fleet host of {fleet.config.fleet} runs here already")
    host = RayHost(place, where, head, span, environment, folder, say)
    try:
        with interrupts(host.stop):
            host.run()
    finally:
        lock.release()


def _place(fleet: Fleet, name: str, is_head: bool) -> HostPlace:
    """The host in the plan."""
    names = []
    for site in fleet.planned().sites:
        for host in site.hosts:
            names.append(host.name)
            if host.name == name:
                return HostPlace(name=name, site=site.name, slots=host.slots)
    if is_head:
        return HostPlace(name=name)
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(names)}"
    raise InputError(f"fleet host {name}: the fleet has no such host, {hint}")


def _check_secrets(fleet: Fleet, place: HostPlace) -> None:
    """Refuse a host on which a secret is missing that a shard needs which may come to it."""
    there = Place(data="data", rules="rules.yaml", host="127.0.0.1")
    for run in host_runs(fleet, lambda shard: there):
        if run.shard.site != place.site:
            continue
        for steps, text in texts(yaml.safe_load(run.text)):
            try:
                resolve(text, steps[:2] == ["overlay", "sinks"])
            except InputError as error:
                raise InputError(f"{place.name} may get {run.shard.name}, which it cannot run: {error}") from None


def _span(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = _SPAN.fullmatch(text)
    first, last = map(int, found.groups()) if found else (0, 0)
    if not 1024 <= first <= last - len(PORTS) - _WORKERS + 1 < 65536 or last > 65535:
        least = len(PORTS) + _WORKERS
        raise InputError(f"--ports {text}: give FIRST-LAST, {least} ports at least, as 20000-20099")
    return first, last
