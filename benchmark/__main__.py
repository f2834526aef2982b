"""Measure the pipeline on this machine: `maskstream benchmark`, `python -m benchmark`."""

from __future__ import annotations

import inspect
import json
import re
import statistics
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmark.baseline import check_baseline, not_compared, read_baseline
from benchmark.card import require_card
from benchmark.clip import Clip, face_crops, generate, open_clip
from benchmark.compared import NetworkFiles, prepare_network
from benchmark.decoding import measure_decoding, median
from benchmark.find_max import find_max as find_most
from benchmark.gpu import measure_gpu
from benchmark.idle import measure_idle
from benchmark.link import measure_links
from benchmark.loops import best_rate
from benchmark.models import measure_models
from benchmark.page_figures import options_of_page, write_figures
from benchmark.pipeline import flat_out, real_time
from benchmark.plot import save_plot, save_scaling_plot
from benchmark.recorded import measure_recorded
from benchmark.report import Compared, Report, markdown, print_tables
from benchmark.scaling import measure_scaling
from configs.command import run_command
from configs.duration import milliseconds
from configs.errors import InputError
from configs.plural import counted
from configs.schema import DetectConfig
from export.faces import choose, face_files, read_faces
from inference.networks import require_torch

REAL_TIME_S = 15.0
LOOP_S = 4.0
TEST_FACES = 200


