"""Many copies of one small network at once: a lane each, with its own gains, drives, lesions and noise.

The network is taken from a running simulation, so wiring, delays and constants are the engine's own; the arithmetic of
a tick is that of lif_integrate and deliver_spikes, operation by operation, on sixteen lanes in a register. Background
events follow the same law from another generator. Without background a lane fires the very spikes the engine does.
"""

from __future__ import annotations

import numpy as np

from components.network import Fanout, Synapse
from components.neuron import Adaptation, GabaSlow, LowThreshold, Membrane, Nmda, TickConstants
from engine.errors import UserError
from engine.kernel import kernel
from engine.lanes import LANES, bits, floats, ints, load, lowest, store, where
from systems.lif_integrate import (
    DT,
    EA,
    ED,
    EK,
    EL,
    FD,
    FED,
    FEJ,
    FEK,
    FID,
    FIJ,
    FIK,
    FRE,
    FRF,
    IA,
    ID,
    IK,
    IL,
    TINY,
)  # fmt: skip
from systems.spawn.learning import presynaptic
from systems.spawn.network import UNIT, sources_of, target_of

EVENTS = 10  # background events of a neuron in a tick at most: at 1,000 Hz more come once in 1e8 ticks
WIDTH = 32  # lanes run together: their state stays in cache


