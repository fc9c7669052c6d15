"""Copies side by side: each fires what it fires alone."""

import json

import numpy as np
import pytest

from components.network import Fanout
from encephagen import load, main
from engine.errors import UserError
from systems.spawn.copies import Copies
from tools import run_copies

MS = 305  # ends within a block of the spike log


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("copies") / "locomotor.yaml"
    path.write_text(run_copies.LOCOMOTOR)
    return str(path)


def test_each_copy_fires_what_it_fires_alone(scene):
    """Other seeds: other wiring and noise. And another parameter: the second copy has weaker inhibition."""
    options = [{"seed": 5}, {"seed": 9, "overrides": ['brain.gains={"spinal_cpg:*": 0.7}']}, {"seed": 6}]
    copies = Copies([load(scene, **option) for option in options]).run(MS)
    alone = [load(scene, **option).run(MS) for option in options]
    assert copies.spike_hashes == [sim.spike_hash for sim in alone]
    assert len(set(copies.spike_hashes)) == 3 and min(sim.spikes.total for sim in alone) > 100
    rates = copies.rate_hz("spinal_cpg.*.rg_*")
    assert rates == pytest.approx([sim.rate_hz("spinal_cpg.*.rg_*") for sim in alone])


def test_what_cannot_be_laid_side_by_side_is_one_line(scene):
    with pytest.raises(UserError, match="have no body"):
        Copies([load("newborn")])
    with pytest.raises(UserError, match="modulated and learning synapses"):
        Copies([load("structures/cerebellum")])
    with pytest.raises(UserError, match="have not run yet"):
        Copies([load(scene).run(1)])


def test_the_command_says_what_each_copy_did(scene, tmp_path, capsys):
    out = tmp_path / "a.json"
    assert main(["run", scene, "--batch", "3", "--seed", "4", "--duration", "200ms", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert [copy["seed"] for copy in found["copies"]] == [4, 5, 6] and found["simulated_s"] == pytest.approx(0.6)
    alone = load(scene, seed=5).run(200)
    assert found["copies"][1]["spike_hash"] == alone.spike_hash
    assert found["copies"][1]["rate_hz"]["spinal_cpg"] == pytest.approx(alone.rate_hz("spinal_cpg"))
    assert "simulated seconds" in capsys.readouterr().out.replace("\n", " ")
    assert main(["run", scene, "--batch", "2", "--record", str(tmp_path / "a.h5")]) == 2


def test_own_numbers_are_each_copys_neurons_in_order(scene):
    copies = Copies([load(scene, seed=seed) for seed in (1, 2)])
    everyone = np.sort(np.concatenate(copies.neurons))
    assert np.array_equal(everyone, np.arange(copies.network.neuron_count))
    assert all((np.diff(here) > 0).all() for here in copies.neurons)


def test_spikes_under_way_come_along(scene):
    """Arrivals put into one copy's ring by hand reach that copy, as they do alone."""
    first, second, alone = load(scene, seed=1), load(scene, seed=2), load(scene, seed=2)
    for sim in (second, alone):
        sim.world.tables["synapses_ampa"][Fanout.ring][3, :20] = 9 << 16  # 9 mV: above threshold
    copies = Copies([first, second]).run(20)
    assert copies.spike_hashes[1] == alone.run(20).spike_hash != load(scene, seed=2).run(20).spike_hash
