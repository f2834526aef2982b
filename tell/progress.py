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
from tell.status import Status, StreamStatus
from transport.ledger import Ledger, percentile_ms

_LINES_S = 5.0


class Progress:
    """Per stream: state, rate, faces, age, drops. Redrawn in place on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._console = console(stderr=True, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._every_s = 0.0 if self._console.is_terminal else _LINES_S  # 0: as often as it is told
        self._drawn_s = time.monotonic()
        self._before: dict[str, tuple[int, StreamStatus]] = {}

    def say(self, process: str, line: str) -> None:
        """Show a line of a process above the streams. Workers write name, level and message with tabs between."""
        parts = line.split("\t", 2)
        text = parts[2] if len(parts) == 3 else line
        style = {"WARNING": "yellow", "ERROR": "red"}.get(parts[1] if len(parts) == 3 else "", "")
        self._console.print(Text.assemble((f"{process}: ", "bold"), (text, style)))

    def tick(self, status: Status) -> None:
        """Called some times a second; draws when it is time."""
        if time.monotonic() - self._drawn_s < self._every_s or not status.started:
            return
        self._drawn_s = time.monotonic()
        rows = [self._row(name, stream, status) for name, stream in status.streams.items()]
        if self._console.is_terminal:
            table = Table.grid(padding=(0, 2))
            for row in rows:
                table.add_row(*row)
            self._live.update(table, refresh=True)
        else:
            for row in rows:
                self._console.print("  ".join(filter(None, row)))

    def _row(self, name: str, stream: StreamStatus, status: Status) -> tuple[str, ...]:
        """What happened since about a second ago."""
        ages, shown, faces, over_s = np.array(stream.ages), stream.shown, stream.faces, status.ran_s
        if name in self._before:
            then_ns, then = self._before[name]
            ages, shown, faces = ages - np.array(then.ages), shown - then.shown, faces - then.faces
            over_s = (status.now_ns - then_ns) / 1e9
        if over_s > 1:
            self._before[name] = (status.now_ns, stream)
        return (
            name,
            stream.state,
            counted(stream.shown, "frame"),
            f"{shown / max(over_s, 1e-3):.1f}/s",
            f"{faces / shown if shown else 0.0:.1f} faces",
            f"age p50 {_ms(ages, 50)} p95 {_ms(ages, 95)}",
            f"dropped {sum(stream.dropped.values())}",
            f"held to {stream.paced_fps:.0f}/s" if stream.paced_fps else "",
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()


def print_ledger(ledgers: dict[str, Ledger], limited_by: str | None = None) -> None:
    """The account of the run on standard output: captured = shown + dropped by reason + in flight."""
    table = Table(title="ledger", title_justify="left")
    reasons = sorted({reason for ledger in ledgers.values() for reason in ledger.dropped})
    corrupt = ["corrupt"] if any(ledger.corrupt for ledger in ledgers.values()) else []
    columns = ["captured", "shown", *corrupt, *reasons, "in flight", "frames/s", "age p50", "p95", "p99"]
    table.add_column("stream", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for stream, ledger in ledgers.items():
        counts = [
            ledger.captured,
            ledger.shown,
            *(ledger.corrupt for _ in corrupt),
            *(ledger.dropped.get(reason, 0) for reason in reasons),
            ledger.in_flight,
        ]
        ages = [_ms(ledger.ages, percent) for percent in (50, 95, 99)]
        table.add_row(stream, *map(str, counts), f"{ledger.fps:.1f}", *ages)
    if limited_by:
        table.caption, table.caption_justify = f"limited by {limited_by}", "left"
    width = None if sys.stdout.isatty() else 160  # in a pipe there is no width to fit into
    console(highlight=False, width=width).print(table)


def _ms(ages: np.ndarray, percent: float) -> str:
    value = percentile_ms(ages, percent)
    return "-" if value is None else f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"
