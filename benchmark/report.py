"""What was measured, as a table for people, Markdown for the docs, and JSON for scripts."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from benchmark.decoding import Decoding
from benchmark.find_max import FindMax
from benchmark.gpu import GpuFigures, gpu_tables
from benchmark.idle import Idle
from benchmark.link import LinkFigures
from benchmark.models import ModelFigures
from benchmark.pipeline import FlatOut, RealTime
from benchmark.recorded import Recorded
from benchmark.scaling import Scaling
from configs.console import console
from configs.plural import counted
from transport.cores import usable_cores

Row = tuple[str, str, str]  # what, figure, what it does
VERSIONS = (
    "maskstream",
    "opencv-python",
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "tensorrt",
    "pyzmq",
    "av",
    "numpy",
)
LOOPS = {
    "original": "one process: Haar 1.3/4 on the full frame, whole picture twice through torch for each face",
    "single": "one process: Haar as the pipeline searches, face crops once through torch",
    "pipeline": "the pipeline, ONNX: faces followed between searches, one decision for each person",
    "every_frame": "the pipeline, ONNX, --every-frame: each face of each frame searched and classified",
}


class Compared(Struct, frozen=True, kw_only=True):
    """Frames per second of the pipeline and of the loops with one network, and the loops' best number of threads."""

    network: str
    fps: dict[str, float]
    threads: dict[str, int]


class Report(Struct, kw_only=True):
    """All that one call of the benchmark has measured; None or empty for what it was not asked for."""

    clip: str = ""
    flat_out: FlatOut | None = None
    real_time: RealTime | None = None
    every_frame: FlatOut | None = None
    decoding: Decoding | None = None
    compared: Compared | None = None
    find_max: FindMax | None = None
    links: list[LinkFigures] = []
    models: list[ModelFigures] = []
    gpu: GpuFigures | None = None
    scaling: Scaling | None = None
    idle: Idle | None = None
    recorded: Recorded | None = None

    def ratios(self) -> dict[str, float]:
        """What can be compared between machines; what was not run is absent."""
        found: dict[str, float] = {}
        if self.flat_out and self.decoding:
            found["pipeline_to_own_decoding"] = self.flat_out.fps / self.decoding.own_fps
            if not self.decoding.missing:  # else the best of fewer ways, which is another ratio
                found["pipeline_to_decoding"] = self.flat_out.fps / self.decoding.fps
        if self.compared:
            fps = self.compared.fps
            found["pipeline_to_original"] = fps["pipeline"] / fps["original"]
            found["pipeline_to_single"] = fps["pipeline"] / fps["single"]
            found["every_frame_to_original"] = fps["every_frame"] / fps["original"]
            found["every_frame_to_single"] = fps["every_frame"] / fps["single"]
        for figures in self.links:
            if figures.imagezmq:
                size = f"{figures.size[1]}p"
                found[f"link_to_imagezmq_{size}"] = figures.link.fps / figures.imagezmq.fps
                found[f"link_cpu_to_imagezmq_{size}"] = (
                    figures.link.cpu_ms_per_frame / figures.imagezmq.cpu_ms_per_frame
                )
        if self.idle:
            found["idle_cpu_to_decoding"] = self.idle.ratio
        for scene in (self.scaling, self.recorded):
            found.update(scene.ratios() if scene else ())
        return found

    def as_json(self) -> dict[str, Any]:
        """The report as scripts read it."""
        out: dict[str, Any] = {"ratios": {name: round(ratio, 4) for name, ratio in self.ratios().items()}}
        if self.flat_out:
            out["pipeline"] = self._pipeline()
        if self.every_frame and self.every_frame.scores:
            seen = self.every_frame.scores  # of its labels nothing: the network that is compared may be untrained
            out["every_frame"] = {
                "fps": self.every_frame.fps,
                "recall": seen.recall,
                "iou": seen.iou,
                "false_boxes_per_frame": seen.false_boxes_per_frame,
            }
        if self.decoding:
            out["decoding"] = {"best": self.decoding.best, "fps": self.decoding.fps, **plain(self.decoding)}
        if self.compared:
            out["compared"] = plain(self.compared)
        if self.find_max:
            out["find_max"] = plain(self.find_max)
        if self.links:
            out["transport"] = [plain(figures) for figures in self.links]
        if self.models:
            out["models"] = [plain(figures) for figures in self.models]
        if self.gpu:
            out["gpu"] = plain(self.gpu)
        if self.scaling:
            out["scaling"] = self.scaling.as_json()
        out |= {name: plain(scene) for name in ("idle", "recorded") if (scene := getattr(self, name))}
        return out | {"clip": self.clip, "machine": machine()}

    def _pipeline(self) -> dict[str, Any]:
        flat, real = self.flat_out, self.real_time
        assert flat is not None
        out = {**plain(flat), "scores": None, **(plain(flat.scores) if flat.scores else {})}
        del out["scores"]
        if real is not None:
            out |= {"age_ms": real.age_ms, "dropped": real.dropped, "real_time_fps": real.fps}
            out["real_time_cpu_share"] = real.cpu_share
            if real.scores:
                out["real_time_scores"] = plain(real.scores)
        return out


