"""The calibration's steps on a small brain: rates are brought back to target, gains follow the driven band."""

import numpy as np
import pytest

from components.network import Fanout, Synapse
from encephagen import load
from systems.deliver_spikes import parcels
from systems.spawn import build
from systems.spawn.network import load_circuit
from tools.calibrate_circuits import ASSETS, Knobs, adjust_gains, start_asset

SCENE = """
title: a part
seed: 1
duration: 100 s
brain: {profile: newborn, circuits: [superior_colliculus], stand_ins: [brainstem]}
"""


@pytest.fixture
def knobs(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "CALIBRATION", ASSETS / "calibration")  # the shipped one, which other tests here hide
    (tmp_path / "part.yaml").write_text(SCENE)
    return Knobs(load(tmp_path / "part.yaml"), "newborn")


def test_disturbed_rates_return_to_their_targets(knobs):
    """Background turned up by a fifth; ten steps of two seconds bring every group within a quarter of its target."""
    knobs.hz *= 1.2
    errors = []
    for _ in range(10):
        knobs.apply()
        knobs.sim.run("200 ms")
        errors.append(np.abs(knobs.step(knobs.grouped(knobs.rates(2.0)), 0.8)))
    assert errors[0].max() > 0.5
    assert np.mean(errors[-3:], axis=0).max() < 0.25


def test_a_cell_below_its_driven_band_gets_a_stronger_input_and_delivery_sees_it(knobs):
    sim = knobs.sim
    name, table = "superior_colliculus:retinotectal", sim.world.tables["synapses_ampa"]
    number = next(k for k, p in enumerate(sim.network.projections) if p.name == name)
    hit = sim.network.projection_of["synapses_ampa"] == number
    before, gain = table[Synapse.weight].copy(), knobs.gains.get(name, 1.0)
    assert adjust_gains(knobs, {("superior_colliculus", "superficial"): 0.5}) == 1
    factor = np.exp(0.15)  # 0.3 of the error
    assert knobs.gains[name] == pytest.approx(gain * factor)
    assert table[Synapse.weight][hit] == pytest.approx(before[hit] * factor, rel=1e-5)
    assert np.array_equal(table[Synapse.weight][~hit], before[~hit])
    packed = parcels(table[Synapse.post], table[Synapse.weight], table[Synapse.delay])
    assert np.array_equal(table[Fanout.parcel], packed)
    assert adjust_gains(knobs, {("superior_colliculus", "superficial"): 0.0}) == 0


def test_the_first_guess_stays_below_threshold():
    """Mean depolarisation by tonic drive and background: 11 of 15 mV, or 1 mV where the tonic drive alone is more."""
    circuit, _ = load_circuit("basal_ganglia")
    hz = start_asset(circuit)["background_hz"]["*"]
    cell = circuit.cells["d1"]
    charge = (20.0 / 3.0) ** (3.0 / 17.0)
    assert hz["d1"] * cell.background.psp * charge * 0.020 == pytest.approx(11.0)
    assert hz["gpi"] < hz["d1"] / 5
