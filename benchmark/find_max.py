"""The most streams that this box holds: each at its rate, none starved, none of its pictures old."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from benchmark.clip import Clip
from benchmark.pipeline import RealTime, Say, real_time
from configs.plural import counted

SECONDS = 8.0
MOST_STREAMS = 512  # 2 cores hold 10 of 480p, and the limit must not be what `--scaling` sees
MORE_RUNS = 2  # after one that failed; a shared machine showed 28.4 and 30.0 frames/s of 10 streams minutes apart
LEAST_SHARE = 0.97  # of its rate a stream must be shown at; the measured time begins and ends between two pictures


class FindMax(Struct, frozen=True, kw_only=True):
    """`streams` were held, one more was not, and `limited_by` is the stage that used most CPU then."""

    streams: int
    limited_by: str
    why: str
    held: RealTime | None
    tried: dict[int, bool]
    cpu_ms_per_frame: dict[int, float]  # of all processes, with so many streams


def find_max(clip: Clip, folder: Path, options: Sequence[str], max_age_ms: float, say: Say, first: int = 1) -> FindMax:
    """The most films played at their own rate; `first` is what is tried first."""

    def play(streams: int) -> RealTime:
        return real_time(clip, folder, options, streams, SECONDS)

    return most_streams(play, clip.fps, max_age_ms, say, first)


def most_streams(
    play: Callable[[int], RealTime], fps: float, max_age_ms: float, say: Say, first: int = 1, limit: int = MOST_STREAMS
) -> FindMax:
    """Search from `first` on in steps of 1, 2, 4, ... up or down, then halve the gap. More than `limit` is not tried.

    What fails is run again, and counts as held if both of the next runs hold.
    """
    held: dict[int, RealTime] = {}
    failed: dict[int, RealTime] = {}

    def runs(streams: int) -> bool:
        run = play(streams)
        reason = why_not(run, fps, max_age_ms)
        (failed if reason else held)[streams] = run
        say(f"{counted(streams, 'stream')}: {reason or 'held'}, worst p95 age {run.worst_age_ms:.0f} ms")
        return not reason

    def holds(streams: int) -> bool:
        if runs(streams) or all(runs(streams) for _ in range(MORE_RUNS)):
            failed.pop(streams, None)
            return True
        held.pop(streams, None)
        return False

    most, streams, step = 0, min(first, limit), 1
    while most < streams and not holds(streams):
        streams, step = max(0, streams - step), 2 * step
    most, step = streams, 1
    while not failed and most < limit and holds(min(most + step, limit)):
        most, step = min(most + step, limit), 2 * step
    too_many = min(failed, default=limit + 1)
    while too_many - most > 1:
        middle = (most + too_many) // 2
        if holds(middle):
            most = middle
        else:
            too_many = middle
    over, runs_of = failed.get(too_many), failed | held
    return FindMax(
        streams=most,
        limited_by=busiest(over) if over else "",
        why=why_not(over, fps, max_age_ms) if over else "",
        held=held.get(most),
        tried={streams: streams in held for streams in sorted(runs_of)},
        cpu_ms_per_frame={streams: sum(runs_of[streams].cpu_ms_per_frame.values()) for streams in sorted(runs_of)},
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