def plain(value: Struct) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(value, str_keys=True)
    return built


def machine() -> dict[str, Any]:
    """What it was measured on, and when."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found = {dist.name.lower(): dist.version for dist in importlib.metadata.distributions()}
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.release()}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {"python": platform.python_version(), **{v: found[v] for v in VERSIONS if v in found}},
    }


def tables(report: Report) -> Iterator[tuple[str, list[Row]]]:
    """The report in parts: a title, and rows."""
    if report.flat_out:
        yield f"The pipeline on {report.clip}", list(pipeline_rows(report))
    if report.compared:
        yield f"Side by side, {report.compared.network}", list(compared_rows(report.compared))
    if report.find_max:
        most = report.find_max
        then = f"one more: {most.why}; most CPU in {most.limited_by}" if most.limited_by else "no limit was met"
        rows = [("streams held", str(most.streams), then)]
        if most.held:
            ages = most.held.age_ms
            rows.append(("age p50 / p95 / p99", three(ages), f"worst stream p95 {most.held.worst_age_ms:.0f} ms"))
            rows.append(("CPU", f"{most.held.cpu_share:.0%}", "of the cores"))
        yield f"Most streams of {report.clip}", rows
    if report.scaling:
        yield f"Scaling on {report.clip}", list(report.scaling.rows())
    if report.idle:
        yield report.idle.title, list(report.idle.rows())
    if report.recorded:
        yield report.recorded.title, list(report.recorded.rows())
    if report.links:
        yield "Handing a frame to another process", list(link_rows(report.links))
    if report.models:
        yield "Models", list(model_rows(report.models))
    if report.gpu:
        yield from gpu_tables(report.gpu)


def pipeline_rows(report: Report) -> Iterator[Row]:
    flat, real = report.flat_out, report.real_time
    assert flat is not None
    agreed = "the last three windows agree within 10 %" if flat.agreed else "the windows did not agree: a busy machine?"
    yield "flat out", f"{flat.fps:.0f} frames/s", agreed
    if report.decoding:
        alone = report.decoding
        yield "decoding alone", f"{alone.fps:.0f} frames/s", alone.told
        yield "the pipeline beside that", f"{flat.fps / alone.fps:.2f}", "of decoding alone"
    stages = ", ".join(f"{name} {ms:.2f}" for name, ms in flat.cpu_ms_per_frame.items())
    yield "CPU per frame", f"{sum(flat.cpu_ms_per_frame.values()):.2f} ms", stages
    yield "cores busy", f"{flat.busy_share:.0%}", f"of {usable_cores()}"
    yield "memory", f"{flat.memory_mb:.0f} MB", "all processes, what they share counted once"
    if flat.scores:
        scores = flat.scores
        yield "recall", f"{scores.recall:.3f}", f"of {scores.faces} faces; mean overlap (IoU) {scores.iou:.2f}"
        if scores.persons:
            words = f"of {scores.persons} whose face is there with 40 px or more for a second"
            yield "persons found at least once", str(scores.persons_found), words
        yield "boxes on the background", f"{scores.false_boxes_per_frame:.3f}", "per frame"
        settled = f"{scores.label_accuracy_settled:.3f} from one second after a face comes or its mask changes"
        yield "labels right", f"{scores.label_accuracy:.3f}", settled
    if real is not None:
        yield "age at the film's own rate", three(real.age_ms), f"p50 / p95 / p99; {real.dropped} dropped"
        yield "CPU at the film's own rate", f"{real.cpu_share:.0%}", f"of {counted(usable_cores(), 'core')}"
    seen = real.scores if real is not None else None
    if seen is not None:
        delays = {
            "a new face is boxed": seen.box_delay_ms,
            "its label is shown": seen.first_label_ms,
            "a changed mask is shown": seen.changed_label_ms,
        }
        for what, delay_ms in delays.items():
            if delay_ms is not None:
                yield what, f"{delay_ms[0]:.0f} ms", f"at the median; longest {delay_ms[1]:.0f} ms"


def compared_rows(compared: Compared) -> Iterator[Row]:
    slowest = compared.fps["original"]
    for name, fps in sorted(compared.fps.items(), key=lambda pair: pair[1]):
        threads = f"; {counted(compared.threads[name], 'thread')}" if name in compared.threads else ""
        yield name, f"{fps:.1f} frames/s, {fps / slowest:.1f} x", LOOPS[name] + threads


def link_rows(links: list[LinkFigures]) -> Iterator[Row]:
    for figures in links:
        link, other = figures.link, figures.imagezmq
        against = (
            f"imagezmq {other.fps:.0f} frames/s, {other.cpu_ms_per_frame:.2f} ms: {link.fps / other.fps:.1f} x"
            if other
            else "imagezmq is not installed: pip install imagezmq"
        )
        memcpy = f"; one copy in memory {figures.memcpy_fps:.0f}/s"
        size = f"{figures.size[0]}x{figures.size[1]}"
        yield size, f"{link.fps:.0f} frames/s, {link.cpu_ms_per_frame:.2f} ms CPU", against + memcpy


def model_rows(models: list[ModelFigures]) -> Iterator[Row]:
    for figures in models:
        times = ", ".join(f"{ms:.2f} ms" for ms in figures.ms_per_face.values())
        batches = " / ".join(map(str, figures.ms_per_face))
        agreed = f"agrees with the first on {figures.agreement:.1%}"
        right = "" if figures.accuracy is None else f", right on {figures.accuracy:.1%}"
        provider = figures.provider.removesuffix("ExecutionProvider")
        title = f"{figures.model}, {provider}, {counted(figures.threads, 'thread')}"
        yield title, f"{figures.faces_per_s:.0f} faces/s", f"a face in batches of {batches}: {times}; {agreed}{right}"


def three(ages: Mapping[str, float]) -> str:
    return " / ".join(f"{ages[p]:.0f}" for p in ("p50", "p95", "p99")) + " ms"


def print_tables(report: Report) -> None:
    """For people."""
    from rich.table import Table

    for title, rows in tables(report):
        table = Table("", "", "", title=title, show_header=False, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console().print(table)


def markdown(report: Report) -> str:
    """For the docs."""
    lines = [machine_line(machine()), ""]
    for title, rows in tables(report):
        lines += [f"| {title} | | |", "|---|---:|---|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(lines)


def machine_line(here: Mapping[str, Any]) -> str:
    """What `machine` has found, in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
    return f"{here['cpu']}, {counted(here['cores'], 'core')}, {here['date']}; {versions}"
