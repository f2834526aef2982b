"""The adjusted share: the truth is found again where it is known, and the interval holds it as often as it says."""

import numpy as np
import pytest

from share.errors import KnownErrors
from share.estimate import NEW_CAMERA, estimate, likely_errors, true_shares

CLASSES = ("mask", "no_mask", "wrong_mask")
ANSWERS = np.array([[0.88, 0.0, 0.04, 0.08], [0.01, 0.81, 0.04, 0.14], [0.02, 0.02, 0.94, 0.02]])  # last: missed
FALSE = np.array([0.01, 0.02, 0.01])  # of all that is said


def errors_of(faces, false):
    return KnownErrors(CLASSES, np.array(faces), np.array(false), "a test", "")


def as_counts(shares, of):
    """Counts in which the shares stand exactly."""
    return np.round(np.asarray(shares) * of).astype(int)


EXACT = errors_of([as_counts(ANSWERS, 1_000_000)], [as_counts(FALSE, 2_850_000 / 0.96)])


def said_of(true, answers=ANSWERS, false=FALSE):
    """What is said where the true shares are these."""
    found = true @ answers[:, :-1]
    return (1 - false.sum()) * found / found.sum() + false


@pytest.mark.parametrize("true", [(0.67, 0.19, 0.14), (0.95, 0.04, 0.01), (0.1, 0.9, 0.0), (0.3, 0.3, 0.4)])
def test_the_true_share_is_found_again(true):
    """Where persons are many and the errors are known exactly, to a thousandth."""
    shares = np.array(true)
    assert true_shares(said_of(shares), ANSWERS, FALSE) == pytest.approx(shares, abs=1e-9)
    said = dict(zip(CLASSES, as_counts(said_of(shares), 10_000_000).tolist(), strict=True))
    found = estimate(said, "mask", EXACT)
    assert found.share == pytest.approx(true[0], abs=0.001)
    assert found.low < true[0] < found.high


def test_what_is_said_less_often_than_false_boxes_and_errors_explain_is_not_there():
    found = estimate({"mask": 200}, "mask", EXACT)
    assert found.share == found.high == 1
    assert estimate({"no_mask": 50}, "mask", EXACT).share == 0


def test_nobody_has_no_share_and_few_have_a_wide_interval():
    assert estimate({"unsure": 3}, "mask", EXACT) is None
    few, many = estimate({"mask": 2}, "mask", EXACT), estimate({"mask": 200}, "mask", EXACT)
    assert few.high - few.low > 0.4
    assert many.high - many.low < 0.15


def test_an_estimate_is_the_same_each_time_and_likelier_than_its_ends():
    said = {"mask": 30, "no_mask": 9, "wrong_mask": 4}
    found, again = estimate(said, "mask", EXACT), estimate(said, "mask", errors_of(EXACT.faces, EXACT.false))
    assert found == again
    assert found.low < found.share < found.high


def test_what_was_never_seen_in_a_small_set_is_not_impossible():
    small = errors_of([[[9, 0, 0, 1], [0, 5, 0, 0], [0, 0, 3, 0]]], [[0, 0, 0]])
    answers, false = likely_errors(small)
    assert (answers > 0).all()
    assert false.sum() == 0
    found = estimate({"mask": 20, "no_mask": 20}, "mask", small)
    assert found.low < 0.4
    assert found.high > 0.6


@pytest.mark.parametrize(("persons", "true"), [(40, (0.7, 0.2, 0.1)), (400, (0.85, 0.1, 0.05))])
def test_the_interval_holds_the_truth_of_a_new_camera_19_times_in_20(persons, true):
    """Errors are counted at two cameras and taken out at a third; all three differ as NEW_CAMERA says."""
    rng = np.random.default_rng(1)
    held = []
    for _ in range(RUNS := 200):
        cameras = [camera(rng) for _ in range(3)]
        faces = [
            [rng.multinomial(n, row) for n, row in zip((110, 50, 35), answers, strict=True)]
            for answers, _ in cameras[:2]
        ]
        false = [rng.multinomial(180, [*shares, 1 - shares.sum()])[:3] for _, shares in cameras[:2]]
        said = rng.multinomial(persons, said_of(np.array(true), *cameras[2]))
        found = estimate(dict(zip(CLASSES, said.tolist(), strict=True)), "mask", errors_of(faces, false))
        held.append(found.low <= true[0] <= found.high)
    assert np.mean(held) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / RUNS)


def camera(rng):
    """What becomes of faces at another camera, and its false boxes."""
    answers = np.stack([rng.dirichlet(NEW_CAMERA * np.maximum(row, 1e-3)) for row in ANSWERS])
    rate = rng.beta(NEW_CAMERA * FALSE.sum(), NEW_CAMERA * (1 - FALSE.sum()))
    return answers, rate * FALSE / FALSE.sum()
