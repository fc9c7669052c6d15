"""Probes: numbers taken from a run, from spikes, pose and activations. They look on; nothing in the tick reads them.

Windows are in ticks (1 ms), [start, stop). Pose and activation come from the sampler, so they are as fine as the
scene's `record.every`; spikes are exact. Values are in base units: Hz, ms, rad, mm, 1; NaN where there is nothing.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from components.body import Muscle
from components.network import Gained, Gains, SpikeLog, Synapse
from engine.errors import UserError
from engine.units import quantity
from systems import bold, evoked, fluctuations, rhythm
from systems.bursts import burst_onsets, limb_rank, spectral_peak
from systems.spawn.functional import load_functional
from systems.spawn.network import fanout_of

UNIT = {"rate_hz": "Hz", "peak_hz": "Hz", "isi_cv": "", "correlation": "", "spike_count": "",
        "cycle_frequency": "Hz", "cycle_cv": "", "phase_vector": "", "cycle_ratio": "", "latency": "ms",
        "joint_angle": "rad", "joint_range": "rad", "muscle_activation": "", "posture_height": "mm",
        "upright_time": "ms", "burst_rate": "Hz", "burst_cv": "", "joints_moved": "", "spectral_peak": "",
        "limbs_together": "", "limbs_in_step": "", "joint_change": "rad", "joint_correlation": "",
        "counter_rotation": "", "times_passed": "", "pursuit": "",
        "fc_fit": "", "fc_fit_centred": "", "fcd_distance": "", "mean_fc": "", "timescale": "ms", "timescale_map": "",
        "rhythm_frequency": "Hz", "branching_ratio": "", "avalanche_exponent": "",
        "evoked_latency": "ms", "evoked_z": ""}  # fmt: skip
KIND_OF = {"joint_angle": "angle", "joint_range": "angle", "joints_moved": "angle", "spectral_peak": "angle",
           "limbs_together": "angle", "limbs_in_step": "angle", "joint_change": "angle", "joint_correlation": "angle",
           "counter_rotation": "angle", "times_passed": "angle", "pursuit": "angle",
           "muscle_activation": "muscle", "posture_height": "part",
           "upright_time": "part"}  # what the probe's `of` names, if no population  # fmt: skip
LATENCY_RATE_MS = 20  # a rate is passed when the spikes of this many ms say so
PEAK_MS = 20  # width of the sliding window of a peak rate that names none
PIECE_MS = 20_000  # a peak in a long window is looked for in pieces, well within the spikes in memory
STEP_MS = 100  # steps in which turns are compared
RHYTHM_MS = 10  # bins of what is searched for bursts
BIN_MS = dict.fromkeys(("fc_fit", "fc_fit_centred", "fcd_distance", "mean_fc"), 10) | {
    "timescale": 50, "timescale_map": 50, "rhythm_frequency": 2, "branching_ratio": 4, "avalanche_exponent": 1,
    "evoked_latency": 5, "evoked_z": 5,
}  # spikes are counted by region in bins of it, if the probe says no other  # fmt: skip
KINDS = ("local", "long_range", "other", "background")
LIMB_SHARE = 0.02  # of the body's mass: what weighs less is a finger or an eye, no limb


# spike statistics -----------------------------------------------------------------------------------------------


def isi_cv(ids: np.ndarray, ticks: np.ndarray, neurons: np.ndarray, min_intervals: int = 3) -> float:
    """Mean over neurons of std / mean of interspike intervals; neurons with fewer intervals are left out."""
    size = int(max(ids.max(initial=-1), np.max(neurons, initial=-1))) + 1
    wanted = np.zeros(size, bool)
    wanted[neurons] = True
    chosen = wanted[ids]
    ids, ticks = ids[chosen], ticks[chosen]
    order = np.lexsort((ticks, ids))
    ids, ticks = ids[order], ticks[order]
    same = ids[1:] == ids[:-1]
    owner, interval = ids[1:][same], np.diff(ticks)[same].astype(float)
    count = np.bincount(owner, minlength=size)
    kept = count >= max(min_intervals, 2)
    if not kept.any():
        return math.nan
    mean = np.bincount(owner, interval, size)[kept] / count[kept]
    square = np.bincount(owner, interval**2, size)[kept] / count[kept]
    return float(np.mean(np.sqrt(np.maximum(square - mean**2, 0.0)) / mean))


def peak_rate(ids: np.ndarray, ticks: np.ndarray, neurons: np.ndarray, start: int, stop: int, width: int) -> float:
    """Highest rate [Hz] of all `neurons` together in any `width` ticks on end within [start, stop)."""
    if stop - start < width:
        return math.nan
    chosen = np.isin(ids, neurons) & (ticks >= start) & (ticks < stop)
    count = np.bincount(ticks[chosen] - start, minlength=stop - start).cumsum()
    within = count[width - 1 :].copy()
    within[1:] -= count[:-width]
    return float(within.max()) * 1000.0 / width / len(neurons)


def binned(ids: np.ndarray, ticks: np.ndarray, neurons: np.ndarray, bin_ms: float, start: int, stop: int) -> np.ndarray:
    """Spike counts [bins, neurons] in whole bins from `start`."""
    bins = int((stop - start) // bin_ms)
    column = np.full(int(max(ids.max(initial=-1), np.max(neurons, initial=-1))) + 1, -1)
    column[neurons] = np.arange(len(neurons))
    row = ((ticks - start) // bin_ms).astype(np.int64)
    inside = (column[ids] >= 0) & (ticks >= start) & (row < bins)
    flat = row[inside] * len(neurons) + column[ids[inside]]
    return np.bincount(flat, minlength=bins * len(neurons)).reshape(bins, len(neurons))


def _z_sum(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sum over neurons of z-scored counts [bins], which neurons vary)."""
    spread = counts.std(axis=0)
    varies = spread > 0
    z = (counts[:, varies] - counts[:, varies].mean(axis=0)) / spread[varies]
    return z.sum(axis=1), varies


