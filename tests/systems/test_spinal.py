"""The segmental cord in its body: each reflex arc does what it should, and stops when its interneurons are silenced."""

import numpy as np
import pytest

from systems.simulation import load

CORD = """
title: The cord in its body, no brain above it
seed: 1
duration: 60 s
brain: {{profile: newborn, circuits: [{circuits}], stand_ins: [{stand_ins}]}}
body: {{model: {body}, pose: {pose}}}
"""
S = "spinal_segments."
ELBOW, ELBOW_BACK = "elbow_left_flexor", "elbow_left_extensor"


@pytest.fixture
def cord(tmp_path):
    """A function that loads the cord (and what is named) in a body, with some populations silenced."""

    def make(seed=1, silence=(), body="newborn", pose="supine", circuits="spinal_segments", stand_ins="",
             **options):  # fmt: skip
        path = tmp_path / "cord.yaml"
        path.write_text(CORD.format(body=body, pose=pose, circuits=circuits, stand_ins=stand_ins))
        sim = load(str(path), seed=seed, **options)
        for name in silence:
            sim.silence(S + name)
        return sim

    return make


def angle_deg(sim, joint):
    """A probe: the joint's angle."""
    return float(np.degrees(sim.physics.data.qpos[int(sim.physics.model.joint(joint).qposadr[0])]))


def rate(sim, name, start, stop):
    """Mean rate [Hz] of a population of the cord in [start, stop) ms."""
    return sim.spike_count(S + name, start, stop) / sim.network.neurons(S + name).size / (stop - start) * 1000


def first_spike(sim, name, after):
    """Milliseconds from `after` to the population's next spike, infinite if there is none."""
    ids, ticks = sim.spike_history()
    found = ticks[np.isin(ids, sim.network.neurons(S + name)) & (ticks >= after)]
    return float(found.min() - after) if found.size else np.inf


# ---- palmar grasp --------------------------------------------------------------------------------------------------


def press(sim, patch, joints=("fingers_left", "thumb_left")):
    """Press a patch with 0.5 N for 1 s after 1.5 s of rest, then wait 1.5 s: (start, contact, [ms, joint] angles)."""
    sim.run(1500)
    start, address = sim.tick, sim.body.sensor_address(f"touch_{patch}")[0]
    angles, contact = [], []

    def watch(sim):
        angles.append([angle_deg(sim, joint) for joint in joints])
        if sim.physics.data.sensordata[address] > 0 and not contact:
            contact.append(sim.tick)

    sim.touch(patch, "0.5 N", last="1 s")
    sim.run(2500, on_tick=watch)
    assert contact, f"nothing touched {patch}"
    return start, contact[0], np.array(angles)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pressed_palm_closes_the_hand_and_release_opens_it(cord, seed):
    sim = cord(seed)
    start, contact, angles = press(sim, "palm_left")
    assert first_spike(sim, "palm_left.cutaneous", contact) <= 20
    grasp = first_spike(sim, "palm_left.grasp", contact)
    motor = first_spike(sim, "fingers_left_flexor.motor", contact + grasp)
    assert grasp <= 35, "interneurons follow the afferents"
    assert motor <= 30, "motor neurons follow the interneurons"
    rest = angles[:5].mean(axis=0)
    assert (angles[500] - rest > 20).all(), "fingers and thumb close in < 0.5 s"
    assert (angles[500:1000] - rest > 12).all(), "and hold while pressed"
    assert (angles[-200:].mean(axis=0) - rest < 10).all(), "and open in < 1.5 s of release"
    held, before = (rate(sim, "fingers_left_flexor.motor", a, a + 800) for a in (start + 200, start - 800))
    assert held > 6 > 4 > before
    assert rate(sim, "fingers_left_extensor.motor", start + 200, start + 1000) < 0.4 * held


@pytest.mark.parametrize("seed", [1, 2])
def test_grasp_needs_its_interneurons(cord, seed):
    sim = cord(seed, silence=["palm_left.grasp"])
    start, contact, angles = press(sim, "palm_left")
    assert rate(sim, "palm_left.cutaneous", contact, contact + 900) > 15, "the palm is felt all the same"
    assert abs(np.median(angles[300:1000], axis=0) - np.median(angles[:20], axis=0)).max() < 15
    assert rate(sim, "fingers_left_flexor.motor", start + 200, start + 1000) < 5


@pytest.mark.parametrize("patch", ["sole_ball_left", "belly", "palm_right"])
def test_touch_elsewhere_does_not_close_the_hand(cord, patch):
    sim = cord(2)
    start, contact, angles = press(sim, patch)
    assert rate(sim, f"{patch}.cutaneous", contact, contact + 900) > 15, "it is felt"
    assert abs(np.median(angles[300:1000], axis=0) - np.median(angles[:20], axis=0)).max() < 15
    assert rate(sim, "fingers_left_flexor.motor", start + 200, start + 1000) < 5


# ---- muscle reflexes -----------------------------------------------------------------------------------------------


