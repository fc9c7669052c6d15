"""Network statistics equal an all-0.1 ms Brian2 run: may arrivals be binned per tick (design 3)?

The same 800 E and 200 I cells, weights, delays (1..20 ms; loops through inhibition 1..4 ms), background rates. We add
up arrivals per tick of 1 ms and spread them over its ten substeps; in Brian2 each comes exactly its delay after its
spike. The network is sensitive on purpose: 10 % more excitation raises its rate by a third.

Measured, 100 noise seeds of 5 s against 16 of Brian2 and 260 of a plain 0.1 ms simulation of our own (not kept here):
uncoupled cells agree to 0.1 % (12.075 +- 0.006 Hz against 12.087 +- 0.006), so the background may be binned. Coupled,
with arrivals at the end of each substep, E fires at 6.26 Hz against 6.14 +- 0.02 exactly (Brian2 6.07 +- 0.09), CVs
agree to 0.5 %, and the correlation of E with I 2 ms before it is 9 % too small; the largest difference is 2.1 standard
errors. Arrivals at the start of each substep (0.1 ms early) made that 3.3, and failed. So a small bias of rate (2 %)
remains, of the kind that landing each tick's sum at its mean substep would remove, at a second ring write per synapse.
"""

import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from components.network import Arrivals, Fanout, Spikes, Synapse
from components.neuron import Ampa, Background, Gaba, Membrane
from engine.random import Streams
from engine.schedule import Now
from systems.background_noise import background_noise
from systems.flush_spikes import SpikeObserver
from systems.spawn.network import UNIT
from tests.systems.nets import build, cell, spikes_of

N_E, N_I = 800, 200  # neurons
SEEDS = 16
SETTLE_MS, MEASURE_MS = 500, 5000
LAGS = range(-2, 3)

CELLS = {
    "e": cell(count=N_E, background={"psp": "2 mV", "rate": "200 Hz"}),
    "i": cell(count=N_I, acts_on="gaba", tau_m="10 ms", background={"psp": "2 mV", "rate": "300 Hz"}),
}


def projections(excite: float = 1.0, inhibit: float = 4.0, later: int = 0) -> list[dict]:
    """(from, to, in-degree, PSP [mV], shortest and longest delay [ms]); loops through inhibition are fast."""
    table = [("e", "e", 80, excite, 1, 20), ("e", "i", 80, excite, 1, 4), ("i", "e", 20, inhibit, 1, 4),
             ("i", "i", 20, inhibit, 1, 4)]  # fmt: skip
    return [
        {"from": a, "to": b, "indegree": k, "psp": f"{psp} mV", "delay": [f"{low + later} ms", f"{high + later} ms"]}
        for a, b, k, psp, low, high in table
    ]


def covariance(x: np.ndarray, y: np.ndarray, lag: int) -> float:
    """Mean product of the deviations of x[t] and y[t + lag]."""
    x, y = x - x.mean(), y - y.mean()
    return float((x[: x.size - lag] * y[lag:]).mean() if lag >= 0 else (x[-lag:] * y[:lag]).mean())


def statistics(ids: np.ndarray, ms: np.ndarray) -> dict[str, float]:
    """Rates [Hz], mean ISI CVs, mean pairwise cross-correlations of 1 ms counts at lags of -2..2 ms."""
    out, population = {}, {}
    for name, first, count in (("e", 0, N_E), ("i", N_E, N_I)):
        mine = (ids >= first) & (ids < first + count)
        trains = np.zeros((count, MEASURE_MS), np.float32)
        trains[ids[mine] - first, ms[mine]] = 1.0
        out[f"rate_{name}"] = 1000.0 * float(trains.mean())
        cvs = []
        for train in trains:
            gaps = np.diff(np.flatnonzero(train))
            if gaps.size >= 5:
                cvs.append(gaps.std() / gaps.mean())
        out[f"cv_{name}"] = float(np.mean(cvs))
        summed = trains.sum(axis=0, dtype=np.float64)
        centred = trains - trains.mean(axis=1, keepdims=True)
        spans = [MEASURE_MS - lag for lag in range(3)]
        own = [float((centred[:, :span] * centred[:, -span:]).sum() / span) for span in spans]
        population[name] = summed, own[0] / count, count
        for lag in range(3):
            pairs = covariance(summed, summed, lag) - own[lag]
            out[f"cc_{name}{name}_{lag}"] = pairs / (count * (count - 1)) / (own[0] / count)
    (e, e_variance, _), (i, i_variance, _) = population["e"], population["i"]
    for lag in LAGS:
        out[f"cc_ei_{lag}"] = covariance(e, i, lag) / (N_E * N_I) / np.sqrt(e_variance * i_variance)
    return out


