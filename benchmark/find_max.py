"""The most streams that this box holds: each at its rate, none starved, none of its pictures old."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from benchmark.clip import Clip
from benchmark.pipeline import RealTime, Say, real_time
from configs.plural import counted

SECONDS = 8.0
MOST_STREAMS = 64
MORE_RUNS = 2  # after one that failed; a shared machine showed 28.4 and 30.0 frames/s of 10 streams minutes apart
LEAST_SHARE = 0.97  # of its rate a stream must be shown at; the measured time begins and ends between two pictures


class FindMax(Struct, frozen=True, kw_only=True):
    """`streams` were held, one more was not, and `limited_by` is the stage that used most CPU then."""

    streams: int
    limited_by: str
    why: str
    held: RealTime | None
    tried: dict[int, bool]


def find_max(clip: Clip, folder: Path, options: Sequence[str], max_age_ms: float, say: Say) -> FindMax:
    """Double the number of streams until they are too many, then halve the gap.

    What fails is run again, and counts as held if both of the next runs hold.
    """
    held: dict[int, RealTime] = {}
    failed: dict[int, RealTime] = {}

    def runs(streams: int) -> bool:
        run = real_time(clip, folder, options, streams, SECONDS)
        reason = why_not(run, clip.fps, max_age_ms)
        (failed if reason else held)[streams] = run
        say(f"{counted(streams, 'stream')}: {reason or 'held'}, worst p95 age {run.worst_age_ms:.0f} ms")
        return not reason

    def holds(streams: int) -> bool:
        if runs(streams) or all(runs(streams) for _ in range(MORE_RUNS)):
            failed.pop(streams, None)
            return True
        held.pop(streams, None)
        return False

    most, streams = 0, 1
    while streams <= MOST_STREAMS and holds(streams):
        most, streams = streams, 2 * streams
    too_many = min(failed, default=MOST_STREAMS + 1)
    while too_many - most > 1:
        middle = (most + too_many) // 2
        if holds(middle):
            most = middle
        else:
            too_many = middle
    over = failed.get(too_many)
    return FindMax(
        streams=most,
        limited_by=busiest(over) if over else "",
        why=why_not(over, clip.fps, max_age_ms) if over else "",
        held=held.get(most),
        tried={streams: streams in held for streams in sorted({*held, *failed})},
    )


def why_not(run: RealTime, fps: float, max_age_ms: float) -> str:
    """Why a run does not count as held; empty if it does."""
    if run.slowest_fps < LEAST_SHARE * fps:
        return f"a stream showed {run.slowest_fps:.1f} of {fps:g} frames/s"
    if run.dropped:
        return f"{counted(run.dropped, 'frame')} dropped"
    if run.worst_age_ms > max_age_ms:
        return f"p95 age {run.worst_age_ms:.0f} ms"
    return ""


def busiest(run: RealTime) -> str:
    """The stage that used most CPU. With one capture process per stream these count together."""
    stages = {name: ms for name, ms in run.cpu_ms_per_frame.items() if name != "supervisor"}
    return max(stages, key=stages.__getitem__)
