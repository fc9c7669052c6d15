"""Assemblies, synapses that open NMDA receptors alone, and blocked receptors, against what their definitions give."""

import numpy as np
import pytest
from pydantic import ValidationError

from components.network import Arrivals, Inputs, Synapse
from components.neuron import Membrane, Nmda, NmdaArrivals
from engine.errors import UserError
from engine.schedule import Runner
from systems.schedule import TICK
from systems.spawn.circuit_model import Circuit
from systems.spawn.learning import presynaptic
from tests.systems.nets import build_circuits, cell

NMDA = {"share": "30 %", "tau": "150 ms"}
ITEM = {"per": "item", "of": "e", "count": 5}
DRAWN = {"item": ITEM, "at_home": {"members_of": "item"}}
WITHIN = {
    "name": "within",
    "from": "item",
    "to": "item",
    "indegree": 8,
    "psp": "0.1 mV",
    "psp_cv": 0,
    "receptor": "nmda",
}


def circuit(projections=(), assemblies=None, **more):
    """Cells `e` left and right (20 each), three items of five cells of each side, inhibitory cells `i`."""
    cells = {"e": cell(per="side", count=20, nmda=NMDA), "i": cell(per="side", count=6, acts_on="gaba")}
    return Circuit.model_validate({
        "structure": "toy", "title": "a test", "groups": {"item": ["a", "b", "c"]}, "cells": cells,
        "assemblies": DRAWN if assemblies is None else assemblies, "projections": list(projections), **more,
    })  # fmt: skip


