"""deliver_spikes: exact delays, integer sums, saturation counted, Dale's law."""

import functools

import numpy as np
import pytest

from components.network import Arrivals, Fanout, Spikes, Synapse, Threads
from components.neuron import Membrane
from engine.schedule import Now
from systems.deliver_spikes import LIMIT, deliver_spikes, parcels
from tests.systems.nets import build, cell, part_by_part

UNIT = 65536


def fire(world, *neurons: int) -> None:
    """These neurons, ascending, fired in the tick that just ended."""
    world[Spikes.ids][: len(neurons)] = neurons
    world[Spikes.count][0] = len(neurons)


def arrivals(world, table, tick: int, call=deliver_spikes) -> np.ndarray:
    """What reaches every neuron of the table's receptor in `tick` [mV]."""
    world[Now.tick][0] = tick
    call(table, world)
    fire(world)
    return table[Fanout.arrived] / UNIT


def chain(delay_ms: int, receptor: str = "ampa", psp: str = "2 mV"):
    """a -> b, one synapse of 2 mV."""
    world, _, _ = build(
        {"a": cell(acts_on=receptor), "b": cell()},
        [{"from": "a", "to": "b", "indegree": 1, "psp": psp, "psp_cv": 0, "delay": f"{delay_ms} ms"}],
    )
    return world, world.tables[f"synapses_{receptor}"]


@pytest.mark.parametrize("delay", [1, 2, 3, 7, 8, 63, 64, 127, 128, 250])
@pytest.mark.parametrize("first", [0, 5, 1021])
def test_a_spike_of_tick_t_arrives_in_tick_t_plus_delay_once(delay, first):
    world, table = chain(delay)
    arrivals(world, table, first)
    fire(world, 0)
    seen = {tick: arrivals(world, table, tick)[1] for tick in range(first + 1, first + 2 * delay + 300)}
    assert {tick: mv for tick, mv in seen.items() if mv} == {first + delay: 2.0}


@pytest.mark.parametrize("receptor", ["ampa", "gaba", "gaba_slow"])
def test_each_receptor_has_its_own_arrivals(receptor):
    world, table = chain(1, receptor)
    fire(world, 0)
    world[Now.tick][0] = 5
    deliver_spikes(table, world)
    for name, column in (("ampa", Arrivals.ampa), ("gaba", Arrivals.gaba), ("gaba_slow", Arrivals.gaba_slow)):
        assert world[column].tolist() == ([0, 2 * UNIT] if name == receptor else [0, 0])


def net(threads: int = 1, seed: int = 1):
    return build(
        {"e": cell(count=500), "i": cell(count=300, acts_on="gaba")},
        [
            {"from": "e", "to": "e", "indegree": 60, "psp": "0.7 mV", "delay": ["1 ms", "20 ms"]},
            {"from": "e", "to": "i", "indegree": 50, "psp": "0.9 mV", "delay": ["1 ms", "9 ms"]},
            {"from": "i", "to": "e", "indegree": 30, "psp": "2 mV", "delay": ["1 ms", "3 ms"]},
        ],
        threads=threads, seed=seed,
    )  # fmt: skip


def sources(table) -> np.ndarray:
    """Presynaptic neuron of every synapse."""
    start = table[Fanout.start]
    return np.repeat(np.arange(start.shape[0]), start[:, -1] - start[:, 0])


def test_arrivals_equal_a_plain_sum_over_synapses():
    """Random spikes for 200 ticks against a dictionary of what is due, to the last bit."""
    world, _, _ = net()
    rng = np.random.default_rng(1)
    for receptor in ("ampa", "gaba"):
        table = world.tables[f"synapses_{receptor}"]
        pre, due = sources(table), np.zeros((260, 800), np.int64)
        steps = np.floor(table[Synapse.weight] * np.float32(UNIT) + np.float32(0.5)).astype(np.int64)
        fired = np.zeros(0, np.int64)
        for tick in range(200):
            fire(world, *fired)
            hit = np.isin(pre, fired)
            np.add.at(due, (tick - 1 + table[Synapse.delay][hit].astype(int), table[Synapse.post][hit]), steps[hit])
            assert (arrivals(world, table, tick) * UNIT == due[tick]).all()
            fired = np.flatnonzero(rng.random(800) < (0.5 if tick % 20 == 0 else 0.02))
        assert due.sum() > 0 and table[Fanout.saturated].sum() == 0


