"""What a process's exit and silence mean, given what is wanted of its stream."""

import time
from types import SimpleNamespace

import pytest

from configs.errors import Failure, InputError
from configs.schema import RunConfig
from run.code import UPGRADED
from run.reconcile import Phase, Reconciler
from transport.codec import Beat, Ready, Refused


class Process:
    """A worker that lives and dies as a test says."""

    def __init__(self, name, stream="", added=False):
        self.name, self.spec = name, SimpleNamespace(stream=stream, added=added)
        self.pid, self.exit_code, self.lives, self.restarts, self.started_s = 7, 1, 1, 0, 1.0
        self.alive = self.ready = True
        self.done, self.refusal, self.restart_at_s, self.closed_s, self.gone_s = False, "", None, 0.0, 1.0
        self.heard_for = []
        self.late, self.deaths, self.asked, self.room = "", [], 0, True

    def start(self):
        if not self.room:
            raise OSError(11, "Resource temporarily unavailable")
        self.started_s = time.monotonic()
        self.alive, self.restart_at_s, self.closed_s, self.lives = True, None, 0.0, self.lives + 1

    def close(self):
        self.asked += 1
        self.closed_s = self.closed_s or 1.0  # long ago

    def kill(self):
        self.alive = False

    def wait(self, timeout_s): ...

    def listened(self, passed_s):
        self.heard_for.append(passed_s)

    def overdue(self, run):
        return self.late

    def died(self, max_restarts):
        self.deaths.append(1)
        self.restart_at_s = 0.0  # at once
        return None if len(self.deaths) > max_restarts else 0.0

    def how_it_ended(self):
        return "exit code 1"


class Streams:
    def __init__(self, *names):
        self.names, self.wanted, self.told = list(names), dict.fromkeys(names, "present"), []
        self.finished, self.bad = set(), []

    def tell(self, name):
        self.told.append((name, self.wanted[name]))

    def forget(self, name):
        self.names.remove(name)
        del self.wanted[name]

    def has_finished(self, name):
        return name in self.finished

    def failed(self, name):
        self.bad.append(name)


class Processes:
    def __init__(self, *processes):
        self.by_name = {process.name: process for process in processes}

    def capture_of(self, stream):
        return next(process for process in self.by_name.values() if process.spec.stream == stream)

    def remove(self, process):
        del self.by_name[process.name]

    def starting(self, since_s):
        return sum(process.started_s > since_s and not process.ready for process in self.by_name.values())


@pytest.fixture
def run():
    door, yard, detect = Process("capture-door", "door"), Process("capture-yard", "yard", added=True), Process("detect")
    streams, processes, said = Streams("door", "yard"), Processes(door, yard, detect), []
    reconciler = Reconciler(
        RunConfig(max_restarts=2), streams, processes, lambda name, line: said.append(f"{name}: {line}")
    )
    return SimpleNamespace(
        round=lambda phase=Phase.RUNNING: reconciler.round(phase), door=door, yard=yard, detect=detect,
        streams=streams, processes=processes, said=said, reconciler=reconciler,
    )  # fmt: skip


def test_what_dies_is_started_again_and_told_again_what_is_wanted(run):
    run.streams.wanted["yard"] = "paused"
    run.yard.alive = False
    run.round()
    assert run.said == ["capture-yard: died (exit code 1), starting it again in 0 s"]
    run.streams.told.clear()
    run.round()
    assert (run.yard.lives, run.streams.told) == (2, [("door", "present"), ("yard", "paused")])


def test_a_capture_that_dies_while_its_stream_is_to_go_is_done(run):
    run.streams.wanted["yard"] = "absent"
    run.round()
    assert run.yard.asked == 1
    run.yard.alive = False
    run.round()
    assert (run.streams.names, run.yard.lives) == (["door"], 1)
    assert run.yard.name not in run.processes.by_name
    assert run.reconciler.failure is None


def test_one_that_had_died_before_it_was_to_go_is_not_started_again(run):
    run.yard.alive = False
    run.round()
    run.streams.wanted["yard"] = "absent"
    run.round()
    assert (run.streams.names, run.yard.lives) == (["door"], 1)


def test_one_that_does_not_end_is_killed(run):
    run.streams.wanted["yard"] = "absent"
    run.round()
    assert run.said == ["capture-yard: has not ended within 8 s: killed"]
    run.round()
    assert run.streams.names == ["door"]


def test_one_that_refuses_while_its_stream_is_to_go_is_no_complaint(run):
    run.streams.wanted["yard"] = "absent"
    run.yard.refusal, run.yard.alive = "no such camera", False
    run.round()
    assert (run.streams.names, run.reconciler.refused, run.reconciler.failure) == (["door"], {}, None)


