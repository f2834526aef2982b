"""Decoding alone, without conversion: FFmpeg's own tool, and FFmpeg's libraries as this program uses them (PyAV).

`python -m benchmark.decoding` is one process of ours, told by JSON on standard input: it says when it is ready, and
decodes for so long when a line tells it to begin.
"""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmark.program import ROOT
from configs.errors import Failure
from configs.plural import counted
from transport.cores import usable_cores

if TYPE_CHECKING:
    from av.container import InputContainer

SECONDS = 4.0  # of each way
FFMPEG, THREADS, PROCESSES = "ffmpeg", "own_threads", "own_processes"


class Decoding(Struct, frozen=True):
    """Frames per second of each way on all cores. `missing` says why FFmpeg's own tool is not among them."""

    rates: dict[str, float]
    cores: int
    missing: str = ""

    @property
    def best(self) -> str:
        """The fastest way."""
        return max(self.rates, key=self.rates.__getitem__)

    @property
    def fps(self) -> float:
        """Frames per second of it."""
        return self.rates[self.best]

    @property
    def own_fps(self) -> float:
        """Of the best way of our own, which there is on each machine."""
        return max(rate for way, rate in self.rates.items() if way != FFMPEG)

    @property
    def told(self) -> str:
        """Which way was best, and what the others did."""
        names = {
            FFMPEG: "FFmpeg's own tool",
            THREADS: "PyAV with FFmpeg's threads",
            PROCESSES: f"PyAV in {counted(self.cores, 'process', 'processes')}",
        }
        others = ", ".join(f"{names[way]} {rate:.0f}" for way, rate in self.rates.items() if way != self.best)
        missing = f"; {self.missing}" if self.missing else ""
        return f"{names[self.best]}, no conversion ({others}{missing})"


class Task(Struct, frozen=True):
    """What one process of ours decodes, on how many threads (0: as many as FFmpeg thinks right), for how long."""

    clip: str
    threads: int
    seconds: float


def measure_decoding(clip: Path, seconds: float = SECONDS) -> Decoding:
    """All ways, one after the other."""
    cores, film, missing = usable_cores(), str(clip.resolve()), ""
    rates = {
        THREADS: own_rate(Task(film, 0, seconds), 1),
        PROCESSES: own_rate(Task(film, 1, seconds), cores),
    }
    try:
        rates[FFMPEG] = tool_rate(clip, seconds)
    except Failure as failure:
        missing = str(failure)
    return Decoding(rates, cores, missing)


def median(measured: list[Decoding]) -> Decoding:
    """Of each way over the rounds."""
    ways = set.intersection(*(set(one.rates) for one in measured))
    rates = {way: statistics.median(one.rates[way] for one in measured) for way in measured[0].rates if way in ways}
    return Decoding(rates, measured[0].cores, next((one.missing for one in measured if one.missing), ""))


def tool_rate(clip: Path, seconds: float) -> float:
    """Of `ffmpeg -threads 0 -i CLIP -f null -`, from its start to its end, the film so often that this takes about so
    long. Raises Failure where it is not installed, or does not decode the film.
    """
    if (tool := shutil.which("ffmpeg")) is None:
        raise Failure("ffmpeg is not installed")
    _, once_s = _tool_run(tool, clip, 0)
    frames, took_s = _tool_run(tool, clip, max(0, math.ceil(seconds / once_s) - 1))
    return frames / took_s


def _tool_run(tool: str, clip: Path, again: int) -> tuple[int, float]:
    """Frames that it decoded, and seconds."""
    film = ["-threads", "0", "-stream_loop", str(again), "-i", str(clip), "-map", "0:v:0"]
    # `null` takes each picture as it was decoded: none is converted, doubled or left out
    command = [tool, "-nostdin", "-v", "error", "-progress", "pipe:1", *film, "-f", "null", "-"]
    began_s = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took_s = time.perf_counter() - began_s
    counts = [int(line.partition("=")[2]) for line in done.stdout.splitlines() if line.startswith("frame=")]
    if done.returncode or not counts:
        words = done.stderr.strip().splitlines()
        raise Failure(f"ffmpeg cannot decode {clip.name}: {words[-1] if words else 'it said nothing'}")
    return counts[-1], took_s


def own_rate(task: Task, processes: int) -> float:
    """Frames per second of so many processes at once, each of which decodes the film again and again."""
    command = [sys.executable, "-m", "benchmark.decoding"]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
        for _ in range(processes)
    ]  # Ctrl-C is not for them: they are killed here
    try:
        for process in running:
            _told(process, msgspec.json.encode(task))
        for process in running:
            _heard(process)
        for process in running:
            _told(process, b"go")
        return sum(float(_heard(process)) for process in running)
    finally:
        for process in running:
            process.kill()
            process.communicate()


def _told(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line + b"\n")
    process.stdin.flush()


def _heard(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
        raise Failure(f"decoding alone failed: its process ended with exit code {process.wait()}")
    return line


def open_bare(address: str, threads: int, options: dict[str, str] | None = None) -> InputContainer:
    """A film or stream without anything of ours around FFmpeg's libraries."""
    import av

    container = av.open(address, options=options or {})
    track = container.streams.video[0]
    track.thread_type = "AUTO" if threads != 1 else "SLICE"  # frames and slices
    track.codec_context.thread_count = threads
    return container


def again_and_again(task: Task) -> Iterator[None]:
    """Each decoded picture."""
    while True:
        with open_bare(task.clip, task.threads) as film:
            for _ in film.decode(video=0):
                yield


def main() -> None:
    """One process of ours: a few pictures first, so that nothing is loaded while it counts."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    pictures = again_and_again(task)
    next(pictures)
    print("ready", flush=True)
    sys.stdin.buffer.readline()
    count, began_s = 0, time.perf_counter()
    while (took_s := time.perf_counter() - began_s) < task.seconds:
        next(pictures)
        count += 1
    print(count / took_s, flush=True)


if __name__ == "__main__":
    main()