@kernel
def run_lanes(
    tick, ticks, substeps, live, constants, drive, threshold, a_decay, a_step, n_decay, n_jump, most, events, amount,
    start, post, delay, ring_of, weight, unit, every, replay, v, left, e, i, w, n_i, state, ring, counts,
):  # fmt: skip
    """Advance all lanes by `ticks`. Neuron arrays are [neurons, lanes] laid flat, `weight` [synapses, lanes] in
    2^-16 mV, `ring` [receptors, slots, neurons, lanes]; spikes are added to `counts` [bins, units, lanes] of `every`
    ticks each.
    Neurons from `live` on fire as `replay` [ticks, their number] says, a bit for each lane, and are not integrated.
    Background: a uniform number per lane (a congruential generator, Numerical Recipes 7.1) passes so many of the
    neuron's first `most` thresholds in `events`, P(events <= k) - 1/2 in units of 2^-32.
    """
    n, width = live, state.size
    slots = ring.shape[1]
    zero, one, tiny = floats(np.float32(0)), floats(np.float32(1)), floats(TINY)
    none, single = ints(np.int32(0)), ints(np.int32(1))
    factor, shift = ints(np.int32(1664525)), ints(np.int32(1013904223))
    flat = ring.ravel()
    size = slots * n * width
    who = np.empty(constants.shape[0] * width, np.int64)
    lane_of = np.empty(constants.shape[0] * width, np.int64)
    for t in range(tick, tick + ticks):
        slot = t & (slots - 1)
        found = 0
        for c in range(n):
            at = (slot * n + c) * width
            row = constants[c]
            dt = floats(row[DT])
            kept = one - dt
            for q in range(0, width, LANES):
                k, r = c * width + q, at + q
                u, ge, gi, towards = load(v, k, 16), load(e, k, 16), load(i, k, 16), load(drive, k, 16)
                come = load(flat, r, 16)
                if most[c]:
                    x32 = load(state, q, 16) * factor + shift
                    store(state, q, 16, x32)
                    drawn = none
                    for j in range(most[c]):
                        drawn = drawn + where(x32 > ints(events[c, j]), single, none)
                    come = come + drawn * ints(amount[c])
                ae, ai = floats(come), floats(load(flat, size + r, 16))
                hold, limit = load(left, k, 16), load(threshold, k, 16)
                if n_jump[c] > np.float32(0):
                    slow = load(n_i, k, 16) * floats(n_decay[c]) + ae * floats(n_jump[c])
                    store(n_i, k, 16, slow)
                    towards = towards + slow
                a = load(w, k, 16)
                towards = towards - a
                a = a * load(a_decay, k, 16)
                a = where(a > tiny, a, zero)
                free = u * dt + towards * kept
                up = ge * floats(row[EK]) + ae * floats(row[EA])
                down = gi * floats(row[IK]) + ai * floats(row[IA])
                far = (where(u > free, u, free) + up < limit) & (hold <= zero)
                x = free + up - down
                x = where((x > tiny) | (x < zero - tiny), x, zero)
                ne, ni = ge * floats(row[ED]) + ae * floats(row[EL]), gi * floats(row[ID]) + ai * floats(row[IL])
                ne, ni = where(ne > tiny, ne, zero), where(ni > tiny, ni, zero)
                if bits(far) != np.uint64(0xFFFF):
                    d = floats(row[FD])
                    pull = towards * (one - d)
                    ke, de, ki, di = floats(row[FEK]), floats(row[FED]), floats(row[FIK]), floats(row[FID])
                    je, ji = ae * floats(row[FEJ]), ai * floats(row[FIJ])
                    reset, still = floats(row[FRE]), floats(row[FRF])
                    stamped = zero
                    for _ in range(substeps):
                        y = pull + u * d + ge * ke - gi * ki
                        ge, gi = ge * de + je, gi * di + ji
                        y = where(hold <= zero, y, reset)
                        hit = y >= limit
                        stamped = where(hit, one, stamped)
                        u = where(hit, reset, y)
                        hold = where(hit, still, hold) - one
                    fired = where(far, zero, stamped) > zero
                    x, ne, ni = where(far, x, u), where(far, ne, ge), where(far, ni, gi)
                    store(left, k, 16, where(far, load(left, k, 16), where(hold > zero, hold, zero)))
                    a = where(fired, a + load(a_step, k, 16), a)
                    hits = bits(fired)
                    while hits:
                        b = lowest(hits)
                        hits &= hits - np.uint64(1)
                        who[found], lane_of[found] = c, q + b
                        found += 1
                store(v, k, 16, x)
                store(e, k, 16, ne)
                store(i, k, 16, ni)
                store(w, k, 16, a)
        for c in range(replay.shape[1]):
            hits = replay[t - tick, c]
            while hits:
                b = lowest(hits)
                hits &= hits - np.uint64(1)
                who[found], lane_of[found] = n + c, b
                found += 1
        flat[slot * n * width : (slot + 1) * n * width] = 0
        flat[size + slot * n * width : size + (slot + 1) * n * width] = 0
        for f in range(found):
            c, b = who[f], lane_of[f]
            if unit[c] >= 0:
                counts[t // every, unit[c], b] += np.uint16(1)
            for s in range(start[c], start[c + 1]):
                cell = ((ring_of[s] * slots + ((t + delay[s]) & (slots - 1))) * n + post[s]) * width + b
                flat[cell] += weight[s * width + b]


def upstream(network, structure: str) -> list:
    """Populations of a structure first, then all that reach them by synapses.

    Cells with slow currents, which a batch does not know, are left out if they may be silent at rest (their bands begin
    at 0 Hz) as they then wait for stimuli that a batch does not give.
    """
    waiting = {(p.structure, p.cell_name) for p in network.populations if p.structure != structure
               and p.cell.nmda is not None and all(band.rate[0] == 0.0 for band in p.cell.bands.values())}  # fmt: skip
    wanted = {(p.structure, p.cell_name) for p in network.populations if p.structure == structure}
    if not wanted:
        raise UserError(f"{structure}: no such structure in the scene")
    grown = True
    while grown:
        before = len(wanted)
        for p in network.projections:
            if p.count and target_of(p.spec, p) in wanted:
                wanted.update(set(sources_of(p.spec, p)) - waiting)
        grown = len(wanted) > before
    found = [p for p in network.populations if (p.structure, p.cell_name) in wanted]
    return sorted(found, key=lambda p: p.structure != structure)


class Lattice:
    """A network of a simulation cut down to some populations, ready to be run in lanes."""

    def __init__(self, sim, populations):
        world, network = sim.world, sim.network
        self.substeps = sim.scene.clock.substeps
        self.network, self.populations = network, populations
        neurons = np.concatenate([np.arange(p.first, p.first + p.count) for p in populations])
        self.of_population = np.repeat(np.arange(len(populations)), [p.count for p in populations])
        place = np.full(network.neuron_count, -1)
        place[neurons] = np.arange(neurons.size)
        self.neurons, self.place, n = neurons, place, neurons.size
        wanted = (Membrane.tonic, Membrane.threshold_intact, Adaptation.decay, Adaptation.step, Nmda.decay, Nmda.jump)
        columns = {c: np.zeros(network.neuron_count, np.float32) for c in wanted}
        rows = np.zeros((network.neuron_count, 25), np.float32)
        at = 0
        for table in world.tables_with([Membrane]):
            here = slice(at, at + table.row_count)
            at += table.row_count
            for c, values in columns.items():
                if c.owner in table:
                    values[here] = table[c]
            run = table[TickConstants.run]
            rows[here] = np.repeat(table[TickConstants.rows], np.diff(run), axis=0)
            chosen = place[here] >= 0
            if chosen.any() and (GabaSlow in table or LowThreshold in table):
                raise UserError("a batch knows membranes, fast synapses, NMDA and adaptation; some cells have more")
        self.constants = rows[neurons]
        self.tonic, self.threshold = columns[Membrane.tonic][neurons], columns[Membrane.threshold_intact][neurons]
        self.a_decay, self.a_step = columns[Adaptation.decay][neurons], columns[Adaptation.step][neurons]
        self.n_decay, self.n_jump = columns[Nmda.decay][neurons], columns[Nmda.jump][neurons]
        self._noise(world, n)
        parts = []
        for name, receptor in network.receptor_of.items():
            table = world.tables[name]
            pre, post = place[presynaptic(table)], place[table[Synapse.post]]
            inside = (pre >= 0) & (post >= 0) & (table[Synapse.weight] > 0)
            if Fanout not in table:
                if inside.any():
                    gained = network.projections[network.projection_of[name][inside][0]].name
                    raise UserError(f"{gained}: a batch knows no gains, gates or learning rules")
                continue
            ring = np.full(inside.sum(), ("ampa", "gaba").index(receptor))
            parts.append((pre[inside], post[inside], table[Synapse.weight][inside], table[Synapse.delay][inside],
                          network.projection_of[name][inside], ring))  # fmt: skip
        pre, post, weight, delay, project, ring = (np.concatenate(x) for x in zip(*parts, strict=True))
        order = np.argsort(pre, kind="stable")
        self.pre, self.post, self.weight = pre[order], post[order].astype(np.int64), weight[order]
        self.delay, self.project, self.ring_of = delay[order].astype(np.int64), project[order], ring[order]
        self.start = np.searchsorted(self.pre, np.arange(n + 1)).astype(np.int64)
        self.slots = 1 << int(self.delay.max()).bit_length()

    def _noise(self, world, n: int) -> None:
        from scipy.stats import poisson

        self.amount, self.hz = np.zeros(n, np.int32), np.zeros(n)
        for k, p in enumerate(self.populations):
            hz = self.network.background_hz.get(p.name, 0.0)
            if hz > 0 and "background" in world.tables:
                mine = self.of_population == k
                self.hz[mine] = hz
                self.amount[mine] = round(p.cell.background.psp * UNIT)
        below = poisson.cdf(np.arange(EVENTS)[None, :], self.hz[:, None] / 1000.0)
        self.events = (np.clip(np.rint(below * 2.0**32) - 1, 0, 2**32 - 1) - 2**31).astype(np.int32)
        self.most = np.where(self.hz > 0, 1 + (below < 1.0 - 1e-7).sum(axis=1), 0).clip(0, EVENTS)

    def rows_of(self, glob: str) -> np.ndarray:
        """Rows of the populations that a glob over structure.instance.cell selects."""
        return self.place[self.network.neurons(glob)]

    def projections_of(self, glob: str) -> np.ndarray:
        """Numbers of the projections that a glob over structure:name selects."""
        import fnmatch

        found = [k for k, p in enumerate(self.network.projections) if fnmatch.fnmatchcase(p.name, glob)]
        if not found:
            raise UserError(f"no projection matches {glob!r}")
        return np.array(found)


class Lanes:
    """State and parameters of `width` lanes (a multiple of 16) of a lattice; change the columns, then `run`."""

    def __init__(self, lattice: Lattice, width: int = WIDTH, seeds=None, unit=None, units: int = 0):
        n = lattice.neurons.size
        self.lattice, self.width, self.tick, self.replay_from = lattice, width, 0, 0

        def spread(values):
            return np.repeat(np.asarray(values, np.float32)[:, None], width, axis=1)

        self.drive, self.threshold = spread(lattice.tonic), spread(lattice.threshold)
        self.a_decay, self.a_step = spread(lattice.a_decay), spread(lattice.a_step)
        self.gain = np.ones((len(lattice.network.projections), width), np.float32)
        self.jitter = None  # [synapses, width], if weights vary
        self.most = lattice.most.copy()  # 0 for a neuron without background
        self.live, self.replay = n, np.zeros((0, 0), np.uint64)
        self.v, self.left, self.e, self.i, self.w, self.n_i = (np.zeros((n, width), np.float32) for _ in range(6))
        seeds = np.arange(width) if seeds is None else np.asarray(seeds)
        self.state = np.array([np.random.default_rng([int(s), 77]).integers(-(2**31), 2**31) for s in seeds], np.int32)
        for lane, s in enumerate(seeds):
            self.v[:, lane] = np.random.default_rng([int(s), 78]).uniform(0, 0.95 * lattice.threshold)
        self.ring = np.zeros((2, lattice.slots, n, width), np.int32)
        self.unit = lattice.of_population if unit is None else np.asarray(unit)
        self.units = units or len(lattice.populations)

    def play(self, live: int, spikes: list[tuple[np.ndarray, np.ndarray]], ms: int) -> None:
        """Neurons from row `live` on fire as given for each lane: ticks from now, rows - live; at most 64 lanes."""
        n = self.lattice.neurons.size
        self.live = live
        self.replay, self.replay_from = np.zeros((ms, n - live), np.uint64), self.tick
        for lane, (ticks, places) in enumerate(spikes):
            self.replay[ticks, places] |= np.uint64(1 << lane)
        self.ring = np.zeros((2, self.lattice.slots, live, self.width), np.int32)

    def run(self, ms: int, every: int = 10) -> np.ndarray:
        """Advance; spikes of each unit (a population, unless told otherwise) by `every` ms: [bins, units, width]."""
        it = self.lattice
        heard = it.post < self.live
        start = np.searchsorted(it.pre[heard], np.arange(it.neurons.size + 1)).astype(np.int64)
        post, delay, ring_of = it.post[heard], it.delay[heard], it.ring_of[heard]
        weight = it.weight[heard, None] * self.gain[it.project[heard]]
        if self.jitter is not None:
            weight = weight * self.jitter[heard]
        weight = (weight * np.float32(UNIT) + np.float32(0.5)).astype(np.int32)
        counts = np.zeros((-(-(self.tick + ms) // every), self.units, self.width), np.uint16)
        run_lanes(
            self.tick, ms, it.substeps, self.live, it.constants, self.drive.ravel(), self.threshold.ravel(),
            self.a_decay.ravel(), self.a_step.ravel(), it.n_decay, it.n_jump, self.most, it.events,
            it.amount, start, post, delay, ring_of,
            weight.ravel(), self.unit.astype(np.int64), every, self.replay[self.tick - self.replay_from :],
            self.v.ravel(), self.left.ravel(), self.e.ravel(),
            self.i.ravel(), self.w.ravel(), self.n_i.ravel(), self.state, self.ring, counts,
        )  # fmt: skip
        first, self.tick = self.tick, self.tick + ms
        return counts[first // every :]
