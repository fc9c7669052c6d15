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
    tables = {}
    for name, receptor in network.receptor_of.items():
        if receptor == "nmda":  # with so little of it at rest, it starts from none
            continue
        ring = world.tables[f"synapses_{receptor}"][Fanout.ring]
        tables[name] = fanout_of(world.tables[name]), ring
    history = PAST + max(ring.shape[0] for _, ring in tables.values())
    sources, ago = surrogates(world, network, chance, history)
    for name, (start, ring) in tables.items():
        component, table = RECEPTORS[network.receptor_of[name]][0], world.tables[name]
        total = ring.shape[1]
        parcel = table[Fanout.parcel] if Fanout in table else None
        delays, weights, posts = (None, None, None) if parcel is not None else (
            table[Synapse.delay], table[Synapse.weight], table[Synapse.post])  # fmt: skip
        for rows in some(start, chance, history):
            here = slice(*np.searchsorted(sources, [rows.start, rows.stop]))
            number, when = sources[here], -1 - ago[here]
            first, last = start[number, 0], start[number, -1]
            lengths = last - first
            row = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
            if parcel is not None:
                word = parcel[row]
                post, amount = (word & np.uint64(0xFFFFFF)).astype(np.int32), (word >> np.uint64(32)).astype(np.int64)
                delay = (word >> np.uint64(24)).astype(np.uint8)
            else:
                post, delay = posts[row], delays[row]
                amount = (weights[row] * np.float32(UNIT) + np.float32(0.5)).astype(np.int64)
            arrival = np.repeat(when, lengths) + delay  # tick of arrival; the run starts at 0
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


def surrogates(world: World, network: Network, chance: np.ndarray, history: int) -> tuple[np.ndarray, np.ndarray]:
    """Poisson spikes of the last `history` ticks: each one's neuron, ascending, and how many ticks ago it was.

    Each population draws from its own stream, latest tick first: neither others nor a longer history move its draws.
    `chance` [neurons] is the probability of a spike in a tick.
    """
    sources, ticks = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for p in sorted(network.populations, key=lambda p: p.first):
        if chance[p.first] == 0.0:
            continue
        rng = world.streams.generator(f"warm start/{p.name}")
        at_once = max(1, TOGETHER // p.count)
        ago, number = [], []
        for begin in range(0, history, at_once):
            drawn = rng.random((min(at_once, history - begin), p.count), dtype=np.float32)
            tick, row = np.nonzero(drawn < chance[p.first])
            ago.append(tick + begin)
            number.append(row + p.first)
        ago, number = np.concatenate(ago), np.concatenate(number)
        order = np.argsort(number, kind="stable")
        sources.append(number[order])
        ticks.append(ago[order])
    return np.concatenate(sources), np.concatenate(ticks)


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