def ours(substeps: int = 10, **changes) -> list[dict[str, float]]:
    """Statistics of our network, one entry per noise seed; the wiring is the same."""
    found = []
    world, network, runner = build(CELLS, projections(**changes), substeps=substeps)
    background, neurons = world.tables["background"], world.tables["neurons"]
    for seed in range(SEEDS):
        streams = Streams(1000 + seed)
        key = np.array([streams.key(f"background/{p.name}") for p in network.populations], np.uint32)
        of = background[Background.rate_class]
        background[Background.key0][:], background[Background.key1][:] = key[of, 0], key[of, 1]
        neurons[Membrane.v][:] = streams.generator("v").uniform(0, 7.5, N_E + N_I)
        neurons[Membrane.refractory_left][:] = neurons[Ampa.i][:] = neurons[Gaba.i][:] = 0
        world[Spikes.count][:] = 0
        for receptor in ("ampa", "gaba"):
            world.tables[f"synapses_{receptor}"][Fanout.ring][:] = 0
        observer = world.add_object(SpikeObserver(1e9))
        start = world.tick
        for _ in range(SETTLE_MS + MEASURE_MS + 10):
            runner.step()
        ids, ticks, _ = observer.history()
        ms = ticks.astype(np.int64) - start - SETTLE_MS
        kept = (ms >= 0) & (ms < MEASURE_MS)
        found.append(statistics(ids[kept], ms[kept]))
    return found