def mean_pair_correlation(
    ids: np.ndarray, ticks: np.ndarray, groups: Iterable[np.ndarray], bin_ms: float,
    start: int | None = None, stop: int | None = None,
) -> float:  # fmt: skip
    """Mean Pearson correlation of spike counts over all pairs within each group, averaged over groups.

    Neurons whose count never changes have no correlation and are left out. Groups are arrays of neurons.
    """
    start = int(ticks.min(initial=0)) if start is None else start
    stop = int(ticks.max(initial=-1)) + 1 if stop is None else stop
    found = []
    for neurons in groups:
        counts = binned(ids, ticks, np.asarray(neurons), bin_ms, start, stop)
        if counts.shape[0] < 3:
            continue
        total, varies = _z_sum(counts)
        n = int(varies.sum())
        if n > 1:
            found.append((float(total @ total) / counts.shape[0] - n) / (n * (n - 1)))
    return float(np.mean(found)) if found else math.nan


def cross_correlation(ids, ticks, first: np.ndarray, second: np.ndarray, bin_ms: float, start: int, stop: int) -> float:
    """Mean Pearson correlation over all pairs of a neuron of `first` and another one of `second`."""
    a, b = (binned(ids, ticks, n, bin_ms, start, stop) for n in (first, second))
    if a.shape[0] < 3:
        return math.nan
    (sum_a, varies_a), (sum_b, varies_b) = _z_sum(a), _z_sum(b)
    itself = len(np.intersect1d(first[varies_a], second[varies_b]))
    pairs = int(varies_a.sum()) * int(varies_b.sum()) - itself
    return (float(sum_a @ sum_b) / a.shape[0] - itself) / pairs if pairs > 0 else math.nan


def coupling_shares(
    sim, counts: np.ndarray | None = None, seconds: float | None = None, gains: np.ndarray | None = None
) -> dict:
    """Where the excitatory charge of excitatory cells of the regions comes from.

    Returns {"mean": {local, long_range, other, background}, "regions": {region: the same}, "driven": 1 - background}:
    shares of the synaptic charge (PSP amplitude x Population.psp_to_charge, of which NMDA carries a part) that arrived
    in a run in which neurons spiked `counts` times [neurons] in `seconds`; without them, the spikes still in memory
    count. `gains` [groups] are the mean factors on modulated synapses, those in force now if left out. `mean` weighs
    regions equally.
    """
    network, world = sim.network, sim.world
    if counts is None:
        ids, _ = sim.spike_history()
        counts = np.bincount(ids, minlength=network.neuron_count)
        seconds = (sim.tick - max(0, sim.tick - int(sim.spikes.keep_ms))) / 1000.0
    regions = list(dict.fromkeys(p.instance for p in network.populations if p.cell.per == "region"))
    row_of = np.full(network.neuron_count, -1)
    factor = np.zeros(network.neuron_count)
    charge = np.zeros((len(KINDS), len(regions)))
    psp_charge = dict[str, float]()
    for p in network.populations:
        if p.cell.per != "region" or p.cell.acts_on != "ampa":
            continue
        psp_charge[p.name] = p.psp_to_charge(p.cell.tau_ampa)
        row_of[p.neurons] = regions.index(p.instance)
        factor[p.neurons] = psp_charge[p.name]
        rate = network.background_hz.get(p.name, 0.0)
        if rate:
            events = rate * seconds * p.count
            charge[3, regions.index(p.instance)] += events * p.cell.background.psp * psp_charge[p.name]
    kind_of = np.array([KINDS.index(p.kind) for p in network.projections])
    for name, receptor in network.receptor_of.items():
        if receptor != "ampa":
            continue
        table, start = world.tables[name], fanout_of(world.tables[name])
        per_synapse = np.repeat(counts, start[:, -1] - start[:, 0])
        post = table[Synapse.post]
        kind = kind_of[network.projection_of[name]]
        hit = (row_of[post] >= 0) & (per_synapse > 0)
        post, kind = post[hit], kind[hit]
        amount = table[Synapse.weight][hit].astype(float) * per_synapse[hit] * factor[post]
        if Gained in table:
            amount *= (world[Gains.value] if gains is None else gains)[table[Gained.group][hit]]
        flat = np.bincount(kind * len(regions) + row_of[post], amount, len(KINDS) * len(regions))
        charge += flat.reshape(charge.shape)
    total = charge.sum(axis=0)
    share = np.divide(charge, total, out=np.full_like(charge, np.nan), where=total > 0)
    known = ~np.isnan(share[0]) if len(regions) else np.zeros(0, bool)
    mean = share[:, known].mean(axis=1) if known.any() else np.full(len(KINDS), np.nan)
    return {
        "mean": dict(zip(KINDS, map(float, mean), strict=True)),
        "driven": float(1.0 - mean[3]),
        "regions": {r: dict(zip(KINDS, map(float, share[:, k]), strict=True)) for k, r in enumerate(regions)},
    }


# the body --------------------------------------------------------------------------------------------------------


