"""When a process has died too often: as its own work counts, not as the clock does."""

import msgspec
import pytest

from configs.schema import RunConfig
from run import process as module
from run.child import worker_interpreter
from run.process import Process
from transport.codec import Beat
from transport.spec import Spec

MAX_RESTARTS = 3


class Clock:
    now_s = 1000.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def process():
    spec = Spec("detect", "detect", "", msgspec.Raw(b"{}"), "", (), "", "", {})
    return Process(spec, lambda name, line: None, worker_interpreter)


def live(detect, clock, starting_s, working_s, sign_s=0.5):
    """A life of it: it starts for so long, then gives signs of life for so long."""
    clock.now_s += starting_s
    detect.heard()
    detect.ready, detect.deaths_unready = True, 0
    for _ in range(round(working_s / sign_s)):
        clock.now_s += sign_s
        detect.heard()


def lives(detect, clock, count, **life):
    """Whether it was given up, for each of so many lives."""
    given_up = []
    for _ in range(count):
        live(detect, clock, **life)
        given_up.append(detect.died(MAX_RESTARTS) is None)
    return given_up


def test_one_that_takes_long_to_start_and_dies_at_its_work_is_given_up(clock):
    assert lives(process(), clock, 4, starting_s=40, working_s=2) == [False, False, False, True]


def test_one_that_works_for_long_between_its_deaths_is_not(clock):
    assert not any(lives(process(), clock, 20, starting_s=1, working_s=25))


def test_while_the_machine_was_suspended_nothing_worked(clock):
    """A sign of life after an hour's sleep is no hour of work, after which older deaths would be forgotten."""
    assert lives(process(), clock, 4, starting_s=1, working_s=2 * 3600, sign_s=3600) == [False, False, False, True]


def test_one_that_never_becomes_ready_is_given_up_sooner(clock):
    detect = process()
    assert [detect.died(MAX_RESTARTS) is None for _ in range(3)] == [False, False, True]


def silence(detect, seconds):
    """Its supervisor listens for so long, ten times a second, and hears nothing."""
    for _ in range(10 * seconds):
        detect.listened(0.1)
    return detect.overdue(RunConfig(start_timeout_s=30, heartbeat_timeout_s=6, hang_timeout_s=10))


def beating(busy_since_ns):
    return Beat("detect", 7, busy_since_ns, 0, 0, 0)


def test_one_is_silent_for_as_long_as_its_supervisor_has_listened(clock):
    detect = process()
    detect.ready = True
    assert silence(detect, 5) == ""
    clock.now_s += 3600  # the machine slept, or the supervisor was busy
    assert silence(detect, 0) == ""
    detect.heard(beating(0))
    assert silence(detect, 5) == ""
    assert silence(detect, 2) == "gave no sign of life for 6 s"


def test_one_is_stuck_where_it_says_so_for_too_long(clock):
    detect = process()
    detect.ready = True
    for since_ns in (5, 6, 6):  # another piece of work, and that for 10 s
        detect.heard(beating(since_ns))
        assert silence(detect, 5) == ""
    detect.heard(beating(6))
    assert silence(detect, 1) == "was stuck in one piece of work for 10 s"
    detect.heard(beating(0))
    assert silence(detect, 0) == ""


def test_one_is_late_if_it_is_not_ready_in_time(clock):
    assert (silence(process(), 29), silence(process(), 31)) == ("", "was not ready after 30 s")
