"""Writes the table of stages as one Spec for each process, each knowing where the next one listens."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from configs.labels import NONE, Labels
from configs.schema import TraceConfig
from transport.slot import FIRST
from transport.spec import Spec, StreamPlace, TraceSpec
from transport.stage import Aside, Place, RunStart, Sources, Stage, Table


class Plan:
    """The table and the run's folder, from which every Spec follows. Places are those of the streams, by name."""

    def __init__(
        self,
        table: Table,
        asides: Sequence[Aside],
        folder: Path,
        places: dict[str, StreamPlace],
        trace: TraceConfig | None = None,
        labels: Labels = NONE,
    ) -> None:
        self._labels = labels
        self._table, self._asides, self._folder, self._places = table, asides, folder, places
        self._first, self._began = next(iter(places), ""), RunStart()
        self._trace = _trace_spec(trace) if trace is not None and trace.every else None

    def processes(self) -> list[Spec]:
        """All but the captures."""
        rows = self._table[1:]
        stages = [
            self._spec(
                row,
                name,
                row.config,
                self._inbox(name),
                tuple(map(self._inbox, rows[number + 1].names)) if number + 1 < len(rows) else (),
                batch=row.batch,
                wait_ms=row.wait_ms,
                trace=self._trace,
                place=FIRST + number,
                processes=row.processes,
                index=index,
            )
            for number, row in enumerate(rows)
            for index, name in enumerate(row.names)
        ]
        return stages + [
            self._spec(aside, aside.name, aside.config, "", (), aside=True, showing=self._table[-1].names)
            for aside in self._asides
        ]

    def capture(self, stream: str, added: bool = False) -> Spec:
        """The process that reads a stream's source; `added` while the run goes on."""
        row, place = self._table[0], self._places[stream]
        return self._spec(
            row,
            f"{row.name}-{stream}",
            row.config[stream],
            place.returns,
            tuple(map(self._inbox, self._table[1].names)),
            streams={stream: place},
            stream=stream,
            added=added,
            modules=row.modules,
            trace=self._trace,
        )

    @property
    def inboxes(self) -> list[str]:
        """Where the stages behind capture hear of frames, and of streams that are added."""
        return [self._inbox(name) for row in self._table[1:] for name in row.names]

    def _inbox(self, process: str) -> str:
        return f"ipc://{self._folder}/{process}"

    def _spec(
        self, row: Sources | Stage | Aside, name: str, config: Any, inbox: str, outboxes: tuple[str, ...], **more: Any
    ) -> Spec:
        return Spec(
            process=name,
            row=row.name,
            function=place_of(row.function),
            config=msgspec.Raw(msgspec.json.encode(config)),
            inbox=inbox,
            outboxes=outboxes,
            control=f"ipc://{self._folder}/control",
            first=self._first,
            began=self._began,
            labels=self._labels,
            feeds=f"ipc://{self._folder}/feed-" if self._asides else "",
            **{"streams": self._places} | more,  # a stage that is started again is told of all there are then
        )


def place_of(function: Callable[..., Any] | Place) -> Place:
    """Where a function is, for its worker to import it."""
    return function if isinstance(function, str) else f"{function.__module__}:{function.__qualname__}"


def _trace_spec(trace: TraceConfig) -> TraceSpec:
    """Made once for a run, so that all processes mean the same trace and place its spans by the same clock."""
    return TraceSpec(trace.every, trace.endpoint, secrets.token_hex(8), time.time_ns() - time.monotonic_ns())
