"""lif_integrate against theory: every expected number is worked out here, none is taken from the code under test."""

import numpy as np
import pytest
from scipy.optimize import brentq

from components.network import Spikes
from components.neuron import Adaptation, Ampa, Gaba, GabaSlow, Membrane, Nmda
from components.timing import Substeps
from systems.lif_integrate import lif_integrate
from tests.systems.nets import build, cell, part_by_part

UNIT = 65536
SILENT = np.float32(1e30)


def one(threads: int = 1, substeps: int = 10, count: int = 1, **changes):
    """(table, world, population) of `count` equal neurons at rest."""
    world, network, _ = build({"c": cell(count=count, **changes)}, substeps=substeps, threads=threads)
    (table,) = world.tables.values()
    table[Membrane.v][:] = 0
    return table, world, network.populations[0]


def fire_times_ms(table, world, ticks: int, row: int = 0) -> np.ndarray:
    """End of the substep of each spike [ms]."""
    substeps, out = world[Substeps.count][0], []
    for tick in range(ticks):
        lif_integrate(table, world)
        if table[Membrane.fired][row]:
            out.append(tick + table[Membrane.fired][row] / substeps)
    return np.array(out)


@pytest.mark.parametrize("substeps", [1, 4, 10, 20])
@pytest.mark.parametrize(("tau_m", "drive", "refractory"), [(20, 20.0, 2), (10, 16.0, 1), (8, 90.0, 5), (30, 40.0, 3)])
def test_constant_drive_gives_the_textbook_interval(substeps, tau_m, drive, refractory):
    """tau ln(I / (I - theta)) + refractory, within one substep (and float32).

    As in Brian2, the refractory time counts from the start of the substep that crossed threshold.
    """
    table, world, _ = one(substeps=substeps, tau_m=f"{tau_m} ms", refractory=f"{refractory} ms")
    table[Membrane.drive][:] = drive
    intervals = np.diff(fire_times_ms(table, world, 2000))
    expected = tau_m * np.log(drive / (drive - 15.0)) + refractory
    assert intervals.size > 20 and intervals == pytest.approx(expected, abs=1.02 / substeps)


def test_a_drive_below_threshold_never_fires_and_is_reached():
    table, world, _ = one()
    table[Membrane.drive][:] = 14.99
    assert fire_times_ms(table, world, 1000).size == 0
    assert table[Membrane.v][0] == pytest.approx(14.99, abs=1e-3)


def test_the_leak_is_exact():
    """v(t) = v0 exp(-t / tau), to float32, whatever the substep."""
    for substeps in (1, 10):
        table, world, _ = one(substeps=substeps, tau_m="13 ms")
        table[Membrane.v][:] = 10.0
        for tick in range(1, 60):
            lif_integrate(table, world)
            assert table[Membrane.v][0] == pytest.approx(10 * np.exp(-tick / 13), rel=3e-5)


@pytest.mark.parametrize("refractory", [1, 2, 5, 30])
def test_a_neuron_is_held_for_its_refractory_time_and_fires_at_most_once_a_tick(refractory):
    table, world, _ = one(refractory=f"{refractory} ms")
    table[Membrane.drive][:] = 1e6  # fires in the first free substep
    times = fire_times_ms(table, world, 200)
    assert np.diff(times) == pytest.approx(refractory, abs=1e-6)
    assert table[Membrane.refractory][0] >= world[Substeps.count][0]


def test_a_refractory_time_below_one_tick_is_refused():
    with pytest.raises(ValueError, match="refractory"):
        one(refractory="0.5 ms")


def test_a_silenced_neuron_never_fires_but_still_integrates():
    table, world, _ = one()
    table[Membrane.drive][:] = 200.0
    table[Membrane.threshold][:] = SILENT
    assert fire_times_ms(table, world, 500).size == 0 and table[Membrane.v][0] == pytest.approx(200, rel=1e-4)


def test_reset_may_lie_above_or_below_rest():
    for reset in (-5.0, 4.0):
        table, world, _ = one(reset=f"{reset} mV")
        table[Membrane.drive][:] = 20.0
        expected = 20 * np.log((20 - reset) / 5) + 2
        assert np.diff(fire_times_ms(table, world, 1000)) == pytest.approx(expected, abs=0.1)


