"""Reads a fleet file; what cannot be meant is refused in one line with file, line and path, before anything is done."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from configs.address import check_address
from configs.errors import InputError
from configs.load import GivenOptions, Steps
from configs.redact import learn_options
from configs.references import has_reference, resolve
from events.rules import read_rules
from fleet.plan import NoRoom, Plan, host_names, plan
from fleet.schema import FleetConfig, HostConfig, SiteConfig

LONGEST_NAME = 24  # of fleet, site, host: engines join them to names of 63 characters
_NAME = re.compile(rf"[a-z0-9]([a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?")
_STREAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_PLACEHOLDER = re.compile(r"(?<!\$)\{(\w*)\}")
PLACEHOLDERS = ("fleet", "site", "shard", "stream")  # the last one is a sink's own
_SINKS: tuple[Steps, ...] = (["defaults", "overlay", "sinks"], ["events"], ["recordings"])


@dataclass(frozen=True)
class Fleet:
    """A fleet that was checked: its options, the values as they were written, and the text of its rules' file."""

    config: FleetConfig
    given: GivenOptions
    rules: str

    @property
    def values(self) -> dict[str, Any]:
        """What was written, before any reference is looked up."""
        return self.given.values

    def planned(self) -> Plan:
        """The plan; raises InputError with the line of the first camera that has no room."""
        try:
            return plan(self.config)
        except NoRoom as error:
            raise self.given.refusal(["cameras", error.camera], str(error)) from None


def read_fleet(file: Path, look_up: bool = True) -> Fleet:
    """The fleet of a file. Raises InputError with file, line and path of what is wrong.

    With `look_up` each secret that it names must be here, too; what they hold is kept nowhere.
    """
    given = GivenOptions(file, FleetConfig)
    for camera in given.values.get("cameras") or []:
        if isinstance(camera, dict) and type(camera.get("source")) is int:
            camera["source"] = str(camera["source"])  # `source: 0` is how one writes a camera number
    config: FleetConfig = given.converted(given.values)
    learn_options(config)
    config = replace(config, sites=tuple(_checked_sites(config, given, file.parent)))
    _check_cameras(config, given)
    _check_sinks(config, given)
    _check_servers(config, given)
    rules = _rules(config, given, file.parent)
    if look_up:
        _look_up(given)
    return Fleet(config, given, rules)


def _checked_sites(config: FleetConfig, given: GivenOptions, folder: Path) -> Iterator[SiteConfig]:
    """The sites, each host with its `streams_per_core`."""
    _check_name(given, ["fleet"], config.fleet)
    if not config.sites:
        raise given.refusal(["sites"], "no site: give at least one with its hosts")
    names: list[tuple[Steps, str]] = [(["sites", n, "name"], site.name) for n, site in enumerate(config.sites)]
    _check_once(given, names)
    hosts: list[tuple[Steps, str]] = []
    for number, site in enumerate(config.sites):
        _check_name(given, ["sites", number, "name"], site.name)
        if not site.hosts:
            raise given.refusal(["sites", number], f"{site.name} has no hosts: give at least one")
        for place, host in enumerate(site.hosts):
            steps: Steps = ["sites", number, "hosts", place]
            _check_name(given, [*steps, "name"], host.name)
            hosts += [([*steps, "name"], name) for name in host_names([host])]
        _check_once(given, hosts)
        measured = (_measured(host, given, ["sites", number, "hosts", n], folder) for n, host in enumerate(site.hosts))
        yield replace(site, hosts=tuple(measured))


def _measured(host: HostConfig, given: GivenOptions, steps: Steps, folder: Path) -> HostConfig:
    """The host with its `streams_per_core`, which its benchmark may tell."""
    if (host.streams_per_core is None) == (not host.benchmark):
        raise given.refusal(
            steps, f"{host.name}: give streams_per_core, or benchmark: FILE of `maskstream benchmark --find-max --json`"
        )
    if not host.benchmark:
        return host
    try:
        [*_, line] = (folder / host.benchmark).read_text(encoding="utf-8").splitlines()
        report = json.loads(line)
        streams = report["find_max"]["streams"] / report["machine"]["cores"]
    except OSError as error:
        reason = f"{host.benchmark} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        reason = f"{host.benchmark} is not what `maskstream benchmark --find-max --json` prints"
    else:
        if streams > 0:
            return replace(host, streams_per_core=streams)
        reason = f"{host.benchmark} says that such a host holds no stream"
    raise given.refusal([*steps, "benchmark"], reason)


