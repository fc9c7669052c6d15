"""Tracts: delays are those of the synapses, and a pulse is nowhere ahead of its conduction delay."""

from types import SimpleNamespace

import numpy as np
import pytest

from components.network import Synapse
from systems.spawn.learning import presynaptic
from systems.view.anatomy import read_places
from systems.view.brain_tracts import STEPS, TRAIL_MS, Tracts, brain_of, curves, groups_of
from systems.view.frame import PULSE_MS
from tests.tools.conftest import calibration, scenes  # noqa: F401


def one_tract(delay_ms: float) -> Tracts:
    """Ten cells that project along one tract."""
    return Tracts(np.zeros((1, STEPS + 1, 3)), np.array([delay_ms]), np.array([0]), np.zeros(10, int), np.array([10]),
                  np.array([0]), [("a", "b")])  # fmt: skip


@pytest.mark.parametrize("delay_ms", [1.0, 17.0, 120.0])
def test_a_pulse_arrives_after_its_delay(delay_ms):
    """All ten cells fired `age` ms ago: the target end is dark until the delay has passed, then bright."""
    tract = one_tract(delay_ms)
    for age in range(150):
        pulses = np.zeros((1, PULSE_MS), np.uint8)
        pulses[0, age] = 10
        end = tract.level(tract.traces(pulses), 0, np.array([1.0]))[0]
        if age < delay_ms:
            assert end == 0.0, f"{age} ms after the spikes"
        elif age < delay_ms + 2:
            assert end > 0.5
        elif age > delay_ms + 8 * TRAIL_MS:
            assert end == 0.0


def test_the_front_moves_evenly_and_is_sharp():
    """At half the delay the pulse is half way: bright behind the middle, dark before it."""
    tract = one_tract(80.0)
    pulses = np.zeros((1, PULSE_MS), np.uint8)
    pulses[0, 40] = 10
    along = np.linspace(0, 1, 81)
    level = tract.level(tract.traces(pulses), 0, along)
    assert along[level > 0].max() == pytest.approx(0.5, abs=1 / 80)
    assert (level[along > 0.51] == 0).all() and (level[(along > 0.45) & (along < 0.5)] > 0.2).all()
    later = tract.level(
        tract.traces(pulses), 0, along, lag_ms=20.0
    )  # a picture 20 ms behind shows it earlier on its way
    assert along[later > 0].max() == pytest.approx(0.25, abs=1 / 80)


def test_delays_and_sources_are_those_of_the_synapses(scenes):  # noqa: F811
    from encephagen import load

    sim = load(scenes / "walker.yaml")
    brain = brain_of(sim)
    tracts, anatomy = brain.tracts, brain.anatomy
    group, names = groups_of(sim.network, anatomy.at)
    assert tracts.count > 20 and brain_of(sim) is brain
    pre, post, delay = [], [], []
    for name in sim.network.projection_of:
        table = sim.world.tables[name]
        if table[Synapse.weight].any():
            pre.append(group[presynaptic(table)])
            post.append(group[table[Synapse.post]])
            delay.append(np.array(table[Synapse.delay], float))
    pre, post, delay = (np.concatenate(x) for x in (pre, post, delay))
    end = np.array([anatomy.at[group == g].mean(axis=0) for g in range(len(names))])
    kinds = set()
    for k in range(tracts.count):
        members = np.flatnonzero(tracts.source_of == tracts.source[k])
        (source,) = set(group[members])
        assert names[source] == tracts.label[k][0] and tracts.size[tracts.source[k]] == members.size
        target = int(np.linalg.norm(end - tracts.curve[k, -1], axis=1).argmin())
        assert names[target] == tracts.label[k][1]
        mine = delay[(pre == source) & (post == target)]
        assert mine.min() <= tracts.delay_ms[k] <= mine.max()
        kinds.add(tracts.label[k][0].split(".")[0])
    assert len(kinds) == 2, "regions and the cord"


def test_curves_end_where_they_should_with_even_steps():
    cord = read_places().cord
    start = np.array([[-40.0, -20, 50], [30, 40, 10], [5, -40, -150], [-20, 30, 20]])
    end = np.array([[40.0, -20, 50], [4, -42, -200], [-5, -40, -90], [-5, -38, -120]])
    made = curves(start, end, cord)
    assert np.allclose(made[:, 0], start) and np.allclose(made[:, -1], end)
    steps = np.linalg.norm(np.diff(made, axis=1), axis=2)
    assert (steps.std(axis=1) < 0.12 * steps.mean(axis=1)).all()
    assert np.abs(made[0, STEPS // 2, 0]) < 2 and made[0, STEPS // 2, 2] < 45, "commissural fibres cross deep"


def test_nothing_to_draw_is_no_error():
    network = SimpleNamespace(populations=[])
    assert groups_of(network, np.zeros((0, 3)))[1] == []
