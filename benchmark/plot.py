"""The benchmark as a picture: ages of frames and rates of streams; what more cores bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.pipeline import RealTime
from benchmark.scaling import Scaling
from configs.lettering import letter_plot
from configs.whole_file import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_plot(run: RealTime, title: str, path: Path) -> None:
    """How old frames were when they were drawn, and frames per second of each stream, as a PNG.

    Raises InputError if it cannot be written.
    """
    figure = _figure()
    age, rate = figure.subplots(1, 2, width_ratios=(3, 2))
    seconds, ages_ms = zip(*run.ages, strict=True)
    age.scatter(seconds, ages_ms, s=5, color="#1f6f8b")
    for name, ms in run.age_ms.items():
        age.axhline(ms, linewidth=0.8, linestyle="--", color="#888888")
        age.annotate(f"{name} {ms:.0f} ms", (1.0, ms), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    age.set(xlabel="time, s", ylabel="age when drawn, ms", title=title)
    age.set_ylim(0, max(1.2 * run.age_ms["p99"], 20))
    names = list(run.fps_by_stream)
    rate.barh(range(len(names)), list(run.fps_by_stream.values()), color="#1f6f8b")
    rate.set_yticks(range(len(names)), names, fontsize=8)
    rate.invert_yaxis()
    rate.set(xlabel="frames/s", title="each stream")
    _save(figure, path)


def save_scaling_plot(scaling: Scaling, title: str, path: Path) -> None:
    """Streams held and frames per second by cores: measured, fitted, and what it were if each core brought the same.

    Raises InputError if it cannot be written.
    """
    figure = _figure()
    cores = [point.cores for point in scaling.points]
    measured = {
        "streams": [float(point.streams) for point in scaling.points],
        "frames": [point.fps for point in scaling.points],
    }
    for axes, (what, found) in zip(figure.subplots(1, 2), measured.items(), strict=True):
        ideal = [found[0] * count / cores[0] for count in cores]
        axes.plot(cores, ideal, linestyle="--", color="#888888", label="each core as the first")
        axes.plot(cores, found, "o", color="#1f6f8b", label="measured")
        if law := scaling.laws[what]:
            between = [cores[0] + (cores[-1] - cores[0]) * step / 100 for step in range(101)]
            axes.plot(between, [law.throughput(count) for count in between], color="#c0504d", label="scalability law")
        axes.set(xlabel="cores", ylabel={"streams": "streams held", "frames": "frames/s"}[what], title=title)
        axes.set_xticks(cores)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
    _save(figure, path)


def _figure() -> Figure:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False  # the title is a file's name
    return Figure(figsize=(11, 4), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    letter_plot(figure)
    write_whole(path, lambda part: figure.savefig(part, format="png", dpi=110))
