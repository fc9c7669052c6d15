"""facilitation against the recursion of Tsodyks, Pawelzik & Markram and its steady state."""

import numpy as np
import pytest

from components.learning import Depressing, Release
from components.network import Spikes, Synapse
from engine.schedule import Now
from systems.facilitation import facilitation
from tests.systems.nets import build, cell

USE, RECOVERY, FACILITATION = 0.1, 100.0, 1000.0


def circuit(use=USE, recovery="100 ms", facilitation="1 s"):
    rule = {"kind": "facilitation", "use": use, "recovery": recovery, "facilitation": facilitation}
    to = {"name": "f", "from": "a", "to": "b", "indegree": 2, "psp": "2 mV", "psp_cv": 0.5, "rule": rule}
    world, network, _ = build({"a": cell(count=3), "b": cell(count=4)}, [to])
    return world, world.tables["synapses_ampa_facilitation_toy:f"], network.by_name["toy.all.a"].first


def fire(world, table, tick: int, neuron: int) -> np.ndarray:
    world[Spikes.ids][0] = neuron
    world[Spikes.count][0], world[Now.tick][0] = 1, tick
    facilitation(table, world)
    return table[Synapse.weight] / table[Depressing.rested]


def test_each_spike_follows_the_recursion():
    """u_next = u f + U (1 - u f), R_next = R (1 - u_next) r + 1 - r (their equations 4 and 5); weight = u R / U."""
    world, table, first = circuit()
    u, r, before = 0.0, 1.0, None
    for tick in (10, 30, 31, 60, 500, 520, 3000):
        if before is not None:
            left = np.exp(-(tick - before) / RECOVERY)
            r = r * (1 - u) * left + 1 - left
            u *= np.exp(-(tick - before) / FACILITATION)
        u += USE * (1 - u)
        ratio = fire(world, table, tick, first + 1)
        mine = ratio != 1 if before is not None else np.ones(ratio.size, bool)
        assert ratio[mine] == pytest.approx(u * r / USE, rel=1e-3)
        before = tick
    assert set(np.round(ratio, 3)) == {1.0, np.round(np.float32(u * r / USE), 3)}, "other sources are rested"


@pytest.mark.parametrize(("use", "recovery", "facilitates"), [(0.05, 20, 500), (0.5, 800, 10), (0.15, 150, 1500)])
@pytest.mark.parametrize("hz", [5, 20, 50])
def test_a_long_train_reaches_the_steady_state(use, recovery, facilitates, hz):
    world, table, first = circuit(use, f"{recovery} ms", f"{facilitates} ms")
    step = 1000 // hz
    for k in range(400):
        ratio = fire(world, table, k * step, first)
    f, r = np.exp(-step / facilitates), np.exp(-step / recovery)
    u = use / (1 - (1 - use) * f)
    expected = u / use * (1 - r) / (1 - (1 - u) * r)
    assert ratio[np.argmax(abs(ratio - 1))] == pytest.approx(expected, rel=5e-3)


def test_it_facilitates_or_depresses_as_its_times_say():
    """A small use and slow decay grow; a large use and slow recovery shrink; both rest in time."""
    world, table, first = circuit(0.05, "20 ms", "500 ms")
    assert [fire(world, table, 20 * k, first).max() for k in range(8)][-1] > 3
    world, table, first = circuit(0.5, "800 ms", "10 ms")
    assert [fire(world, table, 20 * k, first).min() for k in range(8)][-1] < 0.1
    assert fire(world, table, 20_000, first) == pytest.approx(1, abs=1e-3) and table[Release.tick][0] == 20_000
