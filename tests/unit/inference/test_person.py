"""What is said of one person over time."""

import numpy as np
import pytest

from inference.person import UNSETTLED_MS, PersonState
from transport.frame import UNSURE

CLASSES = ("mask", "no_mask")
CROP = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8).repeat(8, 0).repeat(8, 1)
MASKED = CROP.copy()
MASKED[80:, 24:104] = (200, 160, 90)
MASK, BARE, EITHER = np.array([0.95, 0.05]), np.array([0.05, 0.95]), np.array([0.5, 0.5])


def answered(*answers, every_ms=200.0):
    person = PersonState()
    for number, answer in enumerate(answers):
        person.update(person.submit(CROP, number * every_ms), answer)
    return person


def test_before_the_first_answer_nothing_is_said():
    assert PersonState().decision(CLASSES, 0) is None


def test_one_odd_answer_does_not_turn_a_settled_person():
    person = answered(MASK, MASK, MASK, BARE)
    assert person.decision(CLASSES, 600).label in ("mask", UNSURE)
    assert answered(MASK, MASK, MASK, BARE, MASK).decision(CLASSES, 800).label == "mask"


def test_a_mask_that_is_taken_off_is_seen_within_a_second():
    person = answered(*[MASK] * 20)
    for later in (0, 600, 750):  # settled until 3800; then asked after 600 ms, then soon again
        person.update(person.submit(CROP, 3900 + later), BARE)
    assert person.decision(CLASSES, 4700).label == "no_mask"


def test_without_doubt_the_likeliest_class_is_said():
    person = answered(np.array([0.45, 0.55]))
    assert person.decision(CLASSES, 0).label == UNSURE
    assert person.decision(CLASSES, 0, may_doubt=False).label == "no_mask"


def test_a_label_tells_how_old_its_newest_answer_is():
    assert answered(MASK, MASK).decision(CLASSES, 500).age_ms == 300


@pytest.mark.parametrize(
    ("answers", "after_ms"), [((MASK, MASK), 600), ((MASK,), UNSETTLED_MS), ((MASK, EITHER), UNSETTLED_MS)]
)
def test_a_settled_person_is_asked_about_later_than_an_unsettled_one(answers, after_ms):
    person = answered(*answers)
    asked = person.asked_ms
    assert not person.due(asked + after_ms - 1, 600, lambda: CROP)
    assert person.due(asked + after_ms, 600, lambda: CROP)


def test_a_new_person_is_asked_about_at_once():
    assert PersonState().due(0, 600, lambda: CROP)


def test_who_looks_otherwise_than_when_last_asked_about_is_asked_about_soon():
    person = answered(*[MASK] * 10)
    asked_ms = person.asked_ms
    brighter = (CROP * 0.8 + 30).astype(np.uint8)
    assert not person.due(asked_ms + 200, 600, lambda: brighter)
    assert not person.due(
        asked_ms + 250, 600, lambda: MASKED
    )  # looked at 50 ms before: the comparison has its price, too
    assert person.due(asked_ms + 300, 600, lambda: MASKED)
    assert not answered(*[MASK] * 10).due(asked_ms + UNSETTLED_MS - 1, 600, lambda: MASKED)


def test_answers_about_another_look_count_little():
    person = answered(*[MASK] * 10)
    person.update(person.submit(MASKED, person.asked_ms + 200), BARE)
    assert person.decision(CLASSES, person.asked_ms).label == "no_mask"
    same = answered(*[MASK] * 10)
    same.update(same.submit(CROP, same.asked_ms + 200), BARE)
    assert same.decision(CLASSES, same.asked_ms).label != "no_mask"


def test_the_new_and_the_unsure_are_more_urgent_than_the_settled():
    new, unsure, settled, waiting = PersonState(), answered(*[EITHER] * 5), answered(*[MASK] * 5), answered(*[MASK] * 3)
    order = sorted([settled, waiting, unsure, new], key=lambda person: person.urgency)
    assert order == [new, unsure, waiting, settled]