# synapses -------------------------------------------------------------------------------------------------------

TAUS = [(20, 3), (8, 3), (8, 12), (30, 3), (10, 10), (10, 10.005), (10, 9.9), (12, 6), (20, 150), (5, 2)]
RECEPTORS = [(Ampa, "tau_ampa", 1), (Gaba, "tau_gaba", -1), (GabaSlow, "tau_gaba_slow", -1)]


def psp(component, key: str, tau_m: float, tau_syn: float, mv: float = 1.0, ticks: int = 4000, **more) -> np.ndarray:
    """Potential after each tick when `mv` arrive in tick 0."""
    changes = {"tau_m": f"{tau_m} ms", key: f"{tau_syn} ms", **more}
    if component is GabaSlow:
        cells = {"c": cell(**changes), "s": cell(acts_on="gaba_slow")}
        world, _, _ = build(cells, [{"from": "s", "to": "c", "indegree": 1, "psp": "1 mV"}])
        table = world.tables["neurons_gabaslow"]
        table[Membrane.v][:] = 0
    else:
        table, world, _ = one(**changes)
    table[component.arrived][:] = round(mv * UNIT)
    out = np.zeros(ticks)
    for tick in range(ticks):
        lif_integrate(table, world)
        out[tick] = table[Membrane.v][0]
        assert table[component.arrived][0] == 0, "an arrival is spent once"
    return out


@pytest.mark.parametrize(("tau_m", "tau_syn"), TAUS)
@pytest.mark.parametrize(("component", "key", "sign"), RECEPTORS)
def test_a_psp_peaks_at_its_weight(component, key, sign, tau_m, tau_syn):
    """1 mV arriving peaks at 1 mV (spread over the arrival tick: up to 3 % less for the fastest) at the stated time."""
    v = sign * psp(component, key, tau_m, tau_syn, ticks=600)
    assert v.max() == pytest.approx(1.0, abs=0.03) and v.min() >= -1e-6
    same = abs(tau_m - tau_syn) < 1e-3 * tau_m
    peak = tau_m if same else np.log(tau_m / tau_syn) * tau_m * tau_syn / (tau_m - tau_syn)
    assert abs(v.argmax() + 1 - (peak + 0.5)) <= 1.0


@pytest.mark.parametrize(("tau_m", "tau_syn"), TAUS)
@pytest.mark.parametrize(("component", "key", "sign"), RECEPTORS[:2])
def test_the_charge_is_what_the_bookkeeping_says(component, key, sign, tau_m, tau_syn):
    """Integral of v over time / tau_m = jump tau_syn / tau_m = Population.psp_to_charge, which coupling shares use."""
    v = sign * psp(component, key, tau_m, tau_syn)
    a, b = tau_m, tau_syn
    drive = np.e if abs(a - b) < 1e-9 else (b / a) ** (a / (b - a))  # that makes a peak of 1 mV
    assert v.sum() / tau_m == pytest.approx(drive * tau_syn / tau_m, rel=0.01)
    _, _, population = one(tau_m=f"{tau_m} ms")
    assert v.sum() / tau_m == pytest.approx(population.psp_to_charge(tau_syn), rel=0.01)


def test_psps_add_linearly_and_cancel():
    """3 mV + 2 mV of excitation less 4 mV of equal inhibition = one PSP of 1 mV."""
    table, world, _ = one(tau_gaba="3 ms")
    single = psp(Ampa, "tau_ampa", 20, 3, ticks=60)
    table[Ampa.arrived][:] = 5 * UNIT
    table[Gaba.arrived][:] = 4 * UNIT
    for tick in range(60):
        lif_integrate(table, world)
        assert table[Membrane.v][0] == pytest.approx(single[tick], abs=2e-5)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
