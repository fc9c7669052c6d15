"""Milk: what a jaw draws, what swallowing moves, what mouth and stomach feel."""

import math

import numpy as np
import pytest

from components.body import BodyState, Filling, Gullet, Milk
from components.network import Inputs, Spikes
from encephagen import load
from engine.errors import UserError
from engine.world import World
from systems.probes import Probes
from systems.sense_filling import sense_filling
from systems.spawn.body import load_body
from systems.swallow import MOUTH_ML, swallow
from systems.timeline import Targets


@pytest.fixture
def drinking():
    """A world with one pool of ten motor neurons, whose jaw offers 100 mL/m."""
    world = World(1)
    world.set_array(BodyState.sensors, np.array([0.0, 0.5]))  # velocity of the jaw's opener, force on the tongue
    world.set_array(Spikes.fired, np.zeros(10, np.uint8))
    for column in (Milk.offered, Milk.mouth, Milk.stomach):
        world.set_array(column, np.zeros(1))
    world[Milk.offered][:] = 100.0
    table = world.add_table("gullets", [Gullet], 1)
    table[Gullet.nipple_sensor][:], table[Gullet.count][:] = 1, 10
    table[Gullet.decay][:], table[Gullet.twitch][:], table[Gullet.empties][:] = math.exp(-1 / 60), 0.25, 0.002
    return world, table


def test_a_jaw_that_opens_draws_what_is_offered(drinking):
    """-0.01 m/s for half a second is 5 mm: 0.5 mL. Closing draws nothing back."""
    world, table = drinking
    for velocity in (-0.01, 0.01):
        world[BodyState.sensors][0] = velocity
        for _ in range(500):
            swallow(table, world)
        assert world[Milk.mouth][0] == pytest.approx(0.5)
    assert world[Milk.stomach][0] == 0.0


def test_nothing_is_drawn_without_a_nipple_and_no_more_than_the_mouth_holds(drinking):
    world, table = drinking
    world[BodyState.sensors][:] = -0.05, 0.0
    for _ in range(1000):
        swallow(table, world)
    assert world[Milk.mouth][0] == 0.0
    world[BodyState.sensors][1] = 0.5
    for _ in range(1000):
        swallow(table, world)
    assert world[Milk.mouth][0] == MOUTH_ML


def test_a_volley_moves_the_integral_of_the_activation(drinking):
    """One spike of every cell: activation 0.25 exp(-t / 60 ms), 2 mL/s at full; none is lost."""
    world, table = drinking
    world[Milk.mouth][:] = 1.0
    world[Spikes.fired][:] = 1
    for _ in range(1000):
        swallow(table, world)
        world[Spikes.fired][:] = 0
    assert world[Milk.stomach][0] == pytest.approx(0.25 * 0.002 / (1 - math.exp(-1 / 60)), rel=1e-4)
    assert world[Milk.mouth][0] + world[Milk.stomach][0] == pytest.approx(1.0)


def test_mouth_and_stomach_feel_half_at_half_volume():
    world = World(1)
    world.set_array(Inputs.sense, np.zeros(4, np.float32))
    world.set_array(Inputs.spread, np.zeros(4, np.float32))
    world.set_array(Milk.mouth, np.array([0.2]))
    world.set_array(Milk.stomach, np.array([45.0]))
    table = world.add_table("fillings", [Filling], 2)
    table[Filling.of_stomach][:], table[Filling.gain][:] = (0, 1), (40.0, 20.0)
    table[Filling.half_volume][:], table[Filling.first][:], table[Filling.count][:] = (0.2, 15.0), (0, 2), 2
    sense_filling(table, world)
    assert world[Inputs.sense] == pytest.approx([20.0, 20.0, 15.0, 15.0])


def test_ten_degrees_of_jaw_draw_the_volume_that_is_named():
    body = load_body("newborn")
    offered = Targets(None, body).offered(0.2)
    assert offered * body.muscle("jaw_flexor").moment_arm_m * math.radians(10.0) == pytest.approx(0.2)


def test_a_body_without_a_mouth_is_not_fed():
    with pytest.raises(UserError, match="feed: the body walker has no mouth"):
        Targets(None, load_body("walker")).nipple()


@pytest.mark.slow
def test_the_newborn_drinks_suck_by_swallow():
    sim = load("exam/sucking_nutritive", seed=5)
    probes = Probes(sim)
    sim.run("20 s")
    values = probes.values()
    assert 0.75 < values["suck_rate"] < 1.25 and values["swallows"] == pytest.approx(1.0, abs=0.2)
    assert 1.0 < sim.world[Milk.stomach][0] < 6.0
