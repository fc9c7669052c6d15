"""The search: it climbs, goes on where it was interrupted, refuses what is wrong; scores are what they say."""

import pickle

import numpy as np
import pytest

from systems.spawn import build
from tools.batch import Lanes
from tools.calibrate_circuits import ASSETS
from tools.calibrate_cpg import CALIBRATION, Evolution, Judge, Search, inside, main, optimizer, reach

FILE = CALIBRATION / "spinal_cpg_search.yaml"


@pytest.fixture(autouse=True)
def shipped(monkeypatch):
    monkeypatch.setattr(build, "CALIBRATION", ASSETS / "calibration")  # which other tests here hide


@pytest.mark.parametrize("method", ["cma", "es"])
def test_an_optimizer_finds_a_bowl_inside_the_box(method):
    """Six dimensions, optimum near a corner: every candidate lies in the box and the mean ends near the optimum."""
    aim = np.array([0.05, 0.9, 0.5, 0.3, 0.7, 0.95])
    o = optimizer(method, np.full(6, 0.5), 0.2, 24, 3)
    for _ in range(60):
        points = [o.ask() for _ in range(o.population_size)]
        assert min(p.min() for p in points) >= 0.0 and max(p.max() for p in points) <= 1.0
        o.tell([(p, float(((p - aim) ** 2).sum())) for p in points])
    assert np.abs(o.mean - aim).max() < 0.08
    assert isinstance(o, Evolution) == (method == "es")


def test_an_interrupted_search_goes_on_where_it_was(tmp_path):
    """Two generations and two more by --resume are the four of one go, candidate for candidate."""
    few = ["--focus", "rhythm", "--population", "4", "--seeds", "1", "--seconds", "1", "--quiet"]
    for folder, steps in (("a", (["2"], ["4", "--resume"])), ("b", (["4"],))):
        for generations in steps:
            assert main([*few, "--out", str(tmp_path / folder), "--generations", *generations]) == 0
    a, b = (pickle.loads((tmp_path / f / "spinal_cpg_cma.pkl").read_bytes()) for f in "ab")
    assert a["history"] == b["history"] and len(a["history"]) == 4
    assert np.array_equal(a["mean"], b["mean"])


def test_a_wrong_search_file_is_one_line(tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("structure: x\n")
    assert main([str(tmp_path / "bad.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([str(tmp_path / "none.yaml")]) == 2


def test_scores_of_hand_made_measures():
    """All of it for what is asked, nothing for the opposite, less the farther away."""
    assert reach(np.array([1.0, 0.97, -1.0, np.nan]), 0.97) == pytest.approx([1.0, 1.0, 0.0, 0.0])
    assert inside(np.array([0.5, 1.0, 2.0, np.nan]), 1.0, 1.5, np.log(4.0)) == pytest.approx(
        [0.5, 1.0, 1 - np.log(2.0 / 1.5) / np.log(4.0), 0.0]
    )


def test_what_drives_the_circuit_is_played_back_as_it_fired():
    """The circuit fires the very same spikes whether the cells outside it are integrated or played from a recording."""
    judge = Judge(Search(FILE))
    it, ms = judge.lattice, 1500
    n = it.neurons.size
    together, played = (Lanes(it, 16, unit=np.arange(n), units=n) for _ in range(2))
    together.drive[judge.driven] += np.float32(21.0)
    for lanes in (together, played):
        lanes.most[: judge.live] = 0  # only what is outside is noisy
    fired = together.run(ms, every=1)
    spikes = [np.nonzero(fired[:, judge.live :, lane]) for lane in range(16)]
    played.play(judge.live, spikes, ms)
    again = played.run(ms, every=1)
    assert fired[:, : judge.live].sum() > 10_000 and (fired[:, :, 0] != fired[:, :, 1]).any()
    assert np.array_equal(again, fired)
