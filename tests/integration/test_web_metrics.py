"""Health and metrics, asked for over HTTP and read by Prometheus' own parser."""

import json
import re
import signal
from pathlib import Path

from ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from test_web_doors import ask

ROOT = Path(__file__).resolve().parents[2]


def figures(port) -> dict[str, float]:
    """Every sample: name and labels -> value."""
    code, headers, body = ask(port, "/metrics")
    assert code == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_the_sums_equal_the_ledger_and_the_table_names_them_all(maskstream, clip):
    """The film ends, the demo goes on: what is said of the film after its end is what the run's JSON says."""
    port = free_port()
    film = clip("film.mp4", count=120)
    config = film.with_name("two.yaml")
    config.write_text(f"sources:\n  - source: {film}\n  - {{source: demo, realtime: true, loop: true}}\n")
    run = maskstream("--config", config, "--sink", "web", "--port", port, "--json")
    run.until(lambda: "film: ended" in run.stderr)
    run.until(lambda: figures(port).get(("maskstream_frames_shown_total", ("stream", "film"))) == 120)
    run.until(lambda: {"maskstream_events_total", "maskstream_persons"} <= {name for name, *_ in figures(port)})
    seen = figures(port)
    for stream in ("film", "demo"):
        of = ("stream", stream)
        dropped = sum(seen[key] for key in seen if key[0] == "maskstream_frames_dropped_total" and of in key)
        rest = seen["maskstream_frames_shown_total", of] + dropped + seen["maskstream_frames_in_flight", of]
        assert abs(seen["maskstream_frames_captured_total", of] - rest) <= 2  # frames that moved while it was read
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    ledger = run.report["streams"]["film"]
    of = ("stream", "film")
    assert ledger["captured"] == seen["maskstream_frames_captured_total", of] == 120
    assert ledger["shown"] == seen["maskstream_frames_shown_total", of]
    assert seen["maskstream_frame_age_seconds_count", of] == ledger["shown"]
    assert ledger["faces"] == seen["maskstream_faces_total", of]
    table = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    served = {re.sub(r"_(bucket|count|sum)$", "", name) for name, *_ in seen} | {"maskstream_frames_dropped_total"}
    assert table == served - {"maskstream_info_info"}
    used = set(re.findall(r"maskstream_\w+", (ROOT / "docs" / "grafana.json").read_text()))
    assert {re.sub(r"_bucket$", "", name) for name in used} <= table


def test_ready_tells_why_not(maskstream, rtsp_server):
    camera, port = rtsp_server(), free_port()
    run = maskstream("--source", camera.url, "--sink", "web", "--port", port)
    run.until(lambda: "web: ready" in run.stderr)
    assert ask(port, "/healthz")[0] == 200
    run.until(lambda: ask(port, "/readyz")[0] == 200)
    camera.kill()
    run.until(lambda: ask(port, "/readyz")[0] == 503)
    assert json.loads(ask(port, "/readyz")[2]) == {"ready": False, "reasons": ["no stream is flowing"]}
    assert ask(port, "/healthz")[0] == 200


def test_old_frames_are_a_reason(maskstream):
    port = free_port()
    options = ("--set", "web.ready_age_ms=0.2")
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "web", "--port", port, *options)
    run.until(lambda: "web: ready" in run.stderr)
    run.until(lambda: b"more than 0.2" in ask(port, "/readyz")[2])
