"""Statistics of experiments against hand-worked numbers, enumeration and theory."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tools import statistics
from tools.statistics import (
    cohens_dz,
    described,
    detectable_dz,
    equivalence_p,
    equivalence_power,
    false_discovery_q,
    interval,
    power_of,
    rank_biserial,
    sign_flip_p,
    smallest_p,
    wilcoxon_p,
)


def test_sign_flips_of_few_pairs_by_hand():
    assert sign_flip_p(np.array([3.0, 1.0, 4.0, 1.0, 5.0]), "a") == pytest.approx(1 / 16)  # 1/32 on either side
    assert sign_flip_p(-np.array([3.0, 1.0, 4.0, 1.0, 5.0]), "a") == pytest.approx(1 / 16)
    # sums of +-1 +-2 +-0.5: 3.5 2.5 0.5 1.5 and the same below zero; two of eight are 2.5 or more
    assert sign_flip_p(np.array([1.0, 2.0, -0.5]), "a") == pytest.approx(2 * 2 / 8)
    assert sign_flip_p(np.zeros(8), "a") == 1.0
    assert sign_flip_p(np.array([2.0]), "a") == sign_flip_p(np.zeros(0), "a") == 1.0


def test_drawn_sign_flips_agree_with_all_of_them():
    """18 pairs: 262,144 patterns enumerated here, 32,768 drawn there."""
    d = np.random.default_rng(4).normal(0.45, 1.0, 18)
    every = np.array(list(itertools.product((-1.0, 1.0), repeat=9)))
    sums = (every @ d[:9])[:, None] + (every @ d[9:])[None, :]
    expected = np.mean(np.abs(sums) >= abs(d.sum()) - 1e-9)
    assert 0.001 < expected < 0.5
    error = math.sqrt(expected / statistics.FLIPS)
    assert sign_flip_p(d, "a") == pytest.approx(expected, abs=4 * 2 * error)
    assert sign_flip_p(d, "a") == sign_flip_p(d, "a")


@pytest.mark.parametrize("pairs", [2, 5, 6, 15, 20, 40])
def test_the_smallest_p_is_that_of_pairs_that_all_agree(pairs):
    assert sign_flip_p(np.arange(pairs) + 1.0, "a") == pytest.approx(smallest_p(pairs))


def test_under_no_effect_p_is_uniform():
    """5 % of experiments without an effect are false alarms: 1,000 of them, 8 pairs each."""
    rng = np.random.default_rng(5)
    p = np.array([sign_flip_p(rng.normal(size=8), "a") for _ in range(1000)])
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 1000))


def test_false_discovery_rate_by_hand():
    # sorted .005 .01 .03 .04 times 4/1 4/2 4/3 4/4: .02 .02 .04 .04
    assert false_discovery_q([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    # .9 * 3/3 = .9; .02 * 3/2 = .03; .015 * 3 = .045, more than the next one's .03
    assert false_discovery_q([0.9, 0.02, 0.015]) == pytest.approx([0.9, 0.03, 0.03])
    assert false_discovery_q([]) == [] and false_discovery_q([0.3]) == [0.3]


def test_the_interval_is_that_of_theory():
    x = np.random.default_rng(6).normal(10.0, 2.0, 400)
    half = 1.96 * x.std(ddof=1) / 20
    low, high = interval(x, "a")
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.08 * half)
    assert interval(x, "a") == (low, high)
    assert interval(np.full(5, 3.0), "a") == (3.0, 3.0)
    assert all(math.isnan(bound) for bound in interval(np.array([1.0]), "a"))


def test_effect_size_by_hand():
    assert cohens_dz(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)  # mean 2, sd 1
    assert cohens_dz(np.array([2.0, 2.0])) == math.inf and cohens_dz(np.zeros(3)) == 0.0
    assert math.isnan(cohens_dz(np.array([1.0])))


def test_signed_ranks_by_hand_and_as_scipy_has_them():
    # ranks of |1 2 -0.5|: 2 3 1; of the eight sign patterns four have a smaller sum of at most 1
    assert wilcoxon_p(np.array([1.0, 2.0, -0.5])) == pytest.approx(4 / 8)
    assert rank_biserial(np.array([1.0, 2.0, -0.5])) == pytest.approx((5 - 1) / 6)
    d = np.random.default_rng(7).normal(0.4, 1.0, 14)
    ranks = stats.rankdata(np.abs(d))
    signs = np.array(list(itertools.product([0, 1], repeat=14)))
    sums = signs @ ranks
    seen = min(ranks[d > 0].sum(), ranks[d < 0].sum())
    assert wilcoxon_p(d) == pytest.approx(2 * np.mean(sums <= seen))
    assert wilcoxon_p(np.zeros(5)) == 1.0 and math.isnan(rank_biserial(np.zeros(5)))


def test_equivalence_is_the_larger_of_two_one_sided_tests():
    d = np.random.default_rng(8).normal(0.2, 1.0, 30)
    above = stats.ttest_1samp(d, -0.8, alternative="greater").pvalue
    below = stats.ttest_1samp(d, 0.8, alternative="less").pvalue
    assert equivalence_p(d, 0.8) == pytest.approx(max(above, below)) and above != below
    assert equivalence_p(d) == pytest.approx(equivalence_p(d, 0.3 * d.std(ddof=1)))
    assert equivalence_p(np.full(5, 0.1), 0.2) == 0.0 and equivalence_p(np.full(5, 0.3), 0.2) == 1.0


def test_power_as_tables_and_chance_have_it():
    # paired t test, two-sided 0.05: dz 0.5 with 34 pairs 0.81, dz 0.8 with 15 pairs 0.82 (Cohen 1988; G*Power)
    assert power_of(0.5, 34) == pytest.approx(0.808, abs=0.002) and power_of(0.8, 15) == pytest.approx(0.821, abs=0.002)
    assert power_of(0.0, 12) == pytest.approx(0.05)
    assert power_of(detectable_dz(20), 20) == pytest.approx(0.8) and detectable_dz(20) == pytest.approx(0.66, abs=0.005)
    assert detectable_dz(2) == math.inf
    rng = np.random.default_rng(9)
    for margin, pairs in ((1.0, 12), (0.6, 20)):
        found = np.mean([equivalence_p(d, margin) <= 0.05 for d in rng.normal(size=(2_000, pairs))])
        assert equivalence_power(margin, pairs) == pytest.approx(found, abs=0.04)
    assert equivalence_power(0.3, 8) < 0.01


def test_description_leaves_out_what_is_not_there_and_says_so():
    found = described(np.array([1.0, math.nan, 3.0]), "a")
    assert (found["n"], found["none"], found["mean"]) == (2, 1, 2.0) and found["sd"] == pytest.approx(math.sqrt(2))
    assert math.isnan(described(np.array([math.nan]), "a")["mean"])
