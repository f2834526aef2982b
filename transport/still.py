"""Whether nothing moves before a camera: detect says so in the stream's memory, and capture looks there."""

from __future__ import annotations

from collections.abc import Mapping

from transport.header import STILL_NS
from transport.station import Station

FRESH_NS = 1_000_000_000  # what was said longer ago does not count: who said it may be dead, or hang


def mark_still(stations: Mapping[str, Station], stream: str, captured_ns: int) -> None:
    """Say when the newest picture was captured before which nothing moved, or 0 where something does.

    Only the stage that looks for motion does that. Its next life begins with pictures in which all may move, so it
    writes 0 first.
    """
    station = stations.get(stream)
    if station is not None:
        station.pool.head[STILL_NS] = captured_ns
