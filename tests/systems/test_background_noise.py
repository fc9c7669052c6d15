"""background_noise against Poisson statistics; its draws depend on (population, tick, row) and nothing else."""

import functools

import numpy as np
import pytest
from scipy.stats import chi2, poisson

from components.network import Arrivals
from components.neuron import Background
from engine.schedule import Now
from systems.background_noise import background_noise
from tests.systems.nets import build, cell, part_by_part

UNIT = 65536


def noisy(rates: dict[str, float], count: int = 400, psp: float = 1.0, **options):
    """(world, network) of one population per rate."""
    cells = {
        name: cell(count=count, background={"psp": f"{psp} mV", "rate": f"{rate} Hz"}) for name, rate in rates.items()
    }
    return build(cells, **options)[:2]


def counts(world, ticks, psp: float = 1.0, call=background_noise) -> np.ndarray:
    """Events per tick and neuron, shape [ticks, neurons]."""
    out = []
    for tick in ticks:
        world[Now.tick][0] = tick
        world[Arrivals.ampa][:] = 0
        call(world.tables["background"], world)
        out.append(np.rint(world[Arrivals.ampa] / (psp * UNIT)).astype(int))
    return np.array(out)


@pytest.mark.parametrize("rate", [1.0, 20.0, 150.0, 700.0, 2000.0])
def test_events_are_poisson_in_mean_variance_and_shape(rate):
    world, _ = noisy({"a": rate})
    events = counts(world, range(500))
    n, expected = events.size, rate / 1000
    assert events.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / n))
    spread = np.sqrt((expected + 2 * expected**2) / n)  # standard error of a Poisson variance
    assert events.var() == pytest.approx(expected, abs=4 * spread)
    shape = poisson.pmf(np.arange(8), expected) * n
    keep = shape > 10
    got = np.bincount(events.ravel(), minlength=9)[:8]
    assert chi2.sf(((got - shape)[keep] ** 2 / shape[keep]).sum(), keep.sum()) > 1e-4


def test_each_class_has_its_own_rate_and_psp():
    cells = {
        f"c{k}": cell(count=101, background={"psp": f"{k + 1} mV", "rate": f"{100 * (k + 1)} Hz"}) for k in range(3)
    }
    world, network, _ = build(cells)
    assert world.tables["background"].row_count == 3 * 7, "a row for 16 neurons, 5 in the last"
    total = np.zeros(303)
    for tick in range(400):
        world[Now.tick][0] = tick
        world[Arrivals.ampa][:] = 0
        background_noise(world.tables["background"], world)
        assert not (world[Arrivals.ampa] % UNIT).any()
        total += world[Arrivals.ampa] / UNIT
    for k, p in enumerate(network.populations):
        mean = 0.1 * (k + 1)
        per_tick = total[p.neurons].sum() / 101 / 400 / (k + 1)
        assert per_tick == pytest.approx(mean, abs=4 * np.sqrt(mean / 101 / 400))


def test_rows_and_ticks_are_independent():
    world, _ = noisy({"a": 500.0}, count=200)
    events = counts(world, range(3000)).astype(float)
    r = np.corrcoef(events.T)[np.triu_indices(200, 1)]
    assert abs(r.mean()) < 4 / np.sqrt(r.size * 3000) and r.std() == pytest.approx(1 / np.sqrt(3000), rel=0.05)
    x = events - events.mean(axis=0)
    for lag in (1, 2, 5):
        serial = (x[lag:] * x[:-lag]).mean() / x.var()
        assert abs(serial) < 4 / np.sqrt(x[lag:].size)
    population = events.sum(axis=1)
    assert population.var() / population.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 3000))


def test_a_draw_depends_on_seed_tick_and_place_only():
    world, _ = noisy({"a": 300.0})
    first = counts(world, [7, 8])
    assert (counts(world, [8, 7])[::-1] == first).all(), "ticks may come in any order"
    assert (counts(noisy({"a": 300.0})[0], [7, 8]) == first).all()
    assert (counts(noisy({"a": 300.0}, seed=2)[0], [7, 8]) != first).any()
    assert (counts(noisy({"a": 300.0}, count=203)[0], [7, 8])[:, :203] == first[:, :203]).all()
    high = counts(world, [7 + 2**32])
    assert (high != first[:1]).any(), "the tick is drawn by all its 64 bits"


def test_an_added_population_changes_no_other():
    alone, _ = noisy({"b": 300.0})
    crowd, network = noisy({"a": 123.0, "b": 300.0, "c": 50.0}, count=400)
    mine = network.by_name["toy.all.b"].neurons
    assert (counts(crowd, range(20))[:, mine] == counts(alone, range(20))).all()
    other = network.by_name["toy.all.a"].neurons
    assert (counts(crowd, range(20))[:, other] != counts(alone, range(20))).any()


def test_parts_draw_the_same_in_any_order():
    """Also when the neurons of a population that comes later lie before those of another one."""
    rates = {"b": 200.0, "a": 900.0}
    whole, _ = noisy(rates, count=1001)
    parts, _ = noisy(rates, count=1001, threads=3)
    each = functools.partial(part_by_part, background_noise)
    assert (counts(whole, range(20)) == counts(parts, range(20), call=each)).all()


def test_a_psp_of_nothing_and_a_place_without_neuron_add_nothing():
    world, network = noisy({"a": 900.0, "b": 0.0}, count=5)
    table = world.tables["background"]
    assert table[Background.first].tolist() == [0] and table[Background.count].tolist() == [5]
    assert counts(world, range(50))[:, network.by_name["toy.all.b"].neurons].sum() == 0
    table[Background.psp][:] = 0
    assert counts(world, range(50)).sum() == 0


def test_events_add_to_what_synapses_bring():
    world, _ = noisy({"a": 900.0}, count=50)
    world[Now.tick][0] = 1
    before = np.arange(50, dtype=np.int32)
    world[Arrivals.ampa][:] = before
    background_noise(world.tables["background"], world)
    added = world[Arrivals.ampa] - before
    assert added.sum() > 0 and not (added % UNIT).any()


def test_a_rate_beyond_what_a_tick_can_count_is_refused():
    with pytest.raises(Exception, match="at most 2000 Hz"):
        noisy({"a": 2001.0})
