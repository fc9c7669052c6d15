"""homeostasis against its closed form, and that a network under it finds its rate."""

import numpy as np
import pytest

from components.learning import Scaling
from components.network import Spikes, Synapse
from engine.errors import UserError
from engine.schedule import Now
from systems.homeostasis import homeostasis
from tests.systems.nets import build, cell, spikes_of

STILL = {"kind": "stdp", "a_plus": 0, "a_minus": 0, "highest": 50}
SCALING = {"rate": "5 Hz", "step": 0.1, "every": "100 ms", "tau": "1 s"}


def circuit(scaling):
    to = {"name": "learns", "from": "e", "to": "e", "indegree": 2, "psp": "0.5 mV", "psp_cv": 0.5}
    world, _, runner = build({"e": cell(count=3)}, [{**to, "rule": {**STILL, "scaling": scaling}}])
    return world, world.tables["synapses_ampa_stdp_toy:learns"], runner


def run(world, table, ticks: int, fires) -> None:
    for tick in range(ticks):
        ids = [k for k in range(3) if fires(k, tick)]
        world[Spikes.ids][: len(ids)] = ids
        world[Spikes.count][0], world[Now.tick][0] = len(ids), tick
        homeostasis(table, world)


def test_weights_of_a_cell_follow_its_rate_in_proportion():
    """Cell 0 is silent, 1 fires at 5 Hz, 2 at 40 Hz; each is looked at once in 100 ticks, at the tick of its number."""
    world, table, _ = circuit(SCALING)
    start, post = table[Synapse.weight].astype(float), table[Synapse.post]
    run(world, table, 2000, lambda k, tick: (k == 1 and tick % 200 == 50) or (k == 2 and tick % 25 == 0))
    for k, (period, phase) in enumerate([(None, 0), (200, 50), (25, 0)]):
        hz, factor = 5.0, 1.0
        for tick in range(2000):
            hz *= np.exp(-1 / 1000) if tick else 1
            hz += period is not None and tick % period == phase
            if tick % 100 == k:
                factor *= 1 + 0.1 * max(1 - hz / 5, -1)
        assert table[Synapse.weight][post == k] == pytest.approx(start[post == k] * factor, rel=1e-4)
        assert factor > 2 if k == 0 else abs(factor - 1) < 0.15 if k == 1 else factor < 0.3
    assert table[Scaling.rate][2] == pytest.approx(40, rel=0.15)


def test_proportions_stay_and_the_largest_weight_is_a_bound():
    world, table, _ = circuit(SCALING)
    start = table[Synapse.weight].astype(float)
    run(world, table, 1000, lambda k, tick: False)
    ratio = table[Synapse.weight] / start
    assert ratio == pytest.approx(ratio[0], rel=1e-2) and ratio[0] > 1.3
    run(world, table, 20_000, lambda k, tick: False)
    assert (table[Synapse.weight] == np.float32(25.0)).all()


def test_cells_find_their_rate():
    """An input too weak to fire anything, and synapses that make up for it: each target near 5 Hz."""
    rates = []
    for scaling in (None, {**SCALING, "step": 0.03}):
        rule = {**STILL, "scaling": scaling}
        to = {"name": "learns", "from": "a", "to": "b", "indegree": 40, "psp": "0.2 mV", "rule": rule}
        cells = {"a": cell(count=100, background={"psp": "2 mV", "rate": "300 Hz"}), "b": cell(count=20)}
        world, network, runner = build(cells, [to])
        ids, ticks, _ = spikes_of(world, runner, 20_000)
        first = network.by_name["toy.all.b"].first
        rates.append(np.bincount(ids[ticks >= 10_000], minlength=120)[first : first + 20] / 10)
    assert rates[0].mean() < 0.5 and rates[1] == pytest.approx(5, abs=1.5), rates


def test_a_rate_to_aim_at_is_needed():
    with pytest.raises(UserError, match=r"toy\.all\.e has no band of profile"):
        circuit({"step": 0.1})
