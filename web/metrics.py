"""The run in figures, for Prometheus; docs/metrics.md has the table of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version

import numpy as np
import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.core import InfoMetricFamily as Info
from prometheus_client.registry import Collector

from tell.status import Status
from transport.header import AGE_STEP
from transport.stage import row_of
from web.run_state import RunState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
AGE_BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_WRITTEN = (  # name, what the overlay counts it as, help
    ("sink_lost", "not_written", "Frames, lines, pictures and clips that a sink could not write (disk full)"),
    ("events_kept", "events_kept", "Events that were written into the history"),
    ("events_lost", "events_lost", "Events that were not, because it could not be used for too long"),
)
Family = Counter | Gauge | Histogram | Info


def figures(run_state: RunState, viewers: int, refused: int) -> bytes:
    """All figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Run(run_state, viewers, refused))
    return generate_latest(registry)


class _Run(Collector):
    def __init__(self, run_state: RunState, viewers: int, refused: int) -> None:
        self._run_state, self._viewers, self._refused = run_state, viewers, refused

    def collect(self) -> Iterator[Family]:
        """All families; where the run has a site, host or shard, each sample has that as labels, too."""
        about = self._run_state.status.about if self._run_state.status else {}
        labels = {name: about[name] for name in ("site", "host", "shard") if name in about}
        for family in self._families():
            family.samples = [sample._replace(labels=labels | sample.labels) for sample in family.samples]
            yield family

    def _families(self) -> Iterator[Family]:
        yield gauge("viewers", "Pages and live streams that are served now", [((), self._viewers)])
        yield counter("connections_refused", "Connections that were one too many", [((), self._refused)])
        status = self._run_state.status
        if status is not None:
            yield from _run(status)
            yield from _streams(status, self._run_state.is_silent)
            yield from _stages(status)
            yield from _beside(status)
            yield from _processes(status)
            yield from _persons(self._run_state)


