"""Rhythm measures against trains made by hand: bursts of known period, phase and jitter."""

import numpy as np
import pytest

from systems import rhythm

BIN_MS = 10


def bursts(starts_ms, last_ms: float, total_ms: int, rng, spikes: float = 1.5) -> np.ndarray:
    """Poisson counts [bins, 1], `spikes` a bin within bursts of `last_ms`, a twentieth outside."""
    t = np.arange(0, total_ms, BIN_MS)
    on = ((t[:, None] >= starts_ms) & (t[:, None] < np.asarray(starts_ms) + last_ms)).any(axis=1)
    return rhythm.smooth(rng.poisson(np.where(on, spikes, spikes / 20))[:, None], BIN_MS)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("period", [900.0, 1250.0, 1900.0])
def test_the_cycle_is_the_period(rng, period):
    signal = bursts(np.arange(100, 30_000, period), 0.4 * period, 30_000, rng)
    assert rhythm.cycle_ms(signal, BIN_MS)[0] == pytest.approx(period, abs=BIN_MS)


def test_noise_has_no_cycle(rng):
    found = rhythm.cycle_ms(rhythm.smooth(rng.poisson(0.4, (6000, 40)), BIN_MS), BIN_MS)
    assert np.isnan(found).mean() >= 0.95


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 1.0), (0.5, -1.0), (0.25, 0.0), (0.125, np.sqrt(0.5))])
def test_the_phase_vector_is_the_cosine_of_the_lag(rng, shift, expected):
    starts = np.arange(100, 60_000, 1200.0)
    a, b = (bursts(starts + s * 1200.0, 480.0, 60_000, rng) for s in (0.0, shift))
    cycle = rhythm.cycle_ms(a, BIN_MS)
    assert rhythm.phase_vector(a, b, BIN_MS, cycle)[0] == pytest.approx(expected, abs=0.03)


def test_bursts_of_unlike_length_that_alternate_are_in_antiphase(rng):
    """A short flexor burst and an extensor that fires for the rest of the cycle."""
    starts = np.arange(100, 60_000, 1200.0)
    a, b = bursts(starts, 360.0, 60_000, rng), bursts(starts + 360.0, 840.0, 60_000, rng)
    assert rhythm.phase_vector(a, b, BIN_MS, rhythm.cycle_ms(a, BIN_MS))[0] < -0.98


def test_unrelated_and_silent_groups_have_no_phase(rng):
    a, b = (rhythm.smooth(rng.poisson(0.5, (6000, 1)), BIN_MS) for _ in range(2))
    none = np.array([np.nan])
    assert abs(rhythm.phase_vector(a, b, BIN_MS, none)[0]) < 0.2
    assert rhythm.phase_vector(a, 0 * b, BIN_MS, none)[0] == 0.0


@pytest.mark.parametrize("cv", [0.03, 0.12, 0.3])
def test_the_cycles_vary_as_they_were_made_to(rng, cv):
    starts = 100 + np.cumsum(np.maximum(rng.normal(1000.0, cv * 1000.0, 400), 500.0))
    signal = bursts(starts, 350.0, 400_000, rng)
    made = np.diff(starts).std(ddof=1) / np.diff(starts).mean()
    assert rhythm.cycle_cv(signal[:, 0], BIN_MS) == pytest.approx(made, abs=0.025)
