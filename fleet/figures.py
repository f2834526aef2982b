"""The fleet in figures, for Prometheus, and where Prometheus finds the shards' own figures (http_sd)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector as Registered

from fleet.collector import Collector
from web.metrics import Family, counter, gauge

SHARD = ("site", "shard")


def figures(fleet: str, status: dict[str, Any]) -> bytes:
    """All figures in Prometheus' text format, of what Collector.as_json gives."""
    registry = CollectorRegistry()
    registry.register(_Fleet(fleet, status))
    return generate_latest(registry)


class _Fleet(Registered):
    def __init__(self, fleet: str, status: dict[str, Any]) -> None:
        self._fleet, self._status = fleet, status

    def collect(self) -> Iterator[Family]:
        """All families; each sample has the fleet's name as a label."""
        for family in (*self._shards(), *self._frames(), *self._cameras()):
            of_fleet = {"fleet": self._fleet}
            family.samples = [sample._replace(labels=of_fleet | sample.labels) for sample in family.samples]
            yield family

    def _shards(self) -> Iterator[Family]:
        shards = [((shard["site"], shard["name"]), shard) for shard in self._status["shards"]]
        up = [(key, float(shard["state"] not in ("silent", "not_started", "ended"))) for key, shard in shards]
        yield gauge("fleet_shard_up", "1 while a shard tells how it stands", up, *SHARD)
        about = "How long ago a shard last told how it stands; none for one that never did"
        ages = [(key, self._status["now"] - shard["heard"]) for key, shard in shards if shard["heard"] is not None]
        yield gauge("fleet_shard_heard_seconds_ago", about, ages, *SHARD)
        about = "The newest epoch that was seen of a shard"
        yield gauge("fleet_shard_epoch", about, [(key, float(shard["epoch"])) for key, shard in shards], *SHARD)
        about = "Lives of a shard since the page began to listen"
        yield counter("fleet_shard_lives", about, [(key, float(shard["lives"])) for key, shard in shards], *SHARD)

    def _frames(self) -> Iterator[Family]:
        accounts = [((shard["site"], shard["name"]), shard["account"]) for shard in self._status["shards"]]
        for name, about in (
            ("captured", "Pictures taken from the cameras, in all lives of a shard"),
            ("shown", "Frames that were drawn and given to the sinks, in all lives of a shard"),
        ):
            yield counter(f"fleet_frames_{name}", about, [(key, account[name]) for key, account in accounts], *SHARD)
        dropped = [((*key, why), n) for key, account in accounts for why, n in account["dropped"].items()]
        yield counter("fleet_frames_dropped", "Frames that were not shown, by reason", dropped, *SHARD, "reason")
        about = "Frames that a shard had under way when it was last heard"
        in_flight = [(key, account["in_flight"]) for key, account in accounts]
        yield gauge("fleet_frames_in_flight", about, in_flight, *SHARD)
        about = "Frames of which nobody tells what became of them: of shards that are silent or were killed"
        unaccounted = [(key, account["unaccounted"]) for key, account in accounts]
        yield gauge("fleet_frames_unaccounted", about, unaccounted, *SHARD)

    def _cameras(self) -> Iterator[Family]:
        cameras = self._status["cameras"]
        states = Counter((camera["site"], camera["state"]) for camera in cameras)
        yield gauge("fleet_cameras", "Cameras by how they are", list(states.items()), "site", "state")
        persons: Counter[tuple[str, str]] = Counter()
        for camera in cameras:
            for label, seen in camera["persons"].items():
                persons[camera["site"], label] += seen
        about = "Followed persons seen in the last ten seconds, by label"
        yield gauge("fleet_persons", about, list(persons.items()), "site", "label")


def targets(fleet: str, scheme: str, collector: Collector) -> list[dict[str, Any]]:
    """What Prometheus' http_sd wants: where each shard's /metrics is, with labels. Silent ones stay: they are down."""
    found = []
    for name, shard in collector.shards.items():
        if address := collector.address(name):
            told = collector.lives[name].told
            labels = {"fleet": fleet, "site": shard.site, "shard": name, "host": told.host if told else ""}
            found.append({"targets": [address], "labels": labels | {"__scheme__": scheme}})
    return found
