"""What the person at the terminal sees: the streams while they run, the ledger at the end."""

from __future__ import annotations

import sys
import time
from typing import Self

import numpy as np
from rich.live import Live
from rich.table import Table
from rich.text import Text

from configs.console import console
from configs.plural import counted
from tell.figures import limited_by
from tell.recent import Recent
from tell.status import StreamStatus
from transport.ledger import Ledger, percentile_ms

_LINES_S = 5.0


class Progress:
    """Per stream: state, rate, faces, age, drops. Redrawn in place on a terminal, else a line now and then."""

    def __init__(self, shard: str = "") -> None:
        self._before = f"{shard} | " if shard else ""  # a host has the lines of several in one log
        self._console = console(stderr=True, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._every_s = 0.0 if self._console.is_terminal else _LINES_S  # 0: as often as it is told
        self._drawn_s = time.monotonic()

    def say(self, process: str, line: str) -> None:
        """Show a line of a process above the streams. Workers write name, level and message with tabs between."""
        parts = line.split("\t", 2)
        text = parts[2] if len(parts) == 3 else line
        style = {"WARNING": "yellow", "ERROR": "red"}.get(parts[1] if len(parts) == 3 else "", "")
        self._console.print(Text.assemble(self._before, (f"{process}: ", "bold"), (text, style)))

    def tick(self, recent: Recent) -> None:
        """Called some times a second; draws when it is time."""
        if time.monotonic() - self._drawn_s < self._every_s or not recent.newest.started:
            return
        self._drawn_s = time.monotonic()
        lately = recent.lately()
        rows = [_row(name, stream, lately.streams[name]) for name, stream in recent.newest.streams.items()]
        limits = limited_by(lately)
        if self._console.is_terminal:
            table = Table.grid(padding=(0, 2))
            for row in rows:
                table.add_row(*row)
            if limits:
                table.add_row("", f"limited by {limits}")
            self._live.update(table, refresh=True)
        else:
            for row in rows:
                self._console.print(self._before + "  ".join(filter(None, row)))
            if limits:
                self._console.print(f"{self._before}limited by {limits}")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()


def _row(name: str, stream: StreamStatus, lately: StreamStatus) -> tuple[str, ...]:
    """How many frames there were and were dropped in all, and how it went in the last ten seconds."""
    ages = np.array(lately.ages)
    return (
        name,
        stream.state,
        counted(stream.shown, "frame"),
        f"{lately.fps:.1f}/s",
        f"{lately.faces / lately.shown if lately.shown else 0.0:.1f} faces",
        f"age p50 {_ms(ages, 50)} p95 {_ms(ages, 95)}",
        f"dropped {sum(stream.dropped.values())}",
        f"held to {stream.paced_fps:.0f}/s" if stream.paced_fps else "still" if stream.still else "",
    )


def print_ledger(ledgers: dict[str, Ledger], limits: str | None = None, limits_lately: str | None = None) -> None:
    """The account of the run on standard output: captured = shown + dropped by reason + in flight.

    Below it the stage that limited the whole run, and the one that limited its last ten seconds if that is another.
    """
    table = Table(title="ledger", title_justify="left")
    reasons = sorted({reason for ledger in ledgers.values() for reason in ledger.dropped})
    corrupt = ["corrupt"] if any(ledger.corrupt for ledger in ledgers.values()) else []
    not_recorded = ["not recorded"] if any(ledger.not_recorded for ledger in ledgers.values()) else []
    skipped = ["skipped"] if any(ledger.skipped for ledger in ledgers.values()) else []
    columns = [*skipped, "captured", "shown", *not_recorded, *corrupt, *reasons, "in flight", "frames/s"]
    columns += ["age p50", "p95", "p99"]
    table.add_column("stream", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for stream, ledger in ledgers.items():
        counts = [
            *(ledger.skipped for _ in skipped),
            ledger.captured,
            ledger.shown,
            *(ledger.not_recorded for _ in not_recorded),
            *(ledger.corrupt for _ in corrupt),
            *(ledger.dropped.get(reason, 0) for reason in reasons),
            ledger.in_flight,
        ]
        ages = [_ms(ledger.ages, percent) for percent in (50, 95, 99)]
        table.add_row(stream, *map(str, counts), f"{ledger.fps:.1f}", *ages)
    captions = [f"limited by {limits}"] if limits else []
    if limits_lately != limits:
        captions.append(f"in the last 10 s by {limits_lately or 'no stage'}")
    if captions:
        table.caption, table.caption_justify = "; ".join(captions), "left"
    width = None if sys.stdout.isatty() else 160  # in a pipe there is no width to fit into
    console(highlight=False, width=width).print(table)


def _ms(ages: np.ndarray, percent: float) -> str:
    value = percentile_ms(ages, percent)
    return "-" if value is None else f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"