@pytest.mark.parametrize(("tau_m", "tau_nmda"), [(20, 150), (30, 60)])
def test_nmda_carries_its_share_of_the_same_charge(share, tau_m, tau_nmda):
    """With NMDA the charge is that of AMPA alone; `share` of it comes late."""
    nmda = {"share": share, "tau": f"{tau_nmda} ms"}
    alone = psp(Ampa, "tau_ampa", tau_m, 3).sum()
    both = psp(Ampa, "tau_ampa", tau_m, 3, nmda=nmda)
    assert both.sum() == pytest.approx(alone, rel=0.02)
    table, world, _ = one(tau_m=f"{tau_m} ms", nmda=nmda)
    assert Nmda in table
    table[Nmda.jump][:] = 0  # what is left without NMDA is AMPA's part
    table[Ampa.arrived][:] = UNIT
    fast = 0.0
    for _ in range(1000):
        lif_integrate(table, world)
        fast += table[Membrane.v][0]
    assert 1 - fast / both.sum() == pytest.approx(share, rel=0.02)
    late = both[400:410]
    assert late[-1] / late[0] == pytest.approx(np.exp(-9 / tau_nmda), rel=0.01)


@pytest.mark.parametrize(("drive", "step", "tau"), [(30.0, 1.0, 100), (40.0, 3.0, 200), (25.0, 0.2, 500)])
def test_adaptation_settles_at_the_rate_of_the_closed_form(drive, step, tau):
    """w just after a spike, W, obeys W = W exp(-T / tau) + step; between spikes v integrates drive - w(t) exactly."""
    table, world, _ = one(adaptation={"step": f"{step} mV", "tau": f"{tau} ms"})
    assert Adaptation in table
    table[Membrane.drive][:] = drive
    interval = np.diff(fire_times_ms(table, world, 8 * tau + 2000))[-15:].mean()
    tau_m, hold = 20.0, 2.0

    def short_of_threshold(T):
        top = step / (1 - np.exp(-T / tau))
        start, t = top * np.exp(-hold / tau), T - hold
        pulled = start * tau / (tau - tau_m) * (np.exp(-t / tau) - np.exp(-t / tau_m))
        return drive * (1 - np.exp(-t / tau_m)) - pulled - 15.0

    expected = brentq(short_of_threshold, hold + 0.1, 2000)
    plain = tau_m * np.log(drive / (drive - 15)) + hold
    assert interval == pytest.approx(expected, rel=0.01) and interval > 1.1 * plain


def test_silence_is_exactly_zero():
    """Decaying drives end at 0, not in denormal numbers, which would cost a hundred cycles each."""
    table, world, _ = one()
    table[Ampa.arrived][:] = table[Gaba.arrived][:] = UNIT
    for _ in range(3000):
        lif_integrate(table, world)
    assert table[Membrane.v][0] == table[Ampa.i][0] == table[Gaba.i][0] == 0.0


# blocks and threads -----------------------------------------------------------------------------------------------


def run_mixed(threads: int, count: int, seed: int = 3):
    """All state after 40 ticks of random input, for plain, slow, NMDA and adapting cells."""
    rng = np.random.default_rng(seed)
    extra = {"nmda": {"share": 0.3, "tau": "100 ms"}, "adaptation": {"step": "1 mV", "tau": "100 ms"}}
    world, _, _ = build(
        {"p": cell(count=count), "n": cell(count=count, **extra), "s": cell(count=count, acts_on="gaba_slow")},
        [{"from": "s", "to": "n", "indegree": 1, "psp": "1 mV"}], threads=threads,
    )  # fmt: skip
    tables = world.tables_with([Membrane])
    for _ in range(40):
        for table in tables:
            table[Membrane.drive][:] = rng.uniform(0, 25, table.row_count)
            table[Ampa.arrived][:] = rng.integers(0, 8 * UNIT, table.row_count)
            table[Gaba.arrived][:] = rng.integers(0, 4 * UNIT, table.row_count)
            lif_integrate(table, world) if threads == 1 else part_by_part(lif_integrate, table, world)
    skipped = ("Synapse", "Fanout", "TickConstants")  # runs end where parts do
    return world, [t[c].copy() for t in tables for c in t.columns if c.owner.__name__ not in skipped]


@pytest.mark.parametrize("parts", [2, 7])
@pytest.mark.parametrize("count", [5, 256, 700])
def test_parts_give_the_same_bits_in_any_order(count, parts):
    (one_world, one_state), (_, two_state) = run_mixed(1, count), run_mixed(parts, count)
    assert len(one_state) == len(two_state) > 10
    assert all(np.array_equal(a, b) for a, b in zip(one_state, two_state, strict=True))
    assert (one_world[Spikes.fired] > 0).any()


