"""Live pictures are shown at the pace of their own timestamps, and a camera that is even gets no older by it."""

import itertools

import pytest

from capture.playout import GAPS, LONGEST_WAIT_S, TOLERANCE_S, Playout


class Watcher:
    """Takes in pictures as the capture stage does: the next one is read when the one before was due."""

    def __init__(self, playout):
        self.playout, self.now_s, self.due_s = playout, 100.0, []

    def see(self, stamp_s, came_s):
        self.now_s = max(self.now_s, came_s)
        self.due_s.append(self.playout.due_s(stamp_s, self.now_s))
        self.now_s = max(self.now_s, self.due_s[-1])

    @property
    def steps_ms(self):
        return [round(1000 * (later - earlier)) for earlier, later in itertools.pairwise(self.due_s)]


def bursts(count, segment_s=2.0, fps=25, late_s=0.0):
    """(timestamp, time of arrival) of a stream that comes in segments, every second one late."""
    per_segment = round(segment_s * fps)
    for index in range(count):
        segment = index // per_segment
        yield index / fps, 101 + segment * segment_s + late_s * (segment % 2) + 0.0004 * (index % per_segment)


def test_segments_become_an_even_flow():
    watcher = Watcher(Playout(bursts=True))
    for stamp_s, came_s in bursts(500):
        watcher.see(stamp_s, came_s)
    assert set(watcher.steps_ms) == {40}


def test_a_segment_that_is_late_once_delays_what_follows_and_then_all_is_even_again():
    watcher = Watcher(Playout(bursts=True))
    for stamp_s, came_s in bursts(500, late_s=0.7):
        watcher.see(stamp_s, came_s)
    assert sorted(watcher.steps_ms)[-2:] == [40, 740]
    assert watcher.steps_ms.count(40) == 498


def test_a_picture_a_little_late_keeps_its_due_time_so_its_age_is_true():
    watcher = Watcher(Playout(bursts=True))
    for stamp_s, came_s in bursts(500, late_s=TOLERANCE_S / 2):
        watcher.see(stamp_s, came_s)
    assert set(watcher.steps_ms) == {40}


@pytest.mark.parametrize("jump_s", [-50.0, 5.0, 36000.0])
def test_a_clock_that_jumps_makes_no_standstill(jump_s):
    watcher = Watcher(Playout(bursts=True))
    for stamp_s, came_s in bursts(200):
        watcher.see(stamp_s + (jump_s if stamp_s >= 3 else 0), came_s)
    assert max(watcher.steps_ms) <= 1100  # the rest of a segment that was shown early, at most
    assert watcher.steps_ms[-50:] == [40] * 50


def test_nothing_waits_longer_than_a_long_segment():
    playout = Playout(bursts=True)
    playout.due_s(0.0, 100.0)
    for index in range(1, 400):
        assert playout.due_s(0.9 * index, 100.0) - 100 <= LONGEST_WAIT_S


def test_an_even_camera_waits_for_nothing():
    playout = Playout(bursts=False)
    for index in range(500):
        came_s = 100 + index / 25 + (0.03 if index % 7 == 0 else 0)
        assert playout.due_s(index / 25, came_s) == came_s


def test_a_camera_that_stood_still_once_is_caught_up_with():
    playout = Playout(bursts=False)
    for index in range(500):
        came_s = max(100 + index / 25, 103 if index >= 50 else 0)
        assert playout.due_s(index / 25, came_s) == came_s


def test_a_stream_in_bursts_is_found_out_and_paced():
    watcher = Watcher(Playout(bursts=False))
    for stamp_s, came_s in bursts(500):
        watcher.see(stamp_s, came_s)
    assert min(watcher.steps_ms[:50]) == 0
    assert set(watcher.steps_ms[(GAPS + 1) * 50 :]) == {40}


def test_pictures_without_timestamps_are_due_when_they_come():
    playout = Playout(bursts=True)
    assert [playout.due_s(None, came_s) for came_s in (1.0, 1.001, 3.0)] == [1.0, 1.001, 3.0]