def tapped(sim, muscle, opposite, taps=8, torque="0.4 N m", busy=True):
    """Taps on a tendon, 400 ms apart; the antagonist is kept active. Mean spikes of [own, antagonist] pool per tap:
    in the 30 ms before the reflex can arrive, and in the 30 ms from 12 ms after the tap."""
    sim.run(200)
    if busy:
        sim.stimulate(f"{S}{opposite}.motor", "15 mV", last=taps * 400 + 400)
    sim.run(300)
    before, after = np.zeros(2), np.zeros(2)
    for _ in range(taps):
        t = sim.tick
        sim.tap(muscle, torque)
        sim.run(400)
        for k, pool in enumerate((muscle, opposite)):
            before[k] += sim.spike_count(f"{S}{pool}.motor", t - 20, t + 10)
            after[k] += sim.spike_count(f"{S}{pool}.motor", t + 12, t + 42)
    return before / taps, after / taps


@pytest.mark.parametrize(("muscle", "opposite"), [
    (ELBOW, ELBOW_BACK), ("knee_left_extensor", "knee_left_flexor"),
])  # fmt: skip
def test_tapped_tendon_fires_its_own_pool_within_30_ms(cord, muscle, opposite):
    latencies, bursts, early = [], [], []
    for seed in (1, 2, 3):
        sim = cord(seed)
        sim.run(1000)
        for _ in range(3):
            t = sim.tick
            sim.tap(muscle, "0.4 N m")
            sim.run(600)
            early.append(sim.spike_count(f"{S}{muscle}.motor", t, t + 10))
            bursts.append(sim.spike_count(f"{S}{muscle}.motor", t + 10, t + 40))
            assert bursts[-1] / 10 / 0.030 > 3 * rate(sim, f"{muscle}.motor", t - 500, t)
            latencies.append(first_spike(sim, f"{muscle}.motor", t + 8) + 8)
    assert np.mean(bursts) >= 4, "a burst: 4 of 10 motor neurons"
    assert np.median(latencies) < 30
    assert np.mean(early) < 1, "not before conduction allows"


def test_tap_does_nothing_without_spindles(cord):
    sim = cord(1, silence=["*.spindle_primary", "*.spindle_secondary"])
    before, after = tapped(sim, ELBOW, ELBOW_BACK, taps=4, busy=False)
    assert after[0] <= before[0] + 1


@pytest.mark.slow
def test_tapped_tendon_inhibits_the_antagonist_through_ia_interneurons(cord):
    """With the antagonist kept active, its spikes drop after the tap, unless the interneurons are silenced."""
    seeds = (1, 2, 3)
    intact = [tapped(cord(seed), ELBOW, ELBOW_BACK) for seed in seeds]
    ablated = [tapped(cord(seed, silence=[f"{ELBOW}.ia_inhibitory"]), ELBOW, ELBOW_BACK) for seed in seeds]
    before, after = np.mean(intact, axis=0)[:, 1]
    assert after < 0.7 * before, f"antagonist {before:.2f} -> {after:.2f} spikes"
    assert after < 0.6 * np.mean([a[1] for _, a in ablated])
    assert np.mean([a[0] for _, a in ablated]) >= 4, "the tapped muscle's own burst stays"


def test_ia_interneurons_inhibit_those_of_the_antagonist(cord):
    """Reciprocal inhibition is itself reciprocal."""
    rates = []
    for cut in ((), (f"{ELBOW}.ia_inhibitory",)):
        sim = cord(4, silence=[*cut, "*.motor"])
        sim.stimulate(f"{S}{ELBOW_BACK}.ia_inhibitory", "6 mV", last="2 s")
        sim.stimulate(f"{S}{ELBOW}.spindle_primary", "12 mV", last="2 s")
        sim.run(2000)
        rates.append(rate(sim, f"{ELBOW_BACK}.ia_inhibitory", 200, 2000))
    assert rates[0] < 0.8 * rates[1], f"{rates} Hz"


def test_renshaw_cells_follow_their_pool_and_hold_it_back(cord):
    held, free = [], []
    for seed in (1, 2, 3):
        for cut, found in (((), held), ((f"{ELBOW}.renshaw",), free)):
            sim = cord(seed, silence=cut)
            sim.run(500)
            sim.stimulate(f"{S}{ELBOW}.motor", "25 mV", last="1 s")
            sim.run(1000)
            found.append(rate(sim, f"{ELBOW}.motor", 700, 1500))
            if not cut:
                assert rate(sim, f"{ELBOW}.renshaw", 700, 1500) > 4 * max(1.0, rate(sim, f"{ELBOW}.renshaw", 0, 500))
    assert np.mean(held) < np.mean(free) - 0.5, f"{held} against {free} Hz"
    assert max(held) < 40


def test_tendon_organs_hold_back_their_own_pool_through_ib_interneurons(cord):
    change = {}
    for cut in ((), (f"{ELBOW}.ib_inhibitory",)):
        change[cut] = []
        for seed in (1, 2):
            sim = cord(seed, silence=cut)
            sim.run(200)
            sim.stimulate(f"{S}{ELBOW}.motor", "15 mV", last="2400 ms")
            sim.run(1400)
            sim.stimulate(f"{S}{ELBOW}.tendon_organ", "20 mV", last="1 s")
            sim.run(1000)
            change[cut].append(rate(sim, f"{ELBOW}.motor", 1600, 2600) / rate(sim, f"{ELBOW}.motor", 600, 1600))
    assert np.mean(change[()]) < 0.75
    assert 0.85 < np.mean(change[(f"{ELBOW}.ib_inhibitory",)]) < 1.15