def brian2(folder: Path) -> list[dict[str, float]]:
    """Statistics of the same wiring in Brian2 at 0.1 ms: exact integration, each spike after exactly its delay."""
    world, network, _ = build(CELLS, projections())
    neurons = world.tables["neurons"]
    pre, post, delay, drive, excites = [], [], [], [], []
    for component, receptor in ((Ampa, "ampa"), (Gaba, "gaba")):
        table = world.tables[f"synapses_{receptor}"]
        start = table[Fanout.start]
        pre.append(np.repeat(np.arange(N_E + N_I), start[:, -1] - start[:, 0]))
        post.append(table[Synapse.post])
        delay.append(table[Synapse.delay].astype(float))
        jump = neurons[component.jump].astype(float) * UNIT * 10  # drive per mV
        drive.append(table[Synapse.weight] * jump[post[-1]])
        excites.append(np.full(pre[-1].size, receptor == "ampa"))
    cells = [p.cell for p in network.populations]
    jump = [float(neurons[Ampa.jump][p.first]) * UNIT * 10 for p in network.populations]
    start_v = np.stack([Streams(2000 + seed).generator("v").uniform(0, 7.5, N_E + N_I) for seed in range(SEEDS)])
    names = ("count", "tau_m", "tau_ampa", "tau_gaba", "threshold", "reset", "refractory")
    np.savez(
        folder / "in.npz", pre=np.concatenate(pre), post=np.concatenate(post), delay=np.concatenate(delay),
        drive=np.concatenate(drive), excites=np.concatenate(excites).astype(int), v=start_v, ms=SETTLE_MS + MEASURE_MS,
        seed=zlib.crc32(b"brian2"), background_hz=[c.background.rate for c in cells],
        background=[c.background.psp * j for c, j in zip(cells, jump, strict=True)],
        **{name: [getattr(c, name) for c in cells] for name in names},
    )  # fmt: skip
    worker = Path(__file__).with_name("brian2_worker.py")
    done = subprocess.run(
        [sys.executable, str(worker), str(folder / "in.npz"), str(folder / "out.npz")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    out = np.load(folder / "out.npz")
    ms = out["steps"] // 10 - SETTLE_MS
    kept = (ms >= 0) & (ms < MEASURE_MS)
    return [statistics(out["ids"][mine], ms[mine]) for mine in (kept & (out["copy"] == k) for k in range(SEEDS))]


def test_spikes_equal_a_plain_simulation_one_by_one():
    """The first 100 ms against the same model written in numpy and float64, fed the same background events.

    After that a threshold crossing differs by rounding somewhere, and the network is chaotic.
    """
    ticks = 100
    world, _, runner = build(CELLS, projections())
    neurons, n = world.tables["neurons"], N_E + N_I
    drive_of = {c: neurons[c.jump].astype(float) * UNIT for c in (Ampa, Gaba)}  # per mV and substep
    v, tau = neurons[Membrane.v].astype(float), np.repeat([20.0, 10.0], [N_E, N_I])
    events = []
    for tick in range(ticks):
        world[Now.tick][0] = tick
        background_noise(world.tables["background"], world)
        events.append(world[Arrivals.ampa] / UNIT)
        world[Arrivals.ampa][:] = 0
    due = {c: np.zeros((ticks + 32, n)) for c in (Ampa, Gaba)}
    g = {c: np.zeros(n) for c in (Ampa, Gaba)}
    kept = {Ampa: np.exp(-0.1 / 3), Gaba: np.exp(-0.1 / 6)}
    leak, left, expected = np.exp(-0.1 / tau), np.zeros(n), []
    share = {c: t / (t - tau) * (kept[c] - leak) for c, t in ((Ampa, 3.0), (Gaba, 6.0))}
    for tick in range(ticks):
        due[Ampa][tick] += events[tick]
        fired = []
        for sub in range(10):
            u = v * leak + g[Ampa] * share[Ampa] - g[Gaba] * share[Gaba]
            for c in g:
                g[c] = g[c] * kept[c] + due[c][tick] * drive_of[c]
            u = np.where(left > 0, 0.0, u)
            hit = u >= 15
            v, left = np.where(hit, 0.0, u), np.where(hit, 20, left) - 1
            fired += [(int(k), tick, sub + 1) for k in np.flatnonzero(hit)]
        expected += sorted(fired)
        for c, receptor in ((Ampa, "ampa"), (Gaba, "gaba")):
            table = world.tables[f"synapses_{receptor}"]
            for k, _, _ in fired:
                here = slice(*table[Fanout.start][k, [0, -1]])
                when = tick + table[Synapse.delay][here].astype(int)
                np.add.at(due[c], (when, table[Synapse.post][here]), table[Synapse.weight][here])
    got = zip(*(x.tolist() for x in spikes_of(world, runner, ticks)), strict=True)
    assert list(got) == expected and len(expected) > 200


def standard_errors_apart(one: list[dict], two: list[dict]) -> dict[str, float]:
    """(mean of one - mean of two) / standard error of that difference, per statistic."""
    out = {}
    for name in one[0]:
        a, b = np.array([s[name] for s in one]), np.array([s[name] for s in two])
        out[name] = float((a.mean() - b.mean()) / np.hypot(a.std(ddof=1), b.std(ddof=1)) * np.sqrt(len(a)))
    return out


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    pytest.importorskip("cython", reason="Brian2 needs it for its fast target")
    return brian2(tmp_path_factory.mktemp("brian2"))


@pytest.mark.slow
def test_our_network_equals_brian2(reference):
    """Rates, ISI CVs and cross-correlations at lags of -2..2 ms, each within 3 standard errors of the difference."""
    apart = standard_errors_apart(ours(), reference)
    assert max(abs(z) for z in apart.values()) < 3, apart


@pytest.mark.slow
def test_the_network_has_something_to_compare(reference):
    """It fires irregularly and is correlated: every cross-correlation is far above its own error."""
    for name in reference[0]:
        values = np.array([s[name] for s in reference])
        assert values.mean() / values.std(ddof=1) * np.sqrt(SEEDS) > 8, name
    assert 3 < np.mean([s["rate_e"] for s in reference]) < 12 and np.mean([s["cv_e"] for s in reference]) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("planted", [{"excite": 1.1}, {"inhibit": 4.4}, {"later": 2}], ids=str)
def test_a_planted_error_is_detected(reference, planted):
    """10 % more excitation, 10 % more inhibition, or 2 ms more delay: the same comparison refuses it."""
    apart = standard_errors_apart(ours(**planted), reference)
    assert max(abs(z) for z in apart.values()) > 5, apart
