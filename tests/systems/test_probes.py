"""Probes against hand-worked numbers and theory; the sampler's traces; latencies of known signals."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from encephagen import load
from engine.errors import UserError
from systems import probes
from systems.probes import (
    coupling_shares,
    cross_correlation,
    isi_cv,
    mean_pair_correlation,
    rhythm_of,
    threshold_of,
)
from systems.sample_record import Sampler
from tests.systems.nets import build, cell


def trains(*ticks_of_neuron):
    """(ids, ticks) of listed spike trains, in order of time."""
    ids = np.concatenate([np.full(len(t), k, np.int32) for k, t in enumerate(ticks_of_neuron)])
    ticks = np.concatenate([np.asarray(t, np.int32) for t in ticks_of_neuron])
    order = np.argsort(ticks, kind="stable")
    return ids[order], ticks[order]


def poisson(rng, neurons: int, hz: float, ms: int):
    return trains(*[np.flatnonzero(rng.random(ms) < hz / 1000) for _ in range(neurons)])


def test_isi_cv_of_hand_worked_trains():
    ids, ticks = trains([0, 10, 20, 30, 40], [0, 10, 40, 50, 80], [5, 6])
    assert isi_cv(ids, ticks, np.array([0])) == 0.0
    assert isi_cv(ids, ticks, np.array([1])) == pytest.approx(0.5)  # 10, 30, 10, 30: std 10, mean 20
    assert isi_cv(ids, ticks, np.array([0, 1, 2])) == pytest.approx(0.25)  # neuron 2 has one interval: left out
    assert math.isnan(isi_cv(ids, ticks, np.array([2])))
    assert math.isnan(isi_cv(np.zeros(0, np.int32), np.zeros(0, np.int32), np.array([0])))


def test_isi_cv_of_poisson_trains_is_one():
    ids, ticks = poisson(np.random.default_rng(1), 100, 5.0, 60_000)
    assert isi_cv(ids, ticks, np.arange(100)) == pytest.approx(1.0, abs=0.03)


def test_pair_correlation_equals_numpy_and_ignores_silent_neurons():
    rng = np.random.default_rng(2)
    shared = rng.random(20_000) < 0.01
    ids, ticks = trains(*[np.flatnonzero(shared & (rng.random(20_000) < 0.7) | (rng.random(20_000) < 0.005))
                          for _ in range(6)], [])  # fmt: skip
    counts = probes.binned(ids, ticks, np.arange(6), 100, 0, 20_000)
    expected = np.corrcoef(counts.T)[np.triu_indices(6, 1)].mean()
    assert expected > 0.3
    found = mean_pair_correlation(ids, ticks, [np.arange(7)], 100, 0, 20_000)
    assert found == pytest.approx(expected, rel=1e-9)
    two = mean_pair_correlation(ids, ticks, [np.arange(3), np.arange(3, 6)], 100, 0, 20_000)
    by_hand = [np.corrcoef(counts[:, g].T)[np.triu_indices(3, 1)].mean() for g in (slice(0, 3), slice(3, 6))]
    assert two == pytest.approx(np.mean(by_hand), rel=1e-9)
    cross = cross_correlation(ids, ticks, np.arange(3), np.arange(2, 6), 100, 0, 20_000)
    pairs = [np.corrcoef(counts[:, a], counts[:, b])[0, 1] for a in range(3) for b in range(2, 6) if a != b]
    assert cross == pytest.approx(np.mean(pairs), rel=1e-9)


def test_pair_correlation_of_independent_trains_is_zero():
    ids, ticks = poisson(np.random.default_rng(3), 60, 8.0, 60_000)
    assert abs(mean_pair_correlation(ids, ticks, [np.arange(60)], 100, 0, 60_000)) < 0.005
    assert math.isnan(mean_pair_correlation(ids, ticks, [np.arange(1)], 100, 0, 60_000))


def test_change_is_from_the_first_sample_to_the_second_half():
    """Worked by hand: 0 -> (3 + 5) / 2 and 10 -> (10 + 8) / 2, so +4 and -1 on average."""
    assert probes.change_of(np.array([[0.0, 10.0], [9.0, 9.0], [3.0, 10.0], [5.0, 8.0]])) == pytest.approx(1.5)


def test_joints_that_go_together_correlate():
    swing = np.sin(np.linspace(0, 6 * np.pi, 301))[:, None]
    still = np.zeros_like(swing)
    assert probes.same_way(swing, 2 * swing + 1) == pytest.approx(1.0)
    assert probes.same_way(np.hstack([swing, still]), -swing) == pytest.approx(-1.0)
    assert abs(probes.same_way(swing, np.cos(np.linspace(0, 6 * np.pi, 301))[:, None])) < 0.02
    assert math.isnan(probes.same_way(swing, still))


def test_thresholds_tell_their_dimension():
    assert threshold_of("5 deg") == ("angle", pytest.approx(math.radians(5)))
    assert threshold_of("20 Hz")[0] == "rate" and threshold_of("2 cm") == ("length", 20.0)
    assert threshold_of(3) == (None, 3.0) and math.isnan(threshold_of(None)[1])
    with pytest.raises(UserError, match="expected"):
        threshold_of("5 N")


def test_coupling_shares_of_a_hand_worked_network(monkeypatch):
    """One cell gets 10 spikes x 2 mV locally, 5 x 4 mV by tract, 40 background events of 0.5 mV: a third each."""
    cells = {"a": cell(count=2), "b": cell(count=1, per="one")}
    world, network, _ = build(cells, [{"from": "a", "to": "b", "indegree": 2, "psp": "2 mV", "psp_cv": 0}])
    sources, target = network.populations
    table = world.tables["synapses_ampa"]
    from components.network import Synapse

    assert table.row_count == 2
    table[Synapse.weight][:] = [2.0, 4.0]
    local, tract = SimpleNamespace(kind="local"), SimpleNamespace(kind="long_range")
    fake = SimpleNamespace(
        projections=[local, tract], projection_of={"synapses_ampa": np.array([0, 1])},
        receptor_of={"synapses_ampa": "ampa"}, neuron_count=network.neuron_count,
        background_hz={target.name: 40.0},
        populations=[
            SimpleNamespace(name=target.name, instance="here", count=1, neurons=target.neurons,
                            psp_to_charge=target.psp_to_charge,
                            cell=SimpleNamespace(per="region", acts_on="ampa", tau_ampa=target.cell.tau_ampa,
                                                 background=SimpleNamespace(psp=0.5)))],
    )  # fmt: skip
    counts = np.zeros(3, int)
    counts[sources.first], counts[sources.first + 1] = 10, 5
    found = coupling_shares(SimpleNamespace(network=fake, world=world), counts, seconds=1.0)
    assert found["mean"] == pytest.approx({"local": 1 / 3, "long_range": 1 / 3, "other": 0.0, "background": 1 / 3})
    assert found["regions"]["here"] == pytest.approx(found["mean"]) and found["driven"] == pytest.approx(2 / 3)


def test_coupling_shares_count_the_gain_of_modulated_synapses():
    """Two sources with 10 spikes x 2 mV each, one modulated: a third of the charge at gain 0.5, half at gain 1."""
    cells = {"a": cell(), "c": cell(), "b": cell(per="one"), "m": cell()}
    gain = [{"by": "toy.m", "reference": "5 Hz", "slope": 1.0}]
    world, network, _ = build(cells, [
        {"from": "a", "to": "b", "indegree": 1, "psp": "2 mV", "psp_cv": 0},
        {"from": "c", "to": "b", "indegree": 1, "psp": "2 mV", "psp_cv": 0, "modulated": gain},
    ])  # fmt: skip
    network.projections[1].kind = "long_range"
    target = network.by_name["toy.all.b"]
    target.cell = target.cell.model_copy(update={"per": "region"})
    sim = SimpleNamespace(network=network, world=world)
    counts = np.full(network.neuron_count, 10)
    assert coupling_shares(sim, counts, 1.0)["mean"]["long_range"] == pytest.approx(1 / 2)
    gains = np.array([1.0, 0.5])
    assert coupling_shares(sim, counts, 1.0, gains)["mean"]["long_range"] == pytest.approx(1 / 3)


# traces ---------------------------------------------------------------------------------------------------------


def test_traces_return_windows():
    sampler, value = Sampler(), np.zeros(2)
    sampler.trace("x", lambda: value)
    for tick in range(0, 100, 10):
        value[:] = tick
        sampler(tick)
    ticks, rows = sampler.traced("x", 25, 60)
    assert ticks.tolist() == [30, 40, 50] and rows[:, 0].tolist() == [30, 40, 50]


def test_traces_and_memory_survive_a_snapshot():
    before, after = Sampler(), Sampler()
    for sampler in (before, after):
        sampler.trace("x", lambda: np.ones(3))
    before(0)
    before(10)
    before.memory["value:a"] = np.float64(2.5)
    after.restore({key: np.asarray(value) for key, value in before.snapshot().items()})
    after(20)
    ticks, rows = after.traced("x")
    assert ticks.tolist() == [0, 10, 20] and rows.shape == (3, 3) and after.memory["value:a"] == 2.5


def test_a_trace_that_the_snapshot_lacks_begins_anew():
    before, after = Sampler(), Sampler()
    before.trace("x", lambda: np.ones(1))
    before(0)
    after.trace("x", lambda: np.ones(1))
    after.trace("y", lambda: np.ones(1))
    after.restore(before.snapshot())
    after(10)
    assert after.traced("x")[0].tolist() == after.traced("y")[0].tolist() == [10]


def test_old_traces_are_dropped_rather_than_all_memory_used(monkeypatch):
    monkeypatch.setattr("systems.sample_record.TRACE_BYTES", 10_000)
    sampler = Sampler()
    sampler.trace("x", lambda: np.zeros(10))
    for tick in range(1000):
        sampler(tick)
    ticks, rows = sampler.traced("x")
    assert 20 < len(ticks) == len(rows) < 200 and ticks[-1] == 999


# probes of a scene ----------------------------------------------------------------------------------------------


class World:
    """A stand-in simulation: spikes and traces are given, nothing runs."""

    def __init__(self, spec: list[dict], ids=(), ticks=(), tick: int = 1000):
        from systems.spawn.scene_model import Scene

        brain = {"circuits": ["any"]}
        self.scene = Scene.model_validate({"title": "t", "duration": "1 s", "brain": brain, "probes": spec})
        self.network = SimpleNamespace(neuron_count=4)
        self.tick, self.physics, self.body = tick, None, None
        self.sampler = Sampler()
        self._history = np.asarray(ids, np.int32), np.asarray(ticks, np.int32)
        self.spikes = SimpleNamespace(keep_ms=60_000, total=len(ids), listeners=[], history=lambda: (*self._history, 0))
        chosen = {"all": np.arange(4), "a": np.arange(2), "b": np.arange(2, 4)}
        self.timeline = SimpleNamespace(targets=SimpleNamespace(neurons=chosen.__getitem__))

    def spike_history(self, since=0):
        return self._history

    def measure(self) -> dict[str, float]:
        return probes.Probes(self).values()


def probe(**more) -> dict:
    return {"name": "p", "measure": "rate_hz", "of": "a", **more}


def test_rates_and_counts_over_a_window():
    ids, ticks = [0, 1, 2, 0, 1], [50, 150, 160, 170, 250]
    window = {"from": "100 ms", "to": "200 ms"}
    assert World([probe(**window)], ids, ticks).measure()["p"] == pytest.approx(2 / 2 / 0.1)
    assert World([probe(measure="spike_count", of="all", **window)], ids, ticks).measure()["p"] == 3
    assert World([probe(of="b")], ids, ticks).measure()["p"] == pytest.approx(1 / 2 / 1.0)


def test_latency_of_spikes_and_of_a_rate():
    ids, ticks = [0, 0, 1, 2, 1, 0], [50, 130, 140, 145, 150, 155]
    late = {"measure": "latency", "from": "100 ms"}
    assert World([probe(**late)], ids, ticks).measure()["p"] == 30
    assert World([probe(**late, threshold=3)], ids, ticks).measure()["p"] == 50
    # 75 Hz are 3 spikes of 2 neurons in 20 ms: those at 140, 150, 155, as the one at 130 is too old
    assert World([probe(**late, threshold="75 Hz")], ids, ticks).measure()["p"] == 55
    assert math.isnan(World([probe(**late, threshold="500 Hz")], ids, ticks).measure()["p"])
    assert math.isnan(World([probe(**late, of="b", to="140 ms")], ids, ticks).measure()["p"])


def test_a_window_that_has_not_passed_is_not_reached():
    world = World([probe(to="200 ms"), probe(name="q", to="800 ms"), probe(name="r")], [0], [10], tick=500)
    found = probes.Probes(world)
    assert [found.reached(p) for p in world.scene.probes] == [True, False, False]
    assert found.value(world.scene.probes[1]) == pytest.approx(1.0)  # so far: one spike of two neurons in half a second


# repeated windows, peaks, long runs --------------------------------------------------------------------------------


def repeated(**more) -> dict:
    return probe(**{"from": "100 ms", "to": "200 ms", "repeat": {"every": "300 ms", "times": 3}, **more})


def test_a_repeated_probe_is_the_mean_of_its_windows():
    # windows 100..200, 400..500, 700..800; neurons 0 and 1 are `a`
    ids, ticks = [0, 1, 2, 0, 1, 0, 0, 1], [150, 199, 150, 200, 400, 499, 650, 800]
    assert World([repeated()], ids, ticks).measure()["p"] == pytest.approx((2 + 2 + 0) / 3 / 2 / 0.1)
    assert World([repeated(measure="spike_count")], ids, ticks).measure()["p"] == pytest.approx(4 / 3)
    # found 50 ms into the first window, at once in the second, not at all in the third
    assert World([repeated(measure="latency")], ids, ticks).measure()["p"] == pytest.approx(25.0)
    assert math.isnan(World([repeated(measure="latency", of="b", threshold=2)], ids, ticks).measure()["p"])


def test_windows_within_a_block_and_d_prime_by_hand():
    """Windows of 50 ms at 100, 200, 500, 600 against 150, 250, 550, 650; counts 3 1 2 2 against 0 1 0 1."""
    block = {"every": "400 ms", "times": 2, "also": ["100 ms"]}
    first = {"from": "100 ms", "to": "150 ms", "repeat": block}
    second = {"from": "150 ms", "to": "200 ms", "repeat": block}
    ticks = [100, 110, 149, 200, 500, 501, 600, 649, 250, 650]
    spec = [probe(name="q", **second), probe(measure="d_prime", against="q", **first), probe(name="m", **first)]
    found = World(spec, [0] * len(ticks), ticks).measure()
    assert found["m"] == pytest.approx(2 / 2 / 0.05) and found["q"] == pytest.approx(0.5 / 2 / 0.05)
    spread = math.sqrt((2 / 3 + 1 / 3) / 2)
    assert found["p"] == pytest.approx((2 - 0.5) / spread * (1 - 3 / 23))
    assert math.isnan(probes.d_prime(np.ones(1), np.ones(5))) and probes.d_prime(np.ones(3), np.ones(3)) == 0.0


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"repeat": {"every": "300 ms", "times": 2, "also": ["50 ms"]}}, "expected at least the length of the window"),
        ({"repeat": {"every": "300 ms", "times": 2, "also": ["200 ms", "150 ms"]}}, "expected more than 200 ms"),
        ({"repeat": {"every": "300 ms", "times": 2, "also": ["300 ms"]}}, "expected less than the 300 ms"),
        ({"measure": "d_prime"}, "needs `against`"),
        ({"measure": "d_prime", "against": "q"}, "expected a repeated rate_hz of a"),
        ({"against": "q"}, "only d_prime takes it"),
    ],
)
def test_blocks_and_d_primes_that_make_no_sense(more, part):
    with pytest.raises(ValueError, match=part):
        World([repeated(**more)])


def test_a_repeated_probe_of_a_run_cut_short_has_the_windows_so_far():
    ids, ticks = [0, 1, 0], [150, 199, 450]
    world = World([repeated()], ids, ticks, tick=600)
    found = probes.Probes(world)
    assert found.values()["p"] == pytest.approx((2 + 1) / 2 / 2 / 0.1)
    assert not found.reached(world.scene.probes[0])
    world.tick = 800
    assert found.reached(world.scene.probes[0])


def test_the_peak_rate_is_that_of_the_fullest_window_that_slides():
    ids, ticks = [0, 1, 0, 1, 0, 2, 3], [104, 110, 123, 124, 143, 105, 106]
    peak = {"measure": "peak_hz", "from": "100 ms", "to": "200 ms"}
    # 20 ms: 104..123 and 124..143 would hold 3 and 2; 110..129 holds 110, 123, 124: 3 spikes of 2 neurons
    assert World([probe(**peak)], ids, ticks).measure()["p"] == pytest.approx(3 / 2 / 0.02)
    assert World([probe(**peak, bin="21 ms")], ids, ticks).measure()["p"] == pytest.approx(4 / 2 / 0.021)
    assert World([probe(**peak, bin="2 ms")], ids, ticks).measure()["p"] == pytest.approx(2 / 2 / 0.002)
    assert World([probe(**peak, bin="1 ms")], ids, ticks).measure()["p"] == pytest.approx(1 / 2 / 0.001)
    assert World([probe(**peak, bin="100 ms")], ids, ticks).measure()["p"] == pytest.approx(5 / 2 / 0.1)
    assert World([probe(**peak, of="b")], ids, ticks).measure()["p"] == pytest.approx(2 / 2 / 0.02)
    assert World([probe(**peak)], [], []).measure()["p"] == 0.0
    # the window itself is the width where it is shorter than 20 ms
    short = {"measure": "peak_hz", "from": "120 ms", "to": "130 ms"}
    assert World([probe(**short)], ids, ticks).measure()["p"] == pytest.approx(2 / 2 / 0.01)


class Running(World):
    """A stand-in that runs: spikes are flushed every ten ticks to an observer that remembers 100 ms."""

    def __init__(self, spec, ids, ticks):
        from components.network import SpikeLog
        from systems.flush_spikes import SpikeObserver

        super().__init__(spec, tick=0)
        self._all = np.asarray(ids, np.int32), np.asarray(ticks, np.int32)
        self.spikes = SpikeObserver(keep_ms=100.0)
        self.world = {SpikeLog.count: np.zeros(2, np.int64), SpikeLog.ids: np.zeros(0, np.int32)}

    def spike_history(self, since=0):
        return self.spikes.history(since)[:2]

    def run(self, stop: int) -> None:
        for tick in range(self.tick, stop, 10):
            self.tick = tick
            self.sampler(tick)
            ids, ticks = self._all
            now = (ticks >= tick) & (ticks < tick + 10)
            self.spikes.take(ids[now], ticks[now], np.zeros(now.sum(), np.uint8), 0, tick + 10)
        self.tick = stop


LONG = [
    {"name": "rate", "measure": "rate_hz", "of": "a"},
    {"name": "halves", "measure": "rate_hz", "of": "a", "to": "400 ms", "repeat": {"every": "500 ms", "times": 2}},
    {"name": "tenths", "measure": "spike_count", "of": "a", "to": "50 ms", "repeat": {"every": "100 ms", "times": 10}},
    {"name": "peak", "measure": "peak_hz", "of": "a"},
    {"name": "peaks", "measure": "peak_hz", "of": "a", "to": "450 ms", "repeat": {"every": "500 ms", "times": 2}},
    {"name": "onset", "measure": "latency", "of": "b", "to": "50 ms", "repeat": {"every": "100 ms", "times": 10}},
]


@pytest.fixture
def hurried(monkeypatch):
    """Pieces of 40 ms, as the observer of `Running` remembers 100 ms."""
    monkeypatch.setattr(probes, "PIECE_MS", 40)


def test_windows_longer_than_the_spikes_in_memory_are_exact(hurried):
    ids, ticks = poisson(np.random.default_rng(8), 4, 60.0, 1000)
    whole = World(LONG, ids, ticks).measure()  # remembers everything
    world = Running(LONG, ids, ticks)
    found = probes.Probes(world)
    world.run(1000)
    assert len(world.spike_history()[0]) < len(ids) / 5
    peaks = [probes.peak_rate(ids, ticks, np.arange(2), *window, 20) for window in ((0, 450), (500, 950))]
    assert whole["peaks"] == pytest.approx(np.mean(peaks)) and whole["rate"] == np.isin(ids, [0, 1]).sum() / 2
    values = found.values()
    for name in ("tenths", "peak", "peaks", "onset"):
        assert values[name] == pytest.approx(whole[name]), name
    for name in ("rate", "halves"):  # counted from the first sample within, so up to ten ticks fewer
        assert values[name] == pytest.approx(whole[name], rel=0.06), name
    assert not found._pending or {p.name for p in found._pending} <= {"rate", "peak"}


def test_repeated_windows_survive_a_snapshot(hurried):
    ids, ticks = poisson(np.random.default_rng(9), 4, 60.0, 1000)
    straight, half, rest = (Running(LONG, ids, ticks) for _ in range(3))
    expected = probes.Probes(straight)
    straight.run(1000)
    probes.Probes(half)
    half.run(530)
    rest.sampler.restore({key: np.asarray(value) for key, value in half.sampler.snapshot().items()})
    rest.spikes.restore(half.spikes.snapshot())
    rest.tick = 530
    found = probes.Probes(rest)
    rest.run(1000)
    assert found.values() == expected.values()


def test_the_history_since_a_tick_is_the_whole_one_from_there_on():
    from systems.flush_spikes import SpikeObserver

    observer = SpikeObserver()
    for start, count in ((0, 3), (10, 0), (20, 2), (30, 4)):
        when = np.arange(start, start + count, dtype=np.int32)
        until = int(when[-1]) + 1 if count else 0
        observer.take(np.zeros(count, np.int32), when, np.zeros(count, np.uint8), 0, until)
    for since in (0, 2, 3, 15, 20, 22, 25, 33, 34):
        found, all_ = observer.history(since)[1], observer.history()[1]
        assert found[found >= since].tolist() == all_[all_ >= since].tolist()
    assert observer.history(25)[1].tolist() == [30, 31, 32, 33] and observer.history(99)[1].size == 0


# rhythm ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "error"),
    [
        ("{name: x, measure: phase_vector, of: spinal_cpg.left.v1}", "needs `with`"),
        (
            "{name: x, measure: cycle_cv, of: spinal_cpg.left.v1, with: spinal_cpg.left.v1}",
            "only correlation, phase_vector, .* take it",
        ),
    ],
)
def test_a_rhythm_probe_says_what_it_lacks(tmp_path, probe, error):
    (tmp_path / "x.yaml").write_text(
        f"title: t\nduration: 2 s\nbrain: {{profile: newborn, circuits: [spinal_cpg]}}\nprobes: [{probe}]\n"
    )
    with pytest.raises(UserError, match=error):
        load(tmp_path / "x.yaml")


def test_rhythm_probes_read_bursts_made_by_hand():
    """Two groups of ten, 400 ms of 1,000 ms at 50 Hz, one half a cycle later: 1 Hz, regular, antiphase."""
    rng = np.random.default_rng(3)
    ids, ticks = [], []
    for group, lag in ((0, 0), (1, 500)):
        for start in range(lag, 30_000 - 400, 1000):
            for neuron in range(10):
                when = start + np.flatnonzero(rng.random(400) < 0.05)
                ticks.append(when)
                ids.append(np.full(when.size, 10 * group + neuron))
    ids, ticks = np.concatenate(ids), np.concatenate(ticks)
    first, second = np.arange(10), np.arange(10, 20)
    args = ids, ticks, first, second, 0, 30_000
    assert rhythm_of("cycle_frequency", *args) == pytest.approx(1.0, abs=0.02)
    assert rhythm_of("cycle_cv", *args) < 0.03
    assert rhythm_of("phase_vector", *args) < -0.97
    assert rhythm_of("phase_vector", ids, ticks, first, first, 0, 30_000) == pytest.approx(1.0)
    assert np.isnan(rhythm_of("cycle_frequency", ids[:0], ticks[:0], first, None, 0, 30_000))
