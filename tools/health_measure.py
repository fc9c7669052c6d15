"""What `encephagen health` measures in one run of a scene: every population at rest and under its structure's stimuli.

A run settles, rests, and is then woken by each stimulus in turn, always from the same rested state (a snapshot), so no
stimulus sees what another one left behind. Rates in Hz, windows in ticks of 1 ms.
"""

from __future__ import annotations

import math
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

WARM_UP_MS = 2000
STIMULUS_MS = 1000
WINDOW_MS = 1000  # of the highest rate a population may reach
STEP_MS = 100  # between the starts of such windows
SYNCHRONY_BIN_MS = 20.0
CORRELATION_BIN_MS = 1000.0  # within a region, as the operating point is stated
SAMPLE = 200  # neurons of a population that synchrony is measured on, at most
DEFAULT_RANGE = (0.1, 200.0)  # Hz, under the first stimulus of the file, where a cell declares nothing
BEFORE_MS, AFTER_MS = 500, 500  # shown around a stimulus
SHOWN_MS = 2000  # of rest, in figures
CUTS = {"local": "recurrent", "long_range": "long-range"}  # kind of projection -> what it is called


@dataclass(frozen=True)
class Job:
    """One run: a seed, and perhaps a lesion."""

    scene: str
    overrides: tuple[str, ...]
    seed: int
    rest_ms: int
    cut: str | None = None  # a key of CUTS
    pictures: bool = False


@dataclass
class Measured:
    """Numbers of one run; arrays are [populations] in the order of `present`."""

    seed: int
    cut: str | None
    rate: np.ndarray
    cv: np.ndarray
    synchrony: np.ndarray
    peak: np.ndarray
    driven: dict[str, np.ndarray] = field(default_factory=dict)  # stimulus -> rates
    regional: dict | None = None
    pictures: dict[str, tuple[np.ndarray, np.ndarray, int, int]] = field(default_factory=dict)
    """state -> (neurons, ticks from the first one shown, length [ms], start of the stimulus or -1)."""
    lost: int = 0
    wall_s: float = 0.0


# spikes -----------------------------------------------------------------------------------------------------------


