"""What the account of a stream says of it."""

import pytest

from transport.ledger import Ledger


@pytest.mark.parametrize(
    ("captured", "shown", "dropped", "nothing_left"),
    [
        (75, 0, {"lost": 75}, True),
        (3, 0, {"undecodable": 2, "lost": 1}, True),
        (75, 1, {"lost": 74}, False),
        (75, 0, {"lost": 70, "stopped": 5}, False),
        (0, 0, {}, False),
    ],
)
def test_nothing_is_left_where_all_frames_are_lost_or_undecodable(captured, shown, dropped, nothing_left):
    assert Ledger(captured, shown, dropped).nothing_left is nothing_left
