"""The numbers `encephagen bench` makes: ratios, statistics and growth by hand; a wrong network is found out."""

import json

import numpy as np
import pytest

from encephagen import main
from tools import bench, bench_guard, bench_networks, bench_peers
from tools.bench_worker import BIN_MS, BLOCK_MS, statistics


def test_a_spread_is_median_lowest_and_highest():
    assert bench.spread([3, 1, 2]) == {"median": 2, "min": 1, "max": 3}
    assert bench.spread([4, 1, 2, 3])["median"] == 2.5


def test_ratios_are_taken_round_by_round():
    """A busy minute that falls on both alike cancels out."""
    ours = [{"wall_s": t, "simulated_s": 1.0} for t in (1.0, 5.0, 1.0)]
    theirs = [{"wall_s": 2 * t, "simulated_s": 0.5} for t in (1.0, 5.0, 1.0)]
    found = bench.ratios({"ours": ours, "theirs": theirs}, "ours", "wall_s")
    assert found == {"theirs": {"median": 4.0, "min": 4.0, "max": 4.0}}


def trains(rng, cells: int, hz: float, seconds: int, shared: float = 0.0):
    """Poisson spikes (neuron, ms) of cells that take a share of their spikes from a common train."""
    ms = seconds * BLOCK_MS
    common = rng.random(ms) < hz / 1000 / max(shared, 1e-9) * shared
    ids, when = [], []
    for k in range(cells):
        own = rng.random(ms) < hz / 1000 * (1 - shared)
        taken = common & (rng.random(ms) < shared)
        at = np.flatnonzero(own | taken)
        ids.append(np.full(at.size, k))
        when.append(at)
    order = np.argsort(np.concatenate(when), kind="stable")
    return np.concatenate(ids)[order], np.concatenate(when)[order]


def test_statistics_of_poisson_trains_are_those_of_theory():
    """20 Hz, CV near 1 (less in blocks of a second: long intervals do not fit), no correlation."""
    rng = np.random.default_rng(1)
    is_e = np.arange(300) < 200
    ids, ms = trains(rng, 300, 20.0, 6)
    found = statistics(ids, ms, 6 * BLOCK_MS, is_e)
    assert all(len(v) == 6 for v in found.values())
    assert np.mean(found["rate_e"]) == pytest.approx(20.0, abs=0.5)
    assert np.mean(found["rate_i"]) == pytest.approx(20.0, abs=0.7)
    assert 0.85 < np.mean(found["cv_e"]) < 1.0
    assert abs(np.mean(found["corr_e"])) < 0.002
    bin_share = 0.3**2  # of two cells' spikes, this part comes from the same event
    ids, ms = trains(rng, 300, 20.0, 12, shared=0.3)
    found = statistics(ids, ms, 12 * BLOCK_MS, is_e)
    assert np.mean(found["corr_e"]) == pytest.approx(bin_share, rel=0.2) and BIN_MS == 5


def test_a_fast_wrong_answer_does_not_count():
    """A rate 5 % off is far beyond three standard errors of twelve blocks; the same process is not."""
    rng = np.random.default_rng(2)
    is_e = np.arange(300) < 200

    def one(hz):
        return statistics(*trains(rng, 300, hz, 12), 12 * BLOCK_MS, is_e)

    right, again, wrong = one(10.0), one(10.0), one(10.5)
    assert max(map(abs, bench.standard_errors_apart(right, again).values())) < 3
    assert abs(bench.standard_errors_apart(right, wrong)["rate_e"]) > 3
    few = {name: values[:4] for name, values in right.items()}
    assert bench.standard_errors_apart(few, few) == {}


def test_standard_errors_by_hand():
    one, two = {"x": [1.0, 2.0, 3.0, 4.0, 5.0]}, {"x": [3.0, 4.0, 5.0, 6.0, 7.0]}
    assert bench.standard_errors_apart(one, two)["x"] == pytest.approx(-2.0 / np.sqrt(0.5 + 0.5))


