"""The accounts of removed streams: those of the last by name, and of all others one sum, so that nothing grows."""

import numpy as np

from run.removed import KEPT, OTHERS, Removed
from transport.ledger import Ledger


def ledger(captured, lost=0):
    ages = np.zeros(4, np.uint64)
    ages[1] = captured - lost
    return Ledger(captured, captured - lost, {"lost": lost} if lost else {}, ages=ages, span_s=1.0)


def test_a_thousand_streams_are_a_bounded_number_of_accounts_and_no_frame_of_them_is_forgotten():
    removed = Removed()
    for number in range(1000):
        removed.add(f"s{number}", ledger(10, lost=number % 2))
    accounts = removed.together_with({})
    assert len(accounts) == KEPT + 1
    assert next(iter(accounts)) == OTHERS
    assert list(accounts)[-1] == "s999"
    assert sum(one.captured for one in accounts.values()) == 10_000
    assert sum(one.dropped.get("lost", 0) for one in accounts.values()) == 500
    assert all(one.balanced for one in accounts.values())
    assert sum(int(one.ages.sum()) for one in accounts.values()) == 9_500


def test_a_name_that_is_used_again_is_one_account():
    removed = Removed()
    removed.add("door", ledger(10, lost=2))
    removed.add("yard", ledger(1))
    both = removed.together_with({"hall": ledger(3), "door": ledger(5, lost=1)})
    assert list(both) == ["yard", "hall", "door"]
    assert (both["door"].captured, both["door"].shown, both["door"].dropped) == (15, 12, {"lost": 3})
    assert both["door"].ages.tolist() == [0, 12, 0, 0]


def test_a_stream_that_was_removed_before_its_first_picture_is_added_up_too():
    removed = Removed()
    removed.add("door", Ledger())
    assert removed.together_with({"door": ledger(4)})["door"].ages.tolist() == [0, 4, 0, 0]