def benchmark(
    clip: Annotated[
        Path | None, typer.Option(help="Film to run on; a generated scene with known faces if not given.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Its faces, as JSON; FILE.json beside the clip if there is one.")
    ] = None,
    size: Annotated[str, typer.Option(help="Size of the generated scene, px.")] = "640x480",
    fps: Annotated[float, typer.Option(min=1, max=120, help="Its frame rate.")] = 30.0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Beside it: the original's loop, that loop done right, --every-frame.")
    ] = False,
    network: Annotated[
        str, typer.Option(help="Network that is compared: a checkpoint .pth, or a backbone by name (random weights).")
    ] = "ResNet",
    find_max: Annotated[bool, typer.Option("--find-max", help="The most streams that this machine holds.")] = False,
    max_age: Annotated[
        str, typer.Option(help="For --find-max, --scaling, --record, --gpu: the age that 95 % of frames must keep.")
    ] = "100ms",
    scaling: Annotated[
        bool,
        typer.Option("--scaling", help="The most streams and frames/s on 1, 2, 4, ... cores, and the law behind."),
    ] = False,
    idle: Annotated[
        bool, typer.Option("--idle", help="CPU of a camera before an empty room, beside decoding its stream only.")
    ] = False,
    record: Annotated[
        bool,
        typer.Option("--record", help="1080p cameras: how many are held while recorded, and what drawing costs."),
    ] = False,
    transport: Annotated[bool, typer.Option("--transport", help="A frame's way from process to process.")] = False,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="What an NVIDIA card does of each stage, beside the CPU; takes some minutes.")
    ] = False,
    model: Annotated[
        list[Path] | None, typer.Option(help="Time a model file on faces, .onnx or .pth; repeatable to compare.")
    ] = None,
    faces: Annotated[
        Path | None, typer.Option(help="For --model: class folders of face crops; the scene's faces if not given.")
    ] = None,
    classes: Annotated[
        str,
        typer.Option(
            help="For --model and --network: class names a,b,c in the order of the outputs; its own if not given."
        ),
    ] = "",
    device: Annotated[
        str, typer.Option(help="Where models run, in the pipeline and the loops: cpu, cuda, cuda:N, or auto.")
    ] = "cpu",
    detector: Annotated[str | None, typer.Option(help="What finds the faces in the pipeline, as in `run`.")] = None,
    detector_model: Annotated[
        Path | None, typer.Option(help="Its model file, .onnx; yunet needs one.", metavar="FILE")
    ] = None,
    limit: Annotated[
        float, typer.Option(min=6, help="End a flat-out run after this, s, even if it is not steady.")
    ] = 20.0,
    rounds: Annotated[int, typer.Option(min=1, help="Repeat what is compared, in turns, and take medians.")] = 1,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Any option of the pipeline; repeatable.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")] = False,
    markdown_: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
    baseline: Annotated[Path | None, typer.Option(help="JSON of an earlier run: fail if a ratio got worse.")] = None,
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="How much worse it may be.")] = 0.15,
    plot: Annotated[
        Path | None, typer.Option(help="PNG to draw ages and rates into; with --scaling what more cores bring.")
    ] = None,
    docs: Annotated[
        Path | None,
        typer.Option(help="Markdown page whose table of figures, between two markers, is made anew.", metavar="PAGE"),
    ] = None,
) -> None:
    """Measure frames per second, age, CPU and memory of the pipeline here, and whether it still sees every face.

    Speed is honest only beside the truth: recall and labels are scored in the same run. Ratios to other loops can be
    compared between machines; frames per second cannot. Keep the machine quiet meanwhile.

    --scaling names what keeps more cores from bringing more: contention is waiting for what one has at a time,
    coherence is agreeing with each other. --idle and --record serve live cameras of their own over RTSP, on the same
    cores. They take minutes, and say on standard error how far they are.

    --docs runs all commands that the table of a page needs; with --find-max, --compare, --idle or --record only these.
    Each row names its command.

    Examples:
      maskstream benchmark
      maskstream benchmark --compare
      maskstream benchmark --find-max --max-age 100ms
      maskstream benchmark --gpu --json
      maskstream benchmark --scaling --plot scaling.png
      maskstream benchmark --idle --record
      maskstream benchmark --docs README.md --rounds 3
    """
    if docs:
        write_figures(docs, *options_of_page(locals(), inspect.signature(benchmark)), say)
        return
    options = [word for setting in settings or () for word in ("--set", setting)]
    options += ["--device", device]
    options += ["--detector", detector] if detector else []
    options += ["--detector-model", str(detector_model.resolve())] if detector_model else []
    report = Report()
    max_age_ms = milliseconds(max_age)
    earlier = read_baseline(baseline) if baseline else None
    card = require_card(device) if gpu else None
    run_it = compare or not (transport or model or find_max or scaling or idle or record or gpu)
    plays_film = bool(model or find_max or scaling or gpu or run_it)
    if clip and not plays_film:
        raise InputError("--clip: --transport, --idle and --record do not play it; leave it out")
    if truth and not clip:
        raise InputError("--truth tells the faces of a film: give that by --clip")
    if faces and not model:
        raise InputError("--faces is what models are tested on: give those by --model")
    names = [name.strip() for name in classes.split(",")] if classes else []
    if names and not (model or (compare and network.endswith(".pth"))):
        raise InputError("--classes names the outputs of a model file: give that by --model, or by --compare --network")
    if plot:
        if not (run_it or find_max or scaling):
            raise InputError("--plot draws what a default run, --find-max or --scaling measures: ask for one of these")
        require_torch("--plot")  # matplotlib comes with it
    with tempfile.TemporaryDirectory(prefix="maskstream-benchmark-") as name:
        folder = Path(name)
        if transport:
            say("frames from process to process ...")
            report.links = measure_links()
        if plays_film:
            film = open_clip(clip, truth) if clip else generated(folder, size, fps)
            report.clip = f"{film.path.name}, {film.size[0]}x{film.size[1]}, {film.fps:g} frames/s"
        if compare:  # first: what is no network is refused before minutes of measuring
            say(f"{network}: exporting it ...")
            compared = prepare_network(network, film, folder, device, names)
        if model:
            crops, labels = test_faces(film, faces)
            for figures in measure_models(model, device, crops, labels, names):
                say(f"{figures.model}, {counted(figures.threads, 'thread')}: {figures.faces_per_s:.0f} faces/s")
                report.models.append(figures)
        if find_max:
            report.find_max = find_most(film, folder, options, max_age_ms, say)
            report.real_time = report.find_max.held
        if card:
            detectors = [DetectConfig(detector="maskface")]
            if detector and (detector != "maskface" or detector_model):
                detectors.append(DetectConfig(detector=detector, model=str(detector_model or "")))
            report.gpu = measure_gpu(card, folder, film, detectors, options, max_age_ms, say)
        if scaling:
            report.scaling = measure_scaling(film, folder, options, max_age_ms, limit, say)
        if idle:
            report.idle = measure_idle(folder, options, rounds, say)
        if record:
            report.recorded = measure_recorded(folder, options, max_age_ms, rounds, say)
        if run_it:
            measure_pipeline(report, film, folder, options, limit, rounds)
        if compare:
            measure_compared(report, film, folder, options, compared, device, limit, rounds)
    if plot is not None and report.scaling is not None:
        save_scaling_plot(report.scaling, report.clip, plot)
    elif plot is not None and report.real_time is not None:
        save_plot(report.real_time, report.clip, plot)
    if markdown_:
        typer.echo(markdown(report))
    elif not json_:
        print_tables(report)
    if json_:
        typer.echo(json.dumps(report.as_json()))
    if earlier is not None:
        for line in not_compared(report.ratios(), earlier):
            say(f"--baseline {baseline}: not compared: {line}")
        check_baseline(report.ratios(), earlier, tolerance)