def joined(world, network, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(pre, post) of all synapses of a projection."""
    number = [p.name for p in network.projections].index(f"toy:{name}")
    for table, numbers in network.projection_of.items():
        rows = np.flatnonzero(numbers == number)
        if rows.size and world.tables[table][Synapse.weight].any():  # else one row that stands for none
            return presynaptic(world.tables[table])[rows], world.tables[table][Synapse.post][rows]
    raise AssertionError(name)


def test_each_population_gives_as_many_neurons_and_none_twice():
    _, network, _ = build_circuits([circuit()])
    items = network.named("toy.*.item")
    assert list(items) == ["a", "b", "c"] and all(rows.size == 10 for rows in items.values())
    together = np.concatenate(list(items.values()))
    assert np.unique(together).size == 30
    for side in ("left", "right"):
        cells = network.by_name[f"toy.{side}.e"].indices
        assert [np.isin(rows, cells).sum() for rows in items.values()] == [5, 5, 5]
        home = network.neurons(f"toy.{side}.at_home")
        assert set(home) == set(together) & set(cells)
    assert (network.neurons("toy.b.item") == items["b"]).all() and network.neuron_count == 52


def test_who_is_drawn_follows_the_seed():
    drawn = [build_circuits([circuit()], seed=s)[1].neurons("toy.a.item").tolist() for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_same_joins_cells_of_one_item_with_a_fixed_indegree_and_not_themselves():
    world, network, _ = build_circuits([circuit([WITHIN])])
    pre, post = joined(world, network, "within")
    assert (pre != post).all() and pre.size == 3 * 10 * 8
    for rows in network.named("toy.*.item").values():
        here = np.isin(post, rows)
        assert np.isin(pre[here], rows).all() and (np.bincount(post[here], minlength=52)[rows] == 8).all()
        assert all(np.unique(pre[post == k]).size == 8 for k in rows), "distinct sources"


def test_cells_at_home_are_joined_with_populations_of_the_same_instance():
    lateral = {"name": "lateral", "from": "i", "to": "at_home", "indegree": 4, "psp": "1 mV"}
    back = {"name": "back", "from": "at_home", "to": "i", "indegree": 3, "psp": "1 mV"}
    world, network, _ = build_circuits([circuit([lateral, back])])
    for name, here, there in (("lateral", "i", "at_home"), ("back", "at_home", "i")):
        pre, post = joined(world, network, name)
        for side in ("left", "right"):
            mine = np.isin(post, network.neurons(f"toy.{side}.{there}"))
            assert mine.any() and np.isin(pre[mine], network.neurons(f"toy.{side}.{here}")).all()


@pytest.mark.parametrize(("assemblies", "message"), [
    ({"item": {**ITEM, "count": 7}}, "expected at most 6 neurons of toy.left.e for each of 3, got 7"),
])  # fmt: skip
def test_too_many_neurons_are_one_line(assemblies, message):
    with pytest.raises(UserError, match=message):
        build_circuits([circuit(assemblies=assemblies)])


@pytest.mark.parametrize(("assemblies", "message"), [
    ({"item": {**ITEM, "per": "colour"}}, "expected a group of this file"),
    ({"item": {**ITEM, "of": "x"}}, "expected a cell of this file"),
    ({"item": {"per": "item", "of": "e"}}, "is needed there"),
    ({"item": {}}, "either of or members_of"),
    ({"item": ITEM, "home": {"members_of": "x"}}, "expected an assembly of this file"),
    ({"e": ITEM}, "is a cell's"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(assemblies, message):
    with pytest.raises(ValidationError, match=message):
        circuit(assemblies=assemblies)


def test_nmda_needs_targets_that_have_it_and_sources_that_excite():
    onto_i = {"from": "item", "to": "i", "relation": "all", "indegree": 2, "psp": "1 mV", "receptor": "nmda"}
    with pytest.raises(UserError, match=r"expected targets with NMDA receptors, toy\.left\.i has none"):
        build_circuits([circuit([onto_i])])
    by_i = {"from": "i", "to": "at_home", "indegree": 2, "psp": "1 mV", "receptor": "nmda"}
    with pytest.raises(UserError, match="expected sources that excite, got gaba"):
        build_circuits([circuit([by_i])])


def psp_of_nmda(blocked: bool = False) -> np.ndarray:
    """Potential after each tick when 2 mV arrive by NMDA alone in tick 0."""
    world, network, _ = build_circuits([circuit([WITHIN])])
    (table,) = world.tables_with([NmdaArrivals])
    table[Membrane.v][:] = table[Nmda.i][:] = 0
    if blocked:
        table[NmdaArrivals.jump][:] = 0
    runner = Runner(world, [p for p in TICK if p.name == "integrate"], {"tick": 1})
    row = network.neurons("toy.a.item")[0]
    world[Arrivals.nmda][row] = 2 << 16
    out = []
    for _ in range(900):
        runner.step()
        out.append(float(table[Membrane.v][row]))
        assert world[Arrivals.nmda][row] == 0, "spent once"
    return np.array(out)


def test_an_nmda_psp_is_a_difference_of_exponentials_that_peaks_at_its_weight():
    """v = J tau_s / (tau_s - tau_m) (exp(-t / tau_s) - exp(-t / tau_m)), peak 2 mV, with tau_m 20 and tau_s 150 ms."""
    v, m, s = psp_of_nmda(), 20.0, 150.0
    jump = 2.0 * (s / m) ** (m / (s - m))
    t = np.arange(1, 901)
    expected = jump * s / (s - m) * (np.exp(-t / s) - np.exp(-t / m))
    assert v.max() == pytest.approx(2.0, rel=0.02)
    assert v == pytest.approx(expected, abs=0.03)
    assert v.sum() / m == pytest.approx(jump * s / m, rel=0.02), "the charge"


def test_saturation_is_that_of_brunel_and_wang():
    """s <- s + a (1 - s) at a spike, decay tau: rule depression makes it. At a steady rate, right before each spike,
    s = a q / (1 - (1 - a) q), q = exp(-T / tau); the drive of one synapse is J s / a."""
    rule = {"kind": "depression", "use": "20 %", "recovery": "150 ms"}
    world, network, runner = build_circuits([circuit([{**WITHIN, "rule": rule}])])
    (table,) = world.tables_with([NmdaArrivals])
    pre, post = joined(world, network, "within")
    source, target = int(pre[0]), int(post[0])
    period, spikes, a = 25, 40, 0.2
    for tick in range(period * spikes):
        if tick % period == 0:
            world[Inputs.v][source] = 100.0
        runner.step()
    q = np.exp(-period / 150.0)
    before = a * q / (1 - (1 - a) * q)
    jump = 0.1 * (150 / 20) ** (20 / 130)
    drive = float(table[Nmda.i][target])  # after the tick before the next spike, which takes one to arrive
    assert drive == pytest.approx(jump / a * before * np.exp(1.5 / 150), rel=0.005)


def test_a_blocked_receptor_is_not_opened(tmp_path):
    from systems.simulation import load

    scene = tmp_path / "blocked.yaml"
    brain = (
        "{profile: adult, circuits: [amygdala], stand_ins: [cortex, brainstem], block: {gaba: [amygdala.*.lateral]}}"
    )
    scene.write_text(f"title: a drug\nseed: 1\nduration: 1 s\nbrain: {brain}\n")
    from components.neuron import Gaba

    sim = load(scene)
    assert not sim.column(Gaba.jump, "amygdala.*.lateral").any() and sim.column(Gaba.jump, "amygdala.*.central").all()
    scene.write_text(f"title: a drug\nseed: 1\nduration: 1 s\nbrain: {brain.replace('lateral', 'none')}\n")
    with pytest.raises(UserError, match=r"brain.block.gaba.0: no population matches"):
        load(scene)
