"""Traces of the real program, as a collector gets them: one per sampled frame, a span for each stage below it."""

import signal
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import cv2
import numpy as np
import psutil
import pytest

pytest.importorskip("opentelemetry.sdk.trace")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

STAGES = ["capture", "detect", "classify", "overlay"]


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP on loopback. `code` is its answer; None: it never answers."""

    daemon_threads = True

    def __init__(self, code=200):
        super().__init__(("127.0.0.1", 0), Take)
        self.code, self.spans, self.headers, self.closed = code, [], [], threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def traces(self):
        """The spans of each trace, by name; a name that comes twice in one is an error."""
        traces = {}
        for _, span in self.spans:
            named = traces.setdefault(span.trace_id, {})
            assert span.name not in named
            named[span.name] = span
        return list(traces.values())


class Take(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.headers.append(self.headers)
        if server.code is None:
            server.closed.wait()
            return
        if server.code == 200:
            for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in sent.scope_spans:
                    server.spans += [(plain(sent.resource.attributes), span) for span in scope.spans]
        self.send_response(server.code)
        self.end_headers()

    def log_message(self, *words): ...


def plain(attributes):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def of(span, name):
    return plain(span.attributes).get(f"maskstream.{name}")


@pytest.fixture
def collector():
    """`collector(code=200)` starts one."""
    started = []

    def start(code=200):
        started.append(Collector(code))
        return started[-1]

    yield start
    for server in started:
        server.closed.set()
        server.shutdown()
        server.server_close()


def asked(endpoint, every):
    return "--set", f"trace.every={every}", "--set", f"trace.endpoint={endpoint}"


def test_every_sampled_frame_is_one_trace_with_a_span_for_each_stage(maskstream, collector):
    at = collector()
    run = maskstream("--source", "demo", "--sink", "jsonl:o.jsonl", "--json", *asked(at.endpoint, 7))
    assert run.wait() == 0, run.stderr
    traces = {of(trace["frame"], "seq"): trace for trace in at.traces()}
    shown = {line["seq"]: line for line in run.lines()}
    assert sorted(traces) == [seq for seq in range(run.report["streams"]["demo"]["captured"]) if seq % 7 == 0]
    for seq, trace in traces.items():
        root = trace.pop("frame")
        assert sorted(trace) == sorted(STAGES)
        assert not root.parent_span_id
        assert {span.parent_span_id for span in trace.values()} == {root.span_id}
        assert len({root.span_id, *(span.span_id for span in trace.values())}) == 5
        spans = [trace[name] for name in STAGES]
        assert root.start_time_unix_nano == spans[0].start_time_unix_nano
        assert spans[-1].end_time_unix_nano <= root.end_time_unix_nano
        assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
        assert all(one.end_time_unix_nano <= next_.start_time_unix_nano for one, next_ in pairwise(spans))
        assert abs(root.start_time_unix_nano / 1e9 - time.time()) < 300
        assert {of(span, "stream") for span in (root, *spans)} == {"demo"}
        assert {of(span, "seq") for span in spans} == {seq}
        assert of(root, "outcome") == "shown"
        assert of(root, "faces") == of(spans[-1], "faces") == len(shown[seq]["faces"])
        assert of(root, "age_ms") <= (root.end_time_unix_nano - root.start_time_unix_nano) / 1e6
        assert of(trace["classify"], "batch_size") >= 1
    instances = {resource["service.instance.id"].split("/")[1] for resource, _ in at.spans}
    assert instances == {"capture-demo", "detect", "classify", "overlay"}
    assert {resource["service.name"] for resource, _ in at.spans} == {"maskstream"}
    assert "trace" not in run.stderr


def test_outcomes_of_all_traces_are_those_of_the_ledger(maskstream, collector, clip, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # for what is elsewhere: the collector is on this machine
    at = collector()
    film = clip(count=150, size=(1280, 720), fps=100)
    slow = ("--realtime", "--every-frame", "--set", "detect.width=1280", "--tickets", "1")
    late = ("--set", "overlay.max_age_ms=0.1")
    run = maskstream("--source", film, *slow, *late, "--sink", "null", "--json", *asked(at.endpoint, 1))
    assert run.wait() == 0, run.stderr
    ledger = run.report["streams"]["clip"]["dropped"]
    traces = at.traces()
    assert Counter(of(trace["frame"], "outcome") for trace in traces) == ledger
    assert set(ledger) == {"superseded", "stale"}
    assert sum(ledger.values()) == 150
    for trace in traces:
        superseded = of(trace["frame"], "outcome") == "superseded"
        assert sorted(trace) == (["frame"] if superseded else sorted(["frame", *STAGES]))


def test_a_broken_picture_is_a_trace_too(maskstream, collector, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in (0, 2):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((240, 320, 3), 127, np.uint8))
    (folder / "1.png").write_bytes(b"no picture")
    at = collector()
    run = maskstream("--source", folder, "--sink", "null", *asked(at.endpoint, 1))
    assert run.wait() == 0, run.stderr
    outcomes = {of(trace["frame"], "seq"): of(trace["frame"], "outcome") for trace in at.traces()}
    assert outcomes == {0: "shown", 1: "undecodable", 2: "shown"}


def test_frames_that_a_killed_stage_took_with_it_have_their_traces_too(maskstream, collector, clip):
    at = collector()
    run = maskstream("--source", clip(count=600), "--sink", "jsonl:o.jsonl", "--json", *asked(at.endpoint, 1))
    run.until(lambda: len(run.lines()) > 30)
    psutil.Process(run.stage("classify")).kill()
    assert run.wait() == 0, run.stderr
    outcomes = Counter(of(trace["frame"], "outcome") for trace in at.traces() if "frame" in trace)
    stream = run.report["streams"]["clip"]
    assert outcomes == {"shown": stream["shown"]} | stream["dropped"]


@pytest.mark.parametrize("away", ["refused", "silent", "busy", "wrong path"])
def test_a_collector_that_is_away_is_told_once_by_each_process_and_stops_nothing(maskstream, collector, clip, away):
    at = collector({"refused": 200, "silent": None, "busy": 503, "wrong path": 404}[away])
    endpoint = at.endpoint.replace("//", "//me:s3cret@")
    if away == "refused":
        at.shutdown()
        at.server_close()
    run = maskstream("--source", clip(count=100), "--sink", "null", "--json", *asked(endpoint, 1))
    assert run.wait() == 0, run.stderr
    assert run.report["streams"]["clip"]["shown"] == 100
    told = [line for line in run.stderr.splitlines() if "traces to" in line]
    assert sorted(line.split(":")[0] for line in told) == ["capture-clip", "classify", "detect", "overlay"]
    assert "Traceback" not in run.stderr
    assert "s3cret" not in run.stderr + run.stdout


@pytest.mark.parametrize("away", ["refused", "silent"])
def test_ctrl_c_is_quick_with_a_collector_that_is_away(maskstream, collector, away):
    at = collector(None)
    if away == "refused":
        at.shutdown()
        at.server_close()
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "jsonl:o.jsonl", *asked(at.endpoint, 1))
    run.until(lambda: len(run.lines()) > 50)
    run.signal(signal.SIGINT)
    began = time.monotonic()
    assert run.wait(10) == 0, run.stderr
    assert time.monotonic() - began < 3
