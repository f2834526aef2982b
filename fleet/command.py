"""`maskstream fleet`: plans the cameras of many hosts, and renders the plan for an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from configs.console import console
from configs.errors import InputError
from configs.plural import counted
from fleet.file import Fleet, read_fleet
from fleet.plan import Death, Plan, SitePlan

ACTIONS = ("plan", "render", "serve")


def fleet_command(
    action: Annotated[str, typer.Argument(help="plan, render or serve")],
    file: Annotated[Path, typer.Argument(help="the fleet's YAML file")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="render: the folder to write to", metavar="FOLDER")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="render: kubernetes (a Helm chart), swarm (a stack file), or kuberay (hosts for Ray)"),
    ] = "kubernetes",
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="the secrets are not here: do not look them up")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="plan: as one JSON object on one line")] = False,
    host: Annotated[str, typer.Option(help="serve: address to listen on; 127.0.0.1 if not given")] = "",
    port: Annotated[
        int, typer.Option(help="serve: port to listen on; that of serve.url if not given", min=0, max=65535)
    ] = 0,
    folder: Annotated[
        str, typer.Option(help="serve: where it keeps what it knows; below ~/.local/state if not given")
    ] = "",
) -> None:
    """Share out the cameras of a fleet among its hosts.

    plan says which shard watches which camera, how full each host is, and what the death of each would mean. render
    writes the same for an engine; secrets are named there, and stand in none of its files. serve is one page over all
    shards, which tell it how they stand.

    Examples:
      maskstream fleet plan fleet.yaml
      maskstream fleet render fleet.yaml --engine kubernetes -o deploy/
      maskstream fleet serve fleet.yaml --host 192.0.2.2
    """
    if action not in ACTIONS:
        raise InputError(f"fleet {action}: use {', '.join(ACTIONS)}")
    if action == "serve":
        from fleet.serve_command import serve

        serve(file, host, port, folder)
        return
    if action == "plan" and output:
        raise InputError("fleet plan writes nothing: --output is for render")
    if action == "render" and (as_json or not output):
        raise InputError("fleet render: give --output FOLDER" if not output else "--json is for fleet plan")
    fleet = read_fleet(file, look_up=not without_secrets)
    planned = fleet.planned()
    if as_json:
        typer.echo(msgspec.json.encode(planned))
    elif output:
        _render(fleet, engine, output)
    else:
        _print(planned)


def _render(fleet: Fleet, engine: str, folder: Path) -> None:
    from fleet.render import render, secrets_of

    files = render(fleet, engine, folder)
    typer.echo(f"wrote {counted(len(files), 'file')} to {folder}")
    typer.echo(f"secrets that the engine must have, by name: {', '.join(secrets_of(fleet))}")


def _print(planned: Plan) -> None:
    cameras = sum(len(shard.cameras) for shard in planned.shards)
    hosts = sum(len(site.hosts) for site in planned.sites)
    typer.echo(
        f"{planned.fleet}: {counted(cameras, 'camera')} in {counted(len(planned.shards), 'shard')} on "
        f"{counted(hosts, 'host')} of {counted(len(planned.sites), 'site')}"
    )
    for site in planned.sites:
        spare = f"{counted(site.spare_hosts, 'host')} spare" if site.spare_hosts else "no host spare"
        typer.echo(f"\n{site.name}: weight {site.load:g} of {site.room:g}, {spare}")
        _print_hosts(site)


def _print_hosts(site: SitePlan) -> None:
    table = Table(box=None)
    for column in ("host", "cores", "shards", "cameras", "load", "of what it holds", "if it dies"):
        table.add_column(column)
    cameras = {shard.name: len(shard.cameras) for shard in site.shards}
    for host, death in zip(site.hosts, site.deaths, strict=True):
        table.add_row(
            host.name,
            str(host.cores),
            ", ".join(host.shards) or "-",
            str(sum(cameras[name] for name in host.shards)),
            f"{host.load:g}",
            f"{host.load / host.measured:.0%}",
            in_words(death),
        )
    console(highlight=False, width=160).print(table)


def in_words(death: Death) -> str:
    """What the death of a host means, in one line."""
    if not death.cameras:
        return "nothing: it is spare"
    if death.stranded:
        return f"nobody watches its {counted(death.cameras, 'camera')}"
    homes = ", ".join(sorted(set(death.moved.values())))
    if not death.overloaded:
        return f"{homes} takes over" if len(set(death.moved.values())) == 1 else f"{homes} take over"
    return ", ".join(
        f"{name} at {share:.0%}" + (": frames are dropped" if share > 1 else ", in its reserve")
        for name, share in death.overloaded.items()
    )