def test_tendon_organs_feel_their_muscle_pull(cord):
    sim = cord(1)
    sim.run(500)
    sim.stimulate(f"{S}{ELBOW}.motor", "25 mV", last="1 s")
    sim.run(1000)
    assert rate(sim, f"{ELBOW}.tendon_organ", 700, 1500) > 10
    assert rate(sim, f"{ELBOW_BACK}.tendon_organ", 700, 1500) < 5


# ---- rest ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_at_rest_every_population_is_in_its_band_and_flexors_have_tone(cord):
    others = (
        "cortex, basal_ganglia, cerebellum, superior_colliculus, neuromodulators, amygdala, hypothalamus, spinal_cpg"
    )
    sim = cord(5, circuits="spinal_segments, brainstem, thalamus", stand_ins=others)
    sim.silence("brainstem.*.tonic_neck")  # a turned head stretches the limbs of its side (exam/atnr)
    sim.run(1000)
    angles = []
    sim.run(10_000, on_tick=lambda sim: sim.tick % 10 == 0 and angles.append(sim.physics.data.qpos[7:].copy()))
    ids, ticks = sim.spike_history()
    count = np.bincount(ids[ticks >= 1000], minlength=sim.network.neuron_count)
    for p in sim.network.populations:
        if p.stand_in:
            continue
        low, high = p.cell.bands["newborn"].rate
        assert low <= count[p.neurons].mean() / 10 <= high, f"{p.name}: {count[p.neurons].mean() / 10:.1f} Hz"
    assert count.max() / 10 < 200  # no cell above what design 6 allows a population
    motor = [p for p in sim.network.populations if p.cell.motor and p.name.startswith(S)]
    pools = {p.instance: count[p.neurons] / 10 for p in motor}
    toned = [m for m in pools if m.startswith(("shoulder_flexion", "elbow", "hip_flexion")) and m.endswith("flexor")]
    for muscle in toned:
        first_units = pools[muscle][:3].mean()
        assert 0.5 < first_units < 15, f"{muscle}: {first_units:.1f} Hz"
    over = [pools[m].mean() / pools[sim.body.muscle(m).antagonist].mean() for m in toned]  # movements work both
    assert np.mean(over) > 1.25 and min(over) > 1.0
    assert max(units.max() for units in pools.values()) < 30
    first = sim.network.by_name[f"{S}{ELBOW}.motor"].first
    gaps = np.diff(ticks[(ids == first) & (ticks >= 1000)])
    assert gaps.std() / gaps.mean() > 0.3, "irregular"
    moved = np.degrees(np.std(angles, axis=0))
    limbs = [int(sim.physics.model.joint(f"{j}_{s}").qposadr[0]) - 7
             for j in ("elbow", "hip_flexion", "knee", "ankle", "wrist") for s in ("left", "right")]  # fmt: skip
    assert 0.3 < np.median(moved[limbs]) < 15, "limbs move by degrees (general movements), neither frozen nor flailing"


@pytest.mark.parametrize(("body", "pose"), [("walker", "stand"), ("humanoid", "stand")])
def test_the_template_fits_any_body(cord, body, pose):
    sim = cord(body=body, pose=pose, circuits="spinal_segments, brainstem, thalamus")
    for muscle in sim.body.muscles:
        assert sim.network.neurons(f"{S}{muscle.name}.motor").size >= 10
    sim.run(300)
    assert sim.spike_count("*", 0, 300) > 0


def test_size_of_the_newborn_cord(cord):
    sim = cord()
    assert 2000 < sim.network.neuron_count <= 4000
    with_grasp = {p.instance for p in sim.network.populations if p.cell_name == "grasp"}
    assert with_grasp == {"palm_left", "palm_right"}
    assert not [p for p in sim.network.populations if p.cell_name == "spindle_primary" and "eye" in p.instance]


# ---- ascending path ------------------------------------------------------------------------------------------------


def test_touch_rises_to_the_opposite_thalamus(cord):
    sim = cord(1, circuits="spinal_segments, brainstem, thalamus")
    sim.run(2000)
    sim.touch("palm_left", "0.5 N", last="500 ms")
    sim.run(200)

    def rise(name):
        cells = sim.network.neurons(name).size
        return (sim.spike_count(name, 2020, 2170) / 150 - sim.spike_count(name, 1000, 2000) / 1000) / cells * 1000

    assert rise("brainstem.left.dorsal_column") > 5
    assert rise("thalamus.right.vpl") > 3
    assert rise("brainstem.right.dorsal_column") < 4
    assert rise("thalamus.left.vpl") < 4
    assert rise("brainstem.left.trigeminal") < 4, "the palm is not the face"
