"""`maskstream shard`: what runs as a shard of a fleet, and what its owner has to say to it, where its folder is.

It needs no page and no token: it reads and writes the shard's folder, as docs/shards.md tells.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from configs.console import console
from configs.duration import milliseconds
from configs.errors import Failure, InputError
from configs.plural import counted
from configs.schema import RunConfig
from events.reading import waiting
from fleet.deliver import deliver
from run.adopt import wait_for_end, wait_for_lease
from run.lease import DRAIN, EPOCH, SPOOL, Grant, Lease, is_held, read_grant, read_lease, write_private
from run.shard import read_note
from run.shard_folder import epoch_file, shard_folder

ACTIONS = ("show", "wait", "drain", "fence", "deliver")
_LOOK_S = 0.2


def shard(
    name: Annotated[str, typer.Argument(help="the shard")],
    action: Annotated[str, typer.Argument(help="show, wait, drain, fence or deliver")] = "show",
    folder: Annotated[
        str, typer.Option(help="its folder, as run.folder; below ~/.local/state if not given", metavar="FOLDER")
    ] = "",
    epoch: Annotated[int, typer.Option(help="to fence it: the newer epoch")] = 0,
    grants: Annotated[
        str, typer.Option("--epoch-file", help="where that is written, as run.epoch_file", metavar="FILE")
    ] = "",
    config: Annotated[
        Path | None, typer.Option(help="to deliver: the options of its run, with its receivers", metavar="FILE")
    ] = None,
    within: Annotated[str, typer.Option(help="how long drain and deliver wait, as 5m")] = "5m",
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Show a shard and its last account, wait for its end, drain it, or fence it.

    `wait` ends with the exit code of its run. `drain` has it read no more, deliver what waits, and end; `fence` has
    that done by a run with an older epoch, and no run with an older one starts any more. `deliver` gives receivers
    what waits of a shard that runs here no more.

    Examples:
      maskstream shard north-1 --json
      maskstream shard north-1 drain
      maskstream shard north-1 fence --epoch 8
      maskstream shard north-1 deliver --config shard.yaml
    """
    run = RunConfig(shard=name, folder=folder, epoch_file=grants)
    place = shard_folder(run)
    if action not in ACTIONS:
        raise InputError(f"shard {name} {action}: use {', '.join(ACTIONS)}")
    if (action == "fence") != bool(epoch):
        raise InputError("--epoch is for fence, and fence needs it: maskstream shard NAME fence --epoch 8")
    lease = read_lease(place) if place.is_dir() else None
    if action == "fence":
        _fence(place, epoch_file(run), epoch)
    elif lease is None:
        raise InputError(
            f"no shard {name} in {place}: give its --folder, or start it with maskstream run --shard {name}"
        )
    elif action == "wait":
        held = wait_for_lease(place)
        raise typer.Exit(wait_for_end(place, held or lease))
    elif action == "drain":
        _drain(place, milliseconds(within) / 1000)
    elif action == "deliver":
        deliver(name, place, config, milliseconds(within) / 1000)
    about = _about(place, epoch_file(run))
    if as_json:
        typer.echo(json.dumps(about))
    else:
        _print(about)


def _drain(folder: Path, within_s: float) -> None:
    """Have the life of now end in order, and wait for it."""
    lease = wait_for_lease(folder)
    if lease is None:
        return
    _write(folder / DRAIN, lease.life)
    deadline_s = time.monotonic() + within_s
    while is_held(folder):
        if time.monotonic() > deadline_s:
            raise Failure(f"shard {lease.shard}: pid {lease.pid} has not ended within {within_s:g} s")
        time.sleep(_LOOK_S)


def _fence(folder: Path, grants: Path, epoch: int) -> None:
    """No run with an older epoch goes on, or starts, in this folder."""
    before = read_grant(grants)
    if before is not None and before.epoch > epoch:
        raise InputError(f"{grants}: epoch {before.epoch} was given out already, {epoch} is over")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    _write(grants, str(Grant(epoch)))


def _write(path: Path, text: str) -> None:
    try:
        write_private(path, f"{text}\n".encode())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def _about(folder: Path, grants: Path) -> dict[str, Any]:
    """All that is known of the shard from its folder."""
    lease, note, grant = read_lease(folder), read_note(folder), read_grant(grants)
    alive = is_held(folder)
    about: dict[str, Any] = {
        "folder": str(folder),
        "alive": alive,
        "lease": msgspec.to_builtins(lease) if lease else None,
        EPOCH: grant.epoch if grant else None,
        "waiting": waiting(folder / SPOOL),
    }
    if note is not None:
        about |= {
            "noted_s_ago": round(time.time() - note.noted, 1),
            "killed": not alive and not note.ended,
            "streams": msgspec.to_builtins(note.streams if alive else note.final),
            "lives_before": {"lives": note.lives} | msgspec.to_builtins(note.total),
        }
    return about


def _print(about: dict[str, Any]) -> None:
    lease: Lease | None = msgspec.convert(about["lease"], Lease | None)
    if lease is not None:
        state = lease.state if about["alive"] or lease.state == "ended" else "killed"
        ended = f", exit code {lease.code}" if lease.code is not None else ""
        typer.echo(
            f"{lease.shard}: {state}{ended} (host {lease.host}, pid {lease.pid}, port {lease.port}, "
            f"epoch {lease.epoch}, life {lease.life})"
        )
    if about[EPOCH] is not None:
        typer.echo(f"epoch {about[EPOCH]} was given out")
    for receiver, count in about["waiting"].items():
        typer.echo(f"{receiver}: {counted(count, 'event')} wait")
    if "streams" not in about:
        return
    table = Table(title=f"as noted {about['noted_s_ago']:g} s ago", title_justify="left", box=None)
    for column in ("stream", "captured", "shown", "dropped", "in flight", "unaccounted"):
        table.add_column(column)
    for name, one in about["streams"].items():
        counts = (one["captured"], one["shown"], sum(one["dropped"].values()), one["in_flight"], one["unaccounted"])
        table.add_row(name, *map(str, counts))
    console(highlight=False, width=160).print(table)
