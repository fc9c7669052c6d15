"""Which tracts the view draws, along which curves, and how pulses travel on them with their conduction delay.

A tract joins two groups of cells that stand together (a region, a nucleus of one side, the cells of a muscle) and has
the mean delay of its synapses as they were built. No structure is named here: what is strong is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.network import Fanout, Synapse
from systems.spawn.learning import presynaptic
from systems.view.anatomy import CENTRE_MM, Anatomy, lay_out
from systems.view.frame import PULSE_MS

REGION_TRACTS = 170  # strongest pairs of regions
PER_PROJECTION = 2  # strongest pairs of every other projection
SHORTEST_MM = 9.0
STEPS = 24  # pieces of a curve
TRAIL_MS = 7.0  # how long a pulse's tail is
FULL = 0.40  # share of the source cells, summed over the trail, that makes a pulse fully bright
FAINTEST = 0.05
DEEP_MM = 22.0  # how far inside the brain's middle commissural fibres cross


@dataclass(eq=False)
class Tracts:
    """Curves [tracts, STEPS + 1, 3] mm from source to target, delays [tracts] ms, and what fires into them.

    `source` [tracts] is a row of `pulses`; `source_of` [neurons] says for which row a neuron counts (-1: none), `size`
    [rows] how many do. `group` [tracts, 2] are the groups joined, `label` names them, `structure` [tracts] is that of
    the source.
    """

    curve: np.ndarray
    delay_ms: np.ndarray
    source: np.ndarray
    source_of: np.ndarray
    size: np.ndarray
    structure: np.ndarray
    label: list[tuple[str, str]]

    @property
    def count(self) -> int:
        return len(self.curve)

    def traces(self, pulses: np.ndarray) -> np.ndarray:
        """Pulse strength 0..1 by source and age [rows, PULSE_MS], newest first: a sharp front and a fading tail."""
        from scipy.signal import lfilter

        share = pulses[:, ::-1] / np.maximum(self.size, 1)[:, None].astype(np.float32)
        trail = lfilter([1.0], [1.0, -np.exp(-1.0 / TRAIL_MS)], share, axis=1)[:, ::-1]
        return np.clip((trail - FAINTEST) / FULL, 0.0, 1.0).astype(np.float32)

    def level(self, traces: np.ndarray, tract: int, along: np.ndarray, lag_ms: float = 0.0) -> np.ndarray:
        """Brightness 0..1 of a tract at `along` (0 source .. 1 target): what left the source a share of the delay ago.

        The same as the shader computes; `lag_ms` is how far the picture is behind the newest spikes.
        """
        age = np.asarray(along) * self.delay_ms[tract] + lag_ms
        row = traces[self.source[tract]]
        return np.where(age < PULSE_MS, row[np.clip(age.astype(int), 0, PULSE_MS - 1)], 0.0)


def groups_of(network, at: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Group of every neuron [neurons] and the groups' names: cells of one region, muscle, patch or nucleus and side."""
    numbers: dict[tuple[str, bool], int] = {}
    group = np.zeros(len(at), np.int64)
    for p in network.populations:
        whole = p.cell.per in ("region", "muscle", "patch")
        name = f"{p.structure}.{p.instance}" if whole else f"{p.structure}.*.{p.cell_name}"
        for right in (False, True):
            mine = np.arange(p.first, p.first + p.count)[(at[p.neurons, 0] > 0) == right]
            if mine.size:
                group[mine] = numbers.setdefault((name, right), len(numbers))
    return group, [name for name, _ in numbers]


