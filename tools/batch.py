"""Many copies of one small network at once: a lane each, with its own gains, drives, lesions and noise.

The network is taken from a running simulation, so wiring, delays and constants are the engine's own; the arithmetic of a
tick is that of lif_integrate and deliver_spikes, operation by operation, on sixteen lanes in a register. Background
events follow the same law from another generator. Without background a lane fires the very spikes the engine does.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from components.network import Fanout, Synapse
from components.neuron import Adaptation, GabaSlow, LowThreshold, Membrane, Nmda, TickConstants
from engine.errors import UserError
from engine.kernel import kernel
from engine.lanes import LANES, bits, floats, load, lowest, store, where
from systems.lif_integrate import (
    DT, EA, ED, EK, EL, FD, FED, FEJ, FEK, FID, FIJ, FIK, FRE, FRF, IA, ID, IK, IL, TINY,
)  # fmt: skip
from systems.spawn.learning import presynaptic
from systems.spawn.network import UNIT, sources_of, target_of

EVENTS = 10  # background events of a neuron in a tick at most: at 1,000 Hz more come once in 1e8 ticks
WIDTH = 32  # lanes run together: their state stays in cache


@nb.njit(error_model="numpy")
def add_background(state, arrived, threshold, amount):
    """A Poisson number of events for each lane of a neuron; `threshold` [EVENTS] holds P(events <= k) * 2^32."""
    for q in range(state.size):  # xorshift (Marsaglia 2003), one stream per lane
        x = state[q]
        x ^= np.uint32(x << np.uint32(13))
        x ^= np.uint32(x >> np.uint32(17))
        x ^= np.uint32(x << np.uint32(5))
        state[q] = x
    for q in range(state.size):
        x = state[q]
        count = np.int32(0)
        for k in range(EVENTS):
            count += np.int32(x > threshold[k])
        arrived[q] += count * amount


@kernel
def run_lanes(
    tick, ticks, substeps, constants, drive, threshold, a_decay, a_step, noisy, events, amount, start, post, delay, ring_of,
    weight, unit, every, v, left, e, i, w, state, ring, counts,
):  # fmt: skip
    """Advance all lanes by `ticks`. Neuron arrays are [neurons, lanes] laid flat, `weight` [synapses, lanes] in 2^-16 mV,
    `ring` [receptors, slots, neurons, lanes]; spikes are added to `counts` [bins, units, lanes], bins of `every` ticks.
    """
    n, width = constants.shape[0], state.size
    slots = ring.shape[1]
    zero, one, tiny = floats(np.float32(0)), floats(np.float32(1)), floats(TINY)
    flat = ring.ravel()
    size = slots * n * width
    who, lane_of = np.empty(n * width, np.int64), np.empty(n * width, np.int64)
    for t in range(tick, tick + ticks):
        slot = t & (slots - 1)
        found = 0
        for c in range(n):
            row = constants[c]
            at = (slot * n + c) * width
            if noisy[c]:
                add_background(state, flat[at : at + width], events[c], amount[c])
            dt = floats(row[DT])
            kept = one - dt
            for q in range(0, width, LANES):
                k, r = c * width + q, at + q
                u, ge, gi, towards = load(v, k, 16), load(e, k, 16), load(i, k, 16), load(drive, k, 16)
                ae, ai = floats(load(flat, r, 16)), floats(load(flat, size + r, 16))
                hold, limit = load(left, k, 16), load(threshold, k, 16)
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
    """Populations of a structure and all that reach them by synapses, in the order of the network."""
    wanted = {(p.structure, p.cell_name) for p in network.populations if p.structure == structure}
    if not wanted:
        raise UserError(f"{structure}: no such structure in the scene")
    grown = True
    while grown:
        before = len(wanted)
        for p in network.projections:
            if p.count and target_of(p.spec, p) in wanted:
                wanted.update(sources_of(p.spec, p))
        grown = len(wanted) > before
    return [p for p in network.populations if (p.structure, p.cell_name) in wanted]


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
        columns = {c: np.zeros(network.neuron_count, np.float32) for c in
                   (Membrane.tonic, Membrane.threshold_intact, Adaptation.decay, Adaptation.step)}  # fmt: skip
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
            if chosen.any() and any(c in table for c in (GabaSlow, LowThreshold, Nmda)):
                raise UserError("a batch knows membranes, fast synapses and adaptation; some cells have more")
        self.constants = rows[neurons]
        self.tonic, self.threshold = columns[Membrane.tonic][neurons], columns[Membrane.threshold_intact][neurons]
        self.a_decay, self.a_step = columns[Adaptation.decay][neurons], columns[Adaptation.step][neurons]
        self._noise(world, n)
        parts = []
        for name, receptor in network.receptor_of.items():
            table = world.tables[name]
            if Fanout not in table:
                continue  # modulated and learning synapses stay at home
            pre, post = place[presynaptic(table)], place[table[Synapse.post]]
            inside = (pre >= 0) & (post >= 0) & (table[Synapse.weight] > 0)
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

        self.noisy, self.amount = np.zeros(n, np.bool_), np.zeros(n, np.int32)
        self.hz = np.zeros(n)
        for k, p in enumerate(self.populations):
            hz = self.network.background_hz.get(p.name, 0.0)
            if hz > 0 and "background" in world.tables:
                mine = self.of_population == k
                self.hz[mine], self.noisy[mine] = hz, True
                self.amount[mine] = round(p.cell.background.psp * UNIT)
        below = poisson.cdf(np.arange(EVENTS)[None, :], self.hz[:, None] / 1000.0)
        self.events = np.clip(np.rint(below * 2.0**32) - 1, 0, 2**32 - 1).astype(np.uint32)

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
        self.lattice, self.width, self.tick = lattice, width, 0

        def spread(values):
            return np.repeat(np.asarray(values, np.float32)[:, None], width, axis=1)

        self.drive, self.threshold = spread(lattice.tonic), spread(lattice.threshold)
        self.a_decay, self.a_step = spread(lattice.a_decay), spread(lattice.a_step)
        self.gain = np.ones((len(lattice.network.projections), width), np.float32)
        self.jitter = None  # [synapses, width], if weights vary
        self.noisy = lattice.noisy.copy()
        self.v, self.left, self.e, self.i, self.w = (np.zeros((n, width), np.float32) for _ in range(5))
        seeds = np.arange(width) if seeds is None else np.asarray(seeds)
        self.state = np.array([np.random.default_rng([int(s), 77]).integers(1, 2**32) for s in seeds], np.uint32)
        for lane, s in enumerate(seeds):
            self.v[:, lane] = np.random.default_rng([int(s), 78]).uniform(0, 0.95 * lattice.threshold)
        self.ring = np.zeros((2, lattice.slots, n, width), np.int32)
        self.unit = lattice.of_population if unit is None else np.asarray(unit)
        self.units = units or len(lattice.populations)

    def run(self, ms: int, every: int = 10) -> np.ndarray:
        """Advance; spikes of each unit (population, unless told otherwise) in bins of `every` ms: [bins, units, width]."""
        it = self.lattice
        weight = it.weight[:, None] * self.gain[it.project]
        if self.jitter is not None:
            weight = weight * self.jitter
        weight = (weight * np.float32(UNIT) + np.float32(0.5)).astype(np.int32)
        counts = np.zeros((-(-(self.tick + ms) // every), self.units, self.width), np.uint16)
        run_lanes(
            self.tick, ms, it.substeps, it.constants, self.drive.ravel(), self.threshold.ravel(), self.a_decay.ravel(),
            self.a_step.ravel(), self.noisy, it.events, it.amount, it.start, it.post, it.delay, it.ring_of,
            weight.ravel(), self.unit.astype(np.int64), every, self.v.ravel(), self.left.ravel(), self.e.ravel(),
            self.i.ravel(), self.w.ravel(), self.state, self.ring, counts,
        )  # fmt: skip
        first, self.tick = self.tick, self.tick + ms
        return counts[first // every :]