def counter(name: str, about: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> Counter:
    """A count since the start of the run, one value for each set of labels."""
    family = Counter(f"maskstream_{name}", about, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def gauge(name: str, about: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> Gauge:
    """A value of now, one for each set of labels."""
    family = Gauge(f"maskstream_{name}", about, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _run(status: Status) -> Iterator[Family]:
    facts = {key: status.facts.get(key, "") for key in ("model", "provider", "detector")}
    run = {"run": status.about["run"]} if "run" in status.about else {}
    yield Info("maskstream", "What runs", value=facts | run | {"version": version("maskstream")})
    yield gauge("start_time_seconds", "Unix time at which the sources were started", [((), status.started)])


def _streams(status: Status, is_silent: bool) -> Iterator[Family]:
    streams = status.streams.items()
    about = "Pictures taken from the source"
    yield counter("frames_captured", about, [((name,), s.captured) for name, s in streams], "stream")
    about = "Frames that were drawn and given to the sinks"
    yield counter("frames_shown", about, [((name,), s.shown) for name, s in streams], "stream")
    about = "Frames that file: and images: sinks have written"
    yield counter("frames_recorded", about, [((name,), s.recorded) for name, s in streams], "stream")
    about = "Frames that they were given and could not: the encoder was too slow, or the disk full"
    yield counter("frames_not_recorded", about, [((name,), s.not_recorded) for name, s in streams], "stream")
    about = "Captured pictures that the decoder marks as damaged; they are shown, and nothing is decided by them"
    yield counter("frames_corrupt", about, [((name,), s.corrupt) for name, s in streams], "stream")
    about = "Pictures that came from the source and were not to be looked at (fps, still_fps); not captured"
    yield counter("frames_skipped", about, [((name,), s.skipped) for name, s in streams], "stream")
    dropped = [((name, reason), count) for name, s in streams for reason, count in s.dropped.items()]
    yield counter("frames_dropped", "Frames that were not shown, by reason", dropped, "stream", "reason")
    about = "Frames on their way through the stages: the queue, bounded by the tickets"
    yield gauge("frames_in_flight", about, [((name,), s.in_flight) for name, s in streams], "stream")
    ages = Histogram("maskstream_frame_age_seconds", "From a picture's capture to its drawing", labels=["stream"])
    for name, stream in streams:
        buckets, total_s = age_buckets(np.asarray(stream.ages))
        ages.add_metric([name], buckets, total_s)
    yield ages
    yield counter("faces", "Faces in the frames that were shown", [((name,), s.faces) for name, s in streams], "stream")
    up = [((name,), float(s.state == "flowing" and not is_silent)) for name, s in streams]
    yield gauge("stream_up", "1 while pictures come from the source", up, "stream")
    about = "How often the source came back after it was away"
    yield counter("stream_reconnects", about, [((name,), s.reconnects) for name, s in streams], "stream")


def _stages(status: Status) -> Iterator[Family]:
    stages = status.stages.items()
    yield counter("stage_frames", "Frames that a stage has done", [((name,), s.frames) for name, s in stages], "stage")
    about = "Batches in which a stage took them"
    yield counter("stage_batches", about, [((name,), s.batches) for name, s in stages], "stage")
    busy = [((name,), s.busy_ns / 1e9 / s.members) for name, s in stages]
    yield counter("stage_busy_seconds", "Time at work; its rate is the busy share", busy, "stage")
    about = "How often a process of the stage was started again"
    yield counter("stage_restarts", about, [((name,), s.restarts) for name, s in stages], "stage")
    counts = [stage.counts for name, stage in stages if row_of(name) == "classify"]
    locally = sum(one.get("classified_locally", one.get("classified", 0)) for one in counts)
    remotely = sum(one.get("classified_remotely", 0) for one in counts)
    about = "Faces that were classified, by the model of the run or by its inference server"
    yield counter("faces_classified", about, [(("local",), locally), (("remote",), remotely)], "where")
    overlays = [stage for name, stage in stages if row_of(name) == "overlay"]
    for name, counted, about in _WRITTEN:
        yield counter(name, about, [((), sum(stage.counts.get(counted, 0) for stage in overlays))])


def _beside(status: Status) -> Iterator[Family]:
    """What was sent away by the processes beside the frames."""
    delivered, uploaded = status.beside.get("deliver", {}), status.beside.get("upload", {})
    about = "Events that receivers have taken; each receiver counts"
    yield counter("events_delivered", about, [((), delivered.get("delivered", 0))])
    yield counter("events_refused", "Events that a receiver will never take", [((), delivered.get("refused", 0))])
    yield counter("recordings_uploaded", "Segments that are in the bucket", [((), uploaded.get("uploaded", 0))])
    about = "Finished segments that are not in the bucket yet"
    yield gauge("recordings_waiting", about, [((), uploaded.get("waiting", 0))])
    yield counter("recordings_failed", "Tries to upload a segment that failed", [((), uploaded.get("failed", 0))])


def _processes(status: Status) -> Iterator[Family]:
    cpu_s, resident = [], []
    for name, process in status.processes.items():
        try:
            there = psutil.Process(process.pid)
            used = there.cpu_times()
            cpu_s.append(((name,), used.user + used.system))
            resident.append(((name,), float(there.memory_info().rss)))
        except (psutil.Error, ValueError):  # it is being started again
            continue
    yield counter("process_cpu_seconds", "CPU time of a process of the run, in this life of it", cpu_s, "process")
    about = "Memory of a process; the slots of its streams are counted in each process that has them"
    yield gauge("process_resident_memory_bytes", about, resident, "process")


def _persons(run_state: RunState) -> Iterator[Family]:
    persons = [
        ((stream, label), float(count))
        for stream in run_state.streams
        for label, count in run_state.persons.now(stream, time.time()).items()
    ]
    yield gauge("persons", "Followed persons seen in the last ten seconds, by label", persons, "stream", "label")
    happened = [
        ((stream, rule, label or ""), float(count)) for (stream, rule, label), count in run_state.decided.items()
    ]
    yield counter("events", "Events, by rule and label", happened, "stream", "rule", "label")


def age_buckets(ages: np.ndarray) -> tuple[list[tuple[str, float]], float]:
    """Cumulative counts below each bound, and the sum in seconds (to the 6 % of the ledger's own buckets).

    >>> buckets, total_s = age_buckets(np.array([2, 3] + [0] * 254))
    >>> buckets[0], buckets[-1], round(total_s, 4)
    (('0.005', 5.0), ('+Inf', 5.0), 0.0005)
    """
    tops_s = 1e-4 * AGE_STEP ** np.arange(len(ages))
    counts = [(f"{bound:g}", float(ages[tops_s <= bound * 1.0001].sum())) for bound in AGE_BOUNDS_S]
    return [*counts, ("+Inf", float(ages.sum()))], float((ages * tops_s / AGE_STEP**0.5).sum())
