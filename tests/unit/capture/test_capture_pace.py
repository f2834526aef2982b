"""A live source sends less often while its frames come out too old, and as often as it can else."""

import pytest

from capture.pace import LONGEST_S, STEP_S, Pace


class Line:
    """What a source meets: a queue that is worked off at a fixed rate. Tells the age of the oldest in each step."""

    def __init__(self, fps):
        self.fps, self.waiting = fps, 0.0

    def age_ms(self, sent):
        self.waiting = max(0.0, min(self.waiting + sent - self.fps * STEP_S, 6))
        return 1000 * (self.waiting + 1) / self.fps


def play(pace, line, seconds, camera_fps=30.0, start_s=100.0):
    """Ages over time, ms, of a camera that is read at its own rate and sent as the pace allows."""
    ages, sent, now_s = [], 0, start_s
    while now_s < start_s + seconds:
        now_s += 1 / camera_fps
        if pace.wait_s(now_s) == 0:
            pace.sent(now_s)
            sent += 1
        if pace.due(now_s):
            ages.append(line.age_ms(sent))
            sent = 0
            pace.adapt(ages[-1], now_s)
    return ages


def test_a_box_that_is_too_slow_gets_fewer_frames_and_none_is_old():
    pace, line = Pace(max_age_ms=200), Line(fps=15)
    ages = play(pace, line, 20)
    assert max(ages) > 300  # at first the queue fills
    assert max(ages[len(ages) // 2 :]) <= 200
    assert 9 < pace.fps < 16


def test_when_there_is_room_again_it_sends_all():
    pace, line = Pace(max_age_ms=200), Line(fps=15)
    play(pace, line, 10)
    assert pace.fps
    line.fps = 200
    play(pace, line, 20, start_s=200)
    assert pace.fps == 0
    assert pace.wait_s(300) == 0


def test_a_box_that_is_fast_enough_is_left_alone():
    pace = Pace(max_age_ms=200)
    play(pace, Line(fps=60), 10)
    assert pace.fps == 0


def test_without_an_age_nothing_is_governed():
    pace = Pace(max_age_ms=0)
    assert not pace.due(1e6)


def test_every_stream_stays_alive():
    pace = Pace(max_age_ms=100)
    for step in range(400):
        pace.adapt(500, step * STEP_S)
    assert pace.interval_s == pytest.approx(LONGEST_S)


def test_a_lower_rate_is_kept_on_average_though_pictures_come_in_steps():
    pace = Pace(max_age_ms=100)
    pace.interval_s = 1 / 20
    sent = 0
    for picture in range(300):
        if pace.wait_s(picture / 30) == 0:
            pace.sent(picture / 30)
            sent += 1
    assert sent / 10 == pytest.approx(20, rel=0.1)
