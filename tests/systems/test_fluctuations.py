"""Timescales, rhythms, branching and avalanches of processes whose answers are known."""

import numpy as np
import pytest

from systems import fluctuations as f


def ornstein_uhlenbeck(tau_ms: float, bin_ms: float, bins: int, rng) -> np.ndarray:
    keep = np.exp(-bin_ms / tau_ms)
    noise = rng.normal(size=bins) * np.sqrt(1.0 - keep * keep)
    out = np.empty(bins)
    out[0] = rng.normal()
    for k in range(1, bins):
        out[k] = keep * out[k - 1] + noise[k]
    return out


@pytest.mark.parametrize("tau_ms", [60.0, 150.0])
def test_the_timescale_of_an_ornstein_uhlenbeck_process(tau_ms):
    rng = np.random.default_rng(1)
    x = np.stack([ornstein_uhlenbeck(tau_ms, 20.0, 50_000, rng) for _ in range(3)], axis=1)
    assert f.timescales(x, 20.0) == pytest.approx(np.full(3, tau_ms), rel=0.15)


def test_counting_noise_does_not_shorten_it():
    """Poisson counts of a rate with a timescale of 120 ms: most of their variance is counting."""
    rng = np.random.default_rng(2)
    rate = np.exp(0.4 * ornstein_uhlenbeck(120.0, 20.0, 100_000, rng))
    assert f.timescales(rng.poisson(2.0 * rate)[:, None], 20.0)[0] == pytest.approx(120.0, rel=0.2)


def test_autocorrelation_by_hand():
    # 1 -1 1 -1 ...: -1 at one bin, 1 at two
    assert f.autocorrelation(np.tile([1.0, -1.0], 500)[:, None], 2)[:, 0] == pytest.approx([-1, 1])
    assert np.isnan(f.timescales(np.ones((100, 1)), 20.0)[0]) and np.isnan(f.timescales(np.ones((4, 1)), 20.0)[0])


def test_a_rhythm_stands_out_of_a_slope_and_noise_alone_has_none():
    rng = np.random.default_rng(3)
    slow = np.cumsum(rng.normal(size=30_000)) * 0.02
    time_s = np.arange(30_000) * 0.002
    noise = rng.normal(size=30_000)
    assert f.rhythm_hz(slow + noise + 0.8 * np.sin(2 * np.pi * 10.5 * time_s), 2.0) == pytest.approx(10.5, abs=0.5)
    assert np.isnan(f.rhythm_hz(slow + noise, 2.0)) and np.isnan(f.rhythm_hz(noise[:100], 2.0))


@pytest.mark.parametrize("ratio", [0.8, 0.95])
@pytest.mark.parametrize("seen", [1.0, 0.2])
def test_the_branching_ratio_whatever_part_is_seen(ratio, seen):
    """Every unit has Poisson(m) heirs, and immigrants keep it going; then only a fifth of the units are looked at."""
    rng = np.random.default_rng(4)
    counts, active = np.empty(60_000, int), 100
    for k in range(counts.size):
        active = rng.poisson(ratio * active + 100 * (1 - ratio))
        counts[k] = rng.binomial(active, seen)
    assert f.branching_ratio(counts, 4.0) == pytest.approx(ratio, abs=0.03)


def test_avalanches_by_hand():
    assert f.avalanches(np.array([2, 0, 1, 3, 0, 0, 5, 0, 7])).tolist() == [4, 5]
    assert f.avalanches(np.ones(5)).size == 0


def test_the_sizes_of_a_critical_branching_process_fall_by_three_halves():
    rng = np.random.default_rng(5)
    sizes = []
    for _ in range(20_000):
        active, size = 1, 1
        while active and size < 20_000:
            active = rng.poisson(active)
            size += active
        sizes.append(size)
    sizes = np.array(sizes)
    assert f.size_exponent(sizes, smallest=5, largest=2_000) == pytest.approx(1.5, abs=0.06)
    assert np.isnan(f.size_exponent(sizes[:50]))


def test_the_exponent_of_drawn_sizes():
    rng = np.random.default_rng(6)
    k = np.arange(1, 1001)
    p = k**-2.2
    assert f.size_exponent(rng.choice(k, 20_000, p=p / p.sum()), 1, 1000) == pytest.approx(2.2, abs=0.04)


def test_a_few_bins_give_an_answer_or_none():
    """Ends of short pieces can correlate by more than one."""
    rng = np.random.default_rng(8)
    found = f.timescales(rng.poisson(0.2, (20, 300)) * rng.integers(1, 30, (20, 300)), 10.0)
    assert found.shape == (300,) and np.isnan(found).any()


def test_what_never_decays_is_an_offset():
    """A timescale of 60 ms on top of a drift over minutes: the drift is the fit's constant."""
    rng = np.random.default_rng(7)
    slow = np.sin(2 * np.pi * np.arange(50_000) / 40_000.0)
    x = ornstein_uhlenbeck(60.0, 20.0, 50_000, rng) + slow
    assert f.timescales(x[:, None], 20.0)[0] == pytest.approx(60.0, rel=0.15)
