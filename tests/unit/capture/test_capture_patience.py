"""A slow camera is slow, not away: how long a source may be silent is learned from its own rate."""

import pytest

from capture import patience
from capture.patience import BEFORE_KNOWN_S, Patience


class FakeTime:
    def __init__(self):
        self.now_s = 50.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = FakeTime()
    monkeypatch.setattr(patience, "time", clock)
    return clock


def watched(clock, intervals_s, silence_s=5.0):
    """A source after pictures at these intervals."""
    source = Patience(silence_s)
    for interval_s in [0.0, *intervals_s]:
        source.begin()
        clock.now_s += interval_s
        source.heard()
    return source


def test_a_fast_camera_is_lost_after_the_silence_that_was_asked_for(clock):
    source = watched(clock, [0.04] * 20)
    assert source.left_s == 5
    clock.now_s += 5.1
    assert source.left_s == 0


def test_a_slow_camera_is_lost_after_three_of_its_intervals(clock):
    source = watched(clock, [10, 10])
    assert source.left_s == 30
    clock.now_s += 29
    assert source.left_s == pytest.approx(1)


def test_before_its_rate_is_known_a_camera_has_more_time(clock):
    assert watched(clock, []).left_s == watched(clock, [10]).left_s == BEFORE_KNOWN_S


def test_one_standstill_does_not_make_a_fast_camera_slow(clock):
    assert watched(clock, [0.04, 0.04, 20, 0.04, 0.04]).left_s == 5


def test_a_camera_that_becomes_fast_is_watched_as_a_fast_one(clock):
    assert watched(clock, [10, 10, 10, 0.04, 0.04, 0.04]).left_s == 5


def test_time_in_which_nobody_waited_is_not_the_cameras(clock):
    source = watched(clock, [0.04] * 20)
    clock.now_s += 600  # paused
    source.begin()
    assert source.left_s == 5
