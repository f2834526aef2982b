"""The universal scalability law, fitted to throughputs of which it is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.scalability import Law, fit

CORES = (1, 2, 4, 8, 16)


def throughputs(per_core, contention, coherence, cores=CORES):
    law = Law(per_core=per_core, contention=contention, coherence=coherence, misfit=0.0, points=0)
    return {count: law.throughput(count) for count in cores}


@given(st.floats(1, 1000), st.floats(0, 0.5), st.floats(0, 0.05), st.sampled_from([(1, 2, 4), (1, 2, 4, 8), CORES]))
def test_the_law_that_was_there_is_found_again(per_core, contention, coherence, cores):
    law = fit(throughputs(per_core, contention, coherence, cores))
    assert law.per_core == pytest.approx(per_core, rel=1e-4)
    assert law.contention == pytest.approx(contention, abs=1e-4)
    assert law.coherence == pytest.approx(coherence, abs=1e-4)
    assert law.misfit < 1e-4


@given(st.lists(st.floats(1, 1000), min_size=3, max_size=5))
def test_no_part_is_negative_whatever_was_measured(rates):
    law = fit(dict(zip(CORES, rates, strict=False)))
    assert law.per_core > 0
    assert law.contention >= 0
    assert law.coherence >= 0


def test_two_points_determine_contention_only_and_it_says_so():
    law = fit({1: 100.0, 2: 160.0})
    assert law.contention == pytest.approx(0.25)
    assert (law.coherence, law.best_cores) == (None, None)
    assert law.told == "two points do not determine coherence; contention as if there were none"


def test_two_cores_that_do_less_than_one_are_no_share_of_the_work():
    assert fit({1: 100.0, 2: 80.0}).told == "two cores did less than one: a busy machine?"


def test_more_than_linear_is_no_negative_contention():
    law = fit({1: 100.0, 2: 220.0})
    assert law.contention == 0.0
    assert law.misfit > 0.04


@pytest.mark.parametrize("rates", [{}, {1: 100.0}, {1: 0.0, 2: 10.0}])
def test_what_is_not_determined_is_not_given(rates):
    assert fit(rates) is None


def test_three_points_check_nothing_and_where_it_peaks_is_told():
    law = fit(throughputs(100.0, 0.05, 0.01, (1, 2, 4)))
    assert law.best_cores == pytest.approx((0.95 / 0.01) ** 0.5, rel=1e-3)
    assert law.told == "three points fit exactly, none is left to check it; no gain beyond 10 cores if it holds there"
    rates = throughputs(100.0, 0.05, 0.01)
    assert fit(rates | {16: 1.02 * rates[16]}).told.startswith("errs by ")
