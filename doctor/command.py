"""`maskstream doctor`: what this machine has and lacks for the pipeline, one line each, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec import to_builtins
from msgspec.json import encode
from msgspec.structs import replace

from configs.errors import InputError
from configs.finding import show
from configs.load import load_config
from configs.redact import redact
from doctor.bundle import write_bundle
from doctor.machine import examine


def doctor(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Options of the run to be, YAML.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Classifier that is to run; the one that ships if not given.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where it is to run: cpu, cuda, cuda:N, auto.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Any option: section.key=value.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Write all that a report of a fault needs, without secrets.", metavar="FILE.tar.gz"),
    ] = None,
    log: Annotated[Path | None, typer.Option(help="With --bundle: what a run wrote to standard error.")] = None,
) -> None:
    """Look at this machine: does it have what the pipeline needs? Ends with 1 if there is a problem.

    A warning is what some runs can do without: a camera, a display, PyTorch. --bundle writes an archive to be sent
    along with a report: versions, findings, options, how runs with a page stand now, the end of a log. Addresses lose
    their secrets, and nothing is sent anywhere.

    Examples:
      maskstream doctor
      maskstream doctor --config cameras.yaml --device cuda
      maskstream doctor --config cameras.yaml --bundle report.tar.gz --log run.log
    """
    flags = {name: value for name, value in (("model", model), ("device", device)) if value is not None}
    if log and not bundle:
        raise InputError("--log is for --bundle")
    options = load_config(config, settings or (), {"classify": flags})
    findings = []
    for raw in examine(options):
        finding = replace(raw, found=redact(raw.found), remedy=redact(raw.remedy))
        findings.append(finding)
        if not json_:
            show(finding)
    if json_:
        typer.echo(encode({"findings": to_builtins(findings)}).decode())
    if bundle:
        write_bundle(bundle, findings, options, log)
        typer.echo(f"wrote {bundle}: look at it before you send it", err=json_)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)
