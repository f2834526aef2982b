"""The pipeline: the table of its stages, its options checked before anything starts, and a run from start to ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence

import typer
from msgspec.structs import replace

from capture.sources import admitted, check_source, forms, free_name, stream_name, tickets_of
from capture.stage import capture
from configs.address import written
from configs.console import visible
from configs.duration import milliseconds
from configs.errors import Failure, InputError
from configs.plural import counted
from configs.redact import redact
from configs.schema import DetectConfig, PipelineConfig, SourceConfig
from events.deliver import DeliverConfig, deliver
from events.rules import read_rules
from inference.backends.device import wants_cuda
from inference.classify import classify
from inference.detect import LOOK_AHEAD, detect
from inference.detectors import detector_kind
from overlay.show_windows import show_windows
from overlay.sinks import check_sinks, default_sinks, per_stream
from overlay.sinks.claims import Claims
from overlay.stage import overlay
from run.supervisor import Supervisor
from tell.figures import limited_by, run_report
from tell.log_lines import LogLines
from tell.notify import Notify
from tell.progress import Progress, print_ledger
from tell.recent import Recent
from tell.status import Status
from transport.cores import lanes_for, model_threads, search_threads, usable_cores
from transport.header import HELD_SLOTS
from transport.stage import Aside, Sources, Stage, Table
from transport.trace import check_trace
from web.address import public_addresses
from web.serve import serve
from web.tls import check_tls
from web.token import with_token

# For two searches, begun 100 ms after one another; below it most pictures would be dropped.
LEAST_PRIVATE_AGE_MS = 500.0


def stages(config: PipelineConfig) -> Table:
    """The pipeline, in the order a frame walks it. Each line is one kind of process."""
    sources = {source.name: source for source in config.sources}
    detecting, classifying, overlaying = config.detect, config.classify, config.overlay
    lanes = 1 if config.run.lanes == "auto" else config.run.lanes  # `checked` has made a number of it
    kept = HELD_SLOTS if detecting.candidates else 0
    batching = classifiers(config, lanes)
    return (
        Sources("capture", capture, sources),  # one process for each
        Stage("detect", detect, detecting, LOOK_AHEAD, keeps=kept, processes=lanes),
        Stage("classify", classify, classifying, classifying.max_batch, classifying.wait_ms, processes=batching),
        Stage("overlay", overlay, overlaying, processes=lanes),
    )


def classifiers(config: PipelineConfig, lanes: int) -> int:
    """How many processes classify: one of each lane; on a GPU one, whose batches are of the streams of all lanes."""
    return 1 if lanes > 1 and wants_cuda(config.classify.device) else lanes


def beside(config: PipelineConfig) -> list[Aside]:
    """What runs beside the way of the frames: the page, the delivery of events, and the windows of several lanes."""
    sinks = config.overlay.sinks or default_sinks()
    page = [Aside("web", serve, config.web)] if "web" in sinks else []
    if "window" in sinks and config.run.lanes not in (1, "auto"):
        page.append(Aside("window", show_windows, config.overlay))
    receivers = tuple(sink for sink in sinks if sink.startswith(("webhook:", "mqtt:", "mqtts:")))
    stores = [sink.removeprefix("sqlite:") for sink in sinks if sink.startswith("sqlite:")]
    return [*page, *([Aside("deliver", deliver, DeliverConfig(stores[0], receivers))] if receivers else [])]


def run_to_ledger(options: PipelineConfig, as_json: bool, log_lines: bool = False) -> None:
    """The pipeline from its start to its ledger.

    Raises InputError or Failure where it could not run, or nothing of a source was left, and Exit(1) if sources failed.
    """
    options, refused = checked(options)
    if "web" in (options.overlay.sinks or default_sinks()):
        public_addresses(options.web)
        check_tls(options.web)
        options = replace(options, web=with_token(options.web, lambda line: typer.echo(line, err=True)))
    recent, notify = Recent(), Notify()
    progress = LogLines() if log_lines else Progress()
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
        claims.take(name)
        return name, source

    supervisor = Supervisor(stages(options), options.run, say, tick, beside(options), admit, options.trace)
    try:
        with claims, progress:
            for source in options.sources:
                claims.take(source.name)
            supervisor.run()
    finally:  # what went wrong is said after the account, not instead of it
        refused |= supervisor.refused
        ledgers, status = supervisor.ledgers, supervisor.status
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
    if not options.sources:
        raise InputError(f"no source: give --source {forms()}")
    refused: dict[str, str] = {}
    sources: list[SourceConfig] = []
    for source in options.sources:
        source = replace(source, source=written(source.source))
        try:
            check_source(source)
        except InputError as error:
            if not options.run.keep_going or len(options.sources) == 1:
                raise
            refused[source.name or redact(source.source)] = str(error)
            typer.echo(f"maskstream: {visible(redact(str(error)))}; the other sources go on", err=True)
        else:
            name = free_name(stream_name(source), [other.name for other in sources])
            sources.append(replace(source, name=name, tickets=tickets_of(source)))
    if not sources:
        raise InputError("none of the sources can be used")
    detector_kind(options.detect)
    sinks = tuple(written(sink) for sink in options.overlay.sinks)
    sinks = tuple(per_stream(sink) if len(sources) > 1 else sink for sink in sinks)
    check_sinks(sinks, [source.source for source in sources])
    if options.overlay.segment:
        milliseconds(options.overlay.segment)
    if options.overlay.privacy != "none" and 0 < options.overlay.max_age_ms < LEAST_PRIVATE_AGE_MS:
        raise InputError(
            f"--max-age {options.overlay.max_age_ms:g}ms is too little with overlay.privacy: a picture is shown when "
            f"it was searched twice, which takes some 300 ms; give {LEAST_PRIVATE_AGE_MS:g}ms or more"
        )
    if options.overlay.rules:
        read_rules(options.overlay.rules)
    check_trace(options.trace)
    cores = options.run.cores or usable_cores()
    lanes = lanes_for(options.run.lanes, cores, len(sources), may_add="web" in (sinks or default_sinks()))
    if lanes > cores:
        typer.echo(f"maskstream: run.lanes {lanes} is more than {counted(cores, 'core')} can keep busy", err=True)
    of_lane, every_frame = max(1, cores // lanes), options.detect.every == 1
    of_model = model_threads(cores if classifiers(options, lanes) == 1 else of_lane, every_frame)
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
