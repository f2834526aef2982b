"""Writes the table of stages as one Spec for each process, each knowing where the next one listens."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from configs.schema import TraceConfig
from transport.slot import FIRST
from transport.spec import Spec, StreamPlace, TraceSpec
from transport.stage import Aside, RunStart, Stage, Table


class Plan:
    """The table and the run's folder, from which every Spec follows. Places are those of the streams, by name."""

    def __init__(
        self,
        table: Table,
        asides: Sequence[Aside],
        folder: Path,
        places: dict[str, StreamPlace],
        trace: TraceConfig | None = None,
    ) -> None:
        self._table, self._asides, self._folder, self._places = table, asides, folder, places
        self._first, self._began = next(iter(places), ""), RunStart()
        self._trace = _trace_spec(trace) if trace is not None and trace.every else None

    def processes(self) -> list[Spec]:
        """All but the captures."""
        rows = self._table[1:]
        inboxes = self.inboxes
        stages = [
            self._spec(
                row.name,
                row.function,
                row.config,
                inbox,
                outbox,
                batch=row.batch,
                wait_ms=row.wait_ms,
                trace=self._trace,
                place=place,
            )
            for place, (row, inbox, outbox) in enumerate(zip(rows, inboxes, [*inboxes[1:], ""], strict=True), FIRST)
        ]
        return stages + [
            self._spec(aside.name, aside.function, aside.config, "", "", aside=True) for aside in self._asides
        ]

    def capture(self, stream: str, added: bool = False) -> Spec:
        """The process that reads a stream's source; `added` while the run goes on."""
        row, place = self._table[0], self._places[stream]
        return self._spec(
            f"{row.name}-{stream}",
            row.function,
            row.config[stream],
            place.returns,
            self._inbox(self._table[1]),
            streams={stream: place},
            stream=stream,
            added=added,
            trace=self._trace,
        )

    @property
    def inboxes(self) -> list[str]:
        """Where the stages behind capture hear of frames, and of streams that are added."""
        return [self._inbox(row) for row in self._table[1:]]

    def _inbox(self, row: Stage) -> str:
        return f"ipc://{self._folder}/{row.name}"

    def _spec(self, name: str, function: Callable[..., Any], config: Any, inbox: str, outbox: str, **more: Any) -> Spec:
        return Spec(
            process=name,
            function=f"{function.__module__}:{function.__qualname__}",
            config=msgspec.Raw(msgspec.json.encode(config)),
            inbox=inbox,
            outbox=outbox,
            control=f"ipc://{self._folder}/control",
            first=self._first,
            began=self._began,
            feeds=f"ipc://{self._folder}/feed-" if self._asides else "",
            **{"streams": self._places} | more,  # a stage that is started again is told of all there are then
        )


def _trace_spec(trace: TraceConfig) -> TraceSpec:
    """Made once for a run, so that all processes mean the same trace and place its spans by the same clock."""
    return TraceSpec(trace.every, trace.endpoint, secrets.token_hex(8), time.time_ns() - time.monotonic_ns())
