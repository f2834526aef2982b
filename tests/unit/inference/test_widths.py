"""How wide cameras are searched: as there is time, without taking turns between two widths."""

import pytest

from inference.widths import SHARE, WIDTHS_PX, Widths

LATE_S = 0.25
CHEAP = {320: 3, 480: 5, 640: 7, 960: 11, 1280: 17}  # ms, as of maskface
DEAR = {320: 25, 480: 45, 640: 60, 960: 130, 1280: 200}  # as of haar


def chosen(widths, streams, costs_ms, rounds=60):
    """The widths of so many searches, each of which takes what its width costs."""
    px = []
    for _ in range(rounds):
        px.append(widths.choose(streams, 1920))
        widths.took(px[-1], costs_ms[px[-1]] / 1000, 0.2)
    return px


@pytest.mark.parametrize(
    ("streams", "costs_ms", "settles"),
    [(1, CHEAP, 1280), (4, CHEAP, 1280), (10, CHEAP, 960), (40, CHEAP, 320), (1, DEAR, 640), (2, DEAR, 480)],
)
def test_it_settles_where_all_streams_have_time(streams, costs_ms, settles):
    px = chosen(Widths(1, LATE_S), streams, costs_ms)
    assert px[0] == WIDTHS_PX[0]  # nothing is known yet
    assert set(px[-20:]) == {settles}
    assert streams * costs_ms[settles] / 1000 <= SHARE * LATE_S or settles == WIDTHS_PX[0]


def test_more_cameras_make_it_narrower_and_fewer_wider_again():
    widths = Widths(1, LATE_S)
    assert [chosen(widths, streams, DEAR)[-1] for streams in (1, 8, 1)] == [640, 320, 640]


def test_a_busy_box_makes_it_narrower_and_it_recovers():
    widths = Widths(1, LATE_S)
    assert chosen(widths, 1, DEAR)[-1] == 640
    assert chosen(widths, 1, {px: 4 * ms for px, ms in DEAR.items()})[-1] == 320
    assert chosen(widths, 1, DEAR, rounds=200)[-1] == 640


def test_no_picture_is_made_larger_than_it_came():
    widths = Widths(1, LATE_S)
    for _ in range(20):
        assert widths.choose(1, 500) <= 500
        widths.took(500, 0.005, 0.2)
