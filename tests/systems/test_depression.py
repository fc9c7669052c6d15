"""depression against the recursion of Tsodyks & Markram, worked by hand."""

import numpy as np
import pytest

from components.learning import Depressing, Resources
from components.network import Branch, Spikes, Synapse
from engine.schedule import Now
from engine.world import World
from systems.depression import depression

USE, RECOVERY = 0.25, 400.0


@pytest.fixture
def world():
    """Cells 2 and 3 of five have two and one synapse of 2, 4 and 6 mV."""
    world = World(0)
    world.set_array(Now.tick, np.zeros(1, np.int64))
    world.set_array(Spikes.ids, np.zeros(5, np.int32))
    world.set_array(Spikes.count, np.zeros(1, np.int64))
    table = world.add_table("synapses", [Synapse, Branch, Depressing, Resources], 3)
    table[Synapse.weight][:] = table[Depressing.rested][:] = [2.0, 4.0, 6.0]
    table.set_side(Branch.start, np.array([[0, 0], [0, 0], [0, 2], [2, 3], [3, 3]], np.int32))
    table.set_side(Resources.span, np.array([2, 2], np.int32))
    table.set_side(Resources.use, np.array([USE], np.float32))
    table.set_side(Resources.decay, np.exp(-np.arange(3200) / RECOVERY).astype(np.float32))
    table.set_side(Resources.spent, np.zeros(2, np.float32))
    table.set_side(Resources.tick, np.zeros(2, np.int32))
    return world


def fire(world, tick: int, *cells: int):
    world[Now.tick][0] = tick
    world[Spikes.ids][: len(cells)], world[Spikes.count][0] = cells, len(cells)
    depression(world.tables["synapses"], world)
    return world.tables["synapses"][Synapse.weight].astype(float)


def test_each_spike_spends_a_part_of_what_is_left(world):
    left, before = 1.0, 0
    for tick in (10, 30, 31, 500):
        recovered = 1.0 - (1.0 - left) * np.exp(-(tick - before) / RECOVERY)
        weight = fire(world, tick, 1, 2, 4)
        assert weight == pytest.approx([2 * recovered, 4 * recovered, 6], rel=1e-5), "the spike itself is not depressed"
        left, before = recovered * (1 - USE), tick


def test_rest_restores(world):
    for tick in range(20):
        fire(world, tick, 3)
    assert fire(world, 20, 3)[2] < 0.2
    assert fire(world, 20 + 3300, 3)[2] == pytest.approx(6.0, rel=1e-3)