def find_tracts(world, network, anatomy: Anatomy) -> Tracts:
    """The strongest tracts of a network as it was built."""
    group, names = groups_of(network, anatomy.at)
    total = len(names)
    centre = np.stack([np.bincount(group, anatomy.at[:, k], total) for k in range(3)], axis=1)
    centre /= np.maximum(np.bincount(group, minlength=total), 1)[:, None]
    regional = np.array([p.kind == "long_range" for p in network.projections], bool)
    keys, weights, delays = [], [], []
    for name, number in network.projection_of.items():
        table = world.tables[name]
        if Fanout in table and not table[Synapse.weight].any():
            continue  # one row that stands for none
        pre, post = group[presynaptic(table)], group[table[Synapse.post]]
        far = pre != post
        section = np.where(regional[number], 0, number.astype(np.int64) + 1)  # all region tracts compete as one
        keys.append(((section * total + pre) * total + post)[far])
        weights.append(np.array(table[Synapse.weight], float)[far])
        delays.append(np.array(table[Synapse.delay], float)[far])
    if not keys:
        keys, weights, delays = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0)]
    found, inverse, count = np.unique(np.concatenate(keys), return_inverse=True, return_counts=True)
    strength = np.bincount(inverse, np.concatenate(weights), len(found))
    delay = np.bincount(inverse, np.concatenate(delays), len(found)) / np.maximum(count, 1)
    section, pre, post = found // total**2, found // total % total, found % total
    long_ = np.linalg.norm(centre[pre] - centre[post], axis=1) > SHORTEST_MM
    order = np.flatnonzero(long_)[np.argsort(-strength[long_], kind="stable")]
    chosen, taken = [], {}
    for k in order:
        limit = REGION_TRACTS if section[k] == 0 else PER_PROJECTION
        if taken.get(section[k], 0) < limit:
            taken[section[k]] = taken.get(section[k], 0) + 1
            chosen.append(k)
    pairs = {}
    for k in sorted(chosen, key=lambda k: -strength[k]):  # two projections between the same groups are one tract
        pairs.setdefault((int(pre[k]), int(post[k])), float(delay[k]))
    a, b = (np.array([pair[k] for pair in pairs], int) for k in (0, 1))
    rows = np.unique(a)
    source_of_group = np.full(total, -1)
    source_of_group[rows] = np.arange(len(rows))
    structure = {p.structure: k for k, p in enumerate({p.structure: p for p in network.populations}.values())}
    return Tracts(
        curve=curves(centre[a], centre[b], anatomy.cord),
        delay_ms=np.array(list(pairs.values()), float),
        source=source_of_group[a],
        source_of=source_of_group[group],
        size=np.bincount(group, minlength=total)[rows],
        structure=np.array([structure[names[k].split(".")[0]] for k in a], int),
        label=[(names[i], names[j]) for i, j in zip(a, b, strict=True)],
    )


def curves(start: np.ndarray, end: np.ndarray, cord) -> np.ndarray:
    """Smooth paths [n, STEPS + 1, 3] mm, points evenly spaced: through the deep white matter, and down the cord."""
    fine = np.linspace(0.0, 1.0, 8 * STEPS + 1)[:, None]
    top = np.array(cord.top_mm)
    out = np.zeros((len(start), STEPS + 1, 3))
    for k, (a, b) in enumerate(zip(start, end, strict=True)):
        below = [point[2] < top[2] for point in (a, b)]
        if all(below):
            mid = 0.5 * (a + b) + [0.35 * np.sign(a[0] + b[0]) * min(abs(a[2] - b[2]), 24.0), 0.0, 0.0]
            path = _bezier(a, mid, mid, b, fine)
        elif any(below):
            high, low = (b, a) if below[0] else (a, b)
            entry = top + [np.sign(high[0]) * 2.0, 0.0, 0.0]
            first = _bezier(high, 0.45 * high + 0.55 * CENTRE_MM * [0, 1, 0.2], entry + [0, 4.0, 26.0], entry, fine)
            level = np.array([np.sign(low[0]) * 2.0, top[1], low[2] + 4.0])
            path = np.concatenate([first, level[None], low[None]])
            path = path[::-1] if below[0] else path
        else:
            depth = CENTRE_MM + [0.0, 0.0, 8.0]
            across = a[0] * b[0] < 0
            pull = 0.75 if across else min(0.30 + np.linalg.norm(a - b) / 350.0, 0.62)
            inner = [
                x + pull * (depth * [0, 0.4, 1] + [0.0 if across else 0.55 * x[0], 0.6 * x[1], 0] - x) for x in (a, b)
            ]
            path = _bezier(a, inner[0], inner[1], b, fine)
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        run = np.concatenate([[0.0], np.cumsum(steps)]) + 1e-9 * np.arange(len(path))
        even = np.linspace(0.0, run[-1], STEPS + 1)
        out[k] = np.stack([np.interp(even, run, path[:, axis]) for axis in range(3)], axis=1)
    return out


def _bezier(a, b, c, d, t: np.ndarray) -> np.ndarray:
    return (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d


@dataclass(eq=False)
class Brain:
    """What is static about a simulation's nervous system: places and tracts."""

    anatomy: Anatomy
    tracts: Tracts
    populations: list[slice]  # neurons of each


def brain_of(sim) -> Brain:
    """Places and tracts of a simulation, found once and kept with its network."""
    if not hasattr(sim.network, "drawn"):
        anatomy = lay_out(sim.network)
        sim.network.drawn = Brain(
            anatomy, find_tracts(sim.world, sim.network, anatomy), [p.neurons for p in sim.network.populations]
        )
    return sim.network.drawn
