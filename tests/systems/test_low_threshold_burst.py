"""low_threshold_burst against its closed form, and what it is for: a burst after inhibition, none without."""

import numpy as np
import pytest

from components.neuron import LowThreshold, Membrane, TickConstants
from engine.schedule import Parts
from engine.world import World
from systems.low_threshold_burst import low_threshold_burst
from tests.systems.nets import build, cell, spikes_of


@pytest.fixture
def table():
    world = World(0)
    table = world.add_table("cells", [Membrane, LowThreshold, TickConstants], 1)
    table.set_side(TickConstants.run, np.array([0, 1], np.int32))
    table.set_side(TickConstants.part, np.array([0, 1], np.int32))
    world.set_array(Parts.own, np.array([0, 1], np.int64))
    table[LowThreshold.on][:], table[LowThreshold.off][:] = np.exp(-1 / 20.0), np.exp(-1 / 100.0)
    table[LowThreshold.below][:], table[LowThreshold.gain][:] = -1.0, 12.0
    table[Membrane.tonic][:], table[Membrane.stimulus][:] = 3.0, 2.0

    def run(v: float, ticks: int):
        table[Membrane.v][:] = v
        for _ in range(ticks):
            low_threshold_burst(table, world)
        return float(table[LowThreshold.h][0]), float(table[Membrane.drive][0])

    return run


def test_it_de_inactivates_below_and_inactivates_above(table):
    h, drive = table(-5.0, 50)
    assert h == pytest.approx(1 - np.exp(-50 / 100.0), rel=1e-5)
    assert drive == pytest.approx(5.0)  # shut while hyperpolarised: tonic and stimulus only
    again, drive = table(0.0, 30)
    assert again == pytest.approx(h * np.exp(-30 / 20.0), rel=1e-5)
    assert drive == pytest.approx(5.0 + 12.0 * again, rel=1e-5)


def test_a_rested_cell_has_no_current(table):
    assert table(0.0, 200) == (0.0, pytest.approx(5.0))


@pytest.mark.parametrize("bursting", [True, False])
def test_released_from_inhibition_it_bursts(bursting):
    """15 cells held down for 300 ms by 20 others answer the release; without the current they stay silent."""
    spec = {"low_threshold": {"drive": "45 mV", "below": "-1 mV", "tau_on": "30 ms", "tau_off": "100 ms"}}
    cells = {
        "relay": cell(count=15, tau_m="15 ms", **(spec if bursting else {})),
        "gate": cell(count=20, acts_on="gaba", tonic="20 mV"),
    }
    world, network, runner = build(cells, [{"from": "gate", "to": "relay", "indegree": 10, "psp": "1 mV"}])
    relay, gate = (network.by_name[f"toy.all.{name}"] for name in ("relay", "gate"))
    spikes_of(world, runner, 300)
    for t in world.tables_with([Membrane]):
        if LowThreshold not in t:
            t[Membrane.threshold][: t.row_count] = np.where(t[Membrane.tonic] > 0, np.inf, t[Membrane.threshold])
    ids, ticks, _ = spikes_of(world, runner, 600)
    inside = (ids >= relay.first) & (ids < relay.first + relay.count)
    assert np.isin(ids, np.arange(gate.first, gate.first + gate.count)).any()
    assert not inside[ticks < 300].any()
    assert (inside[(ticks >= 300) & (ticks < 400)].sum() >= 15) if bursting else not inside.any()