def test_parts_deliver_the_same_in_any_order():
    rng = np.random.default_rng(2)
    one, two = net(1)[0], net(2)[0]
    assert two[Threads.bounds].tolist() == [0, 400, 800]
    each = functools.partial(part_by_part, deliver_spikes)
    for tick in range(100):
        fired = np.flatnonzero(rng.random(800) < 0.05)
        for receptor in ("ampa", "gaba"):
            got = []
            for world, call in ((one, deliver_spikes), (two, each)):
                fire(world, *fired)
                got.append(arrivals(world, world.tables[f"synapses_{receptor}"], tick, call).copy())
            assert np.array_equal(*got)
    assert got[0].any()


def test_the_order_of_spikes_does_not_matter():
    world, _, _ = net()
    table = world.tables["synapses_ampa"]
    order = np.arange(0, 500, 3)
    fire(world, *order)
    first = arrivals(world, table, 1).copy(), table[Fanout.ring].copy()
    table[Fanout.ring][:] = 0
    fire(world, *order[::-1])
    second = arrivals(world, table, 1), table[Fanout.ring]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_what_exceeds_the_range_is_clipped_and_counted():
    """2^30 units are 16,384 mV; more than that in one tick is no longer a number to be trusted."""
    world, table = chain(1)
    slots = table[Fanout.ring].shape[0]
    for total, expected, lost in ((LIMIT, LIMIT, 0), (LIMIT + 1, LIMIT, 1), (-5, LIMIT, 1)):  # negative: wrapped round
        table[Fanout.saturated][:] = 0
        table[Fanout.ring][7 & (slots - 1), 1] = total
        assert arrivals(world, table, 7)[1] * UNIT == expected and table[Fanout.saturated].sum() == lost


def test_weights_are_never_negative_and_delays_never_zero():
    """Dale's law: the receptor gives the sign, and a source opens one receptor only."""
    world, _, _ = net()
    openers = {}
    for receptor in ("ampa", "gaba"):
        table = world.tables[f"synapses_{receptor}"]
        assert table.row_count and (table[Synapse.weight] >= 0).all() and (table[Synapse.delay] >= 1).all()
        openers[receptor] = set(sources(table).tolist())
    assert openers["ampa"] <= set(range(500)) and openers["gaba"] <= set(range(500, 800))


def test_synapses_are_sorted_by_source_then_target_and_indexed():
    for threads in (1, 2, 3):
        world, _, _ = net(threads)
        bounds = world[Threads.bounds]
        for receptor in ("ampa", "gaba"):
            table = world.tables[f"synapses_{receptor}"]
            start, post, pre = table[Fanout.start], table[Synapse.post], sources(table)
            assert (np.diff(pre.astype(np.int64) * 800 + post) >= 0).all() and start[-1, -1] == post.size
            for part in range(threads):
                for k in (0, 399, 400, 499, 500, 799):
                    mine = post[start[k, part] : start[k, part + 1]]
                    assert ((mine >= bounds[part]) & (mine < bounds[part + 1])).all()


def test_in_degrees_and_summed_weights_are_as_declared():
    world, _, _ = net()
    pre, table = sources(world.tables["synapses_ampa"]), world.tables["synapses_ampa"]
    post, weight = table[Synapse.post], table[Synapse.weight].astype(float)
    assert (np.bincount(post[post < 500], minlength=500) == 60).all() and (np.bincount(post)[500:] == 50).all()
    assert np.bincount(post, weight)[:500] == pytest.approx(60 * 0.7, rel=1e-4)
    assert not (pre == post).any(), "no autapses"
    delays = table[Synapse.delay][post < 500]
    assert delays.min() == 1 and delays.max() == 20


def test_a_world_without_spikes_receives_nothing():
    world, _, runner = net()
    for table in world.tables_with([Membrane]):
        table[Membrane.v][:] = 0
    for _ in range(30):
        runner.step()
    assert world[Spikes.count][0] == 0 and not world[Arrivals.ampa].any()


def test_a_parcel_holds_target_delay_and_weight_to_its_limits():
    """The largest index, delay and weight share one word without touching each other; half units round up."""
    post, delay = np.array([0, 2**24 - 1, 5], np.int32), np.array([1, 255, 7], np.uint8)
    weight = np.array([0.0, 8192.0, 2.5 / UNIT], np.float32)
    made = parcels(post, weight, delay).tolist()
    assert made == [1 << 24, 2**24 - 1 | 255 << 24 | (1 << 29) << 32, 5 | 7 << 24 | 3 << 32]
