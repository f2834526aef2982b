"""What counts as motion: two blocks that differ by more than their camera's noise."""

import numpy as np
import pytest

from transport.blocks import blocks_of, has_moved, learnt_share, median


def test_blocks_are_means_of_eight_by_eight_pixels():
    grey = np.arange(4, dtype=np.uint8).reshape(2, 2).repeat(8, 0).repeat(8, 1)
    assert blocks_of(grey).tolist() == [[0, 1], [2, 3]]
    assert blocks_of(grey[:5, :3]).shape == (1, 1)


@pytest.mark.parametrize(("differ", "noise", "moved"), [
    ([6, 6], 0, True), ([6, 0], 0, False), ([5, 5], 0, False), ([9, 9], 1, True), ([7.9, 7.9], 1, False),
])  # fmt: skip
def test_two_blocks_must_differ_by_more_than_the_noise(differ, noise, moved):
    assert has_moved(np.array([[*differ, 0, 0]], np.float32), noise) == moved


def test_the_first_pictures_make_a_plain_mean():
    mean = 0.0
    for count, value in enumerate([4, 8, 6], start=1):
        mean += learnt_share(count, 0.01) * (value - mean)
    assert mean == pytest.approx(6)
    assert (learnt_share(11, 0.01), learnt_share(11, 3.0)) == (0.01, 1.0)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (30, 40), (7, 9)])
def test_the_median_is_that_of_numpy(shape):
    values = np.random.default_rng(7).normal(0, 50, shape).astype(np.float32)
    assert median(values) == float(np.median(values))
