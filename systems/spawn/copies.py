"""Copies of a brain side by side in one world: other seeds or parameters, one tick for all.

A copy fires the very spikes it fires alone: its neurons, its wiring, its noise and its spikes under way are those of
the simulation it is made from, only their numbers are others. A tick of many small copies costs little more than one of
a single copy, since most of that is the way from Python to the kernels and back.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from components.network import Fanout, Inputs, SpikeLog, Spikes, Synapse
from components.neuron import Background, BackgroundRates, Membrane, TickConstants
from components.timing import Substeps
from engine.errors import UserError
from engine.schedule import Now, Runner
from engine.units import quantity
from engine.world import World
from systems.flush_spikes import BLOCK, SpikeObserver, _chain
from systems.schedule import TICK
from systems.spawn import network as net
from systems.spawn.learning import presynaptic
from systems.spawn.synapse_layout import Chunk
from systems.timeline import Targets, Timeline


class Copies:
    """Simulations that have not run yet, laid side by side. `neurons[b]` is where the neurons of copy b are here."""

    def __init__(self, sims: Sequence, *, threads: int = 1):
        started = time.perf_counter()
        check(sims)
        first = sims[0]
        self.seeds = [sim.seed for sim in sims]
        self.world = World(first.seed, threads=threads, strict=first.world.strict)
        self.neurons, total = places(sims)
        self.network = joined_network(sims, self.neurons, total)
        world = self.world
        world.set_array(Now.tick, np.zeros(1, np.int64))
        world.set_array(Substeps.count, first.world[Substeps.count].copy())
        lay_neurons(world, sims, self.neurons, total)
        lay_background(world, sims, self.neurons)
        net.share_rows(world, self.network)
        lay_synapses(world, self.network, sims, self.neurons)
        timeline = world.add_object(Timeline(Targets(self.network)))
        for action in (*first.timeline.active, *first.timeline.coming):
            timeline.add(replace(action))
        self.spikes = world.add_object(SpikeObserver())
        self.runner = Runner(world, TICK, {"tick": 1, "body step": 1, "block": BLOCK, "sample": 1 << 30})
        self.copy_of, self.own = np.zeros(total, np.int32), np.zeros(total, np.int32)
        for b, here in enumerate(self.neurons):
            self.copy_of[here], self.own[here] = b, np.arange(here.size)
        self.digests = [bytes(16)] * len(sims)
        self.counts = np.zeros(total, np.int64)
        self.spikes.listeners.append(self._take)
        self.wall_s, self.load_s = 0.0, time.perf_counter() - started

    def run(self, duration: str | float) -> Copies:
        """Advance all copies by a whole number of ticks."""
        ms = quantity(duration, "time") if isinstance(duration, str) else duration
        started = time.perf_counter()
        self.runner.run(round(ms))
        self.wall_s += time.perf_counter() - started
        return self

    @property
    def time_s(self) -> float:
        return self.world.tick / 1000.0

    def _take(self, ids: np.ndarray, ticks: np.ndarray, substeps: np.ndarray) -> None:
        self.counts += np.bincount(ids, minlength=self.counts.size)
        self.digests = self._chained(ids, ticks, substeps)

    def _chained(self, ids, ticks, substeps) -> list[bytes]:
        of = self.copy_of[ids]
        order = np.argsort(of, kind="stable")
        ends = np.searchsorted(of[order], np.arange(len(self.digests) + 1))
        out = []
        for b, digest in enumerate(self.digests):
            mine = order[ends[b] : ends[b + 1]]
            out.append(_chain(digest, self.own[ids[mine]], ticks[mine], substeps[mine]))
        return out

    @property
    def spike_hashes(self) -> list[str]:
        """Each copy's hash of all its spikes: the one it would have alone."""
        found = int(self.world[SpikeLog.count][0])
        log = (self.world[c][:found] for c in (SpikeLog.ids, SpikeLog.ticks, SpikeLog.substeps))
        return [digest.hex() for digest in self._chained(*log)]

    def rate_hz(self, selector: str) -> np.ndarray:
        """Mean rate of the selected neurons since the start, per copy; shape [copies]."""
        found = int(self.world[SpikeLog.count][0])
        counts = self.counts + np.bincount(self.world[SpikeLog.ids][:found], minlength=self.counts.size)
        chosen = np.zeros(counts.size, bool)
        chosen[self.network.neurons(selector)] = True
        spikes = np.array([counts[here[chosen[here]]].sum() for here in self.neurons])
        cells = np.array([chosen[here].sum() for here in self.neurons])
        return spikes / cells / max(self.time_s, 1e-3)


