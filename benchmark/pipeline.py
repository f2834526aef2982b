"""The pipeline on a film: flat out for its frame rate, at the film's own rate for the age of its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmark.clip import Clip
from benchmark.program import Program, Sample
from benchmark.score import SaidFrame, Scores, score
from configs.errors import Failure
from configs.plural import counted
from transport.cores import usable_cores

WINDOW_S = 2.0
WHOLE_FILM_S = 60.0  # of a film that is shown so slowly no more is waited for
AGREEING = 3  # windows in a row ...
SPREAD = 1.1  # ... of which the fastest is at most this much faster than the slowest
WARM_UP_FRAMES = 100
REALTIME_WARM_UP_FRAMES = 60
Say = Callable[[str], None]


class FlatOut(Struct, frozen=True, kw_only=True):
    """A run as fast as it goes. The rate is the median of the last windows, or that of the whole film: see `flat_out`.

    `agreed`: the last three windows were alike.
    """

    fps: float
    windows: list[float]
    agreed: bool
    cpu_ms_per_frame: dict[str, float]
    batch_mean: dict[str, float]
    busy_share: float  # of the cores that may be used
    memory_mb: float
    scores: Scores | None


class RealTime(Struct, frozen=True, kw_only=True):
    """A run at the film's own rate, newest picture first: ages at the moment of drawing."""

    streams: int
    fps: float  # of each stream, the mean
    slowest_fps: float
    age_ms: dict[str, float]
    worst_age_ms: float  # the p95 of the stream that is worst off
    dropped: int
    cpu_share: float  # of the cores that may be used
    cpu_ms_per_frame: dict[str, float]
    ages: list[tuple[float, float]]  # (seconds since the start, ms), a few hundred
    fps_by_stream: dict[str, float]
    scores: Scores | None
    recorded: int = 0  # frames by `file:`, packets by `record:`
    not_recorded: int = 0


def flat_out(clip: Clip, folder: Path, options: Sequence[str], limit_s: float, say: Say, films: int = 1) -> FlatOut:
    """Run until three windows in a row agree, or the limit is reached. The clip is played so many times at once.

    Where it is so slow that they are over before the film is, as many more windows are measured, and the rate is that
    of the whole film: some of its pictures show more faces than others.
    """
    arguments = [*["--source", str(clip.path)] * films, "--loop", "--sink", "null", *options]
    with Program(folder, arguments) as program:
        program.until_first_frames(WARM_UP_FRAMES, films)
        windows: list[float] = []
        whole_film = clip.pictures * films
        samples, counts = [program.sample()], [program.frames_shown()]
        while True:
            has_ended = agree(windows) or len(windows) * WINDOW_S >= limit_s
            if has_ended and (counts[-1] - counts[0] >= whole_film or len(windows) * WINDOW_S >= WHOLE_FILM_S):
                break
            program.wait(WINDOW_S)
            samples.append(program.sample())
            counts.append(program.frames_shown())
            windows.append((counts[-1] - counts[-2]) / (samples[-1].at_s - samples[-2].at_s))
            say(f"{windows[-1]:.0f} frames/s")
        memory_mb = program.memory_mb()
        said = program.frames_between(samples[0], samples[-1])
        report = program.end()
    cpu_s, seconds = spent(samples[0], samples[-1]), samples[-1].at_s - samples[0].at_s
    in_the_last = counts[-1] - counts[-1 - min(AGREEING, len(windows))]
    return FlatOut(
        fps=float(np.median(windows[-AGREEING:])) if in_the_last >= whole_film else (counts[-1] - counts[0]) / seconds,
        windows=windows,
        agreed=agree(windows),
        cpu_ms_per_frame=per_frame(cpu_s, counts[-1] - counts[0]),
        batch_mean={name: stage["batch_mean"] for name, stage in report["stages"].items() if name != "capture"},
        busy_share=sum(cpu_s.values()) / (seconds * usable_cores()),
        memory_mb=memory_mb,
        scores=score(of_one_stream(said), clip),
    )


def real_time(clip: Clip, folder: Path, options: Sequence[str], streams: int, seconds: float) -> RealTime:
    """Play the clip `streams` times beside each other for so long."""
    return live([str(clip.path)] * streams, folder, ["--realtime", "--loop", *options], seconds, clip)


def live(
    sources: Sequence[str], folder: Path, options: Sequence[str], seconds: float, clip: Clip | None = None
) -> RealTime:
    """Watch so many live sources for so long, and score what is said of one of them where its film is known."""
    streams = len(sources)
    words = [word for source in sources for word in ("--source", source)]
    with Program(folder, [*words, "--sink", "null", *options]) as program:
        program.until_first_frames(REALTIME_WARM_UP_FRAMES, streams)
        first = program.sample()
        program.wait(seconds)
        last = program.sample()
        said = program.frames_between(first, last)
        report = program.end()
    if not said:
        raise Failure(f"the pipeline showed nothing of {counted(streams, 'stream')} for {seconds:g} s")
    recordings = [*report["streams"].values(), report["stages"].get("capture", {})]
    cpu_s, span_s = spent(first, last), last.at_s - first.at_s
    ages_of: dict[str, list[float]] = {}
    for frame in said:
        ages_of.setdefault(frame.stream, []).append(frame.age_ms)
    ages = np.array([frame.age_ms for frame in said])
    by_stream = {stream: len(of_stream) / span_s for stream, of_stream in sorted(ages_of.items())}
    seqs = {stream: [frame.seq for frame in said if frame.stream == stream] for stream in ages_of}
    return RealTime(
        streams=len(ages_of),
        fps=len(said) / span_s / streams,
        slowest_fps=min(by_stream.values()) if len(ages_of) == streams else 0.0,
        age_ms={f"p{p}": float(np.percentile(ages, p)) for p in (50, 95, 99)},
        worst_age_ms=max(float(np.percentile(of_stream, 95)) for of_stream in ages_of.values()),
        dropped=sum(numbers[-1] - numbers[0] + 1 - len(numbers) for numbers in seqs.values()),
        cpu_share=sum(cpu_s.values()) / (span_s * usable_cores()),
        cpu_ms_per_frame=per_frame(cpu_s, len(said)),
        ages=[(place * span_s / len(said), said[place].age_ms) for place in range(0, len(said), len(said) // 400 + 1)],
        fps_by_stream=by_stream,
        scores=score(of_one_stream(said), clip) if clip else None,
        recorded=sum(one.get("recorded", 0) for one in recordings),
        not_recorded=sum(one.get("not_recorded", 0) for one in recordings),
    )


def of_one_stream(said: Sequence[SaidFrame]) -> Iterator[SaidFrame]:
    """The frames of the first stream by name."""
    one = min((frame.stream for frame in said), default="")
    return (frame for frame in said if frame.stream == one)


def agree(windows: Sequence[float]) -> bool:
    """Whether the last three windows are alike.

    >>> agree([50, 100, 104, 109]), agree([100, 104, 111])
    (True, False)
    """
    last = windows[-AGREEING:]
    return len(last) == AGREEING and max(last) <= SPREAD * min(last)


def spent(first: Sample, last: Sample) -> dict[str, float]:
    """CPU seconds of each stage between two moments."""
    return {name: last.cpu_s[name] - first.cpu_s.get(name, 0.0) for name in last.cpu_s}


def per_frame(cpu_s: dict[str, float], frames: int) -> dict[str, float]:
    return {name: 1000 * seconds / max(frames, 1) for name, seconds in cpu_s.items()}
