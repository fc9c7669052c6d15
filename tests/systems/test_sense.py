"""Sense systems against hand-worked drives, and each organ in the body against what it should feel."""

import numpy as np
import pytest

from components.body import BodyState, Spindle, TendonOrgan, TouchPatch
from components.network import Inputs
from engine.world import World
from systems.sense_muscles import sense_spindles, sense_tendon_organs
from systems.sense_touch import sense_touch
from systems.simulation import load

SCENE = """
title: The cord in its body
seed: 3
duration: 60 s
brain: {profile: newborn, circuits: [spinal_segments]}
body: {model: newborn, pose: held}
"""


def organ(component, sensors, **columns):
    """A world with one group of three afferents; `columns` are the organ's. Returns a function: readings -> drives."""
    world = World(0)
    world.set_array(BodyState.sensors, np.array(sensors, float))
    world.set_array(Inputs.spread, np.array([0.5, 1.0, 1.5], np.float32))
    world.set_array(Inputs.sense, np.zeros(3, np.float32))
    table = world.add_table("organ", [component], 1)
    for name, value in (columns | {"first": 0, "count": 3}).items():
        table[getattr(component, name)][0] = value
    return world, table


def drives(system, world, table, *sensors):
    world[BodyState.sensors][:] = sensors
    system(table, world)
    return world[Inputs.sense].astype(float)


def test_spindles_feel_stretch_and_its_speed():
    """Rest 10 mm, range 20 mm: 15 mm is a stretch of 0.25; 20 mm/s is a speed of 1 range/s, 5120 mm/s of 256."""
    world, table = organ(Spindle, [0.0, 0.0], length_sensor=0, velocity_sensor=1, rest_length=0.010, length_range=0.020,
                         length_gain=8.0, velocity_gain=3.0)  # fmt: skip
    spread = np.array([0.5, 1.0, 1.5])
    assert drives(sense_spindles, world, table, 0.015, 0.0) == pytest.approx(2.0 - spread, abs=1e-5)
    assert drives(sense_spindles, world, table, 0.015, 0.020) == pytest.approx(5.0 - spread, abs=1e-5)
    assert drives(sense_spindles, world, table, 0.010, 5.120) == pytest.approx(3.0 * 32 - spread, rel=1e-4)  # 256^(5/8)
    assert drives(sense_spindles, world, table, 0.015, -0.010) == pytest.approx(0.5 - spread, abs=1e-5)
    assert drives(sense_spindles, world, table, 0.010, -9.0) == pytest.approx(-3.0 - spread, abs=1e-5)


def test_tendon_organs_feel_the_pull_of_their_own_muscle_only():
    """Two muscles of one motor: a negative reading is the other's pull. 5 N of 20 N at 40 mV is 10 mV."""
    spread = np.array([0.5, 1.0, 1.5])
    for sign, expected in ((1, 0.0), (-1, 10.0)):
        world, table = organ(TendonOrgan, [0.0], force_sensor=0, force_scale=sign / 20.0, gain=40.0)
        assert drives(sense_tendon_organs, world, table, -5.0) == pytest.approx(expected - spread, abs=1e-5)


def test_touch_saturates():
    """30 mV x F / (F + 0.2 N): half at 0.2 N, three quarters at 0.6 N, nothing at 0 N."""
    world, table = organ(TouchPatch, [0.0], sensor=0, gain=30.0, half_force=0.2)
    spread = np.array([0.5, 1.0, 1.5])
    for newtons, expected in ((0.0, 0.0), (0.2, 15.0), (0.6, 22.5)):
        assert drives(sense_touch, world, table, newtons) == pytest.approx(expected - spread, abs=1e-5)


@pytest.fixture
def held(tmp_path):
    """The newborn held in the air, motor pools silent: nothing moves unless the test moves it."""
    path = tmp_path / "held.yaml"
    path.write_text(SCENE)
    sim = load(str(path))
    sim.silence("spinal_segments.*.motor")
    return sim.run(1000)


def rate(sim, name, start):
    return sim.spike_count(f"spinal_segments.{name}", start, sim.tick) / (
        sim.network.neurons(f"spinal_segments.{name}").size * (sim.tick - start) / 1000
    )


@pytest.mark.parametrize("patch", ["palm_left", "cheek_right", "lips", "sole_ball_right", "belly"])
def test_touch_is_felt_where_it_is_within_20_ms_and_nowhere_else(held, patch):
    sim = held
    others = [p.name for p in sim.body.patches if p.name != patch]
    address, start, contact = sim.body.sensor_address(f"touch_{patch}")[0], sim.tick, []
    sim.touch(patch, "0.5 N", last="300 ms")
    sim.run(300, on_tick=lambda s: s.physics.data.sensordata[address] > 0 and contact.append(s.tick))
    ids, ticks = sim.spike_history()
    felt = ticks[np.isin(ids, sim.network.neurons(f"spinal_segments.{patch}.cutaneous")) & (ticks >= start)]
    assert contact[0] <= felt.min() <= contact[0] + 20
    assert rate(sim, f"{patch}.cutaneous", contact[0]) > 20
    assert max(rate(sim, f"{other}.cutaneous", start) for other in others) < 2


def test_firm_touch_is_felt_more_than_light_touch(held):
    rates = []
    for force in ("0.1 N", "0.3 N", "1 N"):
        start = held.tick
        held.touch("palm_right", force, last="500 ms")
        held.run(500)
        rates.append(rate(held, "palm_right.cutaneous", start))
        held.run(1500)
    assert rates[0] < rates[1] < rates[2] < 200


def test_spindles_of_the_stretched_muscle_fire_and_the_antagonists_fall_silent(held):
    start = held.tick
    held.tap("elbow_left_flexor", "0.1 N m", last="60 ms")
    held.run(60)
    stretched = rate(held, "elbow_left_flexor.spindle_primary", start)
    assert stretched > 40
    assert rate(held, "elbow_left_extensor.spindle_primary", start) < 0.2 * stretched
    assert rate(held, "elbow_right_flexor.spindle_primary", start) < 0.5 * stretched
    assert rate(held, "elbow_left_flexor.spindle_secondary", start) < stretched, "II feel speed less"


def test_no_afferent_exceeds_200_hz_when_flung_about(held):
    start = held.tick
    for muscle in ("knee_left_extensor", "hip_flexion_left_flexor", "elbow_right_flexor", "ankle_left_flexor"):
        held.tap(muscle, "2 N m", last="100 ms")
    held.run(400)
    ids, ticks = held.spike_history()
    afferents = [held.network.neurons(f"spinal_segments.*.{cell}")
                 for cell in ("spindle_primary", "spindle_secondary", "tendon_organ", "cutaneous")]  # fmt: skip
    count = np.bincount(ids[ticks >= start], minlength=held.network.neuron_count)
    assert max(count[a].max() for a in afferents) / 0.4 < 200
