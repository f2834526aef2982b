"""Traces: which frames are told of, by whom, and what is refused before the run."""

import os
import sys

import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import TraceConfig
from transport import header as at
from transport.frame import Box, Face, Frame
from transport.pool import Pool, create_segment
from transport.slot import FIRST
from transport.station import Station
from transport.tickets import Tickets
from transport.trace import Trace, check_trace


class Told:
    """Takes spans; `outcomes` are those of the spans over all, by seq."""

    def __init__(self):
        self.spans = []

    def add(self, name, stream, seq, begin_ns, end_ns, **known):
        assert begin_ns <= end_ns
        self.spans.append((name, stream, seq, begin_ns, known))

    @property
    def outcomes(self):
        return {seq: known["outcome"] for name, _, seq, _, known in self.spans if name == "frame"}


@pytest.fixture
def told():
    return Told()


def frame(seq, faces=()):
    return Frame("door", seq, 1000, np.zeros((4, 6, 3), np.uint8), faces=faces)


def test_a_stage_tells_of_one_frame_in_three(told):
    trace = Trace(3, "detect", "", told.add)
    trace.took(7)
    for seq in range(7):
        trace.passed(frame(seq, (Face(Box(0, 0, 2, 2)),)))
    assert [(name, seq) for name, _, seq, _, _ in told.spans] == [("detect", 0), ("detect", 3), ("detect", 6)]
    assert {known["batch_size"] for *_, known in told.spans} == {7}
    assert {known["faces"] for *_, known in told.spans} == {1}
    assert all(begin_ns > 1000 for *_, begin_ns, _ in told.spans)


def test_who_ends_a_frame_tells_of_its_whole_way(told):
    trace = Trace(2, "overlay", "", told.add)
    trace.took(1)
    trace.ended(frame(4), "stale", 5_000_000)
    trace.ended(frame(5), "shown", 5_000_000)
    stage, root = told.spans
    assert stage[:3] == ("overlay", "door", 4)
    assert root == ("frame", "door", 4, 1000, {"outcome": "stale", "faces": 0, "age_ms": 5.0})


def test_without_traces_nothing_is_told():
    trace = Trace()
    trace.took(1)
    trace.passed(frame(0))
    trace.ended(frame(0), "shown", 0)
    trace.captured(0, 0)
    trace.gone(0, "lost")
    trace.stopped()


@pytest.fixture
def segment():
    fd = create_segment("door", slots=6)
    yield fd
    os.close(fd)


def test_capture_tells_of_the_frames_that_no_stage_ends(segment, told):
    pool = Pool(segment)
    station = Station("door", pool, FIRST, 9)

    def receive(timeout_s, awaited):
        if pool.head[at.ENDED]:
            station.closed()
            station.take(shown.slot)
            station.end(shown.slot, at.OUTCOMES.index("shown"), 5, 0)
        return ()

    trace = Trace(1, "capture", "door", told.add)
    tickets = Tickets("door", Pool(segment), 1, receive, lambda message: None, trace=trace)
    shown, superseded, _ = (tickets.number(tickets.room(4, 6), 1000) for _ in range(3))
    tickets.fly(shown)
    tickets.skip("undecodable")
    tickets.drop(superseded, "superseded")
    tickets.finish()
    assert told.outcomes == {superseded.seq: "superseded", 2: "stopped", 3: "undecodable"}
    assert {seq for _, _, seq, begin_ns, _ in told.spans if begin_ns == 1000} == {1, 2}


@pytest.mark.parametrize(
    "endpoint", ["", "localhost:4318", "ftp://h/v1", "http://", "http://h:99999/v1", "http://h:x/", "http://[::1/v1"]
)
def test_an_endpoint_that_is_no_http_address_is_refused(endpoint):
    with pytest.raises(InputError, match=r"^trace\.endpoint: "):
        check_trace(TraceConfig(endpoint=endpoint))


def test_what_is_not_installed_is_named_with_its_remedy(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[trace\]'$"):
        check_trace(TraceConfig(every=10))
    check_trace(TraceConfig())  # nobody asked for it


def test_what_is_installed_is_not_refused():
    pytest.importorskip("opentelemetry.sdk.trace")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    check_trace(TraceConfig(every=10, endpoint="https://me:pass@collector.example:4318/v1/traces"))
