"""Evoked responses: onsets of made-up responses, false alarms of none, strengths by hand."""

import math

import numpy as np
import pytest

from systems import evoked


def test_trials_and_strength_by_hand():
    counts = np.array([1, 1, 4, 6, 0, 0, 3, 5, 2, 2])
    rows = evoked.deviations(counts, np.array([2, 6]), 2, 2)
    assert rows.tolist() == [[3, 5], [3, 5]]
    assert math.isnan(evoked.strength(rows))  # no spread between trials
    # trial means 4 and 2: mean 3, SE 1
    assert evoked.strength(np.array([[3.0, 5.0], [1.0, 3.0]])) == pytest.approx(3.0)
    assert evoked.clusters(np.array([0, 3, 4, 1, 5, 0])) == [(1, 3, 7.0), (4, 5, 5.0)]


@pytest.mark.parametrize("onset", [4, 12])
def test_the_onset_of_a_weak_response(onset):
    """5 spikes a bin, 2 more from the onset on: hardly seen in one trial, clear in 200."""
    rng = np.random.default_rng(1)
    rows = rng.poisson(5.0, (200, 40)) + (np.arange(40) >= onset) * rng.poisson(2.0, (200, 40)) - 5.0
    assert evoked.onset(rows) == pytest.approx(onset, abs=1)


def test_no_response_has_an_onset_in_one_of_twenty():
    rng = np.random.default_rng(2)
    found = [evoked.onset(rng.poisson(5.0, (60, 30)) - 5.0) for _ in range(200)]
    assert np.mean(np.isfinite(found)) == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 200))
    assert np.abs([evoked.strength(rng.poisson(5.0, (60, 30)) - 5.0) for _ in range(200)]).mean() < 1.0
    assert math.isnan(evoked.onset(np.full((4, 10), 9.0)))
