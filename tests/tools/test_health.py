"""`encephagen health`: what it measures against theory, what it calls outside, and what it refuses."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from tools.health import cut_effect
from tools.health_measure import Job, Measured, Trains, build, cut_overrides, measure, stimuli_of

TOY = """\
structure: toy
title: Sources of current, wires, and a follower
stimuli:
  push: {population: toy.*.driver, drive: 30 mV}
  shake: {population: toy.*.pacer, drive: 10 mV}
  elsewhere: {population: other.*.cell, drive: 10 mV}
cells:
  driver:
    per: one
    count: 10
    acts_on: ampa
    tau_m: 20 ms
    no_input: the first
    bands: {newborn: {rate: [0 Hz, 1 Hz], source: no current flows}}
    driven: {by: push, rate: [60 Hz, 66 Hz], source: "63 Hz: 2 ms + 20 ms ln(30 / 15)"}
  follower:
    per: side
    count: 5
    acts_on: gaba
    tau_m: 10 ms
    no_output: the last
    bands: {newborn: {rate: [0 Hz, 1 Hz], source: nothing arrives}}
  pacer:
    per: one
    count: 1
    acts_on: ampa
    tau_m: 20 ms
    tonic: 20 mV
    no_input: a pacemaker
    no_output: for itself
    bands: {newborn: {rate: [33 Hz, 34.5 Hz], source: "33.7 Hz: 2 ms + 20 ms ln(20 / 5)"}}
    driven: {by: [push, shake], rate: [30 Hz, 66 Hz], source: "33.7 and 63 Hz: as above"}
projections:
  - {from: driver, to: follower, indegree: 5, psp: 8 mV, relation: all}
"""
SCENE = """\
title: A toy circuit
seed: 5
duration: 1 s
brain: {profile: newborn, circuits: [toy]}
timeline: [{at: 100 ms, stimulate: {population: toy.*.driver, drive: 40 mV}}]
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """toy("old", "new", ...) writes the circuit with texts replaced; returns the path of its scene."""
    import systems.spawn.network as network
    import systems.spawn.scene_model as scene_model

    folder = tmp_path / "circuits"
    folder.mkdir()
    monkeypatch.setattr(network, "CIRCUITS", folder)
    monkeypatch.setattr(scene_model.check_files, "__defaults__", (tmp_path,))
    (tmp_path / "connectome").mkdir()
    (tmp_path / "connectome" / "hcp_aal2.npz").touch()

    def write(*changes: str) -> str:
        text = TOY
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        (folder / "toy.yaml").write_text(text)
        (tmp_path / "scene.yaml").write_text(SCENE)
        return str(tmp_path / "scene.yaml")

    return write


@pytest.fixture
def health(command, tmp_path):
    """health(scene, ...) -> (exit code, JSON, stdout, stderr), a second at rest."""

    def run(scene: str, *words: str):
        path = tmp_path / "health.json"
        code, out, err = command("health", scene, "--rest", "1s", "--json", str(path), *words)
        return code, json.loads(path.read_text()) if path.is_file() else None, out, err

    return run


def isi_ms(drive: float, tau: float = 20.0) -> float:
    return 2.0 + tau * math.log(drive / (drive - 15.0))


# against theory -------------------------------------------------------------------------------------------------


def test_a_healthy_circuit_is_measured_as_theory_says(toy, health):
    code, found, out, _ = health(toy())
    assert code == 0 and found["healthy"] and found["problems"] == []
    assert found["seeds"] == [5] and found["rest_s"] == 1.0 and found["profile"] == "newborn"
    assert [s["name"] for s in found["stimuli"]] == ["toy.push", "toy.shake"]  # the third has no cells here
    rows = {row["name"]: row for row in found["populations"]}
    driver, pacer = rows["toy.all.driver"], rows["toy.all.pacer"]
    assert driver["rest"]["rate_hz"] == 0.0, "the scene's own timeline must not run"
    assert driver["driven"][0]["rate_hz"] == pytest.approx(1000 / isi_ms(30), abs=1.0)
    assert pacer["rest"]["rate_hz"] == pytest.approx(1000 / isi_ms(20), abs=1.0)
    assert pacer["rest"]["isi_cv"] == pytest.approx(0.0, abs=0.03)
    by = {d["stimulus"]: d["rate_hz"] for d in pacer["driven"]}
    assert by["toy.push"] == pytest.approx(1000 / isi_ms(20), abs=1.0)
    assert by["toy.shake"] == pytest.approx(1000 / isi_ms(30), abs=1.0)
    assert pacer["driven"][0]["source"].startswith("33.7") and pacer["rest"]["band_hz"] == [33.0, 34.5]
    assert "healthy" in out and "toy.follower" in out


