"""A chart is an SVG in which each point stands where its numbers say."""

import re
import xml.etree.ElementTree as ET

import pytest

from train.score.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, Range, chart, ticks

X, Y = Range("epoch", 1, 5), Range("", 0, 1)


def elements(text, name):
    return [one for one in ET.fromstring(text).iter() if one.tag == name]


def test_points_stand_where_their_numbers_say():
    drawn = chart("loss", [Line("training", "#0072B2", [(1, 0), (3, 0.5), (5, 1)])], X, Y)
    dots = [(float(one.get("cx")), float(one.get("cy"))) for one in elements(drawn, "circle")]
    assert dots == [
        (LEFT, HEIGHT - BOTTOM),
        (LEFT + (WIDTH - LEFT - RIGHT) / 2, TOP + (HEIGHT - TOP - BOTTOM) / 2),
        (WIDTH - RIGHT, TOP),
    ]
    [line] = elements(drawn, "polyline")
    assert len(line.get("points").split()) == 3
    assert "training 0.5 at 3" in drawn


def test_what_is_no_number_is_left_out_and_what_is_too_much_stays_within():
    drawn = chart("loss", [Line("a", "red", [(1, float("nan")), (2, float("inf")), (3, 7.0)])], X, Y)
    [dot] = elements(drawn, "circle")
    assert float(dot.get("cy")) == TOP


def test_any_name_is_text():
    drawn = chart("<b>&", [Line("a<i>", "red", [(1, 1)])], Range('"x"', 1, 1), Y, (1, "<best>"))
    assert not elements(drawn, "b") + elements(drawn, "best")
    assert "a<i>" in "".join(ET.fromstring(drawn).itertext())


def test_a_run_of_one_epoch_has_a_chart():
    drawn = chart("loss", [Line("a", "red", [(1, 0.5)])], Range("epoch", 1, 1), Y, (1, "best: 1"))
    assert not re.search(r"nan|inf", drawn)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 60), (0, 0.0031), (0, 1234), (1, 2)])
def test_ticks_are_few_round_and_within(low, high):
    found = ticks(Range("", low, high))
    assert 2 <= len(found) <= 7
    assert low <= found[0] < found[-1] <= high