def test_a_source_that_was_added_and_refuses_fails_alone_and_is_forgotten_with_its_stream(run):
    run.yard.refusal, run.yard.alive = "no such camera", False
    run.round()
    assert (run.reconciler.refused, run.streams.bad) == ({"yard": "no such camera"}, ["yard"])
    run.streams.wanted["yard"] = "absent"
    run.round()
    assert (run.reconciler.refused, run.streams.names) == ({}, ["door"])


def test_a_stage_that_refuses_ends_the_run(run):
    run.detect.refusal, run.detect.alive = "no such model", False
    run.round()
    assert isinstance(run.reconciler.failure, InputError)


def test_what_the_system_has_no_room_for_is_tried_again_like_what_died(run):
    run.detect.alive = run.detect.room = False
    for _ in range(3):
        run.round()
    assert (
        run.said[1] == "detect: died (could not be started: Resource temporarily unavailable), starting it again in 0 s"
    )
    assert isinstance(run.reconciler.failure, Failure)


def test_captures_are_started_a_few_at_once_when_the_stages_are_ready():
    waiting = [Process(f"capture-{number}", f"{number}") for number in range(20)]
    for process in waiting:
        process.alive = process.ready = False
        process.pid = process.started_s = process.lives = 0
    streams = Streams(*(process.spec.stream for process in waiting))
    streams.wanted["3"] = "absent"
    reconciler = Reconciler(RunConfig(cores=3), streams, Processes(*waiting), lambda name, line: None)
    reconciler.round(Phase.STARTING)
    assert sum(process.lives for process in waiting) == 0
    reconciler.round(Phase.RUNNING)
    reconciler.round(Phase.RUNNING)
    assert sum(process.lives for process in waiting) == 6
    for process in waiting[:5]:
        process.ready = True
    reconciler.round(Phase.RUNNING)
    assert sum(process.lives for process in waiting) == 6 + 4  # one of the five was to be absent
    waiting[6].started_s -= 10  # a camera that does not answer holds up nobody
    reconciler.round(Phase.RUNNING)
    assert sum(process.lives for process in waiting) == 6 + 4 + 1
    reconciler.round(Phase.DRAINING)
    assert all(process.done for process in waiting if not process.lives)


def test_after_an_upgrade_on_disk_a_capture_is_not_started_again_and_a_stage_ends_the_run(run, monkeypatch):
    monkeypatch.setattr("run.reconcile.fingerprint", lambda: b"other code")
    for process in (run.door, run.detect):
        process.alive, process.restarts = False, 1
    for _ in range(2):
        run.round()
    assert run.said[2] == f"capture-door: capture-door is not started again: {UPGRADED}"
    assert (run.door.lives, run.streams.bad) == (1, ["door"])
    assert str(run.reconciler.failure) == f"detect is not started again: {UPGRADED}"


def test_words_of_a_process_that_is_gone_or_was_another_life_are_not_heard(run):
    heard = []
    run.detect.heard = heard.append
    run.reconciler.hear(Beat("capture-hall", 7, 0, 0, 0, 0))
    run.reconciler.hear(Refused("capture-hall", "no"))
    run.reconciler.hear(Ready("detect", 6, {"model": "old"}))
    assert not hasattr(run.detect, "facts")
    run.reconciler.hear(beat := Beat("detect", 7, 0, 1, 1, 1))
    assert heard == [beat]


def test_slow_starts_are_spread_over_rounds_and_count_as_no_ones_silence(monkeypatch):
    """32 of them took 10 s in one round on a slow kernel: Ctrl-C was not heard, and those that lived were killed."""
    clock = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr("run.reconcile.time", SimpleNamespace(monotonic=lambda: clock.now_s))
    waiting = [Process(f"capture-{number}", f"{number}") for number in range(8)]
    for process in waiting:
        process.alive = process.ready = False
        process.pid = process.started_s = process.lives = 0

        def start(process=process):
            clock.now_s += 0.15
            process.started_s, process.lives, process.alive = clock.now_s, 1, True

        process.start = start
    detect = Process("detect")
    streams = Streams(*(process.spec.stream for process in waiting))
    reconciler = Reconciler(RunConfig(cores=4), streams, Processes(*waiting, detect), lambda name, line: None)
    for started in (2, 4, 6, 8):
        reconciler.round(Phase.RUNNING)
        assert sum(process.lives for process in waiting) == started
    for process in (*waiting[:4], detect):  # all die at once: stages come first, captures as before
        process.restart_at_s, process.lives = 0.0, 0
    started_at = []
    detect.start = lambda: started_at.append(sum(process.lives for process in waiting[:4]))
    reconciler.round(Phase.RUNNING)
    assert (sum(process.lives for process in waiting[:4]), started_at) == (2, [2])
    detect.restart_at_s = None
    for process in waiting[:4]:
        process.restart_at_s = None
    detect.heard_for.pop()
    clock.now_s += 3600  # the machine slept
    reconciler.round(Phase.RUNNING)
    assert detect.heard_for == pytest.approx([0, 0.3, 0.3, 0.3, 1.0], abs=0.001)