class Trains:
    """The spikes of a window, by neuron, so that those of a population are one slice."""

    def __init__(self, ids: np.ndarray, ticks: np.ndarray, neuron_count: int, start: int, stop: int):
        inside = (ticks >= start) & (ticks < stop)
        ids, ticks = ids[inside], ticks[inside]
        order = np.argsort(ids, kind="stable")
        self.ids, self.ticks, self.start, self.stop = ids[order], ticks[order], start, stop
        self.first = np.searchsorted(self.ids, np.arange(neuron_count + 1))
        self.counts = np.diff(self.first)

    @property
    def seconds(self) -> float:
        return (self.stop - self.start) / 1000.0

    def of(self, populations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(neuron counted from 0, tick, all neurons) of some populations together."""
        ids, ticks, at = [], [], 0
        for p in populations:
            rows = slice(self.first[p.first], self.first[p.first + p.count])
            ids.append(self.ids[rows].astype(np.int64) - p.first + at)
            ticks.append(self.ticks[rows])
            at += p.count
        return np.concatenate(ids), np.concatenate(ticks), np.arange(at)

    def rates(self, populations) -> np.ndarray:
        """Mean rate of each population [Hz]."""
        spikes = [self.first[p.first + p.count] - self.first[p.first] for p in populations]
        return np.array(spikes) / np.array([p.count for p in populations]) / self.seconds

    def peaks(self, populations) -> np.ndarray:
        """Highest mean rate of each population over any window of a second [Hz], looked at every tenth of one."""
        steps = max(1, (self.stop - self.start) // STEP_MS)
        window = min(steps, WINDOW_MS // STEP_MS)
        of = np.full(self.counts.size, -1)
        for k, p in enumerate(populations):
            of[p.neurons] = k
        step = (self.ticks - self.start) // STEP_MS
        chosen = (step < steps) & (of[self.ids] >= 0)
        flat = np.bincount((of[self.ids] * steps + step)[chosen], minlength=len(populations) * steps)
        total = np.cumsum(np.pad(flat.reshape(-1, steps), ((0, 0), (1, 0))), axis=1)
        most = (total[:, window:] - total[:, :-window]).max(axis=1)
        ms = min(window * STEP_MS, self.stop - self.start)
        return most * 1000.0 / np.array([p.count for p in populations]) / ms


def regularity(trains: Trains, populations, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(ISI CV, mean pair correlation at 20 ms) of each population; NaN where there are too few spikes."""
    from systems.probes import isi_cv, mean_pair_correlation

    cv, synchrony = np.full(len(populations), math.nan), np.full(len(populations), math.nan)
    for k, p in enumerate(populations):
        ids, ticks, neurons = trains.of([p])
        if not ids.size:
            continue
        cv[k] = isi_cv(ids, ticks, neurons)
        if neurons.size > SAMPLE:
            rng = np.random.default_rng([seed, zlib.crc32(p.name.encode())])
            neurons = np.sort(rng.choice(neurons, SAMPLE, replace=False))
        synchrony[k] = mean_pair_correlation(ids, ticks, [neurons], SYNCHRONY_BIN_MS, trains.start, trains.stop)
    return cv, synchrony


# what there is to measure -----------------------------------------------------------------------------------------


def present(network) -> list:
    """Populations of the scene's circuits; stand-ins of absent ones are not looked at."""
    return [p for p in network.populations if not p.stand_in]


def stimuli_of(network) -> dict[str, tuple[str, float]]:
    """`structure.stimulus` -> (populations as a glob, drive [mV]), of those that reach a population of the scene."""
    from engine.errors import UserError

    found = {}
    for circuit in network.circuits:
        for name, stimulus in circuit.stimuli.items():
            try:
                network.select(stimulus.population)
            except UserError:
                continue  # its cells are not in this scene: no such muscle, patch or structure
            found[f"{circuit.structure}.{name}"] = (stimulus.population, stimulus.drive)
    return found


def expected_of(network) -> dict[tuple[str, str], list[tuple[str, float, float, str]]]:
    """(structure, cell) -> (stimulus, lowest, highest, source) of every driven band that can be tested here."""
    there, found = stimuli_of(network), {}
    for circuit in network.circuits:
        for name, cell in circuit.cells.items():
            if cell.driven is not None:
                low, high = cell.driven.rate
                bands = [(f"{circuit.structure}.{by}", low, high, cell.driven.source) for by in cell.driven.stimuli]
            else:
                bands = [(f"{circuit.structure}.{by}", *DEFAULT_RANGE, "neither silent nor above 200 Hz (default)")
                         for by in list(circuit.stimuli)[:1]]  # fmt: skip
            found[circuit.structure, name] = [band for band in bands if band[0] in there]
    return found


def cut_overrides(network, kind: str) -> list[str]:
    """`--set` texts that cut the excitatory projections of a kind onto cells of regions."""
    from systems.spawn.network import sources_of, target_of

    cells = {(c.structure, name): cell for c in network.circuits for name, cell in c.cells.items()}
    circuits = {c.structure: c for c in network.circuits}
    names = {}
    for p in network.projections:
        circuit = circuits[p.structure]
        target = cells.get(target_of(p.spec, circuit))
        excites = any(cells[s].acts_on == "ampa" for s in sources_of(p.spec, circuit) if s in cells)
        if p.kind == kind and excites and target is not None and target.per == "region":
            names[p.name] = None
    return [f'brain.gains."{name}"=0' for name in names]


# one run ----------------------------------------------------------------------------------------------------------


UNTOUCHED = ("timeline=[]", "probes=[]", "expect=[]")


def build(scene: str, overrides, seed: int | None):
    """The scene's simulation without its story."""
    from systems.simulation import load

    return load(scene, seed=seed, overrides=[*overrides, *UNTOUCHED])


def measure(job: Job, sim=None) -> Measured:
    """Run a job from the start; `sim` may be handed over freshly built."""
    from tools import common

    sim = sim or build(job.scene, job.overrides, job.seed)
    common.compile_kernels(sim)
    started = time.perf_counter()
    network, n = sim.network, sim.network.neuron_count
    sim.spikes.keep_ms = max(sim.spikes.keep_ms, WARM_UP_MS + job.rest_ms + 5000.0)
    sim.run(WARM_UP_MS)
    gains = MeanGains(sim)
    sim.run(job.rest_ms)
    gains.detach()
    rested = sim.tick
    trains = Trains(*sim.spike_history(), n, rested - job.rest_ms, rested)
    members = present(network)
    cv, synchrony = regularity(trains, members, job.seed)
    found = Measured(job.seed, job.cut, trains.rates(members), cv, synchrony, trains.peaks(members))
    if any(p.cell.per == "region" for p in members):
        found.regional = regional(sim, trains, gains.mean)
    if job.pictures:
        found.pictures["rest"] = picture(sim, rested - min(SHOWN_MS, job.rest_ms), rested, -1)
    if job.cut is None:
        drive(sim, job, found)
    found.lost, found.wall_s = int(sim.spikes.lost), time.perf_counter() - started
    return found


def drive(sim, job: Job, found: Measured) -> None:
    """Each stimulus for a second, from the rested state."""
    members, n, rested = present(sim.network), sim.network.neuron_count, sim.tick
    stimuli = stimuli_of(sim.network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rested.h5"
        if stimuli:
            sim.save(path)
        for number, (name, (glob, millivolts)) in enumerate(stimuli.items()):
            if number:
                sim.load_state(path)
            sim.stimulate(glob, f"{millivolts} mV", f"{STIMULUS_MS} ms")
            sim.run(STIMULUS_MS)
            trains = Trains(*sim.spike_history(), n, rested, rested + STIMULUS_MS)
            found.driven[name] = trains.rates(members)
            if job.pictures:
                sim.run(AFTER_MS)
                first = max(0, rested - min(BEFORE_MS, job.rest_ms))
                found.pictures[name] = picture(sim, first, sim.tick, rested - first)


def picture(sim, start: int, stop: int, onset: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    ids, ticks = sim.spike_history()
    inside = (ticks >= start) & (ticks < stop)
    return ids[inside], ticks[inside] - start, stop - start, onset


class MeanGains:
    """Mean factor on each group of modulated synapses while it is attached, from the scene's samples."""

    def __init__(self, sim):
        from components.network import Gains

        self.value = sim.world[Gains.value] if Gains.value in sim.world.arrays else np.ones(1, np.float32)
        self.watchers, self.samples = sim.sampler.watchers, 0
        self.total = np.zeros(self.value.shape)
        self.watchers.append(self._watch)

    def _watch(self, tick: int) -> None:
        self.total += self.value
        self.samples += 1

    def detach(self) -> None:
        self.watchers.remove(self._watch)

    @property
    def mean(self) -> np.ndarray:
        return self.total / self.samples if self.samples else self.value.astype(float)


def regional(sim, trains: Trains, gains: np.ndarray) -> dict:
    """Operating point of the excitatory cells of the regions, and where their excitatory charge comes from.

    rate, target [Hz] and correlation are [regions]; shares are kind -> [regions].
    """
    from systems.probes import KINDS, coupling_shares, isi_cv, mean_pair_correlation

    profile = sim.scene.brain.profile
    cells: dict[str, list] = {}
    for p in present(sim.network):
        if p.cell.per == "region" and p.cell.acts_on == "ampa":
            cells.setdefault(p.instance, []).append(p)
    rate, target, correlation = [], [], []
    for members in cells.values():
        size = np.array([p.count for p in members])
        bands = [p.cell.bands.get(profile) for p in members]
        targets = [math.nan if band is None or band.target is None else band.target for band in bands]
        ids, ticks, neurons = trains.of(members)
        rate.append(float(trains.rates(members) @ size / size.sum()))
        target.append(float(np.array(targets) @ size / size.sum()))
        correlation.append(mean_pair_correlation(ids, ticks, [neurons], CORRELATION_BIN_MS, trains.start, trains.stop))
    everyone = trains.of([p for members in cells.values() for p in members]) if cells else None
    shares = coupling_shares(sim, trains.counts, trains.seconds, gains)["regions"]
    return {
        "regions": list(cells),
        "rate": np.array(rate),
        "target": np.array(target),
        "correlation": np.array(correlation),
        "cv": isi_cv(*everyone) if everyone else math.nan,
        "shares": {kind: np.array([shares[region][kind] for region in cells]) for kind in KINDS},
    }


# input and output -------------------------------------------------------------------------------------------------


def unjoined(world, network) -> list[tuple[str, str]]:
    """(population, "input" or "output") of every population that lacks one and does not say why.

    Inputs are synapses of other populations and sense organs; outputs are synapses onto others, muscles, and gains that
    the population drives. What a circuit file joins to a structure that is not in the scene is not lacking.
    """
    from components.network import Synapse
    from systems.spawn.network import fanout_of

    members = network.populations
    of = np.zeros(network.neuron_count, np.int64)
    for k, p in enumerate(members):
        of[p.neurons] = k
    takes, gives = np.zeros(len(members), bool), np.zeros(len(members), bool)
    for name in network.receptor_of:
        table, start = world.tables[name], fanout_of(world.tables[name])
        source = of[np.repeat(np.arange(network.neuron_count), start[:, -1] - start[:, 0])]
        target = of[table[Synapse.post]]
        other = source != target  # this drops the empty row of a table without synapses, too
        takes[target[other]] = True
        gives[source[other]] = True
    modulators = {m.by for p in network.projections if p.count for m in p.spec.modulated}
    elsewhere = joined_elsewhere(network)
    found = []
    for k, p in enumerate(members):
        if p.stand_in:
            continue
        key = (p.structure, p.cell_name)
        if not (takes[k] or p.cell.sense or p.cell.no_input or (*key, "input") in elsewhere):
            found.append((p.name, "input"))
        drives = p.cell.motor or ".".join(key) in modulators
        if not (gives[k] or drives or p.cell.no_output or (*key, "output") in elsewhere):
            found.append((p.name, "output"))
    return found


def joined_elsewhere(network) -> set[tuple[str, str, str]]:
    """(structure, cell, "input" or "output") joined by some circuit file to a structure that the scene leaves out."""
    from systems.spawn.network import CIRCUITS, load_circuit, sources_of, target_of

    here = {c.structure for c in network.circuits}
    absent = [load_circuit(path.stem)[0] for path in sorted(CIRCUITS.glob("*.yaml"))]
    found = set()
    for circuit in [*network.circuits, *(c for c in absent if c.structure not in here)]:
        for spec in circuit.projections:
            target = target_of(spec, circuit)
            for source in sources_of(spec, circuit):
                if source[0] not in here:
                    found.add((*target, "input"))
                if target[0] not in here:
                    found.add((*source, "output"))
            if target[0] not in here:
                found |= {(*m.by.split(".", 1), "output") for m in spec.modulated}
    return found
