"""Several processes of each stage: a stream stays with one of each, and all sinks gather what they do."""

import json
import os
import signal
import sqlite3
from pathlib import Path

import cv2
import pytest
import tiny_stages
from ports import free_port
from test_same_each_time import of_film
from test_web_doors import ask

from capture.demo import DemoScene
from capture.stage import capture
from configs.schema import DetectConfig, OverlayConfig, RunConfig, SourceConfig
from run.supervisor import Supervisor
from transport.stage import Sources, Stage

TOKEN = "a-token-of-the-test"


def scene(path, first, count):
    """A film of the demo, with persons whose masks change."""
    demo, writer = DemoScene(), cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    for index in range(first, first + count):
        writer.write(demo.picture(index))
    writer.release()
    return path


def test_a_lane_stands_still_and_dies_the_others_go_on_and_all_is_as_with_one_lane(maskstream, tmp_path):
    lengths = {"a": 60, "b": 90, "c": 60}
    films = [scene(tmp_path / f"{name}.avi", 200 + 25 * number, lengths[name]) for number, name in enumerate("abc")]
    sources = [word for film in films for word in ("--source", film)]
    lines = ("--sink", "jsonl:o.jsonl", "--sink", "sqlite:e.db", "--sink", "events:e.jsonl", "--sink", "contact:c.png")
    one = maskstream(*sources, *lines)
    assert one.wait() == 0, one.stderr
    slow = ("--set", "run.lanes=2", "--set", "run.heartbeat_timeout_s=300", "--json")
    two = maskstream(*sources, *lines, *slow)
    two.until(lambda: "detect.2: ready" in two.stderr)  # the sources start when all are
    os.kill(two.stage("detect.2"), signal.SIGSTOP)
    two.until(lambda: sum(line["stream"] in ("a", "c") for line in two.lines()) == 120, 120)
    assert sum(line["stream"] == "b" for line in two.lines()) < lengths["b"]
    os.kill(two.stage("detect.2"), signal.SIGKILL)
    assert two.wait() == 0, two.stderr
    assert {stream: ledger["shown"] for stream, ledger in two.report["streams"].items()} == lengths
    for stream in "ac":
        assert of_film(two.lines(), stream) == of_film(one.lines(), stream)
    assert [line["seq"] for line in two.lines() if line["stream"] == "b"] == list(range(lengths["b"]))
    restarts = {name: stage["restarts"] for name, stage in two.report["stages"].items()}
    lanes = [f"{stage}.{lane}" for stage in ("detect", "classify", "overlay") for lane in (1, 2)]
    assert restarts == dict.fromkeys(["capture", *lanes], 0) | {"detect.2": 1}
    of_one, of_two = events(one), events(two)
    assert set(of_two) == set("abc")
    assert [of_two[stream] for stream in "ac"] == [of_one[stream] for stream in "ac"]
    assert (two.folder / "c.png").stat().st_size > 10_000


def events(run):
    """What happened in each stream; the history and the lines tell of the same."""
    told = [json.loads(line) for line in (run.folder / "e.jsonl").read_text().splitlines()]
    kept = sqlite3.connect(run.folder / "e.db").execute("SELECT id, stream, text FROM events").fetchall()
    assert sorted(kept) == sorted((event["id"], event["stream"], event["text"]) for event in told)
    streams = {event["stream"] for event in told}
    return {stream: [event["text"] for event in told if event["stream"] == stream] for stream in streams}


def test_the_page_shows_the_streams_of_all_lanes_and_new_ones_go_to_the_emptiest(maskstream):
    port = free_port()
    line = ("--source", "demo", "--source", "demo", "--realtime", "--sink", "web", "--port", port, "--token", TOKEN)
    run = maskstream(*line, "--set", "run.lanes=2", "--json")

    def get(path, method="GET", body=None):
        return ask(port, path, method, body, Authorization=f"Bearer {TOKEN}")

    def seen():
        events = json.loads(get("/api/events")[2])
        return {event["stream"] for event in events}

    run.until(lambda: "web: ready" in run.stderr)
    run.until(lambda: all(get(f"/snapshot/{name}.jpg")[0] == 200 for name in ("demo", "demo-2")))
    run.until(lambda: seen() == {"demo", "demo-2"})
    labels = [line for line in get("/metrics")[2].decode().splitlines() if "stage_frames_total{" in line]
    assert len(labels) == 1 + 2 * 3
    assert get("/api/streams/demo", "DELETE")[0] == 200
    assert get("/api/streams", "POST", b'{"source": "demo", "name": "third", "realtime": true}')[0] == 201
    os.kill(run.stage("overlay.1"), signal.SIGKILL)
    run.until(lambda: get("/snapshot/third.jpg")[0] == 200)
    run.until(lambda: "third" in seen())
    done = {name: stage for name, stage in stages(get).items() if name.startswith("overlay")}
    assert done["overlay.1"]["restarts"] == 1
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert "Traceback" not in run.stderr
    assert set(run.report["streams"]) == {"demo", "demo-2", "third"}


def stages(get):
    return {stage["name"]: stage for stage in json.loads(get("/api/status")[2])["stages"]}


@pytest.fixture
def _workers_find_the_tiny_stages(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(tiny_stages.__file__).parent))


@pytest.mark.usefixtures("_workers_find_the_tiny_stages")
def test_one_process_serves_all_lanes_and_gives_each_frame_to_its_own(clip):
    """As `classify` on a GPU does: it is killed, and one before and one behind it."""
    film = str(clip(count=200))
    table = (
        Sources("capture", capture, {f"s{n}": SourceConfig(source=film, tickets=18) for n in range(6)}),
        Stage("detect", tiny_stages.pass_on, DetectConfig(), processes=3),
        Stage("classify", tiny_stages.pass_on, DetectConfig(), batch=8),
        Stage("overlay", tiny_stages.show_100, OverlayConfig(), processes=3),
    )
    victims = ["classify", "detect.2", "overlay.3"]

    def tick(status):
        if victims and any(stream.in_flight for stream in status.streams.values()):
            os.kill(status.processes[victims.pop()].pid, signal.SIGKILL)

    supervisor = Supervisor(table, RunConfig(), lambda name, line: None, tick)
    supervisor.run()
    assert not victims
    assert {name: (ledger.shown, ledger.dropped) for name, ledger in supervisor.ledgers.items()} == {
        f"s{n}": (200, {}) for n in range(6)
    }
    frames = {name: stage.frames for name, stage in supervisor.status.stages.items()}
    assert frames["overlay.1"] == 400
    assert frames["classify"] > 600
    assert {name for name, stage in supervisor.status.stages.items() if stage.restarts} == {
        "classify", "detect.2", "overlay.3"
    }  # fmt: skip
