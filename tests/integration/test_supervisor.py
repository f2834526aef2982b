"""The supervisor over stages of a few lines: bounded age, restarts, giving up."""

import os
import signal
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
import tiny_stages
import zmq

from capture.stage import capture
from configs.errors import Failure
from configs.schema import DetectConfig, OverlayConfig, RunConfig, SourceConfig
from run.supervisor import Supervisor
from tell.figures import stage_figures
from transport.codec import VERSION, Beat, Return, encode, encode_frame
from transport.frame import Frame
from transport.ledger import percentile_ms
from transport.stage import Sources, Stage

JUNK = (
    [b""],
    [b"\xff" * 1000],
    [VERSION],
    [VERSION + b"\xc1"],
    [b"a", b"b", b"c"],
    [encode(Return("s"))],
    [encode_frame(Frame("s", 1, 1, np.zeros((4, 4, 3), np.uint8), slot=0), 7)],
    [encode(Beat("nobody", 1, 0, 0, 0, 0))],
)


@pytest.fixture(autouse=True)
def _workers_find_the_tiny_stages(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(tiny_stages.__file__).parent))


def supervise(source, middle=tiny_stages.pass_on, last=tiny_stages.show, on_tick=lambda status: None, **run):
    said = []
    table = (
        Sources("capture", capture, {"s": source}),
        Stage("detect", middle, DetectConfig()),
        Stage("overlay", last, OverlayConfig()),
    )
    supervisor = Supervisor(table, RunConfig(**run), lambda name, line: said.append(f"{name}: {line}"), on_tick)
    supervisor.said = said
    return supervisor


def test_every_frame_of_a_file_comes_through(clip):
    supervisor = supervise(SourceConfig(source=str(clip(count=300))))
    supervisor.run()
    ledger = supervisor.ledgers["s"]
    assert (ledger.captured, ledger.shown, ledger.dropped, ledger.in_flight) == (300, 300, {}, 0)


def test_who_watches_is_told_of_each_phase_however_short_it_was(clip, monkeypatch):
    """A run that was told to end and did so within half a second told nobody that it was ending."""
    monkeypatch.setattr("run.supervisor._TELL_S", 3600)
    phases = []

    def tick(status):
        phases.append(status.phase)
        if status.phase == "running":
            supervisor.stop()

    supervisor = supervise(SourceConfig(source=str(clip(count=300)), realtime=True), on_tick=tick)
    supervisor.run()
    assert list(dict.fromkeys(phases))[-3:] == ["running", "draining", "closing"]


def test_a_stage_is_told_once_that_a_stream_ended_after_its_last_frame_and_not_when_its_capture_died(clip):
    """The stream that ends first is told while the other flows."""
    films = {
        "short": SourceConfig(source=str(clip("short.mp4", count=40))),
        "long": SourceConfig(source=str(clip("long.mp4", count=150, fps=30)), realtime=True),  # 5 s: ticks are rare
    }
    table = (
        Sources("capture", capture, films),
        Stage("detect", tiny_stages.count_ends, DetectConfig(), batch=8),
        Stage("overlay", tiny_stages.show, OverlayConfig()),
    )
    early, killed = [], []

    def tick(status):
        counts = status.stages["detect"].counts
        if "short ended" in counts and "long ended" not in counts:
            early.append(counts)
        if status.streams["long"].shown > 20 and not killed:
            killed.append(status.processes["capture-long"].pid)
            os.kill(killed[0], signal.SIGKILL)

    supervisor = Supervisor(table, RunConfig(), lambda name, line: None, tick)
    supervisor.run()
    assert supervisor.status.processes["capture-long"].restarts == 1
    assert early[0] == {"short ended": 1, "short had": 40}
    counts = supervisor.status.stages["detect"].counts
    assert (counts["long ended"], counts["long had"]) == (1, supervisor.ledgers["long"].shown)


def test_the_governor_keeps_frames_of_a_slow_box_young(clip):
    """The sink shows 5 a second, whatever comes: six tickets would make frames 1.2 s old."""
    source = SourceConfig(source=str(clip(count=60, fps=30)), realtime=True, loop=True, max_age_ms=600)
    marks = []

    def tick(status):
        ledger = supervisor.ledgers["s"]
        if len(marks) < 3 and ledger.shown >= (12, 27, 47)[len(marks)]:  # not after so many s: a busy box begins late
            marks.append(ledger)
        if len(marks) == 3:
            supervisor.stop()

    supervisor = supervise(source, last=tiny_stages.slow_show, on_tick=tick)
    supervisor.run()
    early, learnt, late = marks
    assert percentile_ms(early.ages, 99) > 600
    assert percentile_ms(late.ages - learnt.ages, 90) < 800  # its 600, and one more frame of 200
    assert 0 < late.paced_fps < 8
    assert any("slower: frames came out too old" in line for line in supervisor.said)


