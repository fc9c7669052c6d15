"""Start populations as though they had been firing at their target rates: spikes under way, synapses open."""

from __future__ import annotations

import numpy as np

from components.network import Fanout, Synapse
from components.neuron import Ampa, Membrane, Nmda
from engine.world import World
from systems.spawn.network import RECEPTORS, UNIT, Network, fanout_of

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
        table, component = world.tables[name], RECEPTORS[receptor][0]
        start, ring, delays = fanout_of(table), world.tables[f"synapses_{receptor}"][Fanout.ring], table[Synapse.delay]
        slots, total = ring.shape
        history = slots + PAST
        number, when = np.nonzero(rng.random((total, history), dtype=np.float32) < chance[:, None])
        first, last = start[number, 0], start[number, -1]
        lengths = last - first
        rows = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
        arrival = np.repeat(when - history, lengths) + delays[rows]  # tick of arrival; the run starts at 0
        amount = (table[Synapse.weight][rows] * np.float32(UNIT) + np.float32(0.5)).astype(np.int64)
        post = table[Synapse.post][rows]
        coming = arrival >= 0
        cells = arrival[coming].astype(np.int64) * total + post[coming]
        ring += np.bincount(cells, amount[coming], minlength=ring.size).reshape(ring.shape).astype(np.int32)
        past = (arrival < 0) & (arrival >= -PAST)
        open_drives(world, component, arrival[past], post[past], amount[past], substeps)
        if component is Ampa:
            sources = np.repeat(np.arange(total), start[:, -1] - start[:, 0])
            charge = table[Synapse.weight] * np.float32(UNIT) * chance[sources].astype(np.float32)
            fill_slow(world, np.bincount(table[Synapse.post], charge, total))


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
