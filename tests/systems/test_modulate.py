"""modulate against the closed form of its filter and gain."""

import numpy as np
import pytest

from components.network import Gains, Modulator, Spikes
from engine.world import World
from systems.modulate import modulate


@pytest.fixture
def world():
    """Two rows on group 1 (cells 0..3 and 4..5), one on group 2 (cells 4..5); group 0 belongs to nobody."""
    world = World(0)
    world.set_array(Spikes.fired, np.zeros(6, np.uint8))
    world.set_array(Gains.value, np.full(3, 7.0, np.float32))
    table = world.add_table("modulators", [Modulator], 3)
    table[Modulator.first][:], table[Modulator.count][:] = [0, 4, 4], [4, 2, 2]
    table[Modulator.decay][:] = np.exp(-1 / 100.0)
    table[Modulator.per_spike][:] = 1000.0 / (100.0 * table[Modulator.count])
    table[Modulator.reference][:], table[Modulator.slope][:] = 10.0, [0.5, -0.5, 2.0]
    table[Modulator.lowest][:], table[Modulator.highest][:] = 0.0, 3.0
    table[Modulator.group][:] = [1, 1, 2]
    table[Modulator.rate][:] = 10.0
    return world


def run(world, ticks: int, fired=()) -> np.ndarray:
    for _ in range(ticks):
        world[Spikes.fired][:] = 0
        world[Spikes.fired][list(fired)] = 4
        modulate(world.tables["modulators"], world)
    return world[Gains.value].astype(float)


def test_silence_lets_the_rate_fade_and_the_gain_follows(world):
    gain = run(world, 50)
    rate = 10.0 * np.exp(-50 / 100.0)
    assert world.tables["modulators"][Modulator.rate] == pytest.approx(rate, rel=1e-5)
    first, second, third = (1 + slope * (rate / 10.0 - 1) for slope in (0.5, -0.5, 2.0))
    assert gain == pytest.approx([1.0, first * second, third], rel=1e-5)  # rows of a group multiply


def test_a_spike_adds_one_over_tau_and_count(world):
    run(world, 1, [0, 4])
    rate = world.tables["modulators"][Modulator.rate]
    assert rate == pytest.approx(10.0 * np.exp(-0.01) + np.array([2.5, 5.0, 5.0]), rel=1e-5)


def test_the_filter_reads_the_rate_in_hz_and_gains_stay_in_their_limits(world):
    gain = run(world, 2000, range(6))  # a spike a tick: 1000 Hz
    assert world.tables["modulators"][Modulator.rate] == pytest.approx(1000.0, rel=0.01)
    assert gain == pytest.approx([1.0, 3.0 * 0.0, 3.0])
