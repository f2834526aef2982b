"""The pipeline: the table of its stages, `maskstream run` and its options, and a run from start to ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from capture.checked_sources import checked_sources
from capture.recording import captured
from capture.sources import admitted, forms, is_live, kind_of
from configs.address import written
from configs.console import visible
from configs.duration import milliseconds
from configs.errors import Failure, InputError
from configs.labels import Labels, labels_of
from configs.load import given, load_config, names_in
from configs.plural import counted
from configs.printed import as_yaml
from configs.redact import redact
from configs.schema import DetectConfig, PipelineConfig, SourceConfig
from inference.backends.device import wants_cuda
from inference.backends.model_server import check_remote
from inference.detectors import detector_kind, detectors_in_words
from overlay.asides import beside
from overlay.check_options import check_overlay
from overlay.sinks import SINKS, check_sinks, default_sinks, per_stream
from overlay.sinks.claims import Claims
from overlay.sinks.each_picture import still_fps
from run.launcher import prepared
from run.supervisor import Supervisor
from tell.figures import limited_by, run_report
from tell.log_lines import LogLines
from tell.notify import Notify
from tell.progress import Progress, print_ledger
from tell.recent import Recent
from tell.status import Status
from transport.cores import lanes_for, model_threads, search_threads, usable_cores
from transport.header import HELD_SLOTS
from transport.stage import Sources, Stage, Table
from transport.trace import check_trace

if TYPE_CHECKING:
    from run.shard import Shard

LOOK_AHEAD = 8  # frames of files that detect may have at once: 270 ms at 30 frames/s, in which one search is due


def stages(config: PipelineConfig) -> Table:
    """The pipeline, in the order a frame walks it. Each line is one kind of process."""
    still = still_fps(config.overlay)
    sources = {source.name: captured(source, config.overlay, still) for source in config.sources}
    detecting, classifying, overlaying = config.detect, config.classify, config.overlay
    lanes = 1 if config.run.lanes == "auto" else config.run.lanes  # `checked` has made a number of it
    kept = HELD_SLOTS if detecting.candidates else 0
    modules = tuple(dict.fromkeys(module for each in config.sources for module in kind_of(each.source).modules))
    batch, batching = classifying.max_batch, classifiers(config, lanes)
    return (
        Sources("capture", "capture.stage:capture", sources, modules),  # one process for each
        Stage("detect", "inference.detect:detect", detecting, LOOK_AHEAD, keeps=kept, processes=lanes),
        Stage("classify", "inference.classify:classify", classifying, batch, classifying.wait_ms, processes=batching),
        Stage("overlay", "overlay.stage:overlay", overlaying, processes=lanes),
    )


def classifiers(config: PipelineConfig, lanes: int) -> int:
    """How many processes classify: one of each lane; on a GPU one, whose batches are of the streams of all lanes."""
    return 1 if lanes > 1 and wants_cuda(config.classify.device) else lanes


DetectorOption = Annotated[
    str | None, typer.Option(help=f"what finds the faces; {detectors_in_words()}; haar if not given")
]
DetectorModelOption = Annotated[str | None, typer.Option(help="its model file, .onnx; yunet needs one", metavar="FILE")]


def run(
    source: Annotated[list[str] | None, typer.Option(help=f"{forms()}; repeatable")] = None,
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
    device: Annotated[str | None, typer.Option(help="of the classifier: cpu, cuda, cuda:N, or auto")] = None,
    detector: DetectorOption = None,
    detector_model: DetectorModelOption = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="play files at their own rate, newest wins")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="play files again and again")] = False,
    mirror: Annotated[bool | None, typer.Option(help="flip left and right; webcams are mirrored by default")] = None,
    width: Annotated[int | None, typer.Option(help="picture width to ask of a webcam, px")] = None,
    height: Annotated[int | None, typer.Option(help="picture height to ask of a webcam, px")] = None,
    fps: Annotated[
        float | None, typer.Option(help="look at so many pictures a second at most; of snapshots: ask so often")
    ] = None,
    decode: Annotated[
        str | None, typer.Option(help="what decodes films and network cameras: cpu, cuda, qsv; auto if not given")
    ] = None,
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
    shard: Annotated[str | None, typer.Option(help="be this shard of a fleet (docs/shards.md)")] = None,
    epoch: Annotated[
        int | None, typer.Option(help="number of the owner's grant; 1 more than the last if not given")
    ] = None,
    grant: Annotated[str | None, typer.Option(help="or its name; a new one is newer than all before")] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="if the shard runs: wait for its end, and end as it does")
    ] = False,
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
            given(
                realtime=realtime or None,
                loop=loop or None,
                mirror=mirror,
                width=width,
                height=height,
                fps=fps,
                decode=decode,
                wait=wait or None,
                tickets=tickets,
                max_age_ms=max_age_ms,
            ),
        ),
        "detect": given(detector=detector, model=detector_model, every=1 if every_frame else None),
        "classify": given(model=model, classes=names_in(classes), device=device),
        "overlay": given(sinks=sink, corner=corner, max_age_ms=max_age_ms, segment=segment),
        "web": given(host=host, port=port, token=token, tls_cert=tls_cert, tls_key=tls_key),
        "run": given(keep_going=keep_going or None, shard=shard, epoch=epoch, grant=grant),
    }
    options = load_config(config, settings or (), flags, look_up=not print_config)
    if print_config:
        typer.echo(as_yaml(options), nl=False)
        return
    if log not in ("human", "json"):
        raise InputError(f"--log {log}: use human or json")
    run_to_ledger(options, as_json=json_, log_lines=log == "json", adopt=adopt)


def run_to_ledger(options: PipelineConfig, as_json: bool, log_lines: bool = False, adopt: bool = False) -> None:
    """The pipeline from its start to its ledger.

    Raises InputError or Failure where it could not run, or nothing of a source was left, and Exit(1) if sources failed;
    of a shard with other codes, too.
    """
    run, labels = options.run, labels_of(options.run)
    if not (any((run.shard, run.epoch, run.grant, run.epoch_file, run.folder, adopt))):
        _run_to_ledger(options, as_json, log_lines, labels, None)
        return
    from run.owned import owned  # here: most runs are no shard

    def show(line: str) -> None:
        typer.echo(f"maskstream: {visible(redact(line))}", err=True)

    options = replace(options, overlay=replace(options.overlay, sinks=options.overlay.sinks or default_sinks()))
    with owned(options, labels, adopt, show) as (options, shard):
        _run_to_ledger(options, as_json, log_lines, labels, shard)


def _run_to_ledger(
    options: PipelineConfig, as_json: bool, log_lines: bool, labels: Labels, shard: Shard | None
) -> None:
    options, refused = checked(options)
    if "web" in (options.overlay.sinks or default_sinks()):
        from web.checked_page import checked_page  # here: most runs have no page

        options = replace(options, web=checked_page(options.web, lambda line: typer.echo(line, err=True)))
    recent, notify = Recent(), Notify()
    progress = LogLines(labels.given) if log_lines else Progress(labels.shard)
    claims = Claims(options.overlay.sinks)

    def tick(status: Status) -> None:
        recent.add(status)
        progress.tick(recent)
        notify.tick(status)
        claims.keep(status.streams)

    def say(process: str, line: str) -> None:
        progress.say(process, visible(redact(line)))

    def admit(given: bytes, taken: Sequence[str]) -> tuple[str, SourceConfig]:
        name, source = admitted(given, taken)
        source = captured(source, options.overlay, still_fps(options.overlay))
        claims.take(name)
        return name, source

    rows = stages(options)
    asides = beside(options, of_files=not any(map(is_live, options.sources)))
    supervisor = Supervisor(rows, options.run, say, tick, asides, admit, options.trace, prepared(), labels, shard)
    try:
        with claims, progress:
            for source in options.sources:
                claims.take(source.name)
            supervisor.run()
    finally:  # what went wrong is said after the account, not instead of it
        refused |= supervisor.refused
        ledgers, status = supervisor.ledgers, supervisor.status
        if shard is not None:
            shard.hear({}, ledgers)  # what it notes down last is the whole account
        recent.add(status)
        if status.started:
            print_ledger(ledgers, limited_by(status), limited_by(recent.lately()))
        if as_json:
            report = run_report(status, recent.lately(), ledgers, refused)
            typer.echo(json.dumps(report | {"parts": claims.parts()}))
    if gone := [stream for stream, ledger in ledgers.items() if ledger.nothing_left]:
        raise Failure(f"not one frame of {', '.join(gone)} was shown: see above why all are lost or undecodable")
    if refused:
        raise typer.Exit(1)  # what could be done was done, but not all of it: as make --keep-going says it


def checked(options: PipelineConfig) -> tuple[PipelineConfig, dict[str, str]]:
    """The options with all that is left open filled in, and the sources refused; raises InputError early."""
    sources, refused = checked_sources(options)
    detector_kind(options.detect)
    sinks = tuple(per_stream(sink) if len(sources) > 1 else sink for sink in map(written, options.overlay.sinks))
    check_sinks(sinks, [source.source for source in sources])
    check_overlay(options.overlay, sinks, options.run.site)
    check_trace(options.trace)
    has_page = "web" in (sinks or default_sinks())
    if options.run.status or options.run.status_token:
        from web.push_target import check_status  # here: most runs send none

        check_status(options.run)
    if options.web.home_assistant:
        from web.home_assistant import check_home_assistant  # here: most runs tell it nothing

        check_home_assistant(options.web, has_page)
    check_remote(options.classify)
    cores = options.run.cores or usable_cores()
    lanes = lanes_for(options.run.lanes, cores, len(sources), may_add=has_page)
    if lanes > cores:
        typer.echo(f"maskstream: run.lanes {lanes} is more than {counted(cores, 'core')} can keep busy", err=True)
    of_lane = max(1, cores // lanes)
    of_model = model_threads(cores if classifiers(options, lanes) == 1 else of_lane, options.detect.every == 1)
    checked = replace(
        options,
        sources=tuple(sources),
        detect=replace(detecting(options), threads=options.detect.threads or search_threads(of_lane)),
        classify=replace(options.classify, threads=options.classify.threads or of_model),
        overlay=replace(options.overlay, sinks=sinks),
        run=replace(options.run, lanes=lanes),
    )
    return checked, refused


def detecting(options: PipelineConfig) -> DetectConfig:
    """The options of the detect stage: what is to be hidden must be found, also where it is only perhaps a face."""
    return replace(options.detect, candidates=options.detect.candidates or options.overlay.privacy != "none")
