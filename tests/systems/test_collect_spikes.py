"""collect_spikes: who fired, ascending, and the log that counts what it loses."""

import numpy as np
import pytest

from components.network import SpikeLog, Spikes
from engine.schedule import Now
from engine.world import World
from systems.collect_spikes import collect_spikes


def world_of(neurons: int, room: int = 100) -> World:
    world = World()
    world.set_array(Now.tick, np.zeros(1, np.int64))
    world.set_array(Spikes.fired, np.zeros(neurons, np.uint8))
    world.set_array(Spikes.ids, np.zeros(neurons, np.int32))
    world.set_array(Spikes.count, np.zeros(1, np.int64))
    for column in (SpikeLog.ids, SpikeLog.ticks, SpikeLog.substeps):
        world.set_array(column, np.zeros(room, column.dtype))
    world.set_array(SpikeLog.count, np.zeros(2, np.int64))
    return world


@pytest.mark.parametrize("neurons", [1, 7, 8, 9, 64, 1003])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_everyone_who_fired_is_listed_once_in_ascending_order(neurons, share):
    world = world_of(neurons, room=neurons)
    fired = np.random.default_rng(neurons).random(neurons) < share
    world[Spikes.fired][:] = fired * 3
    collect_spikes(None, world)
    count = world[Spikes.count][0]
    assert world[Spikes.ids][:count].tolist() == np.flatnonzero(fired).tolist()


def test_the_log_keeps_neuron_tick_and_substep():
    world = world_of(20)
    for tick, who, substep in ((4, [2, 19], 1), (5, [], 1), (6, [0, 7, 8], 10)):
        world[Now.tick][0] = tick
        world[Spikes.fired][:] = 0
        world[Spikes.fired][who] = substep
        collect_spikes(None, world)
    assert world[SpikeLog.count].tolist() == [5, 0]
    assert world[SpikeLog.ids][:5].tolist() == [2, 19, 0, 7, 8]
    assert world[SpikeLog.ticks][:5].tolist() == [4, 4, 6, 6, 6]
    assert world[SpikeLog.substeps][:5].tolist() == [1, 1, 10, 10, 10]


def test_a_full_log_counts_what_it_loses_and_nobody_goes_undelivered():
    world = world_of(20, room=7)
    world[Spikes.fired][:5] = 1
    for lost in (0, 3, 8):
        collect_spikes(None, world)
        assert world[SpikeLog.count].tolist() == [5 if lost == 0 else 7, lost]
        assert world[Spikes.count][0] == 5
