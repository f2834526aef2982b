"""What more cores bring: streams held and frames per second on 1, 2, 4, ... cores, by affinity."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from benchmark.clip import Clip
from benchmark.find_max import find_max
from benchmark.pipeline import Say, flat_out
from benchmark.scalability import Law, fit
from configs.plural import counted
from transport.cores import usable_cores

FILMS_PER_CORE = 2  # at once, flat out: one film alone does not keep several lanes busy
_TOPOLOGY = Path("/sys/devices/system/cpu")


class Point(Struct, frozen=True, kw_only=True):
    """What was measured on so many cores. `cpus` are their numbers; `siblings` of them share a core with another."""

    cores: int
    cpus: list[int]
    siblings: int
    streams: int
    fps: float  # of all films together
    busy_share: float  # of these cores, while films are played flat out


class Scaling(Struct, frozen=True):
    """Points from one core on."""

    points: list[Point]

    def beside_one_core(self, point: Point) -> tuple[float | None, float]:
        """How many times the streams and the frames of one core; None where one core holds no stream."""
        one = self.points[0]
        return point.streams / one.streams if one.streams else None, point.fps / one.fps

    @property
    def laws(self) -> dict[str, Law | None]:
        """Of streams and of frames; None where that is not determined."""
        return {
            "streams": fit({point.cores: float(point.streams) for point in self.points}),
            "frames": fit({point.cores: point.fps for point in self.points}),
        }

    def ratios(self) -> Iterator[tuple[str, float]]:
        """What can be compared between machines."""
        for point in self.points[1:]:
            streams, frames = self.beside_one_core(point)
            if streams is not None:
                yield f"streams_on_{point.cores}_cores_to_1", streams
            yield f"frames_on_{point.cores}_cores_to_1", frames

    def as_json(self) -> dict[str, Any]:
        """For scripts. Efficiency is for each core, beside one core alone."""
        points = []
        for point in self.points:
            streams, frames = self.beside_one_core(point)
            efficiency = {"streams": streams and streams / point.cores, "frames": frames / point.cores}
            points.append(msgspec.to_builtins(point) | {"efficiency": efficiency})
        return {"points": points, "laws": msgspec.to_builtins(self.laws)}

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """For the table."""
        for point in self.points:
            streams, frames = self.beside_one_core(point)
            of_streams = "-" if streams is None else f"{streams / point.cores:.0%}"
            told = f"efficiency {of_streams} of streams, {frames / point.cores:.0%} of frames"
            told += f"; {point.busy_share:.0%} busy"
            if point.siblings:
                told += f"; {counted(point.siblings, 'of them is', 'of them are')} another's second thread"
            yield counted(point.cores, "core"), f"{point.streams} held, {point.fps:.0f} frames/s", told
        for what, law in self.laws.items():
            if law is None:
                why = "only one core to measure on" if len(self.points) < 2 else "some number of cores holds no stream"
                yield f"scalability law, {what}", "not determined", why
                continue
            coherence = "" if law.coherence is None else f", coherence {law.coherence:.4f}"
            yield f"scalability law, {what}", f"contention {law.contention:.3f}{coherence}", law.told


def measure_scaling(
    clip: Clip, folder: Path, options: Sequence[str], max_age_ms: float, limit_s: float, say: Say
) -> Scaling:
    """One core first, then twice as many each time, and all at the end."""
    points: list[Point] = []
    for cpus in steps(by_core(os.sched_getaffinity(0)), usable_cores()):
        cores = len(cpus)
        say(f"on {counted(cores, 'core')}:")
        first = points[-1].streams * cores // points[-1].cores if points else 1
        with on(cpus):
            found = find_max(clip, folder, options, max_age_ms, say, max(1, first))
            say(f"{counted(FILMS_PER_CORE * cores, 'film')} at once, flat out ...")
            flat = flat_out(clip, folder, options, limit_s, say, FILMS_PER_CORE * cores)
        points.append(
            Point(
                cores=cores,
                cpus=cpus,
                siblings=cores - len({siblings_of(cpu) for cpu in cpus}),
                streams=found.streams,
                fps=flat.fps,
                busy_share=flat.busy_share,
            )
        )
    return Scaling(points)


def steps(cpus: Sequence[int], usable: int) -> list[list[int]]:
    """The first 1, 2, 4, ... of them, and as many as may be used (a container's quota may be less than they are).

    >>> steps([0, 2, 4, 1, 3, 5], 6)
    [[0], [0, 2], [0, 2, 4, 1], [0, 2, 4, 1, 3, 5]]
    """
    counts = {2**power for power in range(usable.bit_length()) if 2**power <= usable} | {usable}
    return [list(cpus[:count]) for count in sorted(counts)]


def by_core(cpus: set[int]) -> list[int]:
    """One thread of each core first, then their siblings: two threads of one core are not two cores."""
    seen: dict[str, int] = {}
    rank = {}
    for cpu in sorted(cpus):
        rank[cpu] = seen[siblings_of(cpu)] = seen.get(siblings_of(cpu), -1) + 1
    return sorted(cpus, key=lambda cpu: (rank[cpu], cpu))


def siblings_of(cpu: int) -> str:
    """The threads of its core, as the kernel writes them; where it does not tell, it is alone."""
    with contextlib.suppress(OSError):
        return (_TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    return str(cpu)


@contextlib.contextmanager
def on(cpus: Sequence[int]) -> Iterator[None]:
    """Keep this process, and all that it starts meanwhile, on these cores: who watches is no help on other ones."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
