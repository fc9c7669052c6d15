"""What is recalled, worked by hand; ties count by chance."""

import math

import numpy as np
import pytest

from systems.recall import held_exactly, rates_of, recalled, recalled_exactly

shown = np.array


def test_rates_are_spikes_per_cell_and_second():
    groups = [np.array([0, 1]), np.array([2, 5])]
    assert rates_of(np.array([0, 0, 1, 5, 3]), groups, 500.0).tolist() == [3.0, 1.0]
    assert rates_of(np.array([], int), groups, 500.0).tolist() == [0.0, 0.0]


def test_the_items_of_the_highest_rates_are_recalled():
    rates = np.array([1.0, 40.0, 0.5, 30.0])
    assert recalled(rates, shown([1])) == 1.0 and recalled(rates, shown([3])) == 0.0
    assert recalled(rates, shown([1, 3])) == 1.0 and recalled(rates, shown([1, 2])) == 0.5
    assert recalled_exactly(rates, shown([3, 1])) == 1.0 and recalled_exactly(rates, shown([1, 2])) == 0.0


def test_silence_is_chance():
    """One of eight, four of eight, one of the 70 sets of four."""
    rates = np.zeros(8)
    assert recalled(rates, shown([3])) == 1 / 8 and recalled(rates, shown([0, 2, 4, 6])) == 1 / 2
    assert recalled_exactly(rates, shown([0, 2, 4, 6])) == pytest.approx(1 / math.comb(8, 4))


def test_a_tie_at_the_edge_is_drawn():
    """5 > 1 = 1 = 1: of two places one is taken, the other falls to one of three."""
    rates = np.array([5.0, 1.0, 1.0, 1.0])
    assert recalled(rates, shown([0, 1])) == pytest.approx((1 + 1 / 3) / 2)
    assert recalled_exactly(rates, shown([0, 1])) == pytest.approx(1 / 3)
    assert recalled_exactly(rates, shown([1, 2])) == 0.0, "the one above is none of them"


def test_chance_over_random_rates():
    rng = np.random.default_rng(1)
    rates = rng.random((4000, 8))
    assert np.mean([recalled(r, shown([5])) for r in rates]) == pytest.approx(1 / 8, abs=0.02)
    assert np.mean([recalled_exactly(r, shown([1, 2, 4, 7])) for r in rates]) == pytest.approx(1 / 70, abs=0.006)


def test_by_a_threshold_nothing_more_may_be_held():
    rates = np.array([12.0, 0.3, 25.0, 9.9])
    assert held_exactly(rates, shown([2, 0]), 10.0) == 1.0
    assert held_exactly(rates, shown([2]), 10.0) == 0.0 and held_exactly(rates, shown([0, 2, 3]), 10.0) == 0.0


SCENE = """
title: one side is driven, then the other
seed: 1
duration: 600 ms
brain: {{profile: adult, circuits: [thalamus], stand_ins: [brainstem]}}
timeline:
  - {{at: 0 ms, last: 300 ms, stimulate: {{population: thalamus.left.mgn, drive: 40 mV}}}}
  - {{at: 300 ms, last: 300 ms, stimulate: {{population: thalamus.right.mgn, drive: 40 mV}}}}
probes:
  - {{name: p, of: thalamus.*.mgn, from: 100 ms, to: 300 ms, repeat: {{every: 300 ms, times: 2}}, {probe}}}
"""


def scene_with(tmp_path, probe: str):
    file = tmp_path / "recall.yaml"
    file.write_text(SCENE.format(probe=probe))
    return file


@pytest.mark.parametrize(("probe", "value"), [
    ("measure: recalled, items: [left, right]", 1.0),
    ("measure: recalled, items: [right]", 0.5),
    ("measure: recalled_exactly, items: [[left], [right]]", 1.0),
    ("measure: recalled_exactly, items: [[left, right]], threshold: 40 Hz", 0.0),
    ("measure: held_count, threshold: 40 Hz", 1.0),
])  # fmt: skip
def test_a_probe_goes_through_the_items_window_by_window(tmp_path, probe, value):
    from systems.probes import Probes
    from systems.simulation import load

    sim = load(scene_with(tmp_path, probe))
    probes = Probes(sim)
    sim.run("600 ms")
    assert probes.values()["p"] == value


@pytest.mark.parametrize(("probe", "message"), [
    ("measure: recalled", r"recall.yaml:10: probes.0.measure: needs `items`, those that were shown"),
    ("measure: rate_hz, items: [left]", "only recalled, recalled_exactly and held_rate take it, this is rate_hz"),
    ("measure: recalled, items: [middle]", r"no 'middle' in thalamus.\*.mgn \(there are: left, right\)"),
    ("measure: held_count, threshold: 3 mV", "expected a rate"),
])  # fmt: skip
def test_a_mistake_is_one_line(tmp_path, probe, message):
    from engine.errors import UserError
    from systems.probes import Probes
    from systems.simulation import load

    with pytest.raises(UserError, match=message) as caught:
        Probes(load(scene_with(tmp_path, probe)))
    assert "\n" not in str(caught.value)
