"""A camera before an empty room: what a run costs while there is nothing to see, beside decoding the same stream.

The room stands still and the sensor makes noise, as at night. The camera is live (RTSP), so that the run does what it
does with cameras: it looks for motion, and searches rarely while there is none. `python -m benchmark.idle` is the
process that only decodes, told by JSON on standard input.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from benchmark.clip import write_film
from benchmark.decoding import open_bare
from benchmark.pipeline import Say, spent
from benchmark.program import ROOT, SUPERVISOR, Program
from benchmark.rtsp_camera import RtspCamera
from capture.demo import DemoScene
from capture.kinds.network import network_options
from configs.errors import Failure
from configs.schema import SourceConfig
from overlay.sinks.each_picture import STILL_FPS

SIZE, FPS, FILM_S = (640, 480), 30.0, 8.0  # a camera's smaller stream; after the film's end it begins anew
BIT_RATE = 2_000_000
NOISE = 4.0  # grey levels, standard deviation: a sensor in a weak light
SETTLE_S = 8.0  # from the first frames on: the gate for motion closes after 2, noise is learnt for 5
SECONDS = 20.0


class Idle(Struct, frozen=True, kw_only=True):
    """Cores that each stage used before the empty room, and one process that only decoded; medians over the rounds."""

    title: ClassVar[str] = f"A camera before an empty room, {SIZE[0]}x{SIZE[1]} at {FPS:g} frames/s"
    cores: dict[str, float]
    decoding_cores: float
    fps: float
    searches_per_s: float  # over the whole run, the first seconds with their searches included
    faces: int

    @property
    def stages_cores(self) -> float:
        """Of all stages together, without the supervisor."""
        return sum(cores for name, cores in self.cores.items() if name != SUPERVISOR)

    @property
    def ratio(self) -> float:
        """What the stages cost beside decoding only."""
        return self.stages_cores / self.decoding_cores

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """For the table."""
        stages = ", ".join(f"{name} {cores:.3f}" for name, cores in self.cores.items() if name != SUPERVISOR)
        yield "all stages", f"{self.stages_cores:.3f} cores", stages
        yield "decoding only", f"{self.decoding_cores:.3f} cores", "the same stream, one process, no conversion"
        whole = sum(self.cores.values()) / self.decoding_cores
        yield "beside that", f"{self.ratio:.2f} times", f"{whole:.2f} with the supervisor"
        went_on = f"of {self.fps:.1f} frames that went on (still_fps); {self.faces} faces found"
        yield "searches", f"{self.searches_per_s:.1f} a second", went_on


class Task(Struct, frozen=True):
    """What is only decoded: a stream, with FFmpeg's options for it, from so many seconds on, for so long."""

    url: str
    options: dict[str, str]
    settle_s: float
    seconds: float


def measure_idle(
    folder: Path,
    options: Sequence[str],
    rounds: int,
    say: Say,
    settle_s: float = SETTLE_S,
    seconds: float = SECONDS,
) -> Idle:
    """The run and decoding only, in turns, from a camera of our own."""
    say("a camera before an empty room ...")
    film = empty_room(folder)
    runs, decoded = [], []
    with RtspCamera(film) as camera:
        for _ in range(rounds):
            say("decoding only ...")
            decoded.append(decoding_cores(camera.url(), settle_s, seconds))
            say(f"{decoded[-1]:.3f} cores; the pipeline ...")
            runs.append(run_once(camera.url(), folder, options, settle_s, seconds))
            say(f"{runs[-1].stages_cores:.3f} cores")
    middle = sorted(runs, key=lambda run: run.stages_cores)[len(runs) // 2]
    return msgspec.structs.replace(middle, decoding_cores=statistics.median(decoded))


def empty_room(folder: Path) -> Path:
    """A film of the demo's room without anybody, and with noise."""
    width, height = SIZE
    rng = np.random.default_rng(0)
    field = rng.normal(0, NOISE, (2 * height, 2 * width, 3)).astype(np.int16)  # pictures are cut out of it: 20 times
    room = DemoScene((), SIZE).picture(0).astype(np.int16)  # faster than noise for each

    def pictures() -> Iterator[np.ndarray]:
        for _ in range(round(FILM_S * FPS)):
            y, x = rng.integers(0, (height, width))
            yield cv2.add(room, field[y : y + height, x : x + width]).clip(0, 255).astype(np.uint8)

    path = folder / "empty-room.mp4"
    write_film(path, pictures(), SIZE, FPS, BIT_RATE, b_frames=False)
    return path


def run_once(url: str, folder: Path, options: Sequence[str], settle_s: float, seconds: float) -> Idle:
    """The pipeline before the room; what decoding takes is not known here."""
    still = ["--set", f"sources.0.still_fps={STILL_FPS:g}"]  # as a page has it: the lines that are read want all
    with Program(folder, ["--source", url, "--sink", "null", *still, *options]) as program:
        began_s = time.monotonic()
        program.until_first_frames(1)
        program.wait(settle_s)
        first = program.sample()
        program.wait(seconds)
        last = program.sample()
        said = program.frames_between(first, last)
        report = program.end()
    took_s, span_s = time.monotonic() - began_s, last.at_s - first.at_s
    return Idle(
        cores={name: cpu_s / span_s for name, cpu_s in spent(first, last).items()},
        decoding_cores=0.0,
        fps=len(said) / span_s,
        searches_per_s=report["stages"]["detect"]["searched"] / took_s,
        faces=sum(len(frame.faces) for frame in said),
    )


def decoding_cores(url: str, settle_s: float, seconds: float) -> float:
    """Cores that a process takes which receives and decodes the stream as capture does, and does nothing else."""
    # what the source's own options are: the same transport, and FFmpeg waits for nothing
    task = Task(url, network_options(SourceConfig(source=url)), settle_s, seconds)
    command = [sys.executable, "-m", "benchmark.idle"]
    done = subprocess.run(command, input=msgspec.json.encode(task), capture_output=True, cwd=ROOT, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise Failure(f"decoding only failed: {words[-1] if words else 'it said nothing'}")
    return float(done.stdout)


def main() -> None:
    """The process that only decodes, on one thread as capture does."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    with open_bare(task.url, 1, task.options) as stream:
        pictures = stream.decode(video=0)
        next(pictures)
        from_s = time.monotonic() + task.settle_s
        while time.monotonic() < from_s:
            next(pictures)
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        while (took_s := time.monotonic() - began_s) < task.seconds:
            next(pictures)
        print((time.process_time() - began_cpu_s) / took_s)


if __name__ == "__main__":
    main()