def measure_pipeline(report: Report, film: Clip, folder: Path, options: list[str], limit: float, rounds: int) -> None:
    """Flat out beside decoding alone, in turns; then once at the film's own rate."""
    runs, decoded = [], []
    for _ in range(rounds):
        say("decoding alone ...")
        decoded.append(measure_decoding(film.path))
        say("the pipeline, flat out ...")
        runs.append(flat_out(film, folder, options, limit, say))
    report.decoding = median(decoded)
    report.flat_out = sorted(runs, key=lambda run: run.fps)[len(runs) // 2]
    say("the pipeline, at the film's own rate ...")
    report.real_time = real_time(film, folder, options, 1, REAL_TIME_S)


def measure_compared(
    report: Report,
    film: Clip,
    folder: Path,
    options: list[str],
    compared: NetworkFiles,
    device: str,
    limit: float,
    rounds: int,
) -> None:
    """The loops and the pipeline with the same network, in turns."""
    options = [*options, "--model", str(compared.onnx)]
    rates: dict[str, list[float]] = {}
    threads: dict[str, int] = {}
    for _ in range(rounds):
        for loop in ("original", "single"):
            say(f"the loop {loop!r} ...")
            rate, threads[loop] = best_rate(loop, film, LOOP_S, compared.torch, device)
            rates.setdefault(loop, []).append(rate)
        say("the pipeline with it ...")
        rates.setdefault("pipeline", []).append(flat_out(film, folder, options, limit, say).fps)
        say("the pipeline with it, each frame searched and classified ...")
        every = flat_out(film, folder, [*options, "--every-frame"], limit, say)
        rates.setdefault("every_frame", []).append(every.fps)
    report.every_frame = every
    medians = {name: statistics.median(found) for name, found in rates.items()}
    report.compared = Compared(network=compared.called, fps=medians, threads=threads)


def generated(folder: Path, size: str, fps: float) -> Clip:
    """The scene in the size asked for."""
    found = re.fullmatch(r"(\d+)x(\d+)", size)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (160 <= width <= 7680 and 120 <= height <= 4320 and width % 2 == height % 2 == 0):
        raise InputError(f"--size {size}: write it as 1280x720; even numbers, from 160x120 to 7680x4320")
    say(f"generating a scene of {width}x{height} px ...")
    return generate(folder, (width, height), fps)


def test_faces(film: Clip, folder: Path | None) -> tuple[list[np.ndarray], list[str]]:
    """Crops (H, W, 3) uint8 BGR to time and test models on, and their labels where they are known."""
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"--faces {folder}: no such folder")
        files = choose(face_files(folder), TEST_FACES, balanced=True)
        faces = read_faces(files, {file.parent.name for file in files}, folder)
        return faces.crops, faces.labels
    crops = face_crops(film, TEST_FACES) if film.truth is not None else []
    if not crops:
        raise InputError("--model: the clip has no truth, so no faces are known; give --faces")
    return crops, []


def say(line: str) -> None:
    """What goes on, on standard error: the tables and JSON have standard output to themselves."""
    typer.echo(line, err=True)


if __name__ == "__main__":
    run_command([benchmark], "python -m benchmark")
