"""`maskstream fleet down`: ends all of a fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.duration import milliseconds
from fleet.commands.up import AT_WORK, say
from fleet.engine import engine_of
from fleet.state_folder import Lock, find, forget


def down_command(
    fleet: Annotated[str, typer.Argument(help="the fleet's name; not needed where one runs here")] = "",
    folder: Annotated[Path | None, typer.Option(help="its folder, as up had it", metavar="FOLDER")] = None,
    within: Annotated[str, typer.Option(help="how long it waits until all is delivered, as 5m")] = "5m",
    now: Annotated[
        bool, typer.Option("--now", help="do not wait: what was not delivered waits for the next up")
    ] = False,
) -> None:
    """End all shards: they read no more, deliver what waits, and end.

    No process of the fleet is left. Histories, recordings and logs stay.

    Examples:
      maskstream fleet down
      maskstream fleet down plant --now
    """
    within_s = milliseconds(within) / 1000
    place, about = find(fleet, folder)
    lock = Lock(place, "up", f"fleet {about.fleet}: {AT_WORK}")
    try:
        engine_of(about.engine, about.fleet, place, None).down(within_s, now, say)
        forget(place)
    finally:
        lock.release()
