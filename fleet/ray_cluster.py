"""A fleet's shards and hosts as Ray has them: asked and told over Ray, by a command on any of its hosts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from configs.errors import Failure, InputError
from fleet.ray_about import ask, own, reason
from fleet.ray_head import answers
from fleet.ray_settings import LABEL_HOST, LABEL_VERSION, address, ray_environment
from fleet.ray_shard import Alive, Answer, Asked, RayShard, alive_here

_ANSWER_S = 10.0
_FIRST_S = 60.0  # Ray starts a Python process for the first thing that it is asked on a host: 2 to 10 s when crowded
_CLOSED = "closed-"  # before the host's name: an actor that holds its slots, so that Ray places nothing there


class Node(Struct, frozen=True, kw_only=True):
    """A host that lives, as Ray has it; `slots` by site."""

    id: str
    name: str
    version: str
    slots: dict[str, int]


class Cluster:
    """The shards of one fleet. Made by `connected`."""

    def __init__(self, ray: Any, fleet: str) -> None:
        self._ray, self._fleet = ray, fleet
        self._shard = ray.remote(RayShard)

    def nodes(self) -> dict[str, Node]:
        """The hosts that live, by name, of those with slots that `maskstream fleet host` has joined."""
        found = {}
        for node in self._ray.nodes():
            labels, resources = node.get("Labels") or {}, node["Resources"]
            slots = {name.removeprefix("site-"): int(count) for name, count in resources.items() if name[:5] == "site-"}
            if not (node["Alive"] and slots and LABEL_HOST in labels):
                continue
            name = labels[LABEL_HOST]
            version = labels.get(LABEL_VERSION, "")
            found[name] = Node(id=node["NodeID"], name=name, version=version, slots=slots)
        return found

    def shards(self) -> list[str]:
        """Those that have an actor, whether it lives now or not."""
        return sorted(name for name in self._names() if not name.startswith(_CLOSED))

    def alive(self, nodes: Iterable[Node]) -> dict[str, str]:
        """Which shards' runs go on, and on which host: the one with the newest epoch."""
        look = self._ray.remote(num_cpus=0, max_retries=0)(alive_here)
        asked = {}
        for node in nodes:
            asked[look.options(scheduling_strategy=self._on(node, soft=False)).remote(self._fleet)] = node
        ready, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=_FIRST_S)
        found: dict[str, tuple[int, str]] = {}
        for one in ready:
            with contextlib.suppress(self._ray.exceptions.RayError):
                for run in msgspec.json.decode(self._ray.get(one), type=list[Alive]):
                    found[run.shard] = max(found.get(run.shard, (0, "")), (run.epoch, asked[one].name))
        return {shard: host for shard, (_, host) in found.items()}

    def start(self, asked: Asked, node: Node | None) -> None:
        """An actor for a shard: on this host as long as it lives, else on any of its site that has a slot free."""
        options: dict[str, Any] = {"name": asked.shard, "lifetime": "detached", "num_cpus": 0, "max_restarts": -1}
        if node is not None:
            options["scheduling_strategy"] = self._on(node, soft=True)
        made = self._shard.options(resources={f"site-{asked.site}": 1}, **options)
        made.remote(msgspec.json.encode(asked))

    def tell(self, shard: str, what: str, *arguments: bytes) -> None:
        """Call a method of the actor, and wait until it has heard. Raises Failure if it does not."""
        try:
            self._ray.get(getattr(self._ray.get_actor(shard), what).remote(*arguments), timeout=_ANSWER_S)
        except (self._ray.exceptions.RayError, ValueError):
            why = "its host has died a moment ago, or no host has room for it"
            raise Failure(f"{shard} does not answer: {why}") from None

    def answers(self, shards: Iterable[str]) -> dict[str, Answer]:
        """How shards stand; those that do not answer are absent."""
        asked = {}
        for shard in shards:
            with contextlib.suppress(ValueError):
                asked[self._ray.get_actor(shard).answer.remote()] = shard
        if not asked:
            return {}
        ready, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_S / 5)
        found = {}
        for one in ready:
            with contextlib.suppress(self._ray.exceptions.RayError):
                found[asked[one]] = msgspec.json.decode(self._ray.get(one), type=Answer)
        return found

    def forget(self, shard: str) -> None:
        """The actor is no more; the run, if there is one, goes on."""
        with contextlib.suppress(ValueError):
            self._ray.kill(self._ray.get_actor(shard))

    def close_host(self, node: Node) -> None:
        """Ray places nothing there any more, as soon as its slots are free."""
        for site, slots in node.slots.items():
            options = {"name": _CLOSED + node.name, "lifetime": "detached", "num_cpus": 0}
            holder = self._ray.remote(Holder).options(
                resources={f"site-{site}": slots}, scheduling_strategy=self._on(node, soft=False), **options
            )
            holder.remote()

    def open_hosts(self) -> None:
        """All hosts may have shards again."""
        for name in self._names():
            if name.startswith(_CLOSED):
                self.forget(name)

    def _names(self) -> list[str]:
        return list(self._ray.util.list_named_actors())

    def _on(self, node: Node, soft: bool) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node.id, soft=soft)


class Holder:
    """Holds slots of a host that is to be free."""


@contextlib.contextmanager
def connected(fleet: str, after_s: int) -> Iterator[Cluster]:
    """The cluster, for a command. Raises InputError where it cannot be reached, in one line."""
    host, port = address()
    os.environ |= ray_environment(after_s)  # before Ray is imported: it reads them once
    if why := answers((host, port)):
        raise InputError(
            f"no Ray at {host}:{port} ({why}): start it there with maskstream fleet host NAME FILE --head or fleet up "
            f"FILE --head NAME, or say where it is with RAY_ADDRESS"
        )
    try:
        differs = ask(f"{host}:{port}", os.environ).differs(own())
    except Failure as error:
        raise InputError(str(error)) from None
    if differs:
        raise InputError(f"here is {differs} as Ray's head at {host}:{port} has it: install the same")
    import ray
    import ray.exceptions
    import ray.util

    try:
        with _silent():
            ray.init(f"{host}:{port}", namespace=f"maskstream-{fleet}", log_to_driver=False, logging_level="ERROR")
    except Exception as error:
        told = reason(str(error))
        if "raylet" in told.lower() or "node_ip_address" in told:
            told = "this machine is no host of the cluster: do it where maskstream fleet host runs"
        raise InputError(f"Ray at {host}:{port}: {told}") from None
    try:
        yield Cluster(ray, fleet)
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Ray's C++ part writes warnings of its own to stderr while it connects."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
