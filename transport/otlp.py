"""Gives spans to OpenTelemetry, whose own thread sends them to a collector: OTLP over HTTP.

Imported only where traces are asked for. A collector that is away costs the pipeline nothing: the thread's queue is
bounded, spans that find no place are dropped, and one line says so.
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
import threading
import time
from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import urlsplit

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import IdGenerator, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from configs.loopback import is_loopback
from configs.redact import redact
from transport.spec import TraceSpec
from transport.trace import ROOT

log = logging.getLogger("trace")

_QUEUE = 2048  # spans, some kB each
_MESSAGE = 512  # spans sent at once, at most
_SEND_MS = 1000  # a killed process takes this much with it; the SDK's 5 s is long beside a frame's 10 ms
_LAST_WORDS_S = 0.7  # a silent collector may hold up the end of a run for this long twice: capture, then the stages
_REASON = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")  # the end of a long chain of exceptions in one line


class Spans:
    """Where one process's spans go."""

    def __init__(self, spec: TraceSpec, process: str) -> None:
        version = importlib.metadata.version("maskstream")
        about = {
            "service.name": "maskstream",
            "service.version": version,
            "service.instance.id": f"{spec.run}/{process}",
        }
        self._spec = spec
        self._ids = _GivenIds()
        self._lock = threading.Lock()  # capture's reader thread and its main thread both add
        self._troubles = _Troubles(spec.endpoint)
        logger = logging.getLogger("opentelemetry")
        logger.addHandler(self._troubles)
        logger.propagate = False  # it would tell of each try
        # Sampling is by seq, the same in each process: no other rule, as that of OTEL_TRACES_SAMPLER, may come between.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.create(about), shutdown_on_exit=False, id_generator=self._ids
        )
        exporter = _Exporter(spec.endpoint, self._troubles)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, _QUEUE, _SEND_MS, _MESSAGE))
        self._tracer = self._provider.get_tracer("maskstream", version)

    def add(
        self, name: str, stream: str, seq: int, begin_ns: int, end_ns: int, **attributes: str | int | float
    ) -> None:
        """A span of a frame; its times are those of `time.monotonic_ns()`. All but ROOT lie below that one."""
        frame = f"{self._spec.run}/{stream}/{seq}"
        trace_id, above = _number(frame, 16), Context()
        if name != ROOT:
            root = SpanContext(trace_id, _number(f"{frame}/{ROOT}", 8), True, TraceFlags(TraceFlags.SAMPLED))
            above = set_span_in_context(NonRecordingSpan(root), above)
        known: dict[str, str | int | float] = {"stream": stream, "seq": seq, **attributes}
        with self._lock:
            self._ids.next_ids = trace_id, _number(f"{frame}/{name}", 8)
            span = self._tracer.start_span(
                name,
                context=above,
                attributes={f"maskstream.{key}": value for key, value in known.items()},
                start_time=begin_ns + self._spec.epoch_ns,
            )
        span.end(end_ns + self._spec.epoch_ns)

    def close(self) -> None:
        """Send what still waits, if the collector is there and quick."""
        if not self._troubles.now.is_set():
            # The SDK's own end waits for half a minute, and none of its methods takes a time for it.
            sending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
            sending.start()
            until_s = time.monotonic() + _LAST_WORDS_S
            while sending.is_alive() and not self._troubles.now.is_set() and time.monotonic() < until_s:
                sending.join(0.01)
            if sending.is_alive():
                self._troubles.tell(f"no answer within the last {_LAST_WORDS_S:g} s of the run")
        logging.getLogger("opentelemetry").removeHandler(self._troubles)


class _GivenIds(IdGenerator):
    """Hands a span the ids that follow from its frame."""

    next_ids = 0, 0  # trace, span

    def generate_trace_id(self) -> int:
        return self.next_ids[0]

    def generate_span_id(self) -> int:
        return self.next_ids[1]


def _number(text: str, size: int) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest())


class _Exporter(OTLPSpanExporter):
    """Says, too, when the collector has taken something again."""

    def __init__(self, endpoint: str, troubles: _Troubles) -> None:
        session = requests.Session()
        session.trust_env = not is_loopback(urlsplit(endpoint).hostname or "")  # else http_proxy would get the spans
        super().__init__(endpoint, session=session)
        self._troubles = troubles

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self._troubles.now.clear()
        return result


class _Troubles(logging.Handler):
    """What OpenTelemetry complains of: the first time it is told, in one line. `now` is set while spans get lost."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(logging.WARNING)
        self._endpoint = redact(endpoint)
        self._told = False
        self.now = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.now.set()
        message = record.getMessage()
        found = _REASON.search(message)
        self.tell(found[1] if found else message)

    def tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            reason = redact(" ".join(reason.split())).rstrip(".")
            log.warning("traces to %s: %s; spans get lost, frames do not", self._endpoint, reason)
