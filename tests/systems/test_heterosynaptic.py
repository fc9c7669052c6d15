"""heterosynaptic against its geometric series; and that it bounds what pairs of spikes gain by chance."""

import numpy as np
import pytest

from components.learning import Heterosynaptic
from components.network import Spikes, Synapse
from systems.heterosynaptic import heterosynaptic
from tests.systems.nets import build, cell, spikes_of

STDP = {"kind": "stdp", "a_plus": 0.05, "a_minus": 0.04, "highest": 5}
NOISY = {"background": {"psp": "2 mV", "rate": "300 Hz"}}


def circuit(rule, cells=4, indegree=3, psp_cv=0.5, psp="0.5 mV", **options):
    to = {
        "name": "learns",
        "from": "e",
        "to": "e",
        "indegree": indegree,
        "psp": psp,
        "psp_cv": psp_cv,
        "rule": rule,
    }
    world, _, runner = build({"e": cell(count=cells, **NOISY)}, [to], **options)
    return world, world.tables["synapses_ampa_stdp_toy:learns"], runner


def test_each_spike_of_a_target_goes_a_part_of_the_way_with_all_its_synapses():
    """... and with no other's."""
    world, table, _ = circuit({**STDP, "heterosynaptic": {"pull": 0.1, "rest": 2}})
    start, post = table[Synapse.weight].astype(float), table[Synapse.post]
    world[Spikes.count][0] = 1
    for spikes in range(1, 30):
        world[Spikes.ids][0] = 2
        heterosynaptic(table, world)
        expected = np.where(post == 2, 1.0 + (start - 1.0) * 0.9**spikes, start)
        assert table[Synapse.weight] == pytest.approx(expected, rel=1e-5)


def test_only_tables_that_declare_it_have_it():
    _, table, runner = circuit(STDP)
    assert Heterosynaptic not in table and "heterosynaptic" not in {c.system.name for _, c in runner.calls()}


def test_what_pairs_gain_by_chance_does_not_add_up():
    """Growth outweighs loss in this rule. Alone it runs away, by (A+ - A-) r tau psp at each spike of the target.

    Held it ends where the pull takes as much, at rest + (A+ - A-) r tau psp / pull (r: cells' rate, pairs by chance).
    """
    drift = {}
    for held in (False, True):
        more = {"heterosynaptic": {"pull": 0.1}} if held else {}
        rule = {**STDP, "a_plus": 0.1, "highest": 20, **more}
        world, table, runner = circuit(rule, cells=60, indegree=10, psp_cv=0, psp="0.01 mV")
        start = table[Synapse.weight].mean()
        spikes = spikes_of(world, runner, 4000)[0].size / 60
        gain = 0.06 * spikes / 4.0 * 0.020
        drift[held] = table[Synapse.weight].mean() / start - 1
    assert drift[False] == pytest.approx(gain * spikes, rel=0.25) and drift[False] > 1, (drift, gain)
    assert drift[True] == pytest.approx(gain / 0.1, rel=0.25) and drift[True] < 0.5, (drift, gain)
