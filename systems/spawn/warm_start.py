"""Start populations as though they had been firing at their target rates: spikes under way, synapses open."""

from __future__ import annotations

import numpy as np

from components.network import Fanout, Synapse
from components.neuron import Ampa, Membrane, Nmda
from engine.kernel import kernel
from engine.world import World
from systems.spawn.network import RECEPTORS, UNIT, Network, fanout_of

TOGETHER = 1 << 26  # draws and arrivals of surrogates handled at a time
PAST = 40  # ticks before the start whose arrivals still stand in the synaptic drives (3 slow-inhibition constants)


def warm_start(world: World, network: Network, profile: str, substeps: int) -> None:
    """Fill delay rings and synaptic drives from Poisson surrogates of every population with a target rate.

    A recurrent cortex near its working point needs seconds to climb there from silence (it slows down critically);
    a start at the target spares every run those seconds. Nothing else remembers the surrogates.
    """
    chance = np.zeros(network.neuron_count)
    for p in network.populations:
        band = p.cell.bands.get(profile)
        if band is not None and band.target:
            chance[p.neurons] = band.target / 1000.0
    if not chance.any():
        return
    rng = world.streams.generator("warm start")
    for name, receptor in network.receptor_of.items():
        if receptor == "nmda":  # with so little of it at rest, it starts from none
            continue
        table, component = world.tables[name], RECEPTORS[receptor][0]
        start, ring = fanout_of(table), world.tables[f"synapses_{receptor}"][Fanout.ring]
        slots, total = ring.shape
        history = slots + PAST
        parcel = table[Fanout.parcel] if Fanout in table else None
        delays, weights, posts = (None, None, None) if parcel is not None else (
            table[Synapse.delay], table[Synapse.weight], table[Synapse.post])  # fmt: skip
        sources = np.flatnonzero(start[:, 0] < start[:, -1])
        for rows in some(start, chance, history):
            begin, end = np.clip([sources[0], sources[-1] + 1], rows.start, rows.stop)
            skip(rng, (begin - rows.start) * history)
            number, when = np.nonzero(rng.random((end - begin, history), dtype=np.float32)
                                      < chance[begin:end, None])  # fmt: skip
            skip(rng, (rows.stop - end) * history)
            first, last = start[begin:end][number, 0], start[begin:end][number, -1]
            lengths = last - first
            row = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
            if parcel is not None:
                word = parcel[row]
                post, amount = (word & np.uint64(0xFFFFFF)).astype(np.int32), (word >> np.uint64(32)).astype(np.int64)
                delay = (word >> np.uint64(24)).astype(np.uint8)
            else:
                post, delay = posts[row], delays[row]
                amount = (weights[row] * np.float32(UNIT) + np.float32(0.5)).astype(np.int64)
            arrival = np.repeat(when - history, lengths) + delay  # tick of arrival; the run starts at 0
            coming = arrival >= 0
            add_arrivals(ring, arrival[coming], post[coming], amount[coming])
            past = (arrival < 0) & (arrival >= -PAST)
            open_drives(world, component, arrival[past], post[past], amount[past], substeps)
            if component is Ampa and any(Nmda in t for t in world.tables_with([Membrane])):
                whole = slice(start[rows.start, 0], start[rows.stop - 1, -1])
                source = np.repeat(chance[rows], start[rows, -1] - start[rows, 0])
                if parcel is not None:
                    post, amount = parcel[whole] & np.uint64(0xFFFFFF), parcel[whole] >> np.uint64(32)
                else:
                    post, amount = posts[whole], weights[whole] * np.float32(UNIT)
                fill_slow(world, np.bincount(post.astype(np.int64), amount * source, total))


def skip(rng: np.random.Generator, draws: int) -> None:
    """Leave out an even number of float32 draws: of its words the generator makes four at a time, each good for two."""
    words, source = int(draws) // 2, rng.bit_generator
    left = min(words, 4 - source.state["buffer_pos"])  # of the four that are made already
    source.random_raw(left, output=False)
    if words > left:
        source.advance((words - left) // 4)
        source.random_raw((words - left) % 4, output=False)


def some(start: np.ndarray, chance: np.ndarray, history: int):
    """Ranges of neurons whose surrogates make about `TOGETHER` arrivals, so that large networks take no more memory."""
    total = chance.size
    arrivals = np.cumsum(history * (4 + chance * (start[:, -1] - start[:, 0])))
    ends = [*np.searchsorted(arrivals, np.arange(TOGETHER, arrivals[-1], TOGETHER)), total]
    first = 0
    for end in ends:
        if end > first:
            yield slice(first, end)
            first = end


@kernel
def add_arrivals(ring, arrival, post, amount):
    """ring[arrival, post] += amount; shapes [slots, neurons] and [arrivals]."""
    for k in range(arrival.shape[0]):
        ring[arrival[k], post[k]] += np.int32(amount[k])


def open_drives(world: World, component, arrival, post, amount, substeps: int) -> None:
    """Set a receptor's drive from arrivals at ticks -PAST .. -1."""
    at = 0
    for table in world.tables_with([Membrane]):
        rows = slice(at, at + table.row_count)
        at += table.row_count
        if component not in table:
            continue
        here = (post >= rows.start) & (post < rows.stop)
        row = post[here] - rows.start
        fade = table[component.decay][row].astype(float) ** (substeps * (-arrival[here] - 0.5))
        units = np.bincount(row, amount[here] * fade, minlength=table.row_count)
        table[component.i][:] += units * table[component.jump] * substeps


def fill_slow(world: World, mean: np.ndarray) -> None:
    """Set NMDA drives to what the `mean` arrivals per tick [2^-16 mV; neurons] hold them at: they outlast the past."""
    at = 0
    for table in world.tables_with([Membrane]):
        rows = slice(at, at + table.row_count)
        at += table.row_count
        if Nmda in table:
            table[Nmda.i][:] += mean[rows] * table[Nmda.jump] / (1.0 - table[Nmda.decay])
