"""What starts the shards of a fleet: the table of engines, and what the commands ask of each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from configs.errors import InputError
from configs.imported import imported
from fleet.file import Fleet
from fleet.kept import ShardStatus

Say = Callable[[str], None]
"""Show people one line of what goes on."""


class Wish(Struct, frozen=True, kw_only=True):
    """How `up` is to do it.

    `restart`: each shard, also one whose options are the same. `within_s`: how long a shard may take to flow, s.
    `head`: this host's name, of engine ray: Ray's head is started here first if none can be reached.
    """

    restart: bool = False
    within_s: float = 120.0
    head: str = ""


class Engine(Protocol):
    """The shards of one fleet on its hosts. All of these raise InputError where the engine cannot be reached, or where
    no fleet runs; Failure where something was not reached in time. Their texts are one line."""

    def up(self, fleet: Fleet, wish: Wish, say: Say) -> None:
        """Bring what runs to what the fleet's plan says, and return when all cameras flow, or are away by themselves.

        Shards with the same options are adopted. Others are drained and started anew, one at a time, and so that the
        next waits until the cameras of the one before flow again. Shards that are no more in the plan are drained.
        """
        ...

    def status(self) -> list[ShardStatus]:
        """All shards that this fleet has started, in the order of their names."""
        ...

    @property
    def trouble(self) -> str:
        """What is wrong with the engine itself, in one line; empty: nothing."""
        ...

    def drain(self, host: str, within_s: float, say: Say) -> None:
        """Free a host: its shards read no more, deliver and end; another host takes them where there is one."""
        ...

    def down(self, within_s: float, now: bool, say: Say) -> None:
        """End all: drained, or with `now` by SIGTERM. Nothing of the fleet runs afterwards."""
        ...


ENGINES = {  # a function of the fleet's name, its folder on this host, and its options if its file is at hand
    "local": "fleet.local:LocalEngine",
    "ray": "fleet.ray_engine:RayEngine",
}


def engine_of(engine: str, name: str, folder: Path, fleet: Fleet | None) -> Engine:
    """The engine of a fleet, imported now. Raises InputError for one that there is not, or that lacks a package."""
    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise InputError(f"--engine {engine or '?'}: use {known} (the others are rendered: maskstream fleet render)")
    made: Engine = imported(ENGINES[engine])(name, folder, fleet)
    return made
