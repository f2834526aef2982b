"""Start the pipeline: `python run_pipeline.py --source 0`; `maskstream` is the same program with all commands."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace

# Ctrl-C while modules are loaded (seconds on a busy box) ends the process without a traceback
if (ON_INTERRUPT := signal.getsignal(signal.SIGINT)) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

try:
    import cv2  # noqa: F401
except ImportError as error:  # a bare Debian lacks what its wheel does not bring
    sys.exit(f"maskstream: error: OpenCV cannot start ({error}): apt-get install libxcb1 libgl1 libglib2.0-0")

from benchmark.__main__ import benchmark
from benchmark.chaos import chaos
from capture.sources import forms
from classify_pictures import STREAM, classify_pictures
from configs.command import refuse, run_command
from configs.duration import milliseconds
from configs.errors import InputError
from configs.load import as_yaml, load_config
from doctor import doctor
from events.commands import events, report
from export.__main__ import export
from inference.detectors import detectors_in_words
from overlay.sinks import SINKS, check_sinks
from overlay.sinks.claims import Claims
from pipeline import detecting, run_to_ledger
from train.__main__ import train
from train.classifier.options import plain_shares
from train.detector.__main__ import train_detector_command
from train.evaluate import evaluate
from train.evaluate_detector import evaluate_detector
from train.results import results
from transport.cores import usable_cores
from web.commands import streams_command

signal.signal(signal.SIGINT, ON_INTERRUPT)


def run(
    source: Annotated[
        list[str] | None,
        typer.Option(help=f"{forms()}; repeatable"),
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(form for form, _ in SINKS.values())}; repeatable; a window if not given, or the page "
            "where there is no display"
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with any of the options; see --print-config")] = None,
    model: Annotated[
        str | None, typer.Option(help="classifier, .onnx or .pth; the one that ships if not given")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="class names a,b,c in output order, if the model has none")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N, or auto")] = None,
    detector: Annotated[
        str | None, typer.Option(help=f"what finds the faces; {detectors_in_words()}; haar if not given")
    ] = None,
    detector_model: Annotated[
        str | None, typer.Option(help="its model file, .onnx; yunet needs one", metavar="FILE")
    ] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="play files at their own rate, newest wins")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="play files again and again")] = False,
    mirror: Annotated[bool | None, typer.Option(help="flip left and right; webcams are mirrored by default")] = None,
    width: Annotated[int | None, typer.Option(help="picture width to ask of a webcam, px")] = None,
    height: Annotated[int | None, typer.Option(help="picture height to ask of a webcam, px")] = None,
    fps: Annotated[float | None, typer.Option(help="frame rate to ask of a webcam, or of snapshots")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="keep trying when a camera is not there at the start")] = False,
    every_frame: Annotated[
        bool, typer.Option("--every-frame", help="search and classify each face of each frame; nothing is followed")
    ] = False,
    tickets: Annotated[int | None, typer.Option(help="frames of a source under way at once; fewer are fresher")] = None,
    max_age: Annotated[
        str | None, typer.Option(help="keep live frames younger than this, as 150ms: fewer frames, none late")
    ] = None,
    corner: Annotated[bool | None, typer.Option(help="stream name, rate and age in a corner of the picture")] = None,
    segment: Annotated[str | None, typer.Option(help="file: sinks begin a new video after this, as 10m")] = None,
    host: Annotated[
        str | None, typer.Option(help="where the page of --sink web listens; 127.0.0.1 if not given")
    ] = None,
    port: Annotated[int | None, typer.Option(help="its port; 8080 if not given")] = None,
    token: Annotated[
        str | None, typer.Option(help="its secret, also MASKSTREAM_TOKEN; one is made and shown if not given")
    ] = None,
    tls_cert: Annotated[str | None, typer.Option(help="its certificate, PEM: it speaks TLS", metavar="FILE")] = None,
    tls_key: Annotated[
        str | None, typer.Option(help="the certificate's key, PEM, if in a file of its own", metavar="FILE")
    ] = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="run on when one of several sources fails")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="any option: section.key=value; repeatable")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="end with the run as one JSON object on one line")] = False,
    log: Annotated[str, typer.Option(help="how the run tells of itself on standard error: human, or json")] = "human",
    print_config: Annotated[bool, typer.Option("--print-config", help="print all options as YAML and end")] = False,
) -> None:
    """Show and record who wears a mask, live from cameras or from files.

    The run ends with the sources, or with Ctrl-C. Not all options have a flag: --source demo --print-config shows
    them all, with unit, default and reason; they stand in a YAML file (--config) or are set by --set.

    Examples:
      maskstream run --source 0
      maskstream run --source rtsp://user:pass@host/path --sink file:out.mp4
      maskstream run --source clip.mp4 --sink file:o.mp4 --sink jsonl:o.jsonl
      maskstream run --source demo --realtime --loop --sink web
    """
    max_age_ms = milliseconds(max_age) if max_age else None
    flags = {
        "sources": (
            source or [],
            _given(
                realtime=realtime or None,
                loop=loop or None,
                mirror=mirror,
                width=width,
                height=height,
                fps=fps,
                wait=wait or None,
                tickets=tickets,
                max_age_ms=max_age_ms,
            ),
        ),
        "detect": _given(detector=detector, model=detector_model, every=1 if every_frame else None),
        "classify": _given(model=model, classes=_names(classes), device=device),
        "overlay": _given(sinks=sink, corner=corner, max_age_ms=max_age_ms, segment=segment),
        "web": _given(host=host, port=port, token=token, tls_cert=tls_cert, tls_key=tls_key),
        "run": _given(keep_going=keep_going or None),
    }
    options = load_config(config, settings or (), flags, look_up=not print_config)
    if print_config:
        typer.echo(as_yaml(options), nl=False)
        return
    if log not in ("human", "json"):
        raise InputError(f"--log {log}: use human or json")
    run_to_ledger(options, as_json=json_, log_lines=log == "json")


def classify_command(
    model: Annotated[Path, typer.Argument(help="Classifier, .onnx or .pth.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Pictures, or folders of them; none: the webcam.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto")] = "cpu",
    whole: Annotated[bool, typer.Option("--whole", help="each picture is a crop of one face; look for none")] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="folder for the annotated pictures and faces.jsonl")
    ] = Path("classified"),
    classes: Annotated[str | None, typer.Option(help="class names a,b,c in output order, if it has none")] = None,
    detector: Annotated[
        str | None, typer.Option(help=f"what finds the faces; {detectors_in_words()}; haar if not given")
    ] = None,
    detector_model: Annotated[
        str | None, typer.Option(help="its model file, .onnx; yunet needs one", metavar="FILE")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="any option: section.key=value")] = None,
) -> None:
    """Classify pictures: a table, annotated pictures, JSON lines. Without pictures: the webcam, in a window.

    Examples:
      maskstream classify models/NAME.pth photos/
      maskstream classify models/NAME.pth faces/ --whole -o classified/
      maskstream classify models/NAME.pth
    """
    flags: dict[str, Any] = {
        "sources": ([] if paths else ["0"], {}),
        "detect": _given(detector=detector, model=detector_model),
        "classify": _given(model=str(model), classes=_names(classes), device=device),
        "overlay": {"sinks": [f"images:{output}", f"jsonl:{output / 'faces.jsonl'}"] if paths else ["window"]},
    }
    options = load_config(None, settings or (), flags)
    if not paths:
        if whole:
            raise InputError("--whole is for pictures: a webcam's picture is no crop of a face")
        run_to_ledger(options, as_json=False)
        return
    check_sinks(options.overlay.sinks, map(str, paths))
    threads = options.classify.threads or usable_cores()  # no other process needs them here
    model_options = replace(options.classify, threads=threads)
    with Claims(options.overlay.sinks) as claims:
        claims.take(STREAM)
        classify_pictures(paths, model_options, detecting(options), options.overlay, whole, output)


def _names(text: str | None) -> list[str] | None:
    """Class names from `a, b, c`."""
    return [name.strip() for name in text.split(",")] if text else None


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


ABOUT = "Live face-mask video pipeline: capture, detect, classify, overlay."
COMMANDS: tuple[Callable[..., Any], ...] = (
    run,
    streams_command,
    events,
    report,
    doctor,
    classify_command,
    train,
    evaluate,
    train_detector_command,
    evaluate_detector,
    results,
    export,
    benchmark,
    chaos,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """`maskstream`: all commands."""
    _check_install()
    run_command(COMMANDS, "maskstream", ABOUT, plain_shares(sys.argv[1:] if arguments is None else arguments))


def _check_install() -> None:
    """Another distribution's top-level `inference` or `train` must not have come in between."""
    here = Path(__file__).resolve().parent
    for name in ("capture", "events", "export", "inference", "overlay", "run", "tell", "train", "transport", "web"):
        room = Path(str(sys.modules[name].__file__)).resolve()
        if room.parent.parent != here:
            sys.exit(refuse(f"{room} is not maskstream's own: uninstall the package that brought it", 1))


if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
