"""Traces: of one frame in n, where its time went; a span for each stage, and one over all from capture to its end.

A frame carries nothing for it: ids follow from run, stream and seq (transport/otlp.py), so each process writes what
it knows, also one that was started again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from configs.errors import InputError
from configs.schema import TraceConfig
from transport.frame import Frame
from transport.spec import Spec

ROOT = "frame"  # the name of the span over all
_PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")

Add = Callable[..., None]
"""(name, stream, seq, begin_ns, end_ns, **attributes): take a span, its times as of `time.monotonic_ns()`."""


def check_trace(config: TraceConfig) -> None:
    """Raise InputError if traces could not be sent."""
    try:
        url = urlsplit(config.endpoint)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        usable = False
    if not usable:
        raise InputError(f"trace.endpoint: {config.endpoint!r} is not http://HOST:PORT/PATH, nor https")
    if config.every and not all(map(_is_installed, _PACKAGES)):
        raise InputError("trace.every: traces need OpenTelemetry: pip install -e '.[trace]'")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # nor is what it would lie in
        return False


@contextlib.contextmanager
def tracing(spec: Spec) -> Iterator[Trace]:
    """The trace of a stage's process while this holds; then what still waits is sent."""
    if spec.trace is None:
        yield Trace()
        return
    from transport.otlp import Spans  # here: who wants no traces needs no OpenTelemetry

    spans = Spans(spec.trace, spec.process)
    try:
        yield Trace(spec.trace.every, spec.row, spec.stream, spans.add)
    finally:
        spans.close()


class Trace:
    """What one process says of the frames that are traced: those whose seq is a multiple of `every`; 0: of none.

    A stage calls `took`, then `passed` or `ended`. Capture, of its `stream`, calls `passed` and those below. So the
    span over all is written by who ends the frame: the last stage, or capture for a frame that did not get there.
    """

    def __init__(self, every: int = 0, stage: str = "", stream: str = "", add: Add = lambda *_, **__: None) -> None:
        self._every, self._stage, self._stream, self._add = every, stage, stream, add
        self._took_ns = self._batch = 0
        self._captured_ns: dict[int, int] = {}  # of the traced frames that are under way, by seq

    def _skips(self, seq: int) -> bool:
        return not self._every or seq % self._every != 0

    def took(self, frames: int) -> None:
        """The stage begins with a batch of so many."""
        self._took_ns, self._batch = time.monotonic_ns(), frames

    def passed(self, frame: Frame) -> None:
        """The stage is done with a frame. Called before it is sent: its next span must not begin earlier."""
        if self._skips(frame.seq):
            return
        begin_ns, known = frame.captured_ns, {}
        if self._batch:
            begin_ns, known = self._took_ns, {"faces": len(frame.faces), "batch_size": self._batch}
        self._add(self._stage, frame.stream, frame.seq, begin_ns, time.monotonic_ns(), **known)

    def ended(self, frame: Frame, outcome: str, age_ns: int) -> None:
        """The stage is done with a frame, and its way ends here."""
        if self._skips(frame.seq):
            return
        self.passed(frame)
        known: dict[str, Any] = {"outcome": outcome, "faces": len(frame.faces), "age_ms": age_ns / 1e6}
        self._add(ROOT, frame.stream, frame.seq, frame.captured_ns, time.monotonic_ns(), **known)

    def captured(self, seq: int, captured_ns: int) -> None:
        """A frame begins its way."""
        if not self._skips(seq):
            self._captured_ns[seq] = captured_ns

    def home(self, seq: int) -> None:
        """A frame's ticket is back: the stage that ended it has said so."""
        self._captured_ns.pop(seq, None)

    def gone(self, seq: int, outcome: str) -> None:
        """A frame's way has ended, and no stage can say so.

        Where it is not known when it was captured (a picture that gave no frame, or a frame of an earlier life of
        this process) its span begins where it ends.
        """
        if self._skips(seq):
            return
        end_ns = time.monotonic_ns()
        begin_ns = self._captured_ns.pop(seq, end_ns)
        self._add(ROOT, self._stream, seq, begin_ns, end_ns, outcome=outcome, age_ms=(end_ns - begin_ns) / 1e6)

    def stopped(self) -> None:
        """The stream has ended, all that was sent is home: what is left will not be sent."""
        for seq in list(self._captured_ns):
            self.gone(seq, "stopped")
