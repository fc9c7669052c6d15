"""Epochs, cycles, bursts and pauses made by hand; slow variables that a parameter makes quicker; sleep itself."""

import numpy as np
import pytest

from encephagen import load
from engine.errors import UserError
from engine.scene import load_scene
from systems import states
from systems.probes import Probes
from systems.spawn.circuit_model import Circuit
from systems.spawn.network import paced
from systems.spawn.scene_model import SCENES, Scene
from tests.systems.nets import cell

SECOND = 1000 // states.BIN_MS


def course(*parts: tuple[float, int]) -> np.ndarray:
    """(seconds, spikes per bin) one after another."""
    return np.concatenate([np.full(round(seconds * SECOND), count) for seconds, count in parts])


def test_epochs_are_whole_and_rates_are_per_cell():
    hz = states.epoch_rates(course((30, 2), (30, 0), (29, 5)), cells=10)
    assert hz.tolist() == [10.0, 0.0]


def test_short_interruptions_do_not_end_an_episode():
    mask = np.array([0, 1, 1, 0, 1, 0, 0, 0, 1, 0], bool)
    assert states.stretches(mask).tolist() == [[1, 3], [4, 5], [8, 9]]
    assert states.bridged(mask, 1).tolist() == [False, True, True, True, True, False, False, False, False, False]


def test_a_cycle_is_from_onset_to_onset_and_from_end_to_end():
    active = np.zeros(400, bool)
    for onset in (10, 120, 230):
        active[onset : onset + 60] = True
    assert states.cycle_ms(active) == 110 * 30_000
    active[30] = False  # half a minute of something else
    assert states.cycle_ms(active) == 110 * 30_000
    assert np.isnan(states.cycle_ms(active[:100]))


def test_bursts_pauses_and_intervals_within_a_state():
    breaths = np.concatenate(
        [course((0.4, 9), (1.1, 0))] * 40 + [course((0.4, 9), (5.6, 0))] + [course((0.4, 9), (1.1, 0))] * 20
    )
    onsets, ends = states.bursts_of(breaths)
    assert len(onsets) == 60 and len(ends) == 61, "the first is under way at the start"
    starts, lengths = states.pauses_ms(breaths)
    assert lengths.max() == pytest.approx(5_600, abs=100) and np.median(lengths) == pytest.approx(1_100, abs=100)
    assert starts[lengths.argmax()] == pytest.approx((40 * 1.5 + 0.4) * SECOND, abs=5)
    first = np.array([True, False, False])
    found = states.burst_intervals_ms(breaths, first)
    assert found.size == 18 and found == pytest.approx(1_500, abs=40)
    assert states.within(np.array([0, 29 * SECOND, 31 * SECOND, 95 * SECOND]), first).tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_what_alternates_is_up_and_down():
    quiet = np.concatenate([course((6, 20), (5, 2))] * 10)
    up, down = states.up_and_down_ms(quiet, np.array([True, True, True]))
    assert (up, down) == (pytest.approx(6_000, abs=60), pytest.approx(5_000, abs=60))
    steady = np.random.default_rng(1).poisson(20, len(quiet))
    assert np.isnan(states.up_and_down_ms(steady, np.array([True, True, True]))).all()
    assert np.isnan(states.up_and_down_ms(quiet, np.zeros(3, bool))).all()


def tiring(**more) -> Circuit:
    spec = {"tau": "60 min", "step": "0.001 mV", "start": "3 mV", "quicker": "pace", **more}
    gain = {"by": "toy.a", "tau": "100 s", "quicker": "pace", "reference": "1 Hz", "slope": 1}
    back = {"name": "back", "from": "a", "to": "a", "indegree": 1, "psp": "1 mV", "modulated": [gain]}
    cells = {"a": cell(adaptation=spec), "b": cell(adaptation={"tau": "1 s", "step": "1 mV"})}
    text = {"structure": "toy", "title": "a test", "parameters": {"pace": 1}}
    return Circuit.model_validate({**text, "cells": cells, "projections": [back]})


def test_a_parameter_makes_slow_variables_quicker_and_leaves_their_depth():
    quick = paced(tiring(), {"pace": 20.0})
    spec = quick.cells["a"].adaptation
    assert (spec.tau, spec.step, spec.start) == (180_000.0, pytest.approx(0.02), 3.0)
    assert quick.projections[0].modulated[0].tau == 5_000.0
    assert quick.cells["b"] == tiring().cells["b"]
    with pytest.raises(UserError, match=r"toy: a: adaptation: quicker: no parameter 'pace' \(there are: speed\)"):
        paced(tiring(), {"speed": 1.0})
    with pytest.raises(UserError, match=r"pace: expected 0\.001 to 1000, got 0"):
        paced(tiring(), {"pace": 0.0})


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ("probes.0.threshold=5 mV", "probes.0.threshold: expected a rate"),
        ("probes.0.bin=30 ms", "probes.0.bin: expected a multiple of 20 ms"),
        ("probes.7.while=[{of: sleep.all.twitch, above: 1 Hz}]", "only time_share, .* take it"),
    ],
)
def test_a_probe_of_a_state_says_what_is_wrong(changed, error):
    with pytest.raises(UserError, match=error):
        load_scene("experiments/sleep", Scene, [SCENES], [changed])


def test_a_state_of_nobody_is_an_error_at_its_line():
    with pytest.raises(UserError, match=r"probes\.4\.while\.0\.of: no population matches 'nobody'"):
        Probes(load("experiments/sleep", overrides=["probes.4.while=[{of: nobody, above: 1 Hz}]"]))


@pytest.mark.slow
def test_a_newborn_falls_asleep_actively_and_twitches_only_then(tmp_path):
    """Forty times as quick: awake, active sleep, quiet sleep with bursts and gaps; a snapshot keeps the counts."""
    over = ["brain.parameters.sleep_time_scale=40", "duration=150 s", "expect=[]"]
    sim = load("experiments/sleep", seed=3, strict=False, overrides=over)
    seen = Probes(sim)
    sim.run("75 s")
    sim.save(tmp_path / "half.h5")
    again = load("experiments/sleep", seed=3, strict=False, overrides=over).load_state(tmp_path / "half.h5")
    seen = Probes(again)
    again.run("75 s")
    found = seen.values()
    assert 0.7 < found["asleep"] < 0.99 and 0.4 < found["active"] < 0.8
    assert 3_000 < found["bursts"] < 9_000 and 3_000 < found["gaps"] < 9_000
    assert found["twitch_clusters"] > 1
