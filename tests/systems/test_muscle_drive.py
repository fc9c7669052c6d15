"""Motor-neuron spikes to force: hand-worked twitches, and no spikes, no torque."""

import numpy as np
import pytest

from components.body import BodyState, Muscle
from components.network import Spikes
from engine.world import World
from systems.muscle_drive import muscle_drive
from systems.simulation import load

SCENE = """
title: The cord in its body
seed: 3
duration: 60 s
brain: {{profile: newborn, circuits: [spinal_segments]}}
body: {{model: {body}}}
"""


@pytest.fixture
def pair():
    """Two muscles of 4 motor neurons on one motor, pulling opposite ways; twitch 0.1, decay 0.5 per tick."""
    world = World(0)
    world.set_array(Spikes.fired, np.zeros(8, np.uint8))
    world.set_array(BodyState.ctrl, np.zeros(1))
    table = world.add_table("muscles", [Muscle], 2)
    table[Muscle.pool_first][:], table[Muscle.pool_count][:] = [0, 4], 4
    table[Muscle.decay][:], table[Muscle.twitch][:] = 0.5, 0.1
    table[Muscle.actuator][:], table[Muscle.ctrl_gain][:] = 0, [2.0, -2.0]

    def tick(*fired):
        world[Spikes.fired][:] = 0
        world[Spikes.fired][list(fired)] = 3  # any substep
        muscle_drive(table, world)
        return table[Muscle.activation].astype(float), float(world[BodyState.ctrl][0])

    return tick


def test_a_twitch_decays(pair):
    activation, ctrl = pair(0, 1, 2, 3)  # the whole pool: 4 mean twitches
    assert activation == pytest.approx([0.4, 0.0])
    assert ctrl == pytest.approx(0.8)
    assert pair()[0] == pytest.approx([0.2, 0.0])
    assert pair()[0] == pytest.approx([0.1, 0.0])


def test_the_neurons_recruited_first_move_the_smallest_units(pair):
    """Twitches of four units go as 1 : 3 : 5 : 7, their mean is the pool's."""
    rises = []
    for unit in range(4):
        before = pair()[0][0] * 0.5
        rises.append(pair(unit)[0][0] - before)
    assert rises == pytest.approx([0.025, 0.075, 0.125, 0.175])


def test_antagonists_pull_against_each_other_on_one_motor(pair):
    assert pair(4, 5, 6, 7) == (pytest.approx([0.0, 0.4]), pytest.approx(-0.8))
    activation, ctrl = pair(0, 1, 2, 3)
    assert activation == pytest.approx([0.4, 0.2])
    assert ctrl == pytest.approx(0.4)


def test_activation_stays_within_0_and_1_and_ends_at_exactly_0(pair):
    for _ in range(20):
        activation, _ = pair(*range(8))
    assert activation == pytest.approx([0.8, 0.8])
    for _ in range(40):
        activation, ctrl = pair()
    assert (activation == 0).all() and ctrl == 0


def make(tmp_path, body):
    path = tmp_path / "cord.yaml"
    path.write_text(SCENE.format(body=body))
    return load(str(path))


@pytest.mark.parametrize("body", ["newborn", "walker", "humanoid"])
def test_without_motor_neurons_every_torque_is_exactly_zero(tmp_path, body):
    sim = make(tmp_path, body)
    actuators = sorted({m.actuator_id for m in sim.body.muscles})
    sim.stimulate("spinal_segments.*.motor", "20 mV", last="300 ms")
    sim.run(300)
    assert np.abs(sim.physics.data.actuator_force[actuators]).max() > 0, "the intact cord pulls"
    sim.silence("spinal_segments.*.motor")
    sim.run(1500)  # activations decay with 30..60 ms
    for force in ("touch", "tap"):
        if force == "touch" and body == "newborn":
            sim.touch("palm_left", "1 N", last="200 ms")
        else:
            sim.tap(sim.body.muscles[0].name, "0.1 N m")
        sim.run(200)
        assert set(sim.activation().values()) == {0.0}
        assert (sim.physics.data.ctrl[actuators] == 0).all()
        assert (sim.physics.data.actuator_force[actuators] == 0).all()
    sim.restore("spinal_segments.*.motor")
    sim.stimulate("spinal_segments.*.motor", "20 mV", last="300 ms")
    sim.run(300)
    assert np.abs(sim.physics.data.actuator_force[actuators]).max() > 0, "and pulls again when restored"


@pytest.mark.parametrize(("role", "sign"), [("flexor", 1), ("extensor", -1)])
def test_every_pool_of_the_newborn_turns_its_own_joint_its_own_way(tmp_path, role, sign):
    """Flexors pull towards positive angles (assets/bodies/newborn.yaml), extensors towards negative ones."""
    sim = make(tmp_path, "newborn")
    sim.silence("spinal_segments.*.motor")
    sim.restore(f"spinal_segments.*_{role}.motor")
    sim.stimulate(f"spinal_segments.*_{role}.motor", "20 mV", last="300 ms")
    sim.run(300)
    for muscle in sim.body.muscles:
        if muscle.joint.startswith("eye_"):  # their pools are in the brainstem
            continue
        torque = sim.physics.data.qfrc_actuator[int(sim.physics.model.joint(muscle.joint).dofadr[0])]
        assert torque * sign > 0, f"{muscle.joint}: {torque} N m"