def test_cells_that_declare_nothing_are_held_to_the_first_stimulus(toy, health):
    """The follower has no `driven`: 0.1 to 200 Hz under `push`; with its synapses cut it is silent."""
    _, found, _, _ = health(toy())
    for side in ("left", "right"):
        (driven,) = next(r for r in found["populations"] if r["name"] == f"toy.{side}.follower")["driven"]
        assert driven["stimulus"] == "toy.push" and driven["band_hz"] == [0.1, 200.0] and driven["rate_hz"] > 10
    code, found, out, _ = health(toy(), "--set", 'brain.gains={"toy:*": 1e-6}')
    silent = [p for p in found["problems"] if p["state"] == "toy.push"]
    assert code == 1 and [p["population"] for p in silent] == ["toy.left.follower", "toy.right.follower"]
    assert "left, right" in out


@pytest.mark.parametrize(
    ("change", "population", "state"),
    [
        (("[33 Hz, 34.5 Hz]", "[40 Hz, 60 Hz]"), "toy.all.pacer", "rest"),
        (("[60 Hz, 66 Hz]", "[1 Hz, 50 Hz]"), "toy.all.driver", "toy.push"),
        (("rate: [30 Hz, 66 Hz]", "rate: [45 Hz, 66 Hz]"), "toy.all.pacer", "toy.push"),
        (("newborn: {rate: [0 Hz, 1 Hz], source: nothing", "adult: {rate: [0 Hz, 1 Hz], source: nothing"),
         "toy.left.follower", "rest"),
        (("    no_output: the last\n", ""), "toy.left.follower", "wiring"),
        (("    no_input: the first\n", ""), "toy.all.driver", "wiring"),
    ],
)  # fmt: skip
def test_what_is_outside_is_named_and_exits_1(toy, health, change, population, state):
    code, found, out, _ = health(toy(*change))
    assert code == 1 and not found["healthy"]
    assert (population, state) in [(p["population"], p["state"]) for p in found["problems"]]
    assert ".".join(population.split(".")[::2]) in out


def test_nothing_may_fire_faster_than_200_hz(toy, health):
    """400 mV: an interval of 2 + 20 ln(400 / 385) = 2.8 ms, 360 Hz; a wide band does not excuse it."""
    scene = toy("drive: 30 mV", "drive: 400 mV", "[60 Hz, 66 Hz]", "[1 Hz, 900 Hz]")
    code, found, _, _ = health(scene)
    fast = [p for p in found["problems"] if p["state"] == "any second"]
    assert code == 1 and "toy.all.driver" in [p["population"] for p in fast]
    assert fast[0]["rate_hz"] == pytest.approx(1000 / isi_ms(400), rel=0.03)


def test_seeds_are_averaged_and_told_apart(toy, health):
    code, found, _, _ = health(toy(), "--seeds", "2", "--seed", "11")
    row = found["populations"][0]["driven"][0]
    assert code == 0 and found["seeds"] == [11, 12]
    assert len(row["seeds_hz"]) == 2 and row["rate_hz"] == pytest.approx(np.mean(row["seeds_hz"]))
    assert row["seeds_inside"] == 1.0


# pieces ---------------------------------------------------------------------------------------------------------


def test_rates_and_peaks_of_hand_worked_trains():
    """Two populations, 3 s. The second fires 40 times within 0.45 .. 1.35 s: 20 Hz per cell in that second."""
    slow = np.arange(0, 3000, 100)
    fast = np.linspace(450, 1349, 40).astype(int)
    ids = np.concatenate([np.zeros(slow.size, int), np.full(fast.size, 2)])
    ticks = np.concatenate([slow, fast])
    order = np.argsort(ticks, kind="stable")
    trains = Trains(ids[order], ticks[order] + 1000, 3, 1000, 4000)
    members = [
        SimpleNamespace(first=0, count=1, neurons=slice(0, 1)),
        SimpleNamespace(first=1, count=2, neurons=slice(1, 3)),
    ]
    assert trains.rates(members) == pytest.approx([10.0, 40 / 2 / 3])
    assert trains.peaks(members) == pytest.approx([10.0, 20.0])
    own, when, neurons = trains.of([members[1]])
    assert set(own) == {1} and when.min() == 1450 and neurons.tolist() == [0, 1]


