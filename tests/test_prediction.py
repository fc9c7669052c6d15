"""What comes next is expected, missed, a surprise; what was seen often is answered less. And the measures for it."""

import math

import numpy as np
import pytest

from encephagen import load
from engine.errors import UserError
from systems import recall
from systems.probes import Probes
from systems.spawn.scene_model import Outcome

SEED = 5


def test_an_item_is_recalled_if_its_cells_fire_most_and_ties_count_by_chance():
    groups = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
    rates = recall.rates_of(np.array([0, 0, 1, 2, 2, 2, 9]), groups, 100.0)
    assert rates.tolist() == [15.0, 15.0, 0.0]
    assert recall.recalled(rates, np.array([0])) == 0.5
    assert recall.recalled(rates, np.array([2])) == 0.0
    assert recall.recalled(rates, np.array([0, 2])) == 0.5  # one of the two highest
    assert recall.recalled(np.zeros(4), np.array([3])) == 0.25  # nobody fires: chance
    assert recall.recalled(recall.rates_of(np.zeros(0, int), groups, 100.0), np.array([1])) == pytest.approx(1 / 3)


SCENE = """
title: two items in turn
seed: 1
duration: 600 ms
brain: {profile: adult, circuits: [hippocampus]}
timeline:
  - {at: 100 ms, last: 50 ms, repeat: {every: 400 ms, times: 2}, stimulate: {population: hippocampus.a1.entorhinal, drive: 40 mV}}
  - {at: 300 ms, last: 50 ms, stimulate: {population: hippocampus.b1.entorhinal, drive: 40 mV}}
probes:
  - {name: right, measure: recalled, of: hippocampus.*.entorhinal, items: [a1, b1], from: 110 ms, to: 150 ms, repeat: {every: 200 ms, times: 3}}
  - {name: half, measure: recalled, of: hippocampus.*.entorhinal, items: [a1, [b2, b1], b1], from: 110 ms, to: 150 ms, repeat: {every: 200 ms, times: 3}}
"""  # noqa: E501


def test_the_probe_looks_for_one_item_after_another_and_begins_anew(tmp_path):
    """a1, b1, a1 are shown; `half` finds a1, one or both of b1 and b2 (b2 by chance), and no b1."""
    (tmp_path / "two.yaml").write_text(SCENE)
    sim = load(tmp_path / "two.yaml", strict=False)
    probes = Probes(sim)
    sim.run("600 ms")
    values = probes.values()
    assert values["right"] == 1.0
    assert 0.5 <= values["half"] <= 2 / 3
    with pytest.raises(UserError, match=r"probes\.0\.items: no 'c1' in hippocampus.*there are: a1, a2, b1, b2"):
        Probes(load(tmp_path / "two.yaml", overrides=["probes.0.items=[c1]"]))


def test_an_outcome_may_be_the_mean_of_several():
    outcome = Outcome.model_validate({"name": "all", "mean": ["a", "b", "c"]})
    assert outcome.value({"a": 1.0, "b": 2.0, "c": 6.0}) == 3.0
    assert math.isnan(outcome.value({"a": 1.0, "b": math.nan, "c": 6.0}))
    assert outcome.operands == [(("mean", 0), "a"), (("mean", 1), "b"), (("mean", 2), "c")]


def measured(scene: str, *overrides: str) -> dict[str, float]:
    sim = load(scene, seed=SEED, overrides=overrides, strict=False)
    probes = Probes(sim)
    sim.run(f"{sim.scene.duration:g} ms")
    return probes.values()


@pytest.mark.slow
def test_the_next_item_is_expected_and_missed_once_its_order_was_learned():
    learned = measured("experiments/prediction")
    held = measured("experiments/prediction", "brain.learning=false")
    for gap in ("next_2", "next_3", "next_4"):
        assert learned[gap] >= 0.8 and held[gap] <= 0.5, gap
    assert learned["to_omitted"] > learned["to_expected"] + 10 and held["to_omitted"] < 1  # Hz
    assert learned["to_other"] > learned["to_expected"] + 20
    assert held["to_other"] == pytest.approx(held["to_expected"], abs=10)
    assert learned["to_expected_only"] < 0.2 * held["to_expected_only"]
    assert learned["before"] < 1 and learned["in_the_pause"] < learned["to_omitted"]


@pytest.mark.slow
def test_what_is_seen_often_is_answered_less_and_something_new_as_before():
    learned = measured("experiments/familiarity")
    held = measured("experiments/familiarity", "brain.learning=false")
    assert learned["a_after"] < 0.5 * learned["a_before"]
    assert learned["b_after"] > 0.7 * learned["b_before"]
    assert learned["to_new"] > 0.9 * learned["a_before"]
    assert held["a_after"] == pytest.approx(held["a_before"], abs=6)
