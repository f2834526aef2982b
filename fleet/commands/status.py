"""`maskstream fleet status`: how the shards of a fleet stand."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from configs.console import console
from configs.plural import counted
from fleet.engine import engine_of
from fleet.kept import ShardStatus
from fleet.state_folder import find
from tell.account import total


def status_command(
    fleet: Annotated[str, typer.Argument(help="the fleet's name; not needed where one runs here")] = "",
    folder: Annotated[Path | None, typer.Option(help="its folder, as up had it", metavar="FOLDER")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object on one line")] = False,
) -> None:
    """Show the shards: where, how they stand, and what became of their frames.

    Counts are over all lives of a shard: captured = shown + dropped + in flight + unaccounted. Unaccounted are frames
    that were under way when a run was killed.

    Examples:
      maskstream fleet status
      maskstream fleet status plant --json
    """
    place, about = find(fleet, folder)
    engine = engine_of(about.engine, about.fleet, place, None)
    shards, trouble = engine.status(), engine.trouble
    if as_json:
        typer.echo(msgspec.json.encode(as_object(about.fleet, about.engine, str(place), trouble, shards)))
        return
    cameras = sum(len(shard.kept.cameras) for shard in shards)
    flowing = sum(len(shard.kept.flowing) for shard in shards)
    typer.echo(
        f"{about.fleet} (engine {about.engine}): {counted(len(shards), 'shard')}, "
        f"{flowing} of {counted(cameras, 'camera')} flowing"
    )
    if trouble:
        typer.echo(f"maskstream: {trouble}", err=True)
    _print(shards)


def as_object(fleet: str, engine: str, folder: str, trouble: str, shards: list[ShardStatus]) -> dict[str, Any]:
    """All of it, for scripts; the accounts of all shards are summed as `account`."""
    return {
        "fleet": fleet,
        "engine": engine,
        "folder": folder,
        "trouble": trouble,
        "account": total(shard.account for shard in shards),
        "shards": [
            {"host": shard.host, **msgspec.to_builtins(shard.kept), "lives": shard.lives, "account": shard.account}
            for shard in shards
        ],
    }


def _print(shards: list[ShardStatus]) -> None:
    table = Table(box=None)
    names = ("shard", "host", "state", "since", "pid", "port", "cameras", "captured", "shown", "dropped", "in flight")
    for column in (*names, "unaccounted", "deaths"):
        table.add_column(column)
    for shard in shards:
        kept, account = shard.kept, shard.account
        counts = (account.captured, account.shown, sum(account.dropped.values()), account.in_flight)
        table.add_row(
            kept.shard,
            shard.host,
            kept.state,
            _at(kept.since),
            str(kept.pid or "-"),
            str(kept.port or "-"),
            f"{len(kept.flowing)}/{len(kept.cameras)}" if kept.cameras else "-",
            *map(str, (*counts, account.unaccounted, kept.restarts)),
        )
    console(highlight=False, width=160).print(table)
    for shard in shards:
        for camera, since in shard.kept.away.items():
            typer.echo(f"{camera} ({shard.kept.shard}) is away{f' since {_at(since)}' if since else ''}")
        if shard.kept.line:
            typer.echo(f"{shard.kept.shard}: {shard.kept.line}")


def _at(unix_s: float) -> str:
    """A time of today by its hour, an older one by its day."""
    if not unix_s:
        return "-"
    is_old = time.time() - unix_s > 86_400
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d" if is_old else "%H:%M:%S")
