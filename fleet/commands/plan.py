"""`maskstream fleet plan`: which shard watches which camera, how full each host is, and what its death would mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from configs.console import console
from configs.plural import counted
from fleet.file import read_fleet
from fleet.plan import Death, Plan, SitePlan


def plan_command(
    file: Annotated[Path, typer.Argument(help="the fleet's YAML file")],
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="the secrets are not here: do not look them up")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object on one line")] = False,
) -> None:
    """Say who watches what, and what each host's death would mean.

    Nothing is started or written: it shows which shard watches which camera, on which host, and how full that is.

    Examples:
      maskstream fleet plan fleet.yaml
      maskstream fleet plan fleet.yaml --without-secrets --json
    """
    planned = read_fleet(file, look_up=not without_secrets).planned()
    if as_json:
        typer.echo(msgspec.json.encode(planned))
    else:
        _print(planned)


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
