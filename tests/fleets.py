"""Fleets to plan, made of a few words."""

from collections.abc import Sequence

from fleet.plan import Plan
from fleet.schema import CameraConfig, FailoverConfig, FleetConfig, HostConfig, SiteConfig


def host(name: str, cores: int = 8, streams_per_core: float = 5.0, count: int | None = None) -> HostConfig:
    return HostConfig(name=name, cores=cores, streams_per_core=streams_per_core, count=count)


def cameras(weights: Sequence[float], site: str = "north") -> tuple[CameraConfig, ...]:
    return tuple(
        CameraConfig(name=f"cam{n}", source=f"rtsp://192.0.2.1/{n}", site=site, weight=weight)
        for n, weight in enumerate(weights)
    )


def fleet(hosts: Sequence[HostConfig], of: Sequence[CameraConfig], spare_hosts: int = 1) -> FleetConfig:
    return FleetConfig(
        fleet="plant",
        sites=(SiteConfig(name="north", hosts=tuple(hosts)),),
        cameras=tuple(of),
        failover=FailoverConfig(spare_hosts=spare_hosts),
    )


def shard_of(planned: Plan) -> dict[str, str]:
    """Which shard watches each camera; a camera in two fails here."""
    found = [(camera, shard.name) for shard in planned.shards for camera in shard.cameras]
    assert len(dict(found)) == len(found)
    return dict(found)