def test_growth_is_the_slope_from_ten_thousand_neurons_on(tmp_path):
    """Cost = 1e-6 n^1.15, but 1,000 neurons cost far more each: they are not fitted."""

    def of(cost):
        spread = {"median": cost, "min": cost, "max": cost}
        return {"1_thread": {"wall_s_per_s": spread, "cpu_s_per_s": spread}, "neurons": 1}

    sizes = {"1000": of(1.0)} | {str(n): of(1e-6 * n**1.15) for n in (10_000, 100_000, 1_000_000)}
    growth = bench.growth_of({"1M": {"sizes": sizes}, "newborn": {}})
    assert growth["1_thread"]["wall_s_per_s"]["power"] == pytest.approx(1.15)
    bench.draw(growth, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
    assert bench.growth_of({"newborn": {}}) is None


def test_a_smoke_run_writes_what_it_measured(tmp_path):
    """Two sizes in processes of their own, interleaved, and the plot; no time is asserted."""
    assert main(["bench", "--smoke", "--quiet", "--threads", "1", "--cases", "100k,build", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "bench.json").read_text())
    case = found["cases"]["100k"]["sizes"]["2000"]
    assert case["neurons"] == 2000 and case["synapses"] == 200_000 and case["same_spikes"]
    assert 2 < case["rate_hz"] < 10 and case["1_thread"]["realtime_x"]["median"] > 0
    profile = case["profile"]
    assert profile["system_us"]["lif_integrate"] > 0 and profile["copy_bytes_per_s"] > 1e8
    assert profile["bytes_per_tick"] > 2000 * 30  # a neuron has more than thirty bytes of state
    assert found["cases"]["build"]["columns_1k"]["peak_rss_bytes"] > 5e7
    assert (tmp_path / "bench.png").exists() and set(found["growth"]["neurons"]) == {1000, 2000}


@pytest.mark.parametrize("wrong", [["--cases", "10M"], ["--threads", "0"], ["--threads", "a"], ["--repeats", "0"]])
def test_mistakes_are_one_line(wrong, capsys):
    assert main(["bench", *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_peers_get_is_the_network_itself():
    """Synapses and drives of the export, summed up, against the circuit's own numbers."""
    world, network, _ = bench_networks.columns(600, warm=False)
    data = bench_peers.exported(world, network)
    assert data["pre"].size == network.synapse_count == 60_000
    assert np.bincount(data["receptor"]).tolist() == [48_000, 12_000]
    e = network.select("columns.*.e")[0]
    # a PSP of 1 mV peaks at 1 mV: the drive that does so for tau_m 20 ms and tau_ampa 3 ms
    jump = (3 / 20) ** (20 / (3 - 20))
    assert data["background"][e.first] == pytest.approx(1.0 * jump, rel=1e-3)
    to_e = (data["post"] == e.first) & (data["receptor"] == 0)
    assert data["drive"][to_e].sum() == pytest.approx(80 * 0.25 * jump, rel=1e-3)
    assert (data["background_hz"][e.neurons] == bench_networks.E_HZ).all()


def test_the_guard_judges_the_median_and_three_rounds_of_four():
    one = [1.0, 1.0, 1.0, 1.0]
    assert bench_guard.judged(one, [1.2, 1.2, 1.2, 1.0], 1.1)["slower"]
    assert not bench_guard.judged(one, [1.2, 1.2, 1.0, 1.0], 1.1)["slower"]
    assert not bench_guard.judged(one, [1.05] * 4, 1.1)["slower"]
    busy = [1.0, 5.0, 1.0, 5.0]  # the machine was busy in two rounds, for both
    assert bench_guard.judged(busy, busy, 1.1)["ratio"] == 1.0


def test_the_guard_refuses_what_is_no_revision():
    with pytest.raises(SystemExit, match="bench_guard: no_such_revision: "), bench_guard.worktree("no_such_revision"):
        pass
