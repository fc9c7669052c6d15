"""Laying synapses out: against a sort by numpy; packed tables and pieces of the warm start change nothing."""

import itertools

import numpy as np
import pytest

from components.network import Fanout, Synapse
from systems.deliver_spikes import parcels
from systems.spawn import connectome as connectomes
from systems.spawn import network as net
from systems.spawn import warm_start as warm
from systems.spawn.synapse_layout import Chunk, lay
from tests.systems.nets import build, cell, spikes_of
from tools import bench_networks

N = 50  # neurons
BOUNDS = np.array([0, 17, N], np.int64)


def chunks(rng, number: int = 4) -> list[Chunk]:
    found = []
    for k in range(number):
        size = int(rng.integers(1, 400))
        pre, post = rng.integers(0, N - 1, size), rng.integers(0, N, size)
        weight, delay = rng.random(size, np.float32), rng.integers(1, 20, size)
        found.append(Chunk(pre.astype(np.int32), post.astype(np.int32), weight, delay.astype(np.uint8), k, k % 2))
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_layout_equals_a_stable_sort_by_source_and_target(packed):
    rng = np.random.default_rng(4)
    given = chunks(rng)
    pre, post, weight, delay = (np.concatenate([getattr(c, k) for c in given])
                                for k in ("pre", "post", "weight", "delay"))  # fmt: skip
    number = np.concatenate([np.full(c.pre.size, c.projection) for c in given])
    order = np.lexsort((np.arange(pre.size), post, pre))
    made = lay(list(given), BOUNDS, parcels if packed else None, 4)
    if packed:
        assert np.array_equal(made.parcel, parcels(post[order], weight[order], delay[order]))
        assert made.projection.dtype == np.uint8 and made.post is None
    else:
        assert np.array_equal(made.post, post[order]) and np.array_equal(made.weight, weight[order])
        assert np.array_equal(made.delay, delay[order]) and np.array_equal(made.group, number[order] % 2)
    assert np.array_equal(made.projection, number[order])
    expected = [[((pre < s) | ((pre == s) & (post < b))).sum() for b in BOUNDS] for s in range(N)]
    assert np.array_equal(made.start, expected)


CELLS = {
    "e": cell(count=200, background={"psp": "2 mV", "rate": "200 Hz"}),
    "i": cell(count=50, acts_on="gaba", background={"psp": "2 mV", "rate": "300 Hz"}),
}
JOINED = [
    {"from": a, "to": b, "indegree": 30, "psp": "0.7 mV", "delay": ["1 ms", "9 ms"]} for a in CELLS for b in CELLS
]


def test_a_packed_table_gives_the_same_spikes_and_its_columns_on_demand(monkeypatch):
    world, _, runner = build(CELLS, JOINED)
    spikes = spikes_of(world, runner, 200)
    monkeypatch.setattr(net, "PACKED", 1)
    small, network, runner = build(CELLS, JOINED)
    for name in ("synapses_ampa", "synapses_gaba"):
        wide, packed = world.tables[name], small.tables[name]
        assert Synapse.post not in packed.columns and packed.row_count == wide.row_count
        assert np.array_equal(packed[Synapse.post], wide[Synapse.post])
        assert np.array_equal(packed[Synapse.delay], wide[Synapse.delay])
        assert np.abs(packed[Synapse.weight] - wide[Synapse.weight]).max() <= 2.0**-17  # mV: half a unit of delivery
        assert np.array_equal(packed[Fanout.parcel], wide[Fanout.parcel])
        assert packed[Fanout.parcel].nbytes + network.projection_of[name].nbytes == 9 * packed.row_count
    assert all(np.array_equal(a, b) for a, b in zip(spikes_of(small, runner, 200), spikes, strict=True))
    assert spikes[0].size > 100


def test_arrivals_of_a_warm_start_do_not_depend_on_how_many_are_handled_together(monkeypatch):
    rings = []
    for together in (warm.TOGETHER, 20_000):
        monkeypatch.setattr(warm, "TOGETHER", together)
        world, _, _ = bench_networks.columns(1000)
        rings.append([world.tables[f"synapses_{r}"][Fanout.ring] for r in ("ampa", "gaba")])
    assert all(np.array_equal(a, b) for a, b in zip(*rings, strict=True)) and rings[0][0].any()


def test_ranges_of_the_warm_start_cover_every_neuron_once(monkeypatch):
    monkeypatch.setattr(warm, "TOGETHER", 1000)
    start = np.arange(0, 12 * 101, 12)[:, None] + np.array([0, 12])
    found = list(warm.some(start, np.full(101, 0.005), 60))
    assert found[0].start == 0 and found[-1].stop == 101 and len(found) > 5
    assert all(a.stop == b.start for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_iterated_spectral_radius_is_the_largest_eigenvalue(monkeypatch, symmetric):
    rng = np.random.default_rng(2)
    matrix = rng.random((60, 60)) * (rng.random((60, 60)) < 0.2)
    matrix = (matrix + matrix.T) / 2 if symmetric else matrix
    exact = np.abs(np.linalg.eigvals(matrix)).max()
    assert connectomes.spectral_radius(matrix, symmetric) == pytest.approx(exact, rel=1e-12)
    monkeypatch.setattr(connectomes, "DENSE", 10)
    assert connectomes.spectral_radius(matrix, symmetric) == pytest.approx(exact, rel=1e-9)


def test_columns_are_the_same_at_every_size():
    """100 synapses per neuron, whole numbers of each kind; tracts of 3 to 25 ms."""
    for regions in (40, 90):
        world, network, _ = bench_networks.columns(200 * regions)
        assert network.neuron_count == 200 * regions and network.synapse_count == 100 * network.neuron_count
        for name, each in (("synapses_ampa", 80), ("synapses_gaba", 20)):
            indegree = np.bincount(world.tables[name][Synapse.post], minlength=network.neuron_count)
            assert (indegree == each).all()
        delay = world.tables["synapses_ampa"][Synapse.delay]
        assert delay.min() == 1 and delay.max() == 25
