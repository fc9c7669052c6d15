"""What is recalled, worked by hand; ties count by chance."""

import math

import numpy as np
import pytest

from systems.recall import held_exactly, rates_of, recalled, recalled_exactly

shown = np.array


def test_rates_are_spikes_per_cell_and_second():
    groups = [np.array([0, 1]), np.array([2, 5])]
    assert rates_of(np.array([0, 0, 1, 5, 3]), groups, 500.0).tolist() == [3.0, 1.0]
    assert rates_of(np.array([], int), groups, 500.0).tolist() == [0.0, 0.0]


def test_the_items_of_the_highest_rates_are_recalled():
    rates = np.array([1.0, 40.0, 0.5, 30.0])
    assert recalled(rates, shown([1])) == 1.0 and recalled(rates, shown([3])) == 0.0
    assert recalled(rates, shown([1, 3])) == 1.0 and recalled(rates, shown([1, 2])) == 0.5
    assert recalled_exactly(rates, shown([3, 1])) == 1.0 and recalled_exactly(rates, shown([1, 2])) == 0.0


def test_silence_is_chance():
    """One of eight, four of eight, one of the 70 sets of four."""
    rates = np.zeros(8)
    assert recalled(rates, shown([3])) == 1 / 8 and recalled(rates, shown([0, 2, 4, 6])) == 1 / 2
    assert recalled_exactly(rates, shown([0, 2, 4, 6])) == pytest.approx(1 / math.comb(8, 4))


def test_a_tie_at_the_edge_is_drawn():
    """5 > 1 = 1 = 1: of two places one is taken, the other falls to one of three."""
    rates = np.array([5.0, 1.0, 1.0, 1.0])
    assert recalled(rates, shown([0, 1])) == pytest.approx((1 + 1 / 3) / 2)
    assert recalled_exactly(rates, shown([0, 1])) == pytest.approx(1 / 3)
    assert recalled_exactly(rates, shown([1, 2])) == 0.0, "the one above is none of them"


def test_chance_over_random_rates():
    rng = np.random.default_rng(1)
    rates = rng.random((4000, 8))
    assert np.mean([recalled(r, shown([5])) for r in rates]) == pytest.approx(1 / 8, abs=0.02)
    assert np.mean([recalled_exactly(r, shown([1, 2, 4, 7])) for r in rates]) == pytest.approx(1 / 70, abs=0.006)


def test_by_a_threshold_nothing_more_may_be_held():
    rates = np.array([12.0, 0.3, 25.0, 9.9])
    assert held_exactly(rates, shown([2, 0]), 10.0) == 1.0
    assert held_exactly(rates, shown([2]), 10.0) == 0.0 and held_exactly(rates, shown([0, 2, 3]), 10.0) == 0.0
