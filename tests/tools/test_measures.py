"""Probes that count spikes by region: what they count, through snapshots, beside the graph; and how a scene asks."""

import numpy as np
import pytest

import encephagen
from engine.errors import UserError
from systems import bold, fluctuations
from systems.probes import Probes, add_counts
from systems.spawn.connectome import load_connectome
from systems.spawn.functional import load_functional
from systems.spawn.graph_null import null_graph

PROBES = """probes=[
  {name: tau, measure: timescale, of: "cortex.*.l*", bin: 20 ms, from: 200 ms, to: 2 s},
  {name: sync, measure: mean_fc, of: "cortex.*.l*"},
  {name: rhythm, measure: rhythm_frequency, of: "cortex.*.l*", to: 2500 ms},
  {name: branching, measure: branching_ratio, of: "cortex.*.l23"},
  {name: sizes, measure: avalanche_exponent, of: "cortex.Calcarine_L.*"}]"""


def counted(sim, names, width, start, stop) -> np.ndarray:
    """Spikes [bins, regions] of cells called l..., straight from the spikes in memory."""
    ids, ticks = sim.spike_history()
    out = np.zeros(((stop - start) // width, len(names)))
    for p in sim.network.populations:
        if p.structure == "cortex" and p.cell_name.startswith("l"):
            mine = (ids >= p.first) & (ids < p.first + p.count) & (ticks >= start) & (ticks < stop)
            out[:, names.index(p.instance)] += np.bincount((ticks[mine] - start) // width, minlength=len(out))[
                : len(out)
            ]
    return out


def test_add_counts_by_hand():
    counts = np.zeros((3, 2), np.uint16)
    column = np.array([0, 1, -1, 1])
    add_counts(counts, np.array([0, 1, 2, 3, 0]), np.array([0, 9, 9, 15, 99]), column, 10)
    assert counts.tolist() == [[1, 1], [0, 1], [0, 0]]  # cell 2 is not asked about; tick 99 lies beyond
    add_counts(counts, np.array([3]), np.array([20]), column, 10)
    assert counts[2].tolist() == [0, 1]


def test_probes_are_made_of_the_spikes_of_their_window(scenes):
    sim = encephagen.load(scenes / "small.yaml", overrides=[PROBES, "expect=[]", "duration=3 s"])
    seen = Probes(sim)
    sim.run("2503 ms")  # not the end of a block: some spikes still wait in the log
    probe = {p.name: p for p in sim.scene.probes}
    counts, names, width = seen.tallied(probe["tau"], 200, 2_000)
    expected = counted(sim, names, 20, 200, 2_000)
    assert width == 20.0 and np.array_equal(counts, expected) and expected.sum() > 1_000 and len(names) == 8
    assert seen.value(probe["tau"]) == pytest.approx(np.nanmean(fluctuations.timescales(expected, 20.0)))
    fine, names, _ = seen.tallied(probe["sync"], 0, 2_503)
    assert np.array_equal(fine, counted(sim, names, 10, 0, 2_500)) and np.isnan(seen.value(probe["sync"]))
    together = counted(sim, names, 2, 0, 2_500).sum(axis=1)
    assert seen.value(probe["rhythm"]) == pytest.approx(fluctuations.rhythm_hz(together, 2.0), nan_ok=True)


def test_a_snapshot_keeps_the_counts_and_a_late_start_has_none(scenes, tmp_path):
    over = [PROBES, "expect=[]", "duration=3 s"]
    whole = encephagen.load(scenes / "small.yaml", overrides=over)
    seen = Probes(whole)
    whole.run("1 s")
    whole.save(tmp_path / "a.h5")
    whole.run("1100 ms")
    resumed = encephagen.load(scenes / "small.yaml", overrides=over).load_state(tmp_path / "a.h5")
    again = Probes(resumed)
    resumed.run("1100 ms")
    assert again.values()["tau"] == seen.values()["tau"] > 0
    late = encephagen.load(scenes / "small.yaml", overrides=over)
    late.run("1 s")
    probes = Probes(late)
    late.run("1100 ms")
    assert np.isnan(probes.values()["tau"])


def test_the_graph_and_linear_models_stand_beside(tmp_path):
    """Of the whole connectome and of a null of it, against those held out and those fitted on."""
    asked = ("weights", "", "test"), ("autoregressive", ", gain: 0.9", "fit"), ("diffusive", ", gain: 0.9", "all")
    probes = ", ".join(
        f"{{name: {model}, measure: fc_fit, of: cortex.*.l*, model: {model}{more}, subjects: {subjects}}}"
        for model, more, subjects in asked
    )
    over = [
        "brain.circuits=[cortex]",
        "brain.profile=newborn",
        "timeline=[]",
        "expect=[]",
        "actions=[]",
        f"probes=[{probes}]",
        "duration=10 ms",
    ]
    for null in (None, "strength"):
        sim = encephagen.load("stimulate", seed=2, overrides=[*over, *([f"brain.null={null}"] if null else [])])
        seen = Probes(sim)
        sim.run("10 ms")
        connectome = load_connectome()
        measured = load_functional(connectome).fc
        graph = connectome if null is None else null_graph(connectome, null, 2)
        w = sim.network.weights / np.abs(np.linalg.eigvals(sim.network.weights)).max()
        expected = {
            "weights": bold.likeness(graph.weights, measured["test"]),
            "autoregressive": bold.likeness(bold.autoregressive(w, 0.9), measured["fit"]),
            "diffusive": bold.likeness(bold.diffusive(w, 0.9), measured["all"]),
        }
        assert seen.values() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("probe", "part"),
    [
        ("{name: a, measure: rate_hz, of: x, model: weights}", "fc_fit, fc_fit_centred and decoded take it"),
        ("{name: a, measure: fc_fit, of: x, model: diffusive}", "goes with the models"),
        ("{name: a, measure: fc_fit, of: x, model: weights, gain: 0.5}", "goes with the models"),
        ("{name: a, measure: fc_fit, of: x, model: diffusive, gain: 1.5}", "gain"),
        ("{name: a, measure: timescale, of: x, bin: 0.5 ms}", "whole number of ticks"),
        ("{name: a, measure: timescale, of: x, subjects: fit}", "take it"),
    ],
)
def test_probes_that_make_no_sense(scenes, probe, part):
    with pytest.raises(UserError) as caught:
        encephagen.load(scenes / "small.yaml", overrides=[f"probes=[{probe}]", "expect=[]"])
    assert part in str(caught.value)


def test_a_calibration_of_ones_own(scenes, tmp_path):
    (tmp_path / "own.json").write_text('{"background_hz": {"*": {"l23": 12.0}, "Heschl_L": {"l23": 34.0}}}')
    over = [f"brain.calibrations={{cortex: {tmp_path / 'own.json'}}}"]
    found = encephagen.load(scenes / "small.yaml", overrides=over).network.background_hz
    assert found["cortex.Calcarine_L.l23"] == 12.0 and found["cortex.Calcarine_L.pv"] == 0.0
    for text, part in (("{", "expected a calibration"), ("{}", "no background_hz in it"), (None, "No such file")):
        (tmp_path / "own.json").unlink(missing_ok=True)
        if text is not None:
            (tmp_path / "own.json").write_text(text)
        with pytest.raises(UserError) as caught:
            encephagen.load(scenes / "small.yaml", overrides=over)
        assert part in str(caught.value) and "brain.calibrations.cortex" in str(caught.value)
    with pytest.raises(UserError, match="expected one of the circuits"):
        encephagen.load(scenes / "small.yaml", overrides=["brain.calibrations={thalamus: a.json}"])