class BodyNames:
    """Hinge joints and body parts by name, as columns of qpos and rows of xpos."""

    def __init__(self, model):
        import mujoco

        hinge = int(mujoco.mjtJoint.mjJNT_HINGE)
        self.angle = {model.joint(j).name: int(model.jnt_qposadr[j]) for j in range(model.njnt)
                      if int(model.jnt_type[j]) == hinge}  # fmt: skip
        self.part = {model.body(b).name: b for b in range(1, model.nbody)}
        self._moves = {int(model.jnt_qposadr[j]): int(model.jnt_bodyid[j]) for j in range(model.njnt)}
        self._parent = np.array(model.body_parentid)
        heavy = np.flatnonzero(model.body_subtreemass >= LIMB_SHARE * model.body_subtreemass[0])
        self._trunk = np.bincount(self._parent[heavy], minlength=model.nbody) >= 2  # two limbs or more hang on it

    def limbs(self, columns: np.ndarray) -> np.ndarray:
        """For each column of qpos the part at which its limb begins: the uppermost that hangs on the trunk."""
        found = []
        for column in columns:
            part = self._moves[int(column)]
            while self._parent[part] and not self._trunk[self._parent[part]]:
                part = int(self._parent[part])
            found.append(part)
        return np.array(found)

    def select(self, what: str, glob: str) -> np.ndarray:
        """Columns of the joints or rows of the parts that match."""
        names = getattr(self, what)
        found = [at for name, at in names.items() if fnmatch.fnmatchcase(name, glob)]
        if not found:
            shown = [n for n in names if not n.startswith("press_")]
            kind = "joint" if what == "angle" else what
            raise UserError(f"no {kind} matches {glob!r} (there are: {', '.join(shown)})")
        return np.array(found)


def posture(sim) -> dict:
    """Heights [m] of the root part and the head, joint angles [rad] by name, and whether the body fell."""
    model, data, body = sim.physics.model, sim.physics.data, sim.body
    names = BodyNames(model)
    root = next((b for b in range(1, model.nbody) if model.body_dofnum[b] and model.body_mass[b] > 0.05), 1)
    head = int(model.site_bodyid[model.sensor(body.gyro).objid[0]])
    heights = {model.body(b).name: float(data.xpos[b, 2]) for b in dict.fromkeys((root, head))}
    angles = {n: float(data.qpos[at]) for n, at in names.angle.items() if not n.startswith("press_")}
    fell = bool(body.fell(data.qpos)) if body.fell else None
    return {"height_m": heights, "angle_rad": angles, "fell": fell}


# probes of a scene ----------------------------------------------------------------------------------------------


@dataclass
class Claim:
    """An expectation beside what happened; `passed` is None where the run ended before the probe's window did."""

    probe: str
    value: float
    low: float
    high: float
    unit: str
    passed: bool | None
    source: str | None = None


