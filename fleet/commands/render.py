"""`maskstream fleet render`: writes the plan for an engine that starts the shards itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.plural import counted
from fleet.file import read_fleet
from fleet.render import ENGINES, render, secrets_of


def render_command(
    file: Annotated[Path, typer.Argument(help="the fleet's YAML file")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder to write to", metavar="FOLDER")],
    engine: Annotated[
        str,
        typer.Option(
            help="kubernetes (a Helm chart), swarm (a stack file), or kuberay (hosts for Ray); if not given the one "
            "that the file names, else kubernetes"
        ),
    ] = "",
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="the secrets are not here: do not look them up")
    ] = False,
) -> None:
    """Write the plan for Kubernetes, Swarm or KubeRay.

    Secrets are named in what is written, and stand in none of its files.

    Examples:
      maskstream fleet render fleet.yaml --engine kubernetes -o deploy/
    """
    fleet = read_fleet(file, look_up=not without_secrets)
    named = fleet.config.engine if fleet.config.engine in ENGINES else "kubernetes"
    files = render(fleet, engine or named, output)
    typer.echo(f"wrote {counted(len(files), 'file')} to {output}")
    typer.echo(f"secrets that the engine must have, by name: {', '.join(secrets_of(fleet))}")
