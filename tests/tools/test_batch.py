"""The batch of lanes against the engine's own tick, on the network that is calibrated with it."""

import numpy as np
import pytest

from components.network import Fanout
from components.neuron import Ampa, BackgroundRates, Gaba, Membrane
from encephagen import load
from engine.errors import UserError
from systems.spawn import build
from tools.batch import Lanes, Lattice, upstream
from tools.calibrate_circuits import ASSETS

SCENE = """
title: the locomotor circuit and what drives it
seed: 3
duration: 100 s
brain: {profile: newborn, circuits: [spinal_cpg, brainstem]}
"""


@pytest.fixture
def sim(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "CALIBRATION", ASSETS / "calibration")  # the shipped one, which other tests here hide
    (tmp_path / "part.yaml").write_text(SCENE)
    return load(tmp_path / "part.yaml")


def test_without_noise_a_lane_fires_the_engine_s_spikes(sim):
    """Every neuron, every millisecond, for a second of a driven and oscillating network."""
    world = sim.world
    for table in world.tables.values():  # no background events, nothing under way
        if BackgroundRates in table:
            table[BackgroundRates.threshold][:] = 2**31 - 1
        if Fanout in table:
            table[Fanout.ring][:] = 0
        for receptor in (Ampa, Gaba):
            if receptor in table:
                table[receptor.i][:] = 0
    lattice = Lattice(sim, upstream(sim.network, "spinal_cpg"))
    n = lattice.neurons.size
    lanes = Lanes(lattice, 16, unit=np.arange(n), units=n)
    lanes.most[:] = 0
    lanes.v[:] = sim.column(Membrane.v, "*")[lattice.neurons][:, None]
    driven, mv = lattice.rows_of("brainstem.*.locomotor"), np.float32(17.0)
    for cells in (driven, lattice.rows_of("spinal_cpg.*.rg_*")):
        lanes.drive[cells] += mv
    sim.stimulate("brainstem.*.locomotor", "17 mV", "2 s")
    sim.stimulate("spinal_cpg.*.rg_*", "17 mV", "2 s")
    sim.run("1 s")
    found = lanes.run(1000, every=1)
    ids, ticks = sim.spike_history()
    chosen = lattice.place[ids] >= 0
    expected = np.zeros((1000, n), np.uint16)
    expected[ticks[chosen], lattice.place[ids[chosen]]] = 1
    assert expected.sum() > 2000 and (expected[:, lattice.rows_of("spinal_cpg.*.v2b")].sum() > 100)
    for lane in range(16):
        assert np.array_equal(found[:, :, lane], expected)


def test_with_noise_rates_are_the_engine_s(sim):
    """Ten seconds of 32 lanes against thirty of the engine: driven cells within four standard errors and 3 %."""
    lattice = Lattice(sim, upstream(sim.network, "spinal_cpg"))
    lanes = Lanes(lattice, 32)
    lanes.drive[lattice.rows_of("brainstem.*.locomotor")] += 8
    lanes.run(1000)
    counts = lanes.run(10_000).sum(axis=0)
    sim.stimulate("brainstem.*.locomotor", "8 mV", "40 s")
    sim.run("1 s")
    sim.run("20 s")
    for cell in ("locomotor", "locomotor_inhibitory"):
        rows = [k for k, p in enumerate(lattice.populations) if p.cell_name == cell]
        neurons = sum(lattice.populations[k].count for k in rows)
        lane_hz = counts[rows].sum(axis=0) / 10.0 / neurons
        engine_hz = sim.rate_hz(f"brainstem.*.{cell}", "20 s")
        assert engine_hz == pytest.approx(lane_hz.mean(), rel=0.03, abs=4 * lane_hz.std() / np.sqrt(2))


def test_a_network_with_gates_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "CALIBRATION", ASSETS / "calibration")
    (tmp_path / "part.yaml").write_text(
        SCENE.replace("[spinal_cpg, brainstem]", "[spinal_cpg, brainstem, basal_ganglia]")
    )
    sim = load(tmp_path / "part.yaml")
    with pytest.raises(UserError, match="a batch knows no gains, gates or learning rules"):
        Lattice(sim, upstream(sim.network, "spinal_cpg"))