class Probes:
    """Measures what the scene asks for while the simulation runs. Make it after `load_state`, before `run`.

    A probe is evaluated when its window has passed, from at most the last minute of spikes; rates and counts of
    longer windows are exact too (counted from the first sample in the window), and so are peaks. A repeated probe is
    the mean of its windows that have a value. With `only`, every probe is measured over the first so many ticks
    instead of its own windows, to see that it can be.
    """

    def __init__(self, sim, only: int | None = None):
        self.sim, self.scene, self.only = sim, sim.scene, only
        self.sampler = sim.sampler
        self.memory = sim.sampler.memory
        self.names = BodyNames(sim.physics.model) if sim.physics else None
        self._resolve()
        if sim.physics:
            self._trace()
        if sim.network:
            self._count()
            self._tally()
        self._pieces = {probe.name: self._cut(probe) for probe in self.scene.probes}
        self._pending = [p for p in self.scene.probes if len(self._measured(p)) < len(self._pieces[p.name])]
        sim.sampler.watchers.append(self._watch)
        self.look()

    # set-up
    def _resolve(self) -> None:
        """Names -> indices; a name that does not exist is an error in the scene."""
        self._of: dict[str, tuple[str, np.ndarray]] = {}
        self._with: dict[str, np.ndarray] = {}
        self._threshold: dict[str, tuple[str | None, float]] = {}
        for number, probe in enumerate(self.scene.probes):
            key = "of"
            try:
                if probe.measure == "latency":
                    key = "threshold"
                    self._threshold[probe.name] = threshold_of(probe.threshold)
                    key = "of"
                    self._of[probe.name] = self._target(probe.of, self._threshold[probe.name][0])
                else:
                    if probe.measure in ("joints_moved", "times_passed"):
                        key = "threshold"
                        self._threshold[probe.name] = "angle", quantity(probe.threshold or "10 deg", "angle")
                        key = "of"
                    kind = KIND_OF.get(probe.measure, "population")
                    self._of[probe.name] = kind, self._select(kind, probe.of)
                    if probe.measure == "upright_time" and self.sim.body.fell is None:
                        raise UserError("upright_time: expected a body that says when it has fallen (`fell`)")
                if probe.with_ is not None:
                    key = "with"
                    self._with[probe.name] = self._select(KIND_OF.get(probe.measure, "population"), probe.with_)
            except UserError as error:
                raise self.sim.source.error(str(error), "probes", number, key) from None

    def _select(self, kind: str, glob: str) -> np.ndarray:
        sim = self.sim
        if kind == "population":
            return sim.timeline.targets.neurons(glob)
        if self.names is None:
            raise UserError(f"{glob}: this scene has no body")
        if kind == "muscle":
            names = getattr(sim.physics, "muscle_names", [])
            found = [k for k, name in enumerate(names) if fnmatch.fnmatchcase(name, glob)]
            if not found:
                known = ", ".join(names) if names else "none with a motor pool"
                raise UserError(f"no muscle matches {glob!r} (there are: {known})")
            return np.array(found)
        return self.names.select(kind, glob)

    def _target(self, glob: str, dimension: str | None) -> tuple[str, np.ndarray]:
        """What a latency watches; the threshold's dimension tells joints, parts and populations apart."""
        kinds = {"angle": ["angle"], "length": ["part"], "rate": ["population"], "fraction": ["muscle"]}
        candidates = kinds.get(dimension, ["population", "muscle", "angle", "part"])
        problem = None
        for kind in candidates:
            try:
                return kind, self._select(kind, glob)
            except UserError as error:
                problem = problem or error
        if len(candidates) > 1:
            raise UserError(f"no population, muscle, joint or part matches {glob!r}")
        raise problem

    def _trace(self) -> None:
        data, world, sampler = self.sim.physics.data, self.sim.world, self.sampler
        sampler.trace("qpos", lambda: data.qpos)
        sampler.trace("height", lambda: data.xpos[:, 2])
        if "muscles" in world.tables:
            activation = world.tables["muscles"][Muscle.activation]
            sampler.trace("activation", lambda: activation)

    def _count(self) -> None:
        """Spikes per neuron since the start; kept through snapshots, or recovered from the spikes in memory."""
        sim, memory = self.sim, self.memory
        flushed = int(memory.get("spikes_counted", -1))
        if flushed != sim.spikes.total:
            ids, _, _ = sim.spikes.history()
            memory["spike_counts"] = np.bincount(ids, minlength=sim.network.neuron_count).astype(np.int64)
            memory["counted_from"] = np.int64(max(0, sim.tick - int(sim.spikes.keep_ms)))
        memory["spikes_counted"] = np.int64(sim.spikes.total)
        sim.spikes.listeners.append(self._take)

    def _take(self, ids: np.ndarray, ticks: np.ndarray, substeps: np.ndarray) -> None:
        counts = self.memory["spike_counts"]
        counts += np.bincount(ids, minlength=counts.size)
        self.memory["spikes_counted"] = np.int64(self.sim.spikes.total)

    def _tally(self) -> None:
        """Count spikes by region in bins, for the probes whose windows may be longer than spikes are kept."""
        network, self._tallies = self.sim.network, {}
        for probe in self.scene.probes:
            if probe.measure not in BIN_MS or self._of_graph(probe):
                continue
            key = f"tally:{probe.of}:{bin_of(probe)}"
            if key in self._tallies:
                continue
            chosen = np.zeros(network.neuron_count, bool)
            chosen[self._of[probe.name][1]] = True
            found = [p for p in network.populations if chosen[p.first]]
            names = list(dict.fromkeys(p.instance for p in found))
            column = np.full(network.neuron_count, -1)
            for p in found:
                column[p.neurons] = names.index(p.instance)
            bins = math.ceil(self.scene.duration / bin_of(probe))
            if key not in self.memory:
                self.memory[key] = np.zeros((bins, len(names)), np.uint16)
                self.memory[f"{key}:from"] = np.int64(self.sim.tick)
            self._tallies[key] = bin_of(probe), names, column
        if self._tallies:
            self.sim.spikes.listeners.append(self._tally_up)

    def _tally_up(self, ids: np.ndarray, ticks: np.ndarray, substeps: np.ndarray | None = None) -> None:
        for key, (width, _, column) in self._tallies.items():
            add_counts(self.memory[key], ids, ticks, column, width)

    def tallied(self, probe, start: int, stop: int) -> tuple[np.ndarray, list[str], float] | None:
        """(counts [bins, regions], regions, bin [ms]) of whole bins in a window; None if it was not all observed."""
        key = f"tally:{probe.of}:{bin_of(probe)}"
        width, names, column = self._tallies[key]
        if start < int(self.memory[f"{key}:from"]):
            return None
        counts = self.memory[key].copy()
        waiting = int(self.sim.world[SpikeLog.count][0])
        add_counts(
            counts, self.sim.world[SpikeLog.ids][:waiting], self.sim.world[SpikeLog.ticks][:waiting], column, width
        )
        return counts[-(-start // width) : stop // width], names, float(width)

    @staticmethod
    def _of_graph(probe) -> bool:
        return probe.model not in (None, "spikes")

    # while it runs
    def look(self) -> None:
        """Notice a fall; called at every sample and, by the command line, at every control step."""
        body = self.sim.body
        if body is None or body.fell is None or "fell_tick" in self.memory:
            return
        if body.fell(self.sim.physics.data.qpos):
            self.memory["fell_tick"] = np.int64(self.sim.tick)

    def _watch(self, tick: int) -> None:
        self.look()
        for probe in list(self._pending):
            self._catch_up(probe, tick)

    def _catch_up(self, probe, tick: int) -> None:
        """Measure the pieces that have passed; note the count of spikes at the start of the one that goes on."""
        done, pieces, found = self._measured(probe), self._pieces[probe.name], []
        for number in range(len(done), len(pieces)):
            _, start, stop = pieces[number]
            if tick + 1 < stop:
                if tick >= start and probe.measure in COUNTED and f"base:{probe.name}:{number}" not in self.memory:
                    counted = self._counted(self._of[probe.name][1])
                    self.memory[f"base:{probe.name}:{number}"] = np.array([tick + 1, counted])
                break
            found.append(self.measure(probe, start, stop, number))
            self.memory.pop(f"base:{probe.name}:{number}", None)
        if found:
            self.memory[f"measured:{probe.name}"] = np.append(done, found)
            if len(done) + len(found) == len(pieces):
                self._pending.remove(probe)

    def _measured(self, probe) -> np.ndarray:
        """Values of the pieces that have passed, in order."""
        return self.memory.get(f"measured:{probe.name}", np.zeros(0))

    def _cut(self, probe) -> list[tuple[int, int, int]]:
        """(window, start, stop) of the pieces that a probe is measured in, one after another, in ticks."""
        if self.only is not None:
            return [(0, 0, self.only)]
        if probe.measure in EVOKED:
            return [(0, round(probe.windows[0][0]), round(probe.windows[-1][1]))]
        pieces = []
        for number, (start, stop) in enumerate(probe.windows):
            first, end = round(start), round(self.scene.duration if stop is None else stop)
            while probe.measure == "peak_hz" and end - first > PIECE_MS + peak_ticks(probe):
                pieces.append((number, first, first + PIECE_MS + peak_ticks(probe) - 1))
                first += PIECE_MS
            pieces.append((number, first, end))
        return pieces

    def detach(self) -> None:
        """Stop looking."""
        self.sampler.watchers.remove(self._watch)
        for listener in (self._take, self._tally_up):
            if listener in self.sim.spikes.listeners:
                self.sim.spikes.listeners.remove(listener)

    # answers
    @property
    def fell_at_s(self) -> float | None:
        return int(self.memory["fell_tick"]) / 1000.0 if "fell_tick" in self.memory else None

    def counts(self) -> np.ndarray:
        """Spikes of every neuron so far, those not yet flushed included; [neurons]."""
        found = int(self.sim.world[SpikeLog.count][0])
        total = self.memory["spike_counts"]
        return total + np.bincount(self.sim.world[SpikeLog.ids][:found], minlength=total.size)

    def _counted(self, neurons: np.ndarray) -> int:
        return int(self.counts()[neurons].sum())

    @property
    def counted_s(self) -> float:
        """Simulated seconds that `counts` covers: the whole run, unless it was loaded late without its counts."""
        return (self.sim.tick - int(self.memory.get("counted_from", 0))) / 1000.0

    def value(self, probe) -> float:
        """The probe's value over its window so far, NaN before the window begins or if it was not observed."""
        pieces, values = self._pieces[probe.name], list(self._measured(probe))
        for number in range(len(values), len(pieces)):
            _, start, stop = pieces[number]
            if start >= self.sim.tick:
                break
            values.append(self.measure(probe, start, min(stop, self.sim.tick), number))
        highest: dict[int, float] = {}  # of the pieces of a window; all but peaks have one each
        for (window, _, _), value in zip(pieces, values, strict=False):
            if not math.isnan(value):
                highest[window] = max(value, highest.get(window, -math.inf))
        return float(np.mean(list(highest.values()))) if highest else math.nan

    def of(self, probe) -> tuple[str, np.ndarray]:
        """What it looks at: "population" and neurons, "angle" and columns of qpos, "part" or "muscle" and rows."""
        return self._of[probe.name]

    def reached(self, probe) -> bool:
        """Whether the probe's last window has passed."""
        return self.sim.tick >= self._pieces[probe.name][-1][2]

    def values(self) -> dict[str, float]:
        return {probe.name: self.value(probe) for probe in self.scene.probes}

    def claims(self) -> list[Claim]:
        """Every expectation with what happened."""
        by_name = {probe.name: probe for probe in self.scene.probes}
        out = []
        for claim in self.scene.expect:
            probe, (low, high) = by_name[claim.probe], claim.bounds
            value = self.value(probe)
            passed = claim.passes(value) if self.reached(probe) else None
            out.append(Claim(claim.probe, value, low, high, UNIT[probe.measure], passed, claim.source))
        return out

    def measure(self, probe, start: int, stop: int, number: int = 0) -> float:
        """One value over the window [start, stop) in ticks, the probe's piece of that number."""
        kind, rows = self._of[probe.name]
        if probe.measure == "latency":
            return self._latency(probe, kind, rows, start, stop)
        if probe.measure == "upright_time":
            return float(min(max(int(self.memory.get("fell_tick", stop)), start), stop) - start)
        if kind != "population":
            name = {"angle": "qpos", "part": "height", "muscle": "activation"}[kind]
            when, trace = self.sampler.traced(name, start, stop)
            if not len(trace):
                return math.nan
            chosen = trace[:, rows].astype(float)
            if probe.measure == "joint_change":
                change = change_of(chosen)
                return change - change_of(trace[:, self._with[probe.name]].astype(float)) if probe.with_ else change
            if probe.measure == "joint_angle" and probe.with_:
                return float(chosen.mean() - trace[:, self._with[probe.name]].mean())
            if probe.measure == "joint_correlation":
                return same_way(chosen, trace[:, self._with[probe.name]].astype(float))
            if probe.measure == "pursuit":
                shown = np.array([panel_azimuth(self.scene.timeline, float(t)) for t in when])
                return -counter_rotation(chosen.mean(axis=1), shown, float(self.scene.record.every))
            if probe.measure == "joint_range":
                return float(np.ptp(chosen, axis=0).max())
            if probe.measure == "joints_moved":
                return float((np.ptp(chosen, axis=0) >= self._threshold[probe.name][1]).sum())
            if probe.measure in LIMBS:
                columns = np.unique(np.concatenate([rows, self._with.get(probe.name, rows)]))
                limbs = self.names.limbs(columns)
                return limb_rank(trace[:, columns], limbs, float(self.scene.record.every), LIMBS[probe.measure])
            if probe.measure == "times_passed":
                above = chosen.mean(axis=1) >= self._threshold[probe.name][1]
                return float((above[1:] & ~above[:-1]).sum())
            if probe.measure == "counter_rotation":
                turned = trace[:, self._with[probe.name]].astype(float).mean(axis=1)
                return counter_rotation(chosen.mean(axis=1), turned, float(self.scene.record.every))
            if probe.measure == "spectral_peak":
                return spectral_peak(chosen, float(self.scene.record.every))
            return float(chosen.mean()) * (1000.0 if kind == "part" else 1.0)
        if probe.measure in COUNTED:
            return self._rate_or_count(probe, rows, start, stop, f"base:{probe.name}:{number}")
        if probe.measure in BIN_MS:
            return self._fluctuation(probe, start, stop)
        ids, ticks = self.sim.spike_history(start)
        inside = (ticks >= start) & (ticks < stop)
        ids, ticks = ids[inside], ticks[inside]
        if probe.measure == "peak_hz":
            return peak_rate(ids, ticks, rows, start, stop, peak_ticks(probe))
        if probe.measure == "isi_cv":
            return isi_cv(ids, ticks, rows)
        if probe.measure in RHYTHMIC:
            return rhythm_of(probe.measure, ids, ticks, rows, self._with.get(probe.name), start, stop)
        if probe.measure in ("burst_rate", "burst_cv"):
            intervals = np.diff(burst_onsets(ticks[np.isin(ids, rows)], start, stop))
            if intervals.size < 3:
                return math.nan
            rate = 1000.0 / float(intervals.mean())
            return rate if probe.measure == "burst_rate" else float(intervals.std()) * rate / 1000.0
        first = max(start, self.sim.tick - int(self.sim.spikes.keep_ms))
        width = probe.bin or max(1.0, min(1000.0, (stop - first) // 10))
        if probe.name in self._with:
            return cross_correlation(ids, ticks, rows, self._with[probe.name], width, first, stop)
        return mean_pair_correlation(ids, ticks, [rows], width, first, stop)

    def _rate_or_count(self, probe, rows: np.ndarray, start: int, stop: int, key: str) -> float:
        oldest = self.sim.tick - int(self.sim.spikes.keep_ms)
        base = self.memory.get(key)
        if start >= oldest:
            ids, ticks = self.sim.spike_history(start)
            wanted = np.zeros(self.sim.network.neuron_count, bool)
            wanted[rows] = True
            count, ms = int((wanted[ids] & (ticks >= start) & (ticks < stop)).sum()), stop - start
        elif base is not None:  # longer than the spikes in memory: counted since the first sample in the window
            count, ms = self._counted(rows) - int(base[1]), self.sim.tick - int(base[0])
        else:
            return math.nan
        return float(count) if probe.measure == "spike_count" else count * 1000.0 / rows.size / max(ms, 1)

    def _fluctuation(self, probe, start: int, stop: int) -> float:
        """What is made of counts by region: connectivity beside what was measured, timescales, rhythms, avalanches."""
        if self._of_graph(probe):
            return self._graph_fit(probe)
        if probe.measure in EVOKED:
            return self._evoked(probe, stop)
        found = self.tallied(probe, start, stop)
        if found is None or len(found[0]) < 3:
            return math.nan
        counts, names, width = found
        if probe.measure == "timescale":
            tau = fluctuations.timescales(counts, width)
            return float(np.nanmean(tau)) if np.isfinite(tau).any() else math.nan
        if probe.measure == "timescale_map":
            return self._along_map(fluctuations.timescales(counts, width), names)
        together = counts.sum(axis=1, dtype=np.int64)
        if probe.measure == "rhythm_frequency":
            return fluctuations.rhythm_hz(together, width)
        if probe.measure == "branching_ratio":
            return fluctuations.branching_ratio(together, width)
        if probe.measure == "avalanche_exponent":
            spikes = int(together.sum())
            step = max(1, round(len(together) / spikes)) if spikes else 1
            whole = together[: len(together) // step * step].reshape(-1, step).sum(axis=1)
            return fluctuations.size_exponent(fluctuations.avalanches(whole))
        signal = bold.bold_of(counts, width)
        if len(signal) < 3:
            return math.nan
        if probe.measure == "fcd_distance":
            measured = self._measured_connectivity()
            known = measured.fcd.get(probe.subjects or "test") if measured is not None else None
            return math.nan if known is None else bold.distribution_distance(bold.dynamics(signal), known)
        connectivity = bold.connectivity(signal)
        if probe.measure == "mean_fc":
            return float(np.mean(bold.pairs(connectivity)))
        return self._likeness(probe, connectivity, names)

    def _evoked(self, probe, stop: int) -> float:
        """Onset [ms] or strength of the mean response over the windows that have passed."""
        begin = round(probe.windows[0][0] - probe.baseline)
        found = self.tallied(probe, 0 if self.only else begin, stop)
        if found is None:
            return math.nan
        counts, _, width = found
        starts = [round(start - (0 if self.only else begin)) for start, end in probe.windows
                  if end - (0 if self.only else begin) <= len(counts) * width]  # fmt: skip
        if len(starts) < 2:
            return math.nan
        before, after = round(probe.baseline / width), round((probe.to - probe.from_) / width)
        at = np.array(starts) // round(width)
        rows = evoked.deviations(counts.sum(axis=1, dtype=np.int64), at, before, after)
        return evoked.strength(rows) if probe.measure == "evoked_z" else evoked.onset(rows) * width

    def _measured_connectivity(self):
        connectome = self.sim.network.connectome
        return None if connectome is None else load_functional(connectome)

    def _likeness(self, probe, connectivity: np.ndarray, names: list[str]) -> float:
        """r of a connectivity between regions of these names with the measured one; NaN where there is none."""
        measured = self._measured_connectivity()
        labels = self.sim.network.connectome.labels if measured is not None else []
        rows = [labels.index(name) for name in names if name in labels]
        if len(rows) < len(names) or len(rows) < 4 or not np.isfinite(connectivity).all():
            return math.nan
        wanted = measured.fc[probe.subjects or "test"][np.ix_(rows, rows)]
        return bold.likeness(connectivity, wanted, probe.measure == "fc_fit_centred")

    def _graph_fit(self, probe) -> float:
        """The same of what the graph alone, or a linear model on it, would have."""
        network = self.sim.network
        if network.connectome is None:
            return math.nan
        if probe.model == "weights":
            made = network.connectome.weights
        else:
            coupling = network.weights / np.abs(np.linalg.eigvals(network.weights)).max()
            made = (bold.autoregressive if probe.model == "autoregressive" else bold.diffusive)(coupling, probe.gain)
        return self._likeness(probe, made, network.connectome.labels)

    def _along_map(self, values: np.ndarray, names: list[str]) -> float:
        """Spearman's rho of a value per region with the connectome's T1w/T2w."""
        from scipy.stats import spearmanr

        connectome = self.sim.network.connectome
        at = {} if connectome is None else dict(zip(connectome.labels, connectome.myelin, strict=True))
        along = np.array([at.get(name, np.nan) for name in names])
        known = np.isfinite(along) & np.isfinite(values)
        return float(spearmanr(values[known], along[known]).statistic) if known.sum() > 4 else math.nan

    def _latency(self, probe, kind: str, rows: np.ndarray, start: int, stop: int) -> float:
        """Time [ms] from `from` until: the n-th spike, a rate, a change of angle or height, or an activation."""
        dimension, limit = self._threshold[probe.name]
        if kind == "population":
            ids, ticks = self.sim.spike_history(start)
            ticks = ticks[np.isin(ids, rows) & (ticks >= start) & (ticks < stop)]
            if dimension == "rate":
                count = np.bincount(ticks - start, minlength=1).cumsum()
                count[LATENCY_RATE_MS:] -= count[:-LATENCY_RATE_MS].copy()
                passed = np.flatnonzero(count * 1000.0 / LATENCY_RATE_MS / rows.size >= limit)
                return float(passed[0]) if passed.size else math.nan
            n = max(1, math.ceil(limit)) if not math.isnan(limit) else 1
            return float(ticks[n - 1] - start) if len(ticks) >= n else math.nan
        name = {"angle": "qpos", "part": "height", "muscle": "activation"}[kind]
        when, trace = self.sampler.traced(name, start, stop)
        if not len(trace):
            return math.nan
        chosen = trace[:, rows].astype(float)
        if kind != "muscle":
            chosen = np.abs(chosen - chosen[0]) * (1000.0 if kind == "part" else 1.0)
        limit = DEFAULT_LIMIT[kind] if math.isnan(limit) else limit
        passed = np.flatnonzero(chosen.max(axis=1) >= limit)
        return float(when[passed[0]] - start) if passed.size else math.nan


def bin_of(probe) -> int:
    """Width of the bins [ms] that a probe's spikes are counted in."""
    return BIN_MS[probe.measure] if probe.bin is None else round(probe.bin)


def add_counts(counts: np.ndarray, ids: np.ndarray, ticks: np.ndarray, column: np.ndarray, width: int) -> None:
    """counts[tick // width, column[id]] += 1 for every spike that has a column; in place."""
    at, row = column[ids], ticks // width
    inside = (at >= 0) & (row < len(counts))
    at, row = at[inside], row[inside]
    if not row.size:
        return
    first, groups = int(row.min()), counts.shape[1]
    found = np.bincount((row - first) * groups + at, minlength=(int(row.max()) - first + 1) * groups)
    counts[first : first + found.size // groups] += found.reshape(-1, groups).astype(counts.dtype)


def change_of(angles: np.ndarray) -> float:
    """Mean over joints of the angle in the second half of [samples, joints] less that of the first sample."""
    return float((angles[len(angles) // 2 :].mean(axis=0) - angles[0]).mean())


def same_way(ones: np.ndarray, others: np.ndarray) -> float:
    """Pearson correlation of the mean angle of some joints and that of others, both [samples, joints]; NaN if still."""
    a, b = ones.mean(axis=1), others.mean(axis=1)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else math.nan


def counter_rotation(angle: np.ndarray, turned: np.ndarray, every_ms: float) -> float:
    """How much of a turn is taken back: minus the slope of the steps of `angle` [rad] on those of `turned` [rad].

    Steps of 100 ms; 1: all of it, 0: nothing, NaN where `turned` stays within 5 deg.
    """
    seen = turned[~np.isnan(turned)]
    if not seen.size or np.ptp(seen) < math.radians(5.0):
        return math.nan
    stride = max(1, round(STEP_MS / every_ms))
    back, forth = (trace[stride:] - trace[:-stride] for trace in (angle, turned))
    known = ~np.isnan(forth)
    return -float(back[known] @ forth[known]) / float(forth[known] @ forth[known])


def panel_azimuth(timeline, now: float) -> float:
    """Where the panel that a scene shows is at a time [ms], rad to the left; NaN where there is none."""
    azimuth, latest = math.nan, -1.0
    for event in timeline:
        for start in event.starts if event.show is not None else ():
            if latest <= start <= now and (event.last is None or now < start + event.last):
                latest, show = start, event.show
                ways = (now - start) / show.takes if show.takes else 0.0
                there = abs((ways + 1.0) % 2.0 - 1.0)  # 0..1, to and fro
                azimuth = show.from_ + there * ((show.from_ if show.to is None else show.to) - show.from_)
    return azimuth


COUNTED = ("rate_hz", "spike_count")
LIMBS = {"limbs_together": "bouts", "limbs_in_step": "phases"}
EVOKED = ("evoked_latency", "evoked_z")
RHYTHMIC = ("cycle_frequency", "cycle_cv", "phase_vector", "cycle_ratio")


def rhythm_of(measure: str, ids, ticks, rows: np.ndarray, others: np.ndarray | None, start: int, stop: int) -> float:
    """Frequency, variability or phase of the bursts of all `rows` together, or how many there are for each of `others`;
    NaN where there are none."""
    bins = (stop - start) // RHYTHM_MS
    if bins < 100:
        return math.nan
    summed = []
    for neurons in (rows, others):
        if neurons is not None:
            count = np.bincount((ticks[np.isin(ids, neurons)] - start) // RHYTHM_MS, minlength=bins)[:bins]
            summed.append(rhythm.smooth(count[:, None], RHYTHM_MS))
    cycle = rhythm.cycle_ms(summed[0], RHYTHM_MS)
    if measure == "cycle_frequency":
        return float(1000.0 / cycle[0])
    if measure == "cycle_cv":
        return rhythm.cycle_cv(summed[0][:, 0], RHYTHM_MS)
    if measure == "cycle_ratio":
        return float(rhythm.cycle_ms(summed[1], RHYTHM_MS)[0] / cycle[0])
    return float(rhythm.phase_vector(*summed, RHYTHM_MS, cycle)[0])


def peak_ticks(probe) -> int:
    """Width of the window that slides over a peak_hz probe's own."""
    if probe.bin is not None:
        return round(probe.bin)
    return PEAK_MS if probe.to is None else min(PEAK_MS, round(probe.to) - round(probe.from_))


DEFAULT_LIMIT = {"angle": 0.05, "part": 10.0, "muscle": 0.1}  # rad, mm, activation: what a latency waits for


def threshold_of(value: float | int | str | None) -> tuple[str | None, float]:
    """(dimension, number in its base unit) of a latency's threshold; (None, NaN) if there is none."""
    if value is None:
        return None, math.nan
    if not isinstance(value, str):
        return None, float(value)
    for dimension in ("angle", "rate", "length", "fraction"):
        try:
            return dimension, quantity(value, dimension)
        except UserError:
            continue
    raise UserError(f'expected a number, an angle, a rate, a length or a fraction, got "{value}"')


# what followed an event -----------------------------------------------------------------------------------------


def followed(sim, probes: Probes, tick: int, window_ms: int = 300, most: int = 3) -> list[str]:
    """The strongest changes in the time after an event against the time before it, as short texts."""
    out: list[tuple[float, str]] = []
    before, after = max(0, tick - window_ms), min(sim.tick, tick + window_ms)
    if sim.network is not None and after > tick > before:
        ids, ticks = sim.spike_history()
        population = np.zeros(sim.network.neuron_count, np.int64)
        members = sim.network.populations
        for k, p in enumerate(members):
            population[p.neurons] = k
        size = np.array([p.count for p in members])

        def rate(start: int, stop: int) -> np.ndarray:
            inside = (ticks >= start) & (ticks < stop)
            count = np.bincount(population[ids[inside]], minlength=len(members))
            return count * 1000.0 / size / (stop - start)

        old, new = rate(before, tick), rate(tick, after)
        error = np.sqrt(np.maximum(old, 1.0) * 1000.0 / size / window_ms)
        z = (new - old) / error
        for k in np.argsort(-np.abs(z))[:most]:
            if abs(z[k]) > 4:
                out.append((abs(z[k]), f"{members[k].name} {old[k]:.1f} to {new[k]:.1f} Hz"))
    out = [text for _, text in sorted(out, reverse=True)[:most]]
    if probes.names is not None:
        out += _moved(probes, before, tick, after, most)
    return out


def _moved(probes: Probes, before: int, tick: int, after: int, most: int) -> list[str]:
    """Muscles that pulled harder and joints that moved more than in the time before."""
    out = []
    _, old = probes.sampler.traced("activation", before, tick)
    _, new = probes.sampler.traced("activation", tick, after)
    if len(old) and len(new) and new.ndim == 2:
        gain = new.max(axis=0) - old.max(axis=0)
        for k in np.argsort(-gain)[:most]:
            if gain[k] > 0.05:
                out.append(f"{probes.sim.physics.muscle_names[k]} pulls {new[:, k].max():.2f}")
    _, old = probes.sampler.traced("qpos", before, tick)
    _, new = probes.sampler.traced("qpos", tick, after)
    if len(old) and len(new):
        angles = {n: at for n, at in probes.names.angle.items() if not n.startswith("press_")}
        gain = {n: float(np.ptp(new[:, at]) - np.ptp(old[:, at])) for n, at in angles.items()}
        for name in sorted(gain, key=gain.get, reverse=True)[:most]:
            if gain[name] > 0.03:
                change = new[np.abs(new[:, angles[name]] - new[0, angles[name]]).argmax(), angles[name]]
                out.append(f"{name} {math.degrees(change - new[0, angles[name]]):+.0f} deg")
    return out