def test_cuts_select_excitation_of_the_regions(scenes):
    sim = build(str(scenes / "small.yaml"), (), None)
    local = {text.split('"')[1] for text in cut_overrides(sim.network, "local")}
    tracts = {text.split('"')[1] for text in cut_overrides(sim.network, "long_range")}
    assert "cortex:l4>l23" in local and "cortex:l23>pv" in local and "cortex:pv>l4" not in local
    assert tracts == {p.name for p in sim.network.projections if p.spec.relation == "connectome"} and tracts
    job = Job(str(scenes / "small.yaml"), tuple(cut_overrides(sim.network, "long_range")), 3, 200, "long_range")
    done = measure(job)
    assert done.regional["shares"]["long_range"].max() == 0.0 and done.driven == {}
    assert done.regional["shares"]["local"].max() > 0.0


def test_a_cut_is_told_in_standard_errors():
    """Four seeds with changes -1, -2, -3, -2 Hz: mean -2, standard error sqrt(2 / 3) / 2 = 0.408: 4.9 of them."""

    def one(rate: float, correlation: float, cut=None):
        empty = np.zeros(0)
        numbers = {"rate": np.full(3, rate), "correlation": np.full(3, correlation)}
        return Measured(0, cut, empty, empty, empty, empty, regional=numbers)

    whole = [one(5.0, 0.02) for _ in range(4)]
    cut = [one(5.0 + d, c, "local") for d, c in ((-1, 0.02), (-2, 0.021), (-3, 0.019), (-2, 0.02))]
    found = cut_effect(whole, cut)
    assert found["over"] == "seeds"
    assert found["changes"]["rate"]["standard_errors"] == pytest.approx(2 / (math.sqrt(2 / 3) / 2), rel=1e-6)
    assert found["changes"]["correlation"]["standard_errors"] == pytest.approx(0.0, abs=1e-6)
    assert found["claims"][0]["holds"] is True
    assert cut_effect(whole, [one(5.0, 0.02, "local")] * 4)["claims"][0]["holds"] is False


def test_stimuli_that_reach_nothing_are_left_out(toy):
    sim = build(toy(), (), None)
    assert stimuli_of(sim.network) == {"toy.push": ("toy.*.driver", 30.0), "toy.shake": ("toy.*.pacer", 10.0)}


# the command ----------------------------------------------------------------------------------------------------


def test_figures_show_every_structure(toy, command, tmp_path):
    from matplotlib.image import imread

    folder = tmp_path / "figures"
    code, _, err = command("health", toy(), "--rest", "1s", "--figures", str(folder))
    assert code == 0 and "drew" in err
    (path,) = folder.iterdir()
    picture = imread(path)
    assert path.name == "toy.png" and picture.shape[1] > 900
    coloured = picture[..., :3].std(axis=2) > 0.1
    high, wide = coloured.shape
    raster, rates = coloured[high // 10 : high // 2, wide // 3 :], coloured[2 * high // 3 : 9 * high // 10, wide // 3 :]
    assert raster.mean() > 0.002 and rates.mean() > 0.02


def test_quiet_says_nothing(toy, command):
    assert command("health", toy(), "--rest", "1s", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--rest", "5 mV"], "--rest"),
        (["--rest", "1 ms"], "100 ms"),
        (["--seeds", "0"], "whole number"),
        (["--cut"], "per region"),
        (["--json", "no/such/folder.json"], "does not exist"),
        (["--figures", "no/such/folder"], "--figures"),
    ],
)
def test_mistakes_are_one_line(toy, command, words, part):
    code, out, err = command("health", toy(), *words)
    assert code == 2 and out == "" and len(err.strip().splitlines()) == 1 and part in err


def test_a_scene_without_a_brain_is_refused(scenes, command):
    code, out, err = command("health", str(scenes / "alone.yaml"))
    assert code == 2 and out == "" and "no brain" in err and len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_two_workers_measure_what_one_does(scenes, command, tmp_path, monkeypatch):
    """Eight regions, seeds in two processes or one after another: the same numbers."""
    import systems.spawn.build as spawn

    shipped = spawn.__file__.replace("systems/spawn/build.py", "assets/circuits/calibration")
    monkeypatch.setattr(spawn, "CALIBRATION", type(tmp_path)(shipped))
    found = []
    for workers in ("1", "2"):
        path = tmp_path / f"{workers}.json"
        command("health", str(scenes / "small.yaml"), "--rest", "500ms", "--seeds", "2", "--workers", workers,
                "--json", str(path), "--quiet")  # fmt: skip
        found.append({k: v for k, v in json.loads(path.read_text()).items() if k != "wall_s"})
    assert found[0] == found[1]
