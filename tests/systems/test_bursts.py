"""Bursts and slow spectra of made-up signals, and the rhythms of the brainstem measured by them."""

import numpy as np
import pytest

from systems.bursts import burst_onsets, coherence_rank, spectral_peak
from systems.probes import Probes
from systems.simulation import load

RNG = np.random.default_rng(1)


def test_onsets_of_bursts_among_stray_spikes():
    starts = np.array([1000, 2500, 3300, 5200])
    bursts = (starts[:, None] + RNG.integers(0, 300, (4, 200))).ravel()
    ticks = np.sort(np.concatenate([bursts, RNG.integers(0, 7000, 70)]))
    assert burst_onsets(ticks, 0, 7000) == pytest.approx(starts, abs=60)
    assert burst_onsets(ticks, 1100, 4000) == pytest.approx([2500, 3300], abs=60), "one under way has no onset"
    assert burst_onsets(ticks[:0], 0, 7000).size == 0


@pytest.mark.parametrize("hz", [0.3, 0.7, 1.3])
def test_a_cycle_has_one_peak_and_noise_has_none(hz):
    t = np.arange(0, 60, 0.02)
    cycle = np.sin(2 * np.pi * hz * t) + 0.1 * RNG.standard_normal(t.size)
    noise = RNG.standard_normal(t.size)
    walk = np.cumsum(RNG.standard_normal(t.size))
    assert spectral_peak(cycle[:, None], 20.0) > 0.9
    assert spectral_peak(noise[:, None], 20.0) < 0.45
    assert spectral_peak(np.column_stack([cycle, cycle]), 20.0) == pytest.approx(spectral_peak(cycle[:, None], 20.0))
    assert spectral_peak(walk[:, None], 20.0) < spectral_peak(cycle[:, None], 20.0)
    assert np.isnan(spectral_peak(cycle[:500, None], 20.0))


def writhing(limbs: int, seconds: float, rng, shared: float = 0.0) -> np.ndarray:
    """Angles [10 ms, limbs] of slow noise in common bouts; `shared` of its power is the same for all limbs."""
    from scipy.ndimage import gaussian_filter1d

    n = round(100 * seconds)
    own = gaussian_filter1d(rng.standard_normal((n, limbs)), 10.0, axis=0)
    common = gaussian_filter1d(rng.standard_normal((n, 1)), 10.0, axis=0)
    bouts = 0.2 + np.clip(np.sin(2 * np.pi * np.arange(n) / 800.0), 0.0, 1.0)[:, None]
    return bouts * (np.sqrt(1.0 - shared) * own + np.sqrt(shared) * common)


def test_limbs_that_share_a_drive_are_more_coherent_than_their_shuffled_phases():
    rng = np.random.default_rng(2)
    together = [coherence_rank(writhing(4, 20.0, rng, shared=0.7), 10.0) for _ in range(10)]
    assert sum(rank > 0.95 for rank in together) >= 9
    late = writhing(4, 20.0, rng, shared=0.7)
    late[:, 1] = np.roll(late[:, 1], 20)  # one limb follows the others by 0.2 s
    assert coherence_rank(late, 10.0) > 0.95, "coherence does not ask for the same phase"


def test_limbs_in_common_bouts_without_a_common_drive_are_not():
    """Uniform ranks: mean 1/2 +- 0.29 / sqrt(40), one in twenty above 0.95 (at most 6 of 40 with p = 0.99)."""
    rng = np.random.default_rng(3)
    apart = np.array([coherence_rank(writhing(4, 20.0, rng), 10.0) for _ in range(40)])
    assert apart.mean() == pytest.approx(0.5, abs=0.15)
    assert (apart > 0.95).sum() <= 6


def test_coherence_needs_two_limbs_that_move_for_a_while():
    trace = writhing(4, 20.0, np.random.default_rng(4), shared=0.7)
    assert np.isnan(coherence_rank(trace[:900], 10.0)) and np.isnan(coherence_rank(trace[:, :1], 10.0))
    still = trace * [1.0, 0.0, 0.0, 0.0]
    assert np.isnan(coherence_rank(still, 10.0))
    assert coherence_rank(trace, 10.0) == coherence_rank(trace, 10.0)
    assert coherence_rank(100.0 * trace[::2], 20.0) == pytest.approx(coherence_rank(trace, 10.0), abs=0.05)


# ---- the brainstem ---------------------------------------------------------------------------------------------------


def onsets(sim, name: str, start: int) -> np.ndarray:
    ids, ticks = sim.spike_history()
    return burst_onsets(ticks[np.isin(ids, sim.network.neurons(name))], start, sim.tick)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_newborn_breathes_irregularly_and_its_belly_rises(seed):
    sim = load("experiments/breathing", seed=seed)
    joint = int(sim.physics.model.joint("breath").qposadr[0])
    angle = []
    sim.run("26 s", on_tick=lambda sim: angle.append(sim.physics.data.qpos[joint]))
    breaths = onsets(sim, "brainstem.all.prebotzinger", 2000)
    interval = np.diff(breaths) / 1000
    assert 30 <= 60 / interval.mean() <= 60
    assert 0.1 <= interval.std() / interval.mean() <= 0.5
    angle = np.degrees(angle)
    risen = [angle[t : t + 600].max() - angle[t] > 1.5 for t in breaths[:-1]]
    assert np.mean(risen) > 0.9, "each burst draws a breath"


def test_no_breath_without_recurrent_excitation_or_premotor_cells():
    for lesion in ("brainstem.all.prebotzinger", "brainstem.all.inspiratory"):
        sim = load("experiments/breathing", seed=1)
        sim.silence(lesion)
        sim.run("2 s")
        joint, angle = int(sim.physics.model.joint("breath").qposadr[0]), []
        sim.run("8 s", on_tick=lambda sim, j=joint, a=angle: a.append(sim.physics.data.qpos[j]))
        assert np.ptp(np.degrees(angle)) < 1.5


def test_the_newborn_moves_all_over_without_a_rhythm_and_not_without_premotor_cells():
    values = {}
    for lesion in ("", "spinal_segments.*.propriospinal"):
        sim = load("experiments/general_movements", seed=2, overrides=["duration=30 s"])
        if lesion:
            sim.silence(lesion)
        probes = Probes(sim)
        sim.run("30 s")
        values[lesion] = probes.values()
    whole, cut = values.values()
    assert whole["joints"] >= 8
    for part in ("arms", "elbows", "hips", "knees"):
        assert whole[f"{part}_peak"] < 0.5, part
    assert whole["together"] > 0.1, "limbs move together in a bout"
    assert cut["joints"] < whole["joints"] and cut["knee"] < 0.7 * whole["knee"]
