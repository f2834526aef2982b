"""`maskstream fleet up`: starts the shards of a fleet, or brings what runs to what its file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.console import visible
from configs.duration import milliseconds
from configs.errors import InputError
from configs.redact import redact
from fleet.engine import ENGINES, Engine, Wish, engine_of
from fleet.file import read_fleet
from fleet.state_folder import About, Lock, fleets_folder, forget, made, read_about, write_about

AT_WORK = "another fleet up, drain or down is at work here: wait until it has ended"


def up_command(
    file: Annotated[Path, typer.Argument(help="the fleet's YAML file")],
    engine: Annotated[str, typer.Option(help="local (all shards on this host) or ray; else engine: of the file")] = "",
    folder: Annotated[
        Path | None,
        typer.Option(help="where it keeps what it must find again; else below ~/.local/state", metavar="FOLDER"),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="start each shard anew, one at a time: after an upgrade of maskstream")
    ] = False,
    head: Annotated[
        str,
        typer.Option(help="of ray: start Ray's head on this host, by this name, if none is reached", metavar="NAME"),
    ] = "",
    within: Annotated[str, typer.Option(help="how long a shard may take until its cameras flow, as 2m")] = "2m",
) -> None:
    """Start the shards, or bring what runs to what the file says.

    It returns when all cameras flow, or are away by themselves. What was started outlives it, is started again when it
    dies, and goes on if its keeper dies. Done again, it adopts shards with the same options without a frame missed;
    those whose options changed are drained and started anew, one at a time, each when the one before flows; those that
    are no more in the plan are drained. Secrets are read from the environment of this command.

    Examples:
      maskstream fleet up fleet.yaml --engine local
      maskstream fleet up fleet.yaml --restart
    """
    wish = Wish(restart=restart, within_s=milliseconds(within) / 1000, head=head)
    fleet = read_fleet(file, look_up=False)
    name, engine = fleet.config.fleet, engine or fleet.config.engine
    if head and engine != "ray":
        raise InputError(f"--head {head}: is for engine ray: engine {engine or '?'} has no head")
    if engine == "local":
        fleet = read_fleet(file)  # of ray the hosts have the secrets
    if not engine:
        raise InputError(f"{file}: names no engine: give --engine {' or '.join(ENGINES)}, or engine: in the file")
    place = (folder or fleets_folder() / name).absolute()
    made_engine = engine_of(engine, name, place, fleet)
    lock = Lock(made(place), "up", f"fleet {name}: {AT_WORK}")
    before = read_about(place)
    write_about(place, About(fleet=name, engine=engine, file=str(file.absolute())))
    try:
        made_engine.up(fleet, wish, say)
    except BaseException:
        if before is None and not _has_begun(made_engine):
            forget(place)
        raise
    finally:
        lock.release()


def _has_begun(engine: Engine) -> bool:
    """Whether anything of the fleet was started."""
    try:
        return bool(engine.status())
    except InputError:  # the engine cannot be reached
        return False


def say(line: str) -> None:
    """One line of what goes on."""
    typer.echo(visible(redact(line)))
