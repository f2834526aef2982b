"""`maskstream fleet drain`: frees a host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.duration import milliseconds
from fleet.commands.up import AT_WORK, say
from fleet.engine import engine_of
from fleet.state_folder import Lock, find


def drain_command(
    host: Annotated[str, typer.Argument(help="the host; of engine local a shard, too")],
    fleet: Annotated[str, typer.Option(help="the fleet's name; not needed where one runs here")] = "",
    folder: Annotated[Path | None, typer.Option(help="its folder, as up had it", metavar="FOLDER")] = None,
    within: Annotated[str, typer.Option(help="how long it waits, as 5m")] = "5m",
) -> None:
    """Free a host: its shards read no more, deliver what waits, and end.

    Where other hosts are, they take the shards over, one at a time. Of engine local there are none: the shards stay
    ended until the next fleet up.

    Examples:
      maskstream fleet drain box-2
      maskstream fleet drain north-1 --fleet plant
    """
    within_s = milliseconds(within) / 1000
    place, about = find(fleet, folder)
    lock = Lock(place, "up", f"fleet {about.fleet}: {AT_WORK}")
    try:
        engine_of(about.engine, about.fleet, place, None).drain(host, within_s, say)
    finally:
        lock.release()
