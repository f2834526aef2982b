"""With privacy no picture goes on before its stream was searched behind it, and what is found late is hidden in it."""

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from inference import hold
from inference.detectors.detector import shrink
from inference.hold import LONGEST_NS, MOST, SEARCHES, Hold
from transport.frame import Box, Ended, Face, Frame, Held, iou


class Clock:
    now_ns = 100_000_000_000

    def monotonic_ns(self):
        return self.now_ns


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(hold, "time", clock := Clock())
    return clock


BACKGROUND = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8), (0, 0), 2)
HEAD = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (60, 50, 3), np.uint8), (0, 0), 2)


def place(seq):
    """Where the head is: it goes to the right."""
    return Box(40 + 6 * seq, 100, 50, 60)


def frame(seq, live=True, step_ms=40, **fields):
    image = BACKGROUND.copy()
    at = place(seq)
    image[100:160, int(at.x) : int(at.x) + 50] = HEAD
    return Frame("door", seq, Clock.now_ns + seq * step_ms * 1_000_000, image, live=live, **fields)


def picture(seq):
    return shrink(frame(seq).image, 320)


def test_a_picture_goes_on_when_searches_that_began_at_it_or_later_are_in_and_not_before(clock):
    waiting = Hold()
    for seq in range(4):
        assert isinstance(waiting.add(frame(seq), picture(seq)), Held)
        clock.now_ns = frame(seq).captured_ns
    for _ in range(SEARCHES + 1):
        waiting.searched(-1, picture(0), [])  # they began before
    assert list(waiting.ready()) == []
    for _ in range(SEARCHES - 1):
        waiting.searched(3, picture(3), [])
        assert list(waiting.ready()) == []
    waiting.searched(1, picture(1), [])
    waiting.searched(3, picture(3), [])
    waited = []
    for _ in range(4):  # as long as the first one had to: live pictures go on as evenly as they came
        waited.append([one.seq for one in waiting.ready()])
        clock.now_ns += 40_000_000
    assert waited == [[0], [1], [2], [3]]


def test_a_live_picture_that_was_not_searched_in_time_is_dropped_and_that_is_said_once(clock, caplog):
    waiting = Hold()
    for seq in range(3):
        waiting.add(frame(seq), picture(seq))
    clock.now_ns = frame(1).captured_ns + LONGEST_NS
    assert [(type(one), one.outcome, one.frame.seq) for one in waiting.ready()] == [
        (Ended, "stale", 0),
        (Ended, "stale", 1),
    ]
    clock.now_ns += LONGEST_NS
    assert [one.outcome for one in waiting.ready()] == ["stale"]
    assert len(caplog.messages) == 1
    assert "not shown" in caplog.text


def test_a_film_has_time(clock):
    waiting = Hold()
    waiting.add(frame(0, live=False), picture(0))
    clock.now_ns += 100 * LONGEST_NS
    assert list(waiting.ready()) == []
    assert waiting.needs_search
    for _ in range(SEARCHES):
        waiting.searched(0, picture(0), [])
    assert not waiting.needs_search
    assert [one.seq for one in waiting.ready()] == [0]


def test_what_a_late_search_finds_is_hidden_in_all_that_wait_where_it_is_in_each(clock):
    waiting = Hold()
    for seq in range(12):
        waiting.add(frame(seq), picture(seq))
    for _ in range(SEARCHES):
        waiting.searched(6, picture(6), [place(6)])
        waiting.searched(11, picture(11), [])
    clock.now_ns += 10**10
    out = list(waiting.ready())
    assert [one.seq for one in out] == list(range(12))
    for one in out:
        [face] = one.candidates  # found twice, hidden once
        assert iou(face.box, place(one.seq)) > 0.8, one.seq
        assert face.track is None


def test_where_a_face_is_known_it_is_not_hidden_twice(clock):
    waiting = Hold()
    for seq in range(4):
        waiting.add(replace(frame(seq), faces=(Face(place(seq), track=1),)), picture(seq))
    for _ in range(SEARCHES):
        waiting.searched(3, picture(3), [place(3)])
    clock.now_ns += 10**10
    assert [one.candidates for one in waiting.ready()] == [()] * 4


def test_a_face_that_cannot_be_followed_is_hidden_where_it_was_found(clock):
    waiting = Hold()
    flat = np.full((240, 320, 3), 90, np.uint8)
    waiting.add(replace(frame(0), pixels=flat), shrink(flat, 320))
    waiting.add(frame(1), picture(1))
    for _ in range(SEARCHES):
        waiting.searched(1, picture(1), [place(1)])
    clock.now_ns += 10**10
    assert [one.candidates[0].box for one in waiting.ready()] == [place(1)] * 2


def test_boxes_are_in_pixels_of_the_frame(clock):
    large = replace(frame(0), pixels=cv2.resize(frame(0).image, (640, 480)))
    waiting = Hold()
    waiting.add(large, shrink(large.image, 320))
    for _ in range(SEARCHES):
        waiting.searched(0, shrink(large.image, 320), [Box(10, 20, 30, 40)])
    clock.now_ns += 10**10
    assert [one.candidates[0].box for one in waiting.ready()] == [Box(20, 40, 60, 80)]


def test_no_more_than_so_many_live_pictures_wait(clock):
    waiting = Hold()
    kinds = [type(waiting.add(frame(seq % 12, step_ms=0), picture(0))) for seq in range(MOST + 2)]
    assert kinds == [Held] * MOST + [Ended] * 2