def test_a_neuron_does_not_notice_its_neighbours():
    """Rows at the ends of blocks and tables behave as a table of one."""
    table, world, _ = one(count=1000)
    lone, lone_world, _ = one()
    table[Membrane.drive][:] = np.linspace(10, 40, 1000)
    for row in (0, 255, 256, 511, 767, 999):
        lone[Membrane.v][:] = lone[Membrane.refractory_left][:] = 0
        table[Membrane.v][:] = table[Membrane.refractory_left][:] = 0
        lone[Membrane.drive][:] = table[Membrane.drive][row]
        assert np.array_equal(fire_times_ms(table, world, 60, row), fire_times_ms(lone, lone_world, 60))


def test_the_global_vector_carries_every_spike():
    """Spikes.fired is the tables' own storage, one slice each."""
    world, _, _ = build({"a": cell(count=3), "b": cell(count=4, adaptation={"step": "1 mV", "tau": "1 s"})})
    tables = world.tables_with([Membrane])
    assert len(tables) == 2
    for table in tables:
        table[Membrane.drive][:] = 1e6
        lif_integrate(table, world)
    assert (world[Spikes.fired] == 1).all() and world[Spikes.fired].size == 7


# whole ticks against substeps ----------------------------------------------------------------------------------------


def plain_substeps(table, steps: int = 10):
    """(v, fired) after one tick in float64, written down as the equations stand, for plain tables."""

    def f(column):
        return table[column].astype(float)

    v, left, fired = f(Membrane.v), f(Membrane.refractory_left), np.zeros(table.row_count, int)
    e, i = f(Ampa.i), f(Gaba.i)
    near = np.full(table.row_count, np.inf)  # closest approach to threshold
    for sub in range(steps):
        kept = f(Membrane.decay)
        u = f(Membrane.drive) * (1 - kept) + v * kept + e * f(Ampa.share) - i * f(Gaba.share)
        e = e * f(Ampa.decay) + f(Ampa.arrived) * f(Ampa.jump)  # arrivals land at the end of each substep
        i = i * f(Gaba.decay) + f(Gaba.arrived) * f(Gaba.jump)
        u = np.where(left <= 0, u, f(Membrane.reset))
        near = np.minimum(near, np.where(left <= 0, abs(u - f(Membrane.threshold)), np.inf))
        hit = u >= f(Membrane.threshold)
        fired[hit] = sub + 1
        v = np.where(hit, f(Membrane.reset), u)
        left = np.where(hit, f(Membrane.refractory), left) - 1
    return v, fired, near


@pytest.mark.parametrize(("tau_m", "tau_ampa", "tau_gaba"), [(20, 3, 6), (5, 2, 6), (8, 12, 3), (2, 1, 2), (1, 1, 1)])
def test_no_spike_is_missed_by_stepping_whole_ticks(tau_m, tau_ampa, tau_gaba):
    """Neurons that seem far from threshold take one step a tick; whoever crosses in between must be found."""
    rng, n = np.random.default_rng(5), 4000
    table, world, _ = one(count=n, tau_m=f"{tau_m} ms", tau_ampa=f"{tau_ampa} ms", tau_gaba=f"{tau_gaba} ms")
    spikes = 0
    for _ in range(20):
        table[Membrane.v][:] = rng.uniform(-5, 15, n)
        table[Membrane.drive][:] = rng.uniform(-10, 30, n)
        table[Membrane.refractory_left][:] = rng.integers(0, 15, n) * (rng.random(n) < 0.2)
        table[Ampa.i][:] = rng.exponential(8, n)
        table[Gaba.i][:] = rng.exponential(20, n)
        table[Ampa.arrived][:] = rng.poisson(0.7, n) * 3 * UNIT
        table[Gaba.arrived][:] = rng.poisson(0.5, n) * 3 * UNIT
        v, fired, near = plain_substeps(table)
        lif_integrate(table, world)
        clear = near > 1e-3  # elsewhere float32 may decide otherwise
        assert np.array_equal(table[Membrane.fired][clear], fired[clear])
        assert table[Membrane.v][clear] == pytest.approx(v[clear], abs=1e-3)
        spikes += int((fired[clear] > 0).sum())
    assert spikes > 500
