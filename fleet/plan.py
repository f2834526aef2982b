"""Which camera is watched by which shard, and which shard runs on which host: cameras and hosts in, a plan out.

Each site is planned by itself. Its hosts have *slots*, all of one size, and a shard fills one slot: so each shard fits
wherever a slot is free, and a host's death is survived if as many slots are free as the largest host has. How many
shards there are follows from the hosts alone, never from the cameras. A camera goes to the shard that its name ranks
first (rendezvous hashing) and that has room, in the order of the file: so a camera that is added at its end moves no
other, and a shard that is added draws only the cameras that rank it first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from msgspec import Struct

from configs.plural import counted
from fleet.schema import CameraConfig, FleetConfig, HostConfig, SiteConfig

RESERVE = 0.7  # of what the benchmark held: cameras have other pictures than its film, and light that changes
SHARD_CORES = 8  # at most: one shard has one supervisor and one page, and what dies with it should stay small
SMALLER = 3  # so many smaller sizes are tried where slots of the largest size leave much of unlike hosts unused
WORTH = 1.05  # a smaller size must hold so much more: a shard costs 200 MB before its first camera
SCHEDULED = 0.9  # of a slot's cores is asked of an engine: a node of 8 cores has some 7.8 for pods
_EXACT = 1e-9  # sums of weights such as 0.1


class Host(Struct, frozen=True, kw_only=True):
    """A host holds `measured` streams by the benchmark, of which `planned` are used; `load` is that of its shards."""

    name: str
    cores: int
    measured: float
    planned: float
    slots: int
    load: float
    shards: tuple[str, ...]


class Shard(Struct, frozen=True, kw_only=True):
    """Cameras that one run watches. `room` and `load` are weights; `cores` what an engine is asked for."""

    name: str
    site: str
    host: str
    room: float
    load: float
    cores: float
    threads: int
    cameras: tuple[str, ...]


class Death(Struct, frozen=True, kw_only=True):
    """What the death of one host means: where its shards go, which hosts they overload, and what nobody takes.

    `overloaded` has the load of such hosts as a share of what the benchmark held; above 1 frames are dropped.
    """

    host: str
    cameras: int
    moved: dict[str, str]
    overloaded: dict[str, float]
    stranded: tuple[str, ...]


class SitePlan(Struct, frozen=True, kw_only=True):
    """One site. `room` is what its shards hold without the spare hosts, `load` what its cameras ask for."""

    name: str
    spare_hosts: int
    room: float
    load: float
    hosts: tuple[Host, ...]
    shards: tuple[Shard, ...]
    deaths: tuple[Death, ...]


class Plan(Struct, frozen=True, kw_only=True):
    """The fleet as planned."""

    fleet: str
    sites: tuple[SitePlan, ...]

    @property
    def shards(self) -> list[Shard]:
        """Those that watch something, of all sites."""
        return [shard for site in self.sites for shard in site.shards]


class NoRoom(Exception):
    """A camera that no shard of its site can take; `camera` is its place in the file."""

    def __init__(self, camera: int, reason: str) -> None:
        super().__init__(reason)
        self.camera = camera


def plan(config: FleetConfig) -> Plan:
    """The plan of a fleet that was checked: all names are there once. Raises NoRoom for the first camera without one.

    `streams_per_core` of each host must be given.
    """
    sites = []
    for site in config.sites:
        cameras = [(place, camera) for place, camera in enumerate(config.cameras) if camera.site == site.name]
        sites.append(_planned(site, cameras, config.failover.spare_hosts))
    return Plan(fleet=config.fleet, sites=tuple(sites))


def _planned(site: SiteConfig, cameras: Sequence[tuple[int, CameraConfig]], spare_hosts: int) -> SitePlan:
    machines = list(_each(site.hosts))
    spare = min(spare_hosts, len(machines) - 1)
    size, slots = slot_size([(host.cores, _streams(host)) for _, host in machines], spare)
    used = _used(slots, spare)
    names = [f"{site.name}-{number}" for number in range(used)]
    fair = [math.ceil(used * count / sum(slots)) for count in slots]  # so no host is full beside an idle one
    hosts = [name for name, _ in machines]
    of_shard = placed([(name, 1.0) for name in names], dict(zip(hosts, map(float, fair), strict=True)))
    of_camera = _shards_of(cameras, dict.fromkeys(names, size), site, used)
    cores = min(host.cores / count for (_, host), count in zip(machines, slots, strict=True) if count)
    shards = []
    for name in names:
        mine = [camera for _, camera in cameras if of_camera[camera.name] == name]
        if mine:
            shards.append(
                Shard(
                    name=name,
                    site=site.name,
                    host=of_shard[name],
                    room=round(size, 3),
                    load=round(sum(camera.weight for camera in mine), 3),
                    cores=round(SCHEDULED * cores, 2),
                    threads=max(1, math.floor(cores)),
                    cameras=tuple(camera.name for camera in mine),
                )
            )
    found = []
    for (name, host), count in zip(machines, slots, strict=True):
        here = [shard for shard in shards if shard.host == name]
        streams = _streams(host)
        found.append(
            Host(
                name=name,
                cores=host.cores,
                measured=round(streams, 3),
                planned=round(RESERVE * streams, 3),
                slots=count,
                load=round(sum(shard.load for shard in here), 3),
                shards=tuple(shard.name for shard in here),
            )
        )
    return SitePlan(
        name=site.name,
        spare_hosts=spare,
        room=round(size * used, 3),
        load=round(sum(camera.weight for _, camera in cameras), 3),
        hosts=tuple(found),
        shards=tuple(shards),
        deaths=tuple(death(host, found, shards) for host in found),
    )


def slot_size(hosts: Sequence[tuple[int, float]], spare: int) -> tuple[float, list[int]]:
    """How many streams a slot holds, and how many slots each host has, of (cores, streams it holds) of each host.

    >>> slot_size([(8, 40.0), (8, 40.0), (8, 40.0)], spare=1)
    (28.0, [1, 1, 1])
    >>> slot_size([(8, 40.0), (12, 60.0)], spare=0)  # of slots of 28 the second host would have one
    (14.0, [2, 3])
    """
    least = min(RESERVE * streams for _, streams in hosts)
    largest = SHARD_CORES * min(RESERVE * streams / cores for cores, streams in hosts)
    first = math.ceil(least / largest - _EXACT)
    best: tuple[float, list[int]] | None = None
    for parts in range(first, first + SMALLER + 1):
        size = least / parts
        slots = [math.floor(RESERVE * streams / size + _EXACT) for _, streams in hosts]
        if best is None or size * _used(slots, spare) > WORTH * best[0] * _used(best[1], spare):
            best = size, slots
    assert best is not None
    return best


def _used(slots: Sequence[int], spare: int) -> int:
    """How many slots have shards: those of the largest hosts are kept free, as many hosts as may die."""
    return sum(sorted(slots)[: len(slots) - spare])


def _each(hosts: Iterable[HostConfig]) -> Iterable[tuple[str, HostConfig]]:
    for host in hosts:
        if host.count is None:
            yield host.name, host
        else:
            yield from ((f"{host.name}-{number}", host) for number in range(1, host.count + 1))


def host_names(hosts: Iterable[HostConfig]) -> list[str]:
    """The hosts by name; of several alike each with its number."""
    return [name for name, _ in _each(hosts)]


def _streams(host: HostConfig) -> float:
    assert host.streams_per_core is not None
    return host.cores * host.streams_per_core


def _shards_of(
    cameras: Sequence[tuple[int, CameraConfig]], rooms: dict[str, float], site: SiteConfig, used: int
) -> dict[str, str]:
    """The shard of each camera by name; raises NoRoom that says how much there is."""
    found = placed([(camera.name, camera.weight) for _, camera in cameras], rooms)
    for place, camera in cameras:
        if camera.name in found:
            continue
        size = max(rooms.values())
        if camera.weight > size + _EXACT:
            raise NoRoom(place, f"{camera.name} weighs {camera.weight:g}, a shard of {site.name} holds {size:g}")
        asked = sum(other.weight for _, other in cameras)
        raise NoRoom(
            place,
            f"no room for {camera.name}: the cameras of {site.name} weigh {asked:g} together, and its hosts hold "
            f"{used * size:g} in {counted(used, 'shard')} (beside reserve and spare hosts): add a host",
        )
    return found


def placed(items: Iterable[tuple[str, float]], rooms: dict[str, float]) -> dict[str, str]:
    """Each item, in order, goes to the place with room that it ranks first; those without one are absent.

    An item's place follows from its name, its weight and those before it: one more at the end changes none.

    >>> placed([("door", 1), ("hall", 1), ("yard", 1)], {"a": 2, "b": 2})
    {'door': 'a', 'hall': 'b', 'yard': 'a'}
    """
    left = dict(rooms)
    found: dict[str, str] = {}
    for name, weight in items:
        fitting = [place for place, room in left.items() if room + _EXACT >= weight]
        if fitting:
            found[name] = max(fitting, key=lambda place: _rank(name, place))
            left[found[name]] -= weight
    return found


def _rank(item: str, place: str) -> bytes:
    return blake2b(f"{place}\0{item}".encode(), digest_size=8).digest()


def death(dead: Host, hosts: Sequence[Host], shards: Sequence[Shard]) -> Death:
    """What happens to the shards of a host: free slots take them; where none is free, the least loaded host."""
    lost = [shard for shard in shards if shard.host == dead.name]
    others = [host for host in hosts if host.name != dead.name]
    moved = placed(
        [(shard.name, 1.0) for shard in lost], {host.name: float(host.slots - len(host.shards)) for host in others}
    )
    loads = {host.name: host.load for host in others}
    measured = {host.name: host.measured for host in others}
    for shard in lost:
        if shard.name in moved:
            loads[moved[shard.name]] += shard.load
    for shard in lost:
        if shard.name not in moved and others:
            moved[shard.name] = min(loads, key=lambda name: ((loads[name] + shard.load) / measured[name], name))
            loads[moved[shard.name]] += shard.load
    over = {host.name for host in others if loads[host.name] > host.planned + _EXACT}
    return Death(
        host=dead.name,
        cameras=sum(len(shard.cameras) for shard in lost),
        moved=moved,
        overloaded={name: round(loads[name] / measured[name], 3) for name in sorted(over)},
        stranded=tuple(shard.name for shard in lost if shard.name not in moved),
    )
