"""deliver_modulated: a plain sum over synapses, weighted by the gain of their group, beside the plain synapses."""

import numpy as np

from components.network import Arrivals, Branch, Fanout, Gained, Gains, Spikes, Synapse
from engine.schedule import Now
from systems.deliver_modulated import deliver_modulated
from systems.deliver_spikes import deliver_spikes
from tests.systems.nets import build, cell, part_by_part

UNIT = 65536


def net(threads: int = 1):
    """600 cells with plain and modulated synapses onto the same targets."""
    by = {"by": "toy.m", "tau": "100 ms", "reference": "5 Hz", "slope": 1, "between": [0, 4]}
    return build(
        {"e": cell(count=600), "m": cell(count=10)},
        [
            {"from": "e", "to": "e", "indegree": 30, "psp": "0.7 mV", "delay": ["1 ms", "20 ms"], "modulated": [by]},
            {"from": "e", "to": "m", "indegree": 100, "psp": "0.3 mV", "delay": ["1 ms", "3 ms"]},
            {"from": "m", "to": "e", "indegree": 5, "psp": "1 mV", "modulated": [by]},
        ],
        threads=threads,
    )[0]


def run(world, ticks: int = 120, whole: bool = True):
    """Arrivals of every tick [ticks, 610], and what a dictionary of what is due expects, to the last bit."""
    rng = np.random.default_rng(1)
    plain, modulated = world.tables["synapses_ampa"], world.tables["synapses_ampa_modulated"]
    due, got, fired = np.zeros((ticks + 40, 610), np.int64), [], np.zeros(0, np.int64)
    for tick in range(ticks):
        world[Gains.value][:] = rng.uniform(0, 3, world[Gains.value].size)
        world[Now.tick][0], world[Spikes.count][0] = tick, fired.size
        world[Spikes.ids][: fired.size] = fired
        for system, table in ((deliver_modulated, modulated), (deliver_spikes, plain)):
            system(table, world) if whole else part_by_part(system, table, world)
        got.append(world[Arrivals.ampa].copy())
        for table, start, gain in (
            (plain, plain[Fanout.start], np.float32(1)),
            (modulated, modulated[Branch.start], world[Gains.value][modulated[Gained.group]]),
        ):
            hit = np.isin(np.repeat(np.arange(610), start[:, -1] - start[:, 0]), fired)
            steps = np.floor(table[Synapse.weight] * gain * np.float32(UNIT) + np.float32(0.5)).astype(np.int64)
            np.add.at(due, (tick - 1 + table[Synapse.delay][hit].astype(int), table[Synapse.post][hit]), steps[hit])
        fired = np.flatnonzero(rng.random(610) < (0.7 if tick % 10 == 0 else 0.02))  # bursts of 10,000 synapses
    return np.array(got), due[:ticks]


def test_arrivals_equal_a_plain_sum_over_synapses_and_gains():
    got, due = run(net())
    assert due.sum() > 0 and np.array_equal(got, due)


def test_parts_deliver_the_same_in_any_order():
    assert np.array_equal(run(net(2), whole=False)[0], run(net())[0])