def _check_cameras(config: FleetConfig, given: GivenOptions) -> None:
    if not config.cameras:
        raise given.refusal(["cameras"], "no camera: give at least one")
    sites = [site.name for site in config.sites]
    for number, camera in enumerate(config.cameras):
        steps: Steps = ["cameras", number]
        if not _STREAM.fullmatch(camera.name):
            reason = "letters, digits, . _ - only, 64 at most, the first a letter or digit"
            raise given.refusal(steps, f"name {camera.name!r}: {reason}" if camera.name else "give it a name")
        if camera.site not in sites:
            near = difflib.get_close_matches(camera.site, sites, 1)
            hint = f", did you mean {near[0]}?" if near else f": there is {', '.join(sites)}"
            raise given.refusal([*steps, "site"], f"no site {camera.site}{hint}")
        for name in ("source", "record"):
            _with_line(given, [*steps, name], check_address, getattr(camera, name))
    names: list[tuple[Steps, str]] = []
    addresses: list[tuple[Steps, str]] = []
    for number, camera in enumerate(config.cameras):
        names.append((["cameras", number, "name"], camera.name))
        if "://" in camera.source or has_reference(camera.source):  # a film may play twice, to test
            addresses.append((["cameras", number, "source"], camera.source))
    _check_once(given, names)
    _check_once(given, addresses)


def _check_sinks(config: FleetConfig, given: GivenOptions) -> None:
    from overlay.check_options import check_overlay  # here: they bring OpenCV
    from overlay.sinks import SINKS

    sinks: list[tuple[Steps, str]] = []
    for place, there in zip(_SINKS, (config.defaults.overlay.sinks, config.events, config.recordings), strict=True):
        sinks += [([*place, number], sink) for number, sink in enumerate(there)]
    for steps, sink in sinks:
        if not has_reference(sink, is_sink=True) and (kind := sink.partition(":")[0]) not in SINKS:
            raise given.refusal(steps, f"no sink is called {kind}: use {', '.join(form for form, _ in SINKS.values())}")
        if unknown := [name for name in _PLACEHOLDER.findall(sink) if name not in PLACEHOLDERS]:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise given.refusal(steps, f"{{{unknown[0]}}} is not filled in: there is {known}")
    _check_once(given, sinks)
    options = replace(config.defaults.overlay, encoder="auto", rules="")  # these two are the hosts'
    _with_line(given, ["defaults", "overlay"], check_overlay, options, [sink for _, sink in sinks])


def _check_servers(config: FleetConfig, given: GivenOptions) -> None:
    """The options of shards that the fleet itself gives, and the servers beside them."""
    for name in ("site", "host", "shard", "folder", "epoch", "epoch_file", "status", "status_token"):
        if name in ((given.values.get("defaults") or {}).get("run") or {}):
            raise given.refusal(["defaults", "run", name], "is another one for each shard: the fleet gives it")
    server = config.inference
    if server is not None and not server.url and not (server.image and server.models):
        reason = "give the url of a server that runs, or image and models of a Triton that the chart is to start"
        raise given.refusal(["inference"], reason)
    if config.serve is not None:
        _with_line(given, ["serve", "url"], check_page, config.serve.url)


def check_page(url: str) -> None:
    """Raises InputError for what is not the address of a page."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise InputError(f"{url}: use http://HOST:PORT or https://HOST:PORT")


def _rules(config: FleetConfig, given: GivenOptions, folder: Path) -> str:
    """The text of the file of rules, beside the fleet's file; it goes with each shard."""
    if not config.defaults.overlay.rules:
        return ""
    file = folder / config.defaults.overlay.rules
    _with_line(given, ["defaults", "overlay", "rules"], read_rules, str(file))
    return file.read_text(encoding="utf-8")


def _look_up(given: GivenOptions) -> None:
    for steps, text in texts(given.values):
        _with_line(given, steps, resolve, text, is_sink(steps))


def texts(values: Any, steps: Steps | None = None) -> Iterator[tuple[Steps, str]]:
    """All texts among values, and where each is."""
    steps = steps or []
    if isinstance(values, dict):
        for name, value in values.items():
            yield from texts(value, [*steps, name])
    elif isinstance(values, list):
        for number, value in enumerate(values):
            yield from texts(value, [*steps, number])
    elif isinstance(values, str):
        yield steps, values


def is_sink(steps: Steps) -> bool:
    """Whether a sink stands there: `file:/PATH` may be a recording then."""
    return steps[:-1] in _SINKS


def _with_line(given: GivenOptions, steps: Steps, check: Any, *arguments: Any) -> None:
    """Call it; its InputError gets file, line and path of the option."""
    try:
        check(*arguments)
    except InputError as error:
        raise given.refusal(steps, str(error)) from None


def _check_name(given: GivenOptions, steps: Steps, name: str) -> None:
    if not _NAME.fullmatch(name):
        reason = f"small letters, digits and - only, {LONGEST_NAME} at most, as engines want it"
        raise given.refusal(steps, f"{name!r}: {reason}")


def _check_once(given: GivenOptions, named: Iterable[tuple[Steps, str]]) -> None:
    """Refuse the second of two that are the same, and say where the first is."""
    first: dict[str, Steps] = {}
    for steps, name in named:
        before = first.setdefault(name, steps)
        if before is not steps:
            line = given.where(before).rstrip(": ").rpartition(":")[2]
            raise given.refusal(steps, f"{name} is given twice, first in line {line}: remove one of them")
