"""Reads the history: `maskstream events` lists it, `maskstream report` makes a page of it."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from configs.console import console
from configs.duration import milliseconds
from configs.errors import InputError
from configs.known_misses import LIVE_PX
from events.event import Event, utc
from events.reading import read_history
from events.report import page

_FILE = typer.Argument(help="the file that --sink sqlite:FILE wrote")


def events(
    file: Annotated[Path, _FILE] = Path("events.db"),
    since: Annotated[str, typer.Option(help="how far back, as 30m, 24h or 7d; all if not given")] = "",
    stream: Annotated[str, typer.Option(help="of this stream only")] = "",
    label: Annotated[str, typer.Option(help="with this label only")] = "",
    rule: Annotated[str, typer.Option(help="of this rule only; `decision`: decisions about persons")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="as CSV")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as lines of JSON")] = False,
) -> None:
    """List what happened, oldest first.

    Examples:
      maskstream events events.db --since 1h --label no_mask
      maskstream events events.db --csv
    """
    if as_csv and as_json:
        raise InputError("--csv and --json: give one of them")
    found = _found(file, since, stream, label, rule)
    if as_json:
        for event in found:
            typer.echo(msgspec.json.encode(event))
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(Event.__struct_fields__)
        writer.writerows([_plain(value) for value in msgspec.structs.astuple(event)] for event in found)
    else:
        _print(found)


def report(
    file: Annotated[Path, _FILE] = Path("events.db"),
    since: Annotated[str, typer.Option(help="how far back, as 30m, 24h or 7d")] = "24h",
    output: Annotated[Path, typer.Option("--output", "-o", help="the page to write")] = Path("report.html"),
    detector: Annotated[
        str, typer.Option(help="what found the faces; its known errors are taken out of the share; else say `other`")
    ] = "haar",
    width: Annotated[int, typer.Option(min=1, help="how wide the pictures were searched at least, px")] = LIVE_PX,
) -> None:
    """Write one page: decisions and other events by hour and label, the share of masks, what is known to be missed.

    The share is also told with the known errors of detector and model taken out, with an interval. They are known of
    haar and maskface with the model that ships; `--detector other`, also where another model ran: as counted only.

    Examples:
      maskstream report events.db --since 24h -o report.html
    """
    text = page(_found(file, since), since, time.time(), detector, width)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror})") from None
    typer.echo(f"wrote {output}")


def _found(file: Path, since: str, *asked: str) -> list[Event]:
    """The events asked for; what could not be read is said."""
    found, note = read_history(file, _since(since), *asked)
    if note:
        typer.echo(f"maskstream: {note}", err=True)
    return found


def _since(span: str) -> str:
    return utc(time.time() - milliseconds(span) / 1000) if span else ""


def _plain(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _print(found: Iterable[Event]) -> None:
    table = Table(box=None)
    for column in ("time", "stream", "person", "what", "confidence"):
        table.add_column(column)
    for event in found:
        confidence = "" if event.confidence is None else f"{event.confidence:.0%}"
        table.add_row(event.time, event.stream, "" if event.track is None else str(event.track), event.text, confidence)
    console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)
