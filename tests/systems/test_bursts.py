"""Bursts and slow spectra of made-up signals, and the rhythms of the brainstem measured by them."""

import numpy as np
import pytest

from systems.bursts import burst_onsets, limb_rank, spectral_peak
from systems.probes import BodyNames, Probes
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


def writhing(limbs: int, rng, shared: float = 0.0, bouts: bool = True) -> np.ndarray:
    """Angles [20 s, limbs] of slow noise, in common bouts or without any; `shared` of its power is the same for all."""
    from scipy.ndimage import gaussian_filter1d

    own = gaussian_filter1d(rng.standard_normal((2000, limbs)), 10.0, axis=0)
    common = gaussian_filter1d(rng.standard_normal((2000, 1)), 10.0, axis=0)
    envelope = 0.2 + np.clip(np.sin(2 * np.pi * np.arange(2000) / 800.0), 0.0, 1.0)[:, None] if bouts else 1.0
    return envelope * (np.sqrt(1.0 - shared) * own + np.sqrt(shared) * common)


def ranks(what: str, count: int, rng, **how) -> np.ndarray:
    return np.array([limb_rank(writhing(4, rng, **how), np.arange(4), 10.0, what) for _ in range(count)])


def test_limbs_that_share_a_drive_are_in_step():
    rng = np.random.default_rng(2)
    assert (ranks("phases", 10, rng, shared=0.7) > 0.95).sum() >= 9
    late = writhing(4, rng, shared=0.7)
    late[:, 1] = np.roll(late[:, 1], 20)  # one limb follows the others by 0.2 s
    assert limb_rank(late, np.arange(4), 10.0, "phases") > 0.95, "to be in step is not to be at the same phase"


@pytest.mark.parametrize(("what", "bouts"), [("phases", True), ("phases", False), ("bouts", False)])
def test_limbs_with_nothing_in_common_have_uniform_ranks(what, bouts):
    """Mean 1/2 +- 0.29 / sqrt(30); one in twenty above 0.95, so at most 5 of 30 with p = 0.99. Common bouts alone do
    not put limbs in step."""
    found = ranks(what, 30, np.random.default_rng(3), bouts=bouts)
    assert found.mean() == pytest.approx(0.5, abs=0.16)
    assert (found > 0.95).sum() <= 5


def test_limbs_that_move_in_common_bouts_move_together():
    assert (ranks("bouts", 10, np.random.default_rng(4)) > 0.95).all()


def test_what_joints_of_one_limb_share_does_not_count():
    """Three joints of each of two limbs, the same but for the limb. As six limbs they are in step; as two the ranks are
    uniform, outside 0.05 to 0.95 in at most 6 of 24 with p = 0.99 (15 if each joint had phases of its own)."""
    rng = np.random.default_rng(5)
    traces = [np.repeat(writhing(2, rng, bouts=False), 3, axis=1) + 0.05 * writhing(6, rng, bouts=False)
              for _ in range(24)]  # fmt: skip
    two = np.array([limb_rank(trace, np.repeat([0, 1], 3), 10.0, "phases") for trace in traces])
    assert ((two < 0.05) | (two > 0.95)).sum() <= 6
    assert all(limb_rank(trace, np.arange(6), 10.0, "phases") > 0.95 for trace in traces[:6])


def test_ranks_need_two_limbs_that_move_for_a_while():
    trace = writhing(4, np.random.default_rng(6), shared=0.7)
    limbs = np.arange(4)
    for what in ("bouts", "phases"):
        assert np.isnan(limb_rank(trace[:900], limbs, 10.0, what))
        assert np.isnan(limb_rank(trace, np.zeros(4), 10.0, what))
        assert np.isnan(limb_rank(trace * [1.0, 0.0, 0.0, 0.0], limbs, 10.0, what))
        assert limb_rank(trace, limbs, 10.0, what) == limb_rank(trace, limbs, 10.0, what)


def test_limbs_hang_on_the_trunk():
    sim = load("exam/general_movements", overrides=["brain.circuits=[spinal_segments]", "timeline=[]", "actions=[]",
                                                    "probes=[]", "expect=[]", "experiment=null"])  # fmt: skip
    names = BodyNames(sim.physics.model)
    joints = ["shoulder_flexion_left", "wrist_left", "thumb_left", "hip_flexion_right", "toes_right", "jaw"]
    parts = names.limbs(np.array([names.angle[joint] for joint in joints]))
    found = [sim.physics.model.body(int(part)).name for part in parts]
    assert found == ["upper_arm_left"] * 3 + ["thigh_right"] * 2 + ["head"]


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
        sim = load("experiments/general_movements", seed=2, overrides=["duration=33 s"])
        if lesion:
            sim.silence(lesion)
        probes = Probes(sim)
        sim.run("33 s")
        values[lesion] = probes.values()
    whole, cut = values.values()
    assert whole["joints"] >= 8
    for part in ("arms", "elbows", "hips", "knees"):
        assert whole[f"{part}_peak"] < 0.5, part
    assert whole["together"] > 0.1, "limbs move together in a bout"
    assert cut["joints"] < whole["joints"] and cut["shoulder"] < 0.7 * whole["shoulder"]
