"""The benchmark as a picture: how old frames were when they were drawn, and frames per second of each stream."""

from __future__ import annotations

from pathlib import Path

from benchmark.pipeline import RealTime
from configs.lettering import letter_plot
from configs.whole_file import write_whole


def save_plot(run: RealTime, title: str, path: Path) -> None:
    """Write a PNG. Raises InputError if it cannot be written."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False  # the title is a file's name
    figure = Figure(figsize=(11, 4), layout="constrained")
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
    letter_plot(figure)
    write_whole(path, lambda part: figure.savefig(part, format="png", dpi=110))
