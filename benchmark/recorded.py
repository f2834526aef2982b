"""What recording costs: cameras that are recorded by their packets beside cameras that are only seen, and the age of
one camera's pictures with and without a drawn recording.

The cameras are live (RTSP), served on the same cores: what that takes is missing on both sides.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from msgspec import Struct

from benchmark.clip import generate
from benchmark.find_max import MOST_STREAMS, SECONDS, FindMax, most_streams
from benchmark.pipeline import RealTime, Say, live
from benchmark.rtsp_camera import RtspCamera
from configs.plural import counted
from transport.cores import usable_cores

SIZE = (1920, 1080)
BIT_RATE = 8_000_000  # of a 1080p camera
PACKETS_FPS, DRAWN_FPS = 25.0, 30.0  # one film is sent at both: it takes longer to generate than ages to measure
GUESS_PER_CORE = 2  # streams, to begin the search with
AGES_S = 20.0  # 600 frames: six of them are older than the p99


class Packets(Struct, frozen=True, kw_only=True):
    """Cameras seen alone, and the same seen and recorded by `record:`. At most as many are tried as were held alone."""

    alone: FindMax
    recorded: FindMax

    @property
    def ratio(self) -> float | None:
        """Streams held while recorded to streams held alone; None where not even one was."""
        return self.recorded.streams / self.alone.streams if self.alone.streams else None


class Drawn(Struct, frozen=True, kw_only=True):
    """One camera without and with `file:`: ms of age (p99), medians over the rounds, and frames of all rounds."""

    alone_p99_ms: float
    recorded_p99_ms: float
    recorded: int
    not_recorded: int

    @property
    def ratio(self) -> float:
        """How much older it makes frames."""
        return self.recorded_p99_ms / self.alone_p99_ms


class Recorded(Struct, frozen=True):
    """Both."""

    title: ClassVar[str] = f"Cameras that are recorded, {SIZE[0]}x{SIZE[1]}"
    packets: Packets
    drawn: Drawn

    def ratios(self) -> Iterator[tuple[str, float]]:
        """What can be compared between machines."""
        if self.packets.ratio is not None:
            yield "recorded_to_alone_streams", self.packets.ratio
        yield "drawn_recording_to_none_age_p99", self.drawn.ratio

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """For the table."""
        alone, recorded, drawn = self.packets.alone, self.packets.recorded, self.drawn
        share = "" if self.packets.ratio is None else f", {self.packets.ratio:.2f} of that"
        then = f"one more: {alone.why}; most CPU in {alone.limited_by}" if alone.limited_by else "no limit was met"
        yield f"{SIZE[1]}p{PACKETS_FPS:g}, seen alone", f"{alone.streams} held", then
        counts = f"{recorded.held.recorded} packets recorded, {recorded.held.not_recorded} not" if recorded.held else ""
        yield "seen and recorded (record:)", f"{recorded.streams} held{share}", counts or recorded.why
        both = alone.cpu_ms_per_frame.keys() & recorded.cpu_ms_per_frame.keys()
        if both:
            one, other = (found.cpu_ms_per_frame[max(both)] for found in (alone, recorded))
            what = f"CPU per frame of {counted(max(both), 'stream')}, recorded"
            yield what, f"{other:.2f} ms, {other / one:.2f} times", f"seen alone {one:.2f} ms"
        yield f"{SIZE[1]}p{DRAWN_FPS:g}, age p99", f"{drawn.alone_p99_ms:.1f} ms", "one camera, seen alone"
        counts = f"{drawn.ratio:.2f} times; {drawn.recorded} frames recorded, {drawn.not_recorded} not"
        yield "with a drawn recording (file:)", f"{drawn.recorded_p99_ms:.1f} ms", counts


def measure_recorded(folder: Path, options: Sequence[str], max_age_ms: float, rounds: int, say: Say) -> Recorded:
    """Packets first, then drawn recordings."""
    say(f"generating a camera's film of {SIZE[0]}x{SIZE[1]} px ...")
    film = generate(folder, SIZE, DRAWN_FPS, BIT_RATE).path
    packets = measure_packets(film, folder, options, max_age_ms, say)
    return Recorded(packets, measure_drawn(film, folder, options, rounds, say))


def measure_packets(film: Path, folder: Path, options: Sequence[str], max_age_ms: float, say: Say) -> Packets:
    """The most cameras that are seen alone; then, from there, that are recorded as well. If these are fewer, those that
    are seen alone must be held once more.
    """
    with RtspCamera(film, PACKETS_FPS) as camera:

        def play(streams: int) -> RealTime:
            return live([camera.url(number) for number in range(streams)], folder, options, SECONDS)

        def record(streams: int) -> RealTime:
            urls, to = [camera.url(number) for number in range(streams)], folder / "recorded"
            try:
                return live(urls, folder, [*options, "--sink", f"record:{to}/"], SECONDS)
            finally:
                shutil.rmtree(to, ignore_errors=True)  # 1 MB a second of each camera

        def seen(first: int, limit: int = MOST_STREAMS) -> FindMax:
            say("cameras seen alone:")
            return most_streams(play, PACKETS_FPS, max_age_ms, say, first, limit)

        alone = seen(GUESS_PER_CORE * usable_cores())
        most = max(1, alone.streams)
        say("cameras seen and recorded:")
        recorded = most_streams(record, PACKETS_FPS, max_age_ms, say, most, limit=most)
        if recorded.streams < alone.streams:  # is it the recording, or has the machine become busier?
            again = seen(alone.streams, limit=alone.streams)
            alone = again if again.streams < alone.streams else alone
        return Packets(alone=alone, recorded=recorded)


def measure_drawn(film: Path, folder: Path, options: Sequence[str], rounds: int, say: Say) -> Drawn:
    """One camera without and with a drawn recording, in turns."""
    alone, recorded = [], []
    with RtspCamera(film, DRAWN_FPS) as camera:
        for _ in range(rounds):
            say("one camera, seen alone ...")
            alone.append(live([camera.url()], folder, options, AGES_S))
            say(f"p99 age {alone[-1].age_ms['p99']:.1f} ms; with a drawn recording ...")
            video = folder / "drawn.mp4"
            recorded.append(live([camera.url()], folder, [*options, "--sink", f"file:{video}"], AGES_S))
            video.unlink(missing_ok=True)
            say(f"p99 age {recorded[-1].age_ms['p99']:.1f} ms")
    return Drawn(
        alone_p99_ms=statistics.median(run.age_ms["p99"] for run in alone),
        recorded_p99_ms=statistics.median(run.age_ms["p99"] for run in recorded),
        recorded=sum(run.recorded for run in recorded),
        not_recorded=sum(run.not_recorded for run in recorded),
    )