def check(sims: Sequence) -> None:
    """One line about what cannot be laid side by side."""
    first = sims[0]
    for sim in sims:
        tables = [(t.name, t.row_count) for t in sim.world.tables_with([Membrane])]
        if sim.network is None:
            raise UserError("--batch: this scene has no brain")
        if sim.physics is not None:
            raise UserError("--batch: copies of a brain have no body; leave it out (--set body=null)")
        if tables != [(t.name, t.row_count) for t in first.world.tables_with([Membrane])]:
            raise UserError("--batch: expected copies with the same neurons")
        if odd := next((name for name in sim.network.receptor_of if Fanout not in sim.world.tables[name]), None):
            raise UserError(f"--batch: {odd}: modulated and learning synapses cannot be laid side by side yet")
        if sim.tick or sim.network.receptor_of != first.network.receptor_of:
            raise UserError("--batch: expected copies that have not run yet, with synapses of the same kinds")


def places(sims: Sequence) -> tuple[list[np.ndarray], int]:
    """Where each copy's neurons go (table by table, copy by copy; [neurons of a copy]), and how many there are."""
    count, copies = sims[0].network.neuron_count, len(sims)
    found = [np.zeros(count, np.int64) for _ in sims]
    at = 0
    for table in sims[0].world.tables_with([Membrane]):
        for b in range(copies):
            found[b][at : at + table.row_count] = at * copies + b * table.row_count + np.arange(table.row_count)
        at += table.row_count
    return found, count * copies


def joined_network(sims: Sequence, neurons: list[np.ndarray], total: int) -> net.Network:
    """Populations of all copies under their names: a selector takes those of every copy."""
    first = sims[0].network
    network = net.Network(structures=list(first.structures), circuits=list(first.circuits), neuron_count=total,
                          connectome=first.connectome, parameters=dict(first.parameters))  # fmt: skip
    network.populations = [replace(p, first=int(here[p.first])) for sim, here in zip(sims, neurons, strict=True)
                           for p in sim.network.populations]  # fmt: skip
    counts = [sum(sim.network.projections[k].count for sim in sims) for k in range(len(first.projections))]
    network.projections = [replace(p, count=n) for p, n in zip(first.projections, counts, strict=True)]
    return network


def lay_neurons(world: World, sims: Sequence, neurons: list[np.ndarray], total: int) -> None:
    """Tables of all copies' rows, one copy after another."""
    fired, arrivals, inputs = net.make_vectors(world, total)
    at = 0
    for table in sims[0].world.tables_with([Membrane]):
        rows = table.row_count
        made = world.add_table(table.name, table.components, rows * len(sims))
        net.share_vectors(made, slice(at, at + rows * len(sims)), fired, arrivals, inputs)
        at += rows * len(sims)
        twins = [sim.world.tables[table.name] for sim in sims]
        for column in made.columns:
            made[column][:] = np.concatenate([twin[column] for twin in twins])
        runs = [twin[TickConstants.run][:-1] + b * rows for b, twin in enumerate(twins)]
        made.set_side(TickConstants.run, np.concatenate([*runs, [rows * len(sims)]]).astype(np.int32))
        made.set_side(TickConstants.rows, np.concatenate([twin[TickConstants.rows] for twin in twins]))
    for sim, here in zip(sims, neurons, strict=True):
        world[Inputs.spread][here] = sim.world[Inputs.spread]
        world[Spikes.fired][here] = sim.world[Spikes.fired]


def lay_background(world: World, sims: Sequence, neurons: list[np.ndarray]) -> None:
    """Blocks of all copies, each with its own keys and rates."""
    found = [(sim.world.tables["background"], here) for sim, here in zip(sims, neurons, strict=True)
             if "background" in sim.world.tables]  # fmt: skip
    if not found:
        return
    table = world.add_table("background", [Background, BackgroundRates], sum(t.row_count for t, _ in found))
    at = classes = 0
    for twin, here in found:
        rows = slice(at, at + twin.row_count)
        at += twin.row_count
        for column in Background.columns:
            table[column][rows] = twin[column]
        table[Background.first][rows] = here[twin[Background.first]]
        table[Background.rate_class][rows] += classes
        classes += twin[BackgroundRates.threshold].shape[0]
    table.set_side(BackgroundRates.threshold, np.concatenate([t[BackgroundRates.threshold] for t, _ in found]))


def lay_synapses(world: World, network: net.Network, sims: Sequence, neurons: list[np.ndarray]) -> None:
    """Synapses within each copy, and its spikes under way."""
    for name, receptor in sims[0].network.receptor_of.items():
        chunks, slots = [], 1
        for sim, here in zip(sims, neurons, strict=True):
            table, number = sim.world.tables[name], sim.network.projection_of[name]
            slots = max(slots, table[Fanout.ring].shape[0])
            pre, post = here[presynaptic(table)].astype(np.int32), here[table[Synapse.post]].astype(np.int32)
            weight, delay = table[Synapse.weight], table[Synapse.delay]
            for k in np.unique(number):
                rows = number == k
                chunks.append(Chunk(pre[rows], post[rows], weight[rows], delay[rows], int(k)))
        net.lay_out(world, network, receptor, "", chunks, slots)
        ring = world.tables[name][Fanout.ring]
        for sim, here in zip(sims, neurons, strict=True):
            under_way = sim.world.tables[name][Fanout.ring]
            ring[: under_way.shape[0], here] = under_way
