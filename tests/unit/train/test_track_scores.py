"""Scores of tracks: figures that can be worked out by hand."""

import pytest

from capture.film_truth import Seen
from train.score.track_scores import Picture, score_tracks
from transport.frame import Box, Face

LEFT, RIGHT, NOWHERE = Box(0, 0, 40, 50), Box(200, 0, 40, 50), Box(100, 100, 40, 50)
STEP_MS = 100.0


def picture(index, persons, found):
    """`persons` are (person, box) or (person, box, visible), `found` (number, box)."""
    truth = [Seen(box, "mask", person, *visible) for person, box, *visible in persons]
    return Picture(index * STEP_MS, truth, [Face(box, track=number) for number, box in found])


def scored(*pictures):
    return score_tracks([[picture(index, *one) for index, one in enumerate(pictures)]])


def test_one_person_with_one_number_scores_all():
    scores = scored(*10 * [([(0, LEFT)], [(7, LEFT)])])
    assert (scores.idf1, scores.hota, scores.recall) == pytest.approx((1, 1, 1))
    assert (scores.persons, scores.found, scores.switches, scores.fragmentations) == (1, 1, 0, 0)
    assert (scores.double_counts, scores.shared, scores.false_persons) == (0, 0, 0)


def test_a_number_that_changes_half_way():
    """5 of 10 boxes have the better number: IDF1 = 2 * 5 / (2 * 5 + 5 + 5). Each box shares its number with 5 of the 10
    of its person: HOTA = sqrt(1 * 5/10).
    """
    scores = scored(*5 * [([(0, LEFT)], [(1, LEFT)])], *5 * [([(0, LEFT)], [(2, LEFT)])])
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.hota == pytest.approx(0.5**0.5)
    assert (scores.switches, scores.double_counts, scores.double_share, scores.shared) == (1, 1, 1.0, 0)


def test_two_who_exchange_their_numbers():
    before = [([(0, LEFT), (1, RIGHT)], [(1, LEFT), (2, RIGHT)])]
    after = [([(0, LEFT), (1, RIGHT)], [(2, LEFT), (1, RIGHT)])]
    scores = scored(*9 * before, *6 * after)
    assert scores.idf1 == pytest.approx(0.6)
    assert (scores.switches, scores.double_counts, scores.shared) == (2, 2, 2)


@pytest.mark.parametrize(("pictures", "double", "shared"), [(4, 0, 0), (5, 1, 1)])
def test_a_box_of_one_who_passes_by_is_no_number_of_who_is_passed(pictures, double, shared):
    apart = ([(0, LEFT), (1, RIGHT)], [(1, LEFT), (2, RIGHT)])
    scores = scored(*10 * [apart], *pictures * [([(0, LEFT)], [(2, LEFT)])], *10 * [apart])
    assert (scores.double_counts, scores.shared) == (double, shared)


def test_missed_and_false_boxes():
    """Of 4 faces 3 have a box; 1 more box is on nobody: IDF1 = 2 * 3 / (2 * 3 + 1 + 1)."""
    seen = ([(0, LEFT)], [(1, LEFT)])
    scores = scored(seen, ([(0, LEFT)], []), seen, ([(0, LEFT)], [(1, LEFT), (5, NOWHERE)]))
    assert scores.idf1 == pytest.approx(0.75)
    assert scores.recall == pytest.approx(0.75)
    assert (scores.fragmentations, scores.switches, scores.false_persons) == (1, 0, 1)


def test_who_is_hidden_is_not_asked_for_and_a_box_on_what_is_left_of_him_is_nobodys_fault():
    seen, hidden = ([(0, LEFT)], [(1, LEFT)]), ([(0, LEFT, 0.3)], [])
    scores = scored(seen, hidden, ([(0, LEFT, 0.4)], [(1, LEFT)]), hidden, seen)
    assert (scores.idf1, scores.recall, scores.fragmentations) == (1, 1, 0)


@pytest.mark.parametrize(
    ("hidden_s", "number", "persons", "double"), [(1.9, 2, 1, 1), (3.0, 2, 2, 0), (3.0, 1, 1, 0), (1.9, 1, 1, 0)]
)
def test_who_was_hidden_for_longer_than_two_seconds_may_have_another_number(hidden_s, number, persons, double):
    pictures = [
        picture(0, [(0, LEFT)], [(1, LEFT)]),
        picture(1, [], []),
        picture(hidden_s * 10, [(0, LEFT)], [(number, LEFT)]),
    ]
    scores = score_tracks([pictures])
    assert (scores.persons, scores.double_counts) == (persons, double)


def test_persons_and_numbers_of_two_scenes_are_others():
    one, other = [picture(0, [(0, LEFT)], [(1, LEFT)])], [picture(0, [(0, RIGHT)], [(1, RIGHT)])]
    scores = score_tracks([one, other])
    assert (scores.persons, scores.shared, scores.idf1) == (2, 0, 1)


def test_where_nobody_is_there_is_nothing_to_score():
    scores = scored(([], []), ([], [(3, LEFT)]))
    assert (scores.persons, scores.double_share, scores.false_persons, scores.idf1) == (0, 0, 1, 0)
