"""`maskstream fleet`: its commands, each imported when it runs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated

import typer

from configs.command import EXAMPLES, run_command
from configs.imported import described, imported, name_of

COMMANDS = (
    "fleet.commands.plan:plan_command",
    "fleet.commands.render:render_command",
    "fleet.commands.up:up_command",
    "fleet.commands.status:status_command",
    "fleet.commands.drain:drain_command",
    "fleet.commands.down:down_command",
    "fleet.commands.serve:serve_command",
    "fleet.commands.host:host_command",
)


def fleet_command(words: Annotated[list[str] | None, typer.Argument(help="plan, render, up, ...")] = None) -> None:
    """Share out the cameras of many hosts, and keep them watched.

    A fleet is shards of cameras, each of them one maskstream run. plan says which shard watches which camera; up starts
    the shards and keeps them going, on this host or by Ray, and status, drain and down are for what runs; render writes
    the plan for Kubernetes, Swarm or KubeRay, which start the shards themselves. serve is one page over all shards.

    Examples:
      maskstream fleet plan fleet.yaml
      maskstream fleet up fleet.yaml
      maskstream fleet status
      maskstream fleet serve fleet.yaml
    """
    run_fleet_command(words or [])


def run_fleet_command(words: Sequence[str]) -> None:
    """One of the commands, and exit."""
    wanted = next((word for word in words if not word.startswith("-")), "")
    commands = [imported(place) if name_of(place) == wanted else described(place) for place in COMMANDS]
    about = inspect.cleandoc(fleet_command.__doc__ or "").partition(EXAMPLES)[0]  # each command has its own
    run_command(commands, "maskstream fleet", about, words)