def test_what_is_no_message_of_the_run_is_said_and_ignored(clip, monkeypatch):
    monkeypatch.setattr("transport.junk.SAY_EVERY_S", 0.0)  # each of them: else only the first
    sent = []

    def tick(status):
        if not sent and status.ran_s:
            [run] = Path(folder).glob("maskstream-*")
            link.connect(f"ipc://{run}/control")
            for parts in JUNK:
                link.send_multipart(parts)
                sent.append(parts)

    with tempfile.TemporaryDirectory(dir="/tmp") as folder, zmq.Context() as context, context.socket(zmq.PUSH) as link:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        supervisor = supervise(SourceConfig(source=str(clip(count=200)), realtime=True), on_tick=tick)
        supervisor.run()
    assert supervisor.ledgers["s"].captured == 200
    ignored = [line for line in supervisor.said if line.startswith("supervisor: ignored a message: ")]
    assert len(sent) == len(JUNK)
    assert len(ignored) == len(JUNK) - 1  # all but the heartbeat of nobody


def test_a_slow_sink_bounds_the_age_by_the_tickets(clip):
    source = SourceConfig(source=str(clip(count=60, fps=30)), realtime=True, loop=True, tickets=4)
    halves = []

    def tick(status):
        ledger = supervisor.ledgers["s"]
        if ledger.shown >= 25 * (len(halves) + 1):
            halves.append(ledger.as_json()["age_ms"]["p99"])
        if len(halves) == 2:
            supervisor.stop()

    supervisor = supervise(source, last=tiny_stages.slow_show, on_tick=tick)
    supervisor.run()
    ledger = supervisor.ledgers["s"]
    assert ledger.balanced
    assert ledger.dropped["superseded"] > 4 * ledger.shown
    busy = {name: stage["busy"] for name, stage in stage_figures(supervisor.status).items()}
    assert max(busy, key=busy.__getitem__) == "overlay"
    service_ms = 1000 / ledger.fps  # 200, and what a busy box adds
    assert halves[0] < 4.3 * service_ms
    assert halves[1] < 4.3 * service_ms


def test_a_stage_that_hangs_is_killed_and_the_run_goes_on(clip):
    supervisor = supervise(SourceConfig(source=str(clip(count=100))), middle=tiny_stages.stuck, hang_timeout_s=1.5)
    supervisor.run()
    ledger = supervisor.ledgers["s"]
    assert (ledger.captured, ledger.shown, ledger.dropped) == (100, 100, {})
    assert stage_figures(supervisor.status)["detect"]["restarts"] == 1
    assert any("stuck in one piece of work" in line for line in supervisor.said)


def test_a_stage_that_cannot_start_is_given_up(clip):
    supervisor = supervise(SourceConfig(source=str(clip())), middle=tiny_stages.crash_at_start)
    with pytest.raises(Failure, match="detect died"):
        supervisor.run()
    assert supervisor.ledgers["s"].captured == 0


def test_a_stage_that_keeps_a_frame_is_found_out(clip):
    supervisor = supervise(SourceConfig(source=str(clip())), middle=tiny_stages.keep_one, max_restarts=1)
    with pytest.raises(Failure, match="detect died 2 times"):
        supervisor.run()
    assert any("asked for the next batch but kept" in line for line in supervisor.said)
    assert supervisor.ledgers["s"].balanced


def test_a_picture_larger_than_all_before_finds_room(tmp_path, clip):
    import cv2

    for index, size in enumerate([(64, 48), (640, 480), (32, 32), (1280, 720)]):
        cv2.imwrite(str(tmp_path / f"{index}.png"), clip.picture(index, size))
    supervisor = supervise(SourceConfig(source=str(tmp_path)))
    supervisor.run()
    assert supervisor.ledgers["s"].shown == 4


def test_memory_is_given_back(clip):
    before = len(os.listdir("/proc/self/fd"))
    supervise(SourceConfig(source=str(clip()))).run()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.slow
def test_a_minute_behind_a_slow_sink_ages_no_frame_and_takes_no_memory(clip):
    source = SourceConfig(source=str(clip(count=60, fps=30, size=(640, 480))), realtime=True, loop=True, tickets=6)
    samples = []  # (ages so far, MB) every ten seconds

    def tick(status):
        if status.ran_s > 10 * (len(samples) + 1):
            samples.append((supervisor.ledgers["s"].ages, memory_mb()))
        if len(samples) == 7:
            supervisor.stop()

    supervisor = supervise(source, last=tiny_stages.slow_show, on_tick=tick)
    supervisor.run()
    assert supervisor.ledgers["s"].balanced
    ages = [percentile_ms(later[0] - earlier[0], 99) for earlier, later in pairwise(samples)]
    memory = [round(mb, 1) for _, mb in samples]
    print(f"\np99 of the age in each ten seconds: {ages} ms; memory {memory} MB")
    assert max(ages) < 6 * 200
    assert ages[-1] < 1.1 * ages[0]
    assert memory[-1] - memory[0] < 3


def memory_mb() -> float:
    """What the workers have in memory, each with its share of what they share."""
    return sum(child.memory_full_info().pss for child in psutil.Process().children(recursive=True)) / 1e6
