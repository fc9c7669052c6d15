"""Stand-ins: cells of absent circuits that project into the scene fire by chance at their target rates."""

import numpy as np
import pytest

from encephagen import load
from engine.errors import UserError
from systems.spawn.network import CIRCUITS, load_circuit

SCENE = (
    "title: a part\nseed: 3\nduration: 20 s\nbrain: {{profile: newborn, circuits: [{here}], stand_ins: [{there}]}}\n"
)


@pytest.fixture
def part(tmp_path):
    def make(here="amygdala", there="brainstem, cortex"):
        (tmp_path / "part.yaml").write_text(SCENE.format(here=here, there=there))
        return load(tmp_path / "part.yaml")

    return make


def test_only_cells_that_are_heard_stand_in(part):
    sim = part()
    found = {(p.structure, p.cell_name) for p in sim.network.populations if p.stand_in}
    assert found == {("brainstem", "parabrachial"), ("cortex", "l23"), ("cortex", "l5")}
    assert not any(p.stand_in for p in sim.network.populations if p.structure == "amygdala")


def test_they_fire_at_their_target_rate_like_poisson(part):
    sim = part()
    sim.run("20 s")
    circuit, _ = load_circuit("brainstem")
    aim = circuit.cells["parabrachial"].bands["newborn"].aim
    n = len(sim.network.neurons("brainstem.*.parabrachial")) * 20.0
    assert sim.rate_hz("brainstem.*.parabrachial") == pytest.approx(aim, abs=4 * np.sqrt(aim / n))
    ids, ticks = sim.spike_history()
    chosen = np.isin(ids, sim.network.neurons("cortex.*.l23"))
    counts = np.bincount(ticks[chosen] // 100, minlength=200)  # independent cells: variance = mean
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.4)


def test_nothing_projects_onto_them_and_they_can_be_driven(part):
    sim = part()
    standing = np.concatenate([sim.network.neurons(p.name) for p in sim.network.populations if p.stand_in])
    for _, post, _ in (sim.weights(p.name) for p in sim.network.projections if p.count):
        assert post.size and not np.isin(post, standing).any()
    sim.stimulate("brainstem.*.parabrachial", "25 mV", "1 s")
    sim.run("1 s")
    assert sim.rate_hz("brainstem.*.parabrachial", "1 s") > 40


def test_a_circuit_is_there_or_stands_in(part):
    with pytest.raises(UserError, match=r"stand_ins\.0: expected each circuit once"):
        part(there="amygdala")
    with pytest.raises(UserError, match=r"stand_ins\.1: no circuit named"):
        part(there="brainstem, amygdalla")


def test_every_circuit_can_stand_in_for_every_other():
    for path in CIRCUITS.glob("*.yaml"):
        circuit, _ = load_circuit(path.stem)
        for name, cell in circuit.cells.items():
            for profile, band in cell.bands.items():
                low, high = band.rate
                assert low <= band.aim <= high, f"{circuit.structure}.{name} {profile}"
