"""Circuit files -> populations, neuron tables, synapse tables. Everything is drawn from named streams of one seed."""

from __future__ import annotations

import fnmatch
import functools
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.network import (
    Arcs,
    Arrivals,
    Branch,
    Fanout,
    Gained,
    Gains,
    Gate,
    Inputs,
    Modulator,
    SpikeLog,
    Spikes,
    Synapse,
    Threads,
)
from components.neuron import (
    Adaptation,
    Ampa,
    Background,
    BackgroundRates,
    Gaba,
    GabaSlow,
    LowThreshold,
    Membrane,
    Nmda,
    TickConstants,
)
from engine.errors import UserError
from engine.lanes import LANES
from engine.scene import Source, load_scene
from engine.schedule import Parts
from engine.units import quantity
from engine.world import World
from systems.background_noise import event_thresholds
from systems.deliver_spikes import parcels
from systems.lif_integrate import tick_constants
from systems.spawn.circuit_model import BackgroundSpec, Cell, Circuit, Modulation, Projection, Reflex
from systems.spawn.connectome import Connectome, delays_ms, side_of, tau_region_ms
from systems.spawn.learning import components_of, make_rules
from systems.spawn.synapse_layout import Chunk, lay

CIRCUITS = Path(__file__).resolve().parents[2] / "assets" / "circuits"
MAX_PARTS = 64  # as many threads as a world may have
UNIT = 65536.0  # arrivals are counted in 2^-16 mV
SHARED_FROM = 2_000  # neurons from which on threads share kernels, while that is found to be faster (engine/crew.py)
PARTS_EACH = 2  # parts for each thread: who is done, or steps the body, leaves more of them to the others
PACKED = 1 << 23  # a table of as many synapses keeps nothing but their parcels: 9 bytes a synapse, not 19
RECEPTORS = {"ampa": (Ampa, Arrivals.ampa), "gaba": (Gaba, Arrivals.gaba), "gaba_slow": (GabaSlow, Arrivals.gaba_slow)}
INPUTS = {
    Membrane.v: Inputs.v,
    Membrane.stimulus: Inputs.stimulus,
    Membrane.sense: Inputs.sense,
    Membrane.threshold: Inputs.threshold,
    Membrane.threshold_intact: Inputs.threshold_intact,
}


@dataclass
class Population:
    """A named range of neurons: `structure.instance.cell`."""

    structure: str
    instance: str
    cell_name: str
    cell: Cell
    first: int = -1
    scale: float = 1.0  # tau_region / 20 ms
    stand_in: bool = False  # its structure is absent: the cells fire by chance, for others to hear

    @property
    def name(self) -> str:
        return f"{self.structure}.{self.instance}.{self.cell_name}"

    @property
    def count(self) -> int:
        return self.cell.count[self.instance] if isinstance(self.cell.count, dict) else self.cell.count

    @property
    def tau_m(self) -> float:
        return self.cell.tau_m * (self.scale if self.cell.regional_tau else 1.0)

    @property
    def has_nmda(self) -> bool:
        nmda = self.cell.nmda
        return nmda is not None and any(fnmatch.fnmatchcase(self.instance, glob) for glob in nmda.instances)

    @property
    def neurons(self) -> slice:
        return slice(self.first, self.first + self.count)

    def psp_to_charge(self, tau_syn: float) -> float:
        """Depolarisation time integral / tau_m (mV per mV of PSP peak) of an exponential synapse."""
        a, b = self.tau_m, tau_syn
        return float(np.e) if abs(a - b) < 1e-6 else (a / b) ** (b / (a - b))


@dataclass
class JoinedProjection:
    """A projection as built: what it joins, how many synapses, and its share of bookkeeping."""

    name: str
    structure: str
    spec: Projection
    kind: str  # "local", "long_range" or "other": for coupling shares
    gain: float
    first: int = 0
    count: int = 0
    clipped: int = 0  # weights that a learning rule's bound cut down at build


@dataclass
class ReflexArc:
    """A reflex arc of the scene: its file's entry, and its row of Arcs.gain (-1: nothing gates it)."""

    structure: str
    spec: Reflex
    row: int = -1

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def gates(self) -> list[str]:
        """Full names, `structure:name`, of the projections that have the arc's gain."""
        named = [self.spec.gate, *self.spec.also] if self.spec.gate else []
        return [name if ":" in name else f"{self.structure}:{name}" for name in named]


@dataclass
class Network:
    """Names of everything neural in a world; tables hold the numbers."""

    populations: list[Population] = field(default_factory=list)
    projections: list[JoinedProjection] = field(default_factory=list)
    structures: list[str] = field(default_factory=list)
    circuits: list[Circuit] = field(default_factory=list)
    neuron_count: int = 0
    synapse_count: int = 0
    connectome: Connectome | None = None
    weights: np.ndarray | None = None  # normalised, [target, source]
    parameters: dict[str, float] = field(default_factory=dict)
    background_hz: dict[str, float] = field(default_factory=dict)  # by population
    calibrated_gains: dict[str, float] = field(default_factory=dict)  # by projection
    projection_of: dict[str, np.ndarray] = field(default_factory=dict)  # synapse table -> [synapses] projection number
    receptor_of: dict[str, str] = field(default_factory=dict)  # synapse table -> receptor
    reflexes: list[ReflexArc] = field(default_factory=list)
    profile: str = ""

    @functools.cached_property
    def by_name(self) -> dict[str, Population]:
        return {p.name: p for p in self.populations}

    def select(self, glob: str) -> list[Population]:
        """Populations whose name matches; a bare structure or `structure.instance` selects everything below."""
        found = [p for p in self.populations if fnmatch.fnmatchcase(p.name, glob)]
        if not found:
            found = [p for p in self.populations if fnmatch.fnmatchcase(p.name, glob + ".*")]
        if not found:
            raise UserError(f"no population matches {glob!r} (names are structure.instance.cell: {self._example()})")
        return found

    def neurons(self, glob: str) -> np.ndarray:
        """Global indices of all neurons of the selected populations, ascending."""
        chosen = sorted(self.select(glob), key=lambda p: p.first)
        return np.concatenate([np.arange(p.first, p.first + p.count) for p in chosen])

    def _example(self) -> str:
        return self.populations[0].name if self.populations else "none here"


def load_circuit(name: str) -> tuple[Circuit, Source]:
    """A circuit by bare name (assets/circuits) or path, with the files of its folder (thing.yaml, thing/*.yaml)."""
    return load_scene(name, Circuit, [CIRCUITS], parts=True)


# populations ----------------------------------------------------------------------------------------------------


def instances_of(per: str, connectome: Connectome | None, body, groups: dict[str, list[str]]) -> list[str]:
    """Names of the instances of a kind; [] where the scene has no connectome or body to name them."""
    if per in groups:
        return groups[per]
    if per == "region":
        return list(connectome.labels) if connectome is not None else []
    if per == "muscle":
        return [m.name for m in body.muscles] if body is not None else []
    if per == "patch":
        return [p.name for p in body.patches] if body is not None else []
    return ["left", "right"] if per == "side" else ["all"]


def region_scales(connectome: Connectome, kind: str, rng) -> dict[str, float]:
    """Region -> tau_region / 20 ms: of the map, 1, or the map's with pairs of mirror regions changing places."""
    if kind == "uniform":
        return dict.fromkeys(connectome.labels, 1.0)
    scale = dict(zip(connectome.labels, tau_region_ms(connectome) / 20.0, strict=True))
    if kind == "map":
        return scale
    groups: dict[str, list[str]] = {}
    for label in connectome.labels:
        groups.setdefault(side_of(label)[0], []).append(label)
    values = [scale[labels[0]] for labels in groups.values()]
    dealt = zip(groups.values(), rng.permutation(values), strict=True)
    return {label: float(value) for labels, value in dealt for label in labels}


def expand(circuits: list[Circuit], connectome: Connectome | None, body, absent=(), profile="",
           scale: dict[str, float] | None = None) -> list[Population]:  # fmt: skip
    """All populations, in the order of files, instances and cells; then the stand-ins of the `absent` circuits."""
    if scale is None:
        scale = region_scales(connectome, "map", None) if connectome is not None else {}
    out = []
    for circuit in circuits:
        groups = dict.fromkeys(cell.per for cell in circuit.cells.values())
        for per in groups:
            for instance in instances_of(per, connectome, body, circuit.groups):
                for name, cell in circuit.cells.items():
                    if cell.per == per and chosen(instance, cell.instances):
                        factor = float(scale.get(instance, 1.0)) if per == "region" else 1.0
                        out.append(Population(circuit.structure, instance, name, cell, scale=factor))
    for circuit in absent:
        heard = {source for c in (*circuits, *absent) for p in c.projections for source in sources_of(p, c)
                 if target_of(p, c)[0] in {c.structure for c in circuits}}  # fmt: skip
        for name, cell in circuit.cells.items():
            if (circuit.structure, name) in heard and profile in cell.bands:
                stand_in = stand_in_of(cell, cell.bands[profile].aim)
                for instance in instances_of(cell.per, connectome, body, circuit.groups):
                    if chosen(instance, cell.instances):
                        out.append(Population(circuit.structure, instance, name, stand_in, stand_in=True))
    return out


def stand_in_of(cell: Cell, rate_hz: float) -> Cell:
    """The cell as a source of Poisson spikes that can still be stimulated: every background event fires it."""
    background = BackgroundSpec.model_construct(psp=cell.threshold + 10.0, rate=min(rate_hz, 500.0))
    plain = {"nmda": None, "adaptation": None, "low_threshold": None, "sense": None, "motor": False, "gullet": None,
             "tonic": 0.0}  # fmt: skip
    quick = {"tau_m": 10.0, "tau_ampa": 1.0, "reset": 0.0, "refractory": 3.0, "threshold_spread": 0.0}
    return cell.model_copy(update={"background": background, "regional_tau": False, **plain, **quick})


def chosen(instance: str, globs: list[str]) -> bool:
    """Whether a glob takes the instance in and no glob with a leading ! takes it out."""
    taken = [g for g in globs if fnmatch.fnmatchcase(instance, g.removeprefix("!"))]
    return bool(taken) and not any(g.startswith("!") for g in taken)


def table_of(population: Population, slow: set[tuple[str, str]]) -> tuple[type, ...]:
    """Components the population's neurons need: what they do not have costs nothing."""
    components = [Membrane, Ampa, Gaba]
    if (population.structure, population.cell_name) in slow:
        components.append(GabaSlow)
    if population.has_nmda:
        components.append(Nmda)
    if population.cell.adaptation is not None:
        components.append(Adaptation)
    if population.cell.low_threshold is not None:
        components.append(LowThreshold)
    return tuple(components)


def make_vectors(world: World, total: int):
    """What runs over all neurons: (fired, arrivals by receptor, inputs by column of Membrane), and the spike log."""
    fired = world.set_array(Spikes.fired, np.zeros(total, np.uint8))
    world.set_array(Spikes.ids, np.zeros(total, np.int32))
    world.set_array(Spikes.count, np.zeros(1, np.int64))
    capacity = max(1 << 16, 4 * total)
    for c, shape in ((SpikeLog.ids, capacity), (SpikeLog.ticks, capacity), (SpikeLog.substeps, capacity)):
        world.set_array(c, np.zeros(shape, c.dtype))
    world.set_array(SpikeLog.count, np.zeros(2, np.int64))
    arrivals = {name: world.set_array(c, np.zeros(total, np.int32)) for name, (_, c) in RECEPTORS.items()}
    inputs = {}
    for c, shared in INPUTS.items():
        inputs[c] = world.set_array(shared, np.zeros(total, np.float32))
    world.set_array(Inputs.spread, np.zeros(total, np.float32))
    return fired, arrivals, inputs


def share_vectors(table, neurons: slice, fired, arrivals, inputs) -> None:
    """Make the table's columns slices of the vectors over all neurons."""
    table.share(Membrane.fired, fired[neurons])
    for c, vector in inputs.items():
        table.share(c, vector[neurons])
    for receptor, (component, _) in RECEPTORS.items():
        if component in table:
            table.share(component.arrived, arrivals[receptor][neurons])


def share_rows(world: World, network: Network, parts: int | None = None) -> None:
    """Parts of the neurons for the threads of kernels, and of what goes with them; small networks stay whole.

    Parts are of even size, but begin where a block of background begins.
    """
    total = network.neuron_count
    if parts is None:
        parts = min(world.threads * PARTS_EACH, MAX_PARTS) if world.threads > 1 and total >= SHARED_FROM else 1
    edges = np.sort(np.concatenate([np.arange(p.first, p.first + p.count, LANES) for p in network.populations]))
    bounds = edges[np.searchsorted(edges, [total * p // parts for p in range(parts)], side="right") - 1]
    bounds = np.append(bounds, total).astype(np.int64)
    world.set_array(Parts.own, np.array([0, parts], np.int64))
    world.set_array(Threads.bounds, bounds)
    first = 0
    for table in world.tables_with([Membrane]):
        run, rows = table[TickConstants.run], table[TickConstants.rows]
        cuts = np.clip(bounds - first, 0, table.row_count).astype(np.int32)
        made = np.union1d(run, cuts)
        table.set_side(TickConstants.rows, rows[np.searchsorted(run, made[:-1], side="right") - 1])
        table.set_side(TickConstants.run, made)
        table.set_side(TickConstants.part, np.searchsorted(made, cuts).astype(np.int32))
        first += table.row_count
    for table in world.tables_with([Background]):
        of = np.searchsorted(bounds, table[Background.first], side="right") - 1
        order = np.argsort(of, kind="stable")  # within a part as they come: neighbours in memory wait for each other
        for column in Background.columns:
            table[column][:] = table[column][order]
        table.set_side(BackgroundRates.part, np.searchsorted(of[order], np.arange(parts + 1)).astype(np.int32))


def make_neurons(world: World, network: Network, circuits: list[Circuit], substeps: int) -> None:
    """Lay the populations out in tables by what they need, and set every constant column."""
    slow = set()
    cells = {(c.structure, name): cell for c in circuits for name, cell in c.cells.items()}
    for circuit in circuits:
        for projection in circuit.projections:
            for source in sources_of(projection, circuit):
                if source in cells and cells[source].acts_on == "gaba_slow":
                    slow.add(target_of(projection, circuit))
    kinds: dict[tuple[type, ...], list[Population]] = {}
    for population in network.populations:
        kinds.setdefault(table_of(population, slow), []).append(population)
    total = network.neuron_count = sum(p.count for p in network.populations)
    fired, arrivals, inputs = make_vectors(world, total)
    at = 0
    for components, members in kinds.items():
        first = at
        members.sort(key=lambda p: (p.structure, p.cell_name))  # stable: alike neurons become neighbours
        for population in members:
            population.first = at
            at += population.count
        name = "neurons_" + "_".join(c.__name__.lower() for c in components[3:]) if len(components) > 3 else "neurons"
        table = world.add_table(name, [*components, TickConstants], at - first)
        share_vectors(table, slice(first, at), fired, arrivals, inputs)
        for population in members:
            fill(world, table, population, slice(population.first - first, population.first - first + population.count),
                 substeps)  # fmt: skip
        run, rows = tick_constants(table, substeps)
        table.set_side(TickConstants.run, run)
        table.set_side(TickConstants.rows, rows)
    network.structures = list(dict.fromkeys(p.structure for p in network.populations))


def fill(world: World, table, population: Population, rows: slice, substeps: int) -> None:
    """Columns of one population. A PSP peaks at its weight whatever the time constants are; with NMDA the same charge
    is split between both receptors."""
    cell, dt, tau = population.cell, 1.0 / substeps, population.tau_m
    rng = world.streams.generator(f"initial/{population.name}")
    table[Membrane.v][rows] = rng.uniform(0.0, 0.95 * cell.threshold, population.count)
    table[Membrane.tonic][rows] = cell.tonic
    table[Membrane.drive][rows] = cell.tonic
    table[Membrane.decay][rows] = np.exp(-dt / tau)
    threshold = cell.threshold + cell.threshold_spread * np.arange(population.count) / max(population.count - 1, 1)
    table[Membrane.threshold][rows] = table[Membrane.threshold_intact][rows] = threshold
    table[Membrane.reset][rows] = cell.reset
    table[Membrane.refractory][rows] = round(cell.refractory / dt)
    share = cell.nmda.share if population.has_nmda else 0.0
    for component, tau_syn in ((Ampa, cell.tau_ampa), (Gaba, cell.tau_gaba), (GabaSlow, cell.tau_gaba_slow)):
        if component in table:
            if abs(tau_syn - tau) < 1e-3 * tau:
                tau_syn = tau * 1.001  # the formulas below have a removable singularity at equal constants
            jump = (tau_syn / tau) ** (tau / (tau_syn - tau))  # drive that makes a PSP of peak 1 mV
            table[component.decay][rows] = np.exp(-dt / tau_syn)
            fast = 1.0 - share if component is Ampa else 1.0
            table[component.jump][rows] = fast * jump / UNIT / substeps
            table[component.share][rows] = tau_syn / (tau_syn - tau) * (np.exp(-dt / tau_syn) - np.exp(-dt / tau))
            if component is Ampa and share:
                table[Nmda.decay][rows] = np.exp(-1.0 / cell.nmda.tau)
                table[Nmda.jump][rows] = jump / UNIT * tau_syn / cell.nmda.tau * share
    if Adaptation in table:
        table[Adaptation.decay][rows] = np.exp(-1.0 / cell.adaptation.tau)
        table[Adaptation.step][rows] = cell.adaptation.step
    if LowThreshold in table:
        spec = cell.low_threshold
        table[LowThreshold.on][rows] = np.exp(-1.0 / spec.tau_on)
        table[LowThreshold.off][rows] = np.exp(-1.0 / spec.tau_off)
        table[LowThreshold.below][rows], table[LowThreshold.gain][rows] = spec.below, spec.drive


def make_background(world: World, network: Network) -> None:
    """One row per 16 neurons with background, drawn from the population's own stream."""
    chosen = [p for p in network.populations if network.background_hz.get(p.name, 0.0) > 0]
    if not chosen:
        return
    blocks = [-(-p.count // LANES) for p in chosen]
    table = world.add_table("background", [Background, BackgroundRates], sum(blocks))
    hz = np.array([network.background_hz[p.name] for p in chosen])
    if hz.max() > 2000.0:
        worst = chosen[int(hz.argmax())].name
        raise UserError(f"{worst}: background of {hz.max():.0f} Hz, expected at most 2000 Hz; raise its psp")
    table.set_side(BackgroundRates.threshold, event_thresholds(hz))
    keys = np.array([world.streams.key(f"background/{p.name}") for p in chosen], np.uint32)
    of = np.repeat(np.arange(len(chosen)), blocks)
    index = np.concatenate([np.arange(b) for b in blocks])
    table[Background.key0][:], table[Background.key1][:] = keys[of, 0], keys[of, 1]
    table[Background.index][:], table[Background.rate_class][:] = index, of
    table[Background.first][:] = np.array([p.first for p in chosen])[of] + LANES * index
    table[Background.count][:] = np.minimum(np.array([p.count for p in chosen])[of] - LANES * index, LANES)
    table[Background.psp][:] = np.array([round(p.cell.background.psp * UNIT) for p in chosen], np.int32)[of]


# projections ----------------------------------------------------------------------------------------------------


def sources_of(projection: Projection, circuit: Circuit) -> list[tuple[str, str]]:
    """(structure, cell) of each source."""
    names = projection.from_ if isinstance(projection.from_, list) else [projection.from_]
    return [tuple(n.split(".", 1)) if "." in n else (circuit.structure, n) for n in names]


def target_of(projection: Projection, circuit: Circuit) -> tuple[str, str]:
    """(structure, cell) of the target."""
    return tuple(projection.to.split(".", 1)) if "." in projection.to else (circuit.structure, projection.to)


def joined_pairs(spec: Projection, sources: list[Population], target: Population, body) -> list[Population]:
    """The source populations that project to `target` under the projection's relation (all but `connectome`)."""
    if spec.relation == "all":
        return sources
    if spec.relation == "same":
        return [s for s in sources if s.instance == target.instance]
    if spec.relation == "antagonist":
        opposite = body.muscle(target.instance).antagonist
        return [s for s in sources if s.instance == opposite]
    return [
        s
        for s in sources
        if any(
            fnmatch.fnmatchcase(s.instance, glob) and any(fnmatch.fnmatchcase(target.instance, t) for t in targets)
            for glob, targets in spec.pairs.items()
        )
    ]


def by_instance(sources: list[Population]) -> dict[str, list[Population]]:
    """The source populations of each instance: what `joined_pairs` finds for relation same, found once."""
    found: dict[str, list[Population]] = {}
    for source in sources:
        found.setdefault(source.instance, []).append(source)
    return found


def sample_weights(rng: np.random.Generator, spec: Projection, psp: float, shape: tuple[int, int]) -> np.ndarray:
    """Lognormal PSPs [mV], scaled so that each target's sum is exactly shape[1] * psp."""
    if spec.psp_cv == 0:
        return np.full(shape, psp, np.float32)
    sigma = np.sqrt(np.log1p(spec.psp_cv**2))
    w = rng.lognormal(-0.5 * sigma**2, sigma, shape)
    w *= psp * shape[1] / w.sum(axis=1, keepdims=True)
    return w.astype(np.float32)


def make_synapses(world: World, network: Network, circuits: list[Circuit], body, gains: dict[str, float],
                  learning: bool = True) -> None:  # fmt: skip
    """Sample every projection and lay the synapses out source-major, one table per receptor and one per rule."""
    by_cell: dict[tuple[str, str], list[Population]] = {}
    for population in network.populations:
        by_cell.setdefault((population.structure, population.cell_name), []).append(population)
    used = dict.fromkeys(gains, False)
    chunks: dict[tuple[str, str], list[Chunk]] = {(r, ""): [] for r in RECEPTORS}
    network.reflexes = [ReflexArc(c.structure, spec) for c in circuits for spec in c.reflexes]
    groups = Groups(by_cell, network)
    velocity = network.parameters.get("velocity", 6.0)
    for circuit in circuits:
        for spec in circuit.projections:
            names = sources_of(spec, circuit)
            label = spec.name or "+".join(".".join(n) if n[0] != circuit.structure else n[1] for n in names)
            name = f"{circuit.structure}:{label if spec.name else label + '>' + spec.to}"
            scales = [spec.scale] if isinstance(spec.scale, str) else spec.scale
            if unknown := [s for s in scales if s not in network.parameters]:
                known = ", ".join(network.parameters)
                raise UserError(f"{name}: scale: no parameter {unknown[0]!r} (there are: {known})")
            gain = float(np.prod([network.parameters[s] for s in scales])) * network.calibrated_gains.get(name, 1.0)
            for glob, factor in gains.items():
                if fnmatch.fnmatchcase(name, glob):
                    used[glob], gain = True, gain * factor
            aim = target_of(spec, circuit)
            inside = all(s == aim[0] for s, _ in names)
            kind = "long_range" if spec.relation == "connectome" else "local" if inside else "other"
            number = len(network.projections)
            repeat = sum(p.name == name for p in network.projections)  # not `number`: others must not move this stream
            network.projections.append(JoinedProjection(name, circuit.structure, spec, kind, gain))
            sources = [p for n in names for p in by_cell.get(n, [])]
            targets = [p for p in by_cell.get(aim, []) if not p.stand_in]
            if not sources or not targets or gain == 0.0:
                continue
            if mixed := {p.cell.acts_on for p in sources} - {sources[0].cell.acts_on}:
                raise UserError(f"{name}: expected sources that act on one receptor, got {mixed} beside "
                                f"{sources[0].cell.acts_on}")  # fmt: skip
            group = groups.of(name, spec)
            branch = "modulated" if group else ""
            if spec.rule:  # a table of its own
                branch = f"{spec.rule.kind}_{name}" + (f"_{repeat}" if repeat else "")
            rng = world.streams.generator(f"synapses/{name}/{repeat}")
            tracts = Tracts(network, sources, velocity) if spec.relation == "connectome" else None
            same = by_instance(sources) if spec.relation == "same" else None
            into = chunks.setdefault((sources[0].cell.acts_on, branch), [])
            for target in targets:
                if tracts is not None:
                    made = sample_connectome(rng, network, spec, tracts, target, gain)
                elif same is not None:
                    made = sample_pair(rng, spec, same.get(target.instance, []), target, gain)
                else:
                    made = sample_pair(rng, spec, joined_pairs(spec, sources, target, body), target, gain)
                if made is not None:
                    into.append(Chunk(*made, number, group))
                    network.projections[number].count += made[0].size
    for glob, hit in used.items():
        if not hit:
            known = ", ".join(dict.fromkeys(p.name for p in network.projections))
            raise UserError(f"brain.gains: no projection matches {glob!r} (there are: {known})")
    for receptor in {receptor: None for (receptor, _), parts in chunks.items() if parts}:
        whole = {branch: parts for (r, branch), parts in chunks.items() if r == receptor and (parts or not branch)}
        slots = 1 << max(int(c.delay.max(initial=1)) for parts in whole.values() for c in parts).bit_length()
        for branch, parts in whole.items():
            lay_out(world, network, receptor, branch, parts, slots)
    groups.lay_out(world)
    make_rules(world, network, learning)


class Groups:
    """Groups of synapses that share a gain; group 0 has none. Modulators and the gates of reflex arcs set them."""

    def __init__(self, by_cell: dict[tuple[str, str], list[Population]], network: Network):
        self.by_cell, self.network = by_cell, network
        self.rows: list[tuple[int, Modulation, Population, int]] = []  # group, what, first population, neurons
        self.gates: list[tuple[int, Modulation, Population, int]] = []  # arc, what, first population, neurons
        self.gated: list[tuple[int, int]] = []  # arc, group
        self.count = 1
        self.arcs: dict[str, list[int]] = {}  # projection -> arcs
        arcs = 0
        for reflex in network.reflexes:
            gates = [(arcs, m, *found) for m in reflex.spec.gated if (found := self.found(m, f"reflex {reflex.name}"))]
            if not gates:
                continue
            self.gates += gates
            reflex.row, arcs = arcs, arcs + 1
            for name in reflex.gates:
                self.arcs.setdefault(name, []).append(reflex.row)
        self.arc_count = arcs

    def found(self, spec: Modulation, where: str) -> tuple[Population, int] | None:
        """(first population, neurons) of a modulator; None if it is not in the scene."""
        structure, *instance, cell = spec.by.split(".")
        populations = self.by_cell.get((structure, cell), [])
        populations = [p for p in populations if not instance or p.instance == ".".join(instance)]
        if not populations:
            return None
        ordered = sorted(populations, key=lambda p: p.first)
        if any(a.first + a.count != b.first for a, b in itertools.pairwise(ordered)):
            raise UserError(f"{where}: {spec.by} is not one range of neurons")
        return ordered[0], sum(p.count for p in ordered)

    def of(self, name: str, spec: Projection) -> int:
        """The group of a projection, made if it has modulators or gates that are in the scene."""
        found = [(m, f) for m in spec.modulated if (f := self.found(m, f"{name}: modulated"))]
        if not found and name not in self.arcs:
            return 0
        group, self.count = self.count, self.count + 1
        if group > 255:
            raise UserError(f"{name}: modulated: expected at most 255 modulated projections")
        self.rows += [(group, m, *f) for m, f in found]
        self.gated += [(arc, group) for arc in self.arcs.get(name, [])]
        return group

    def lay_out(self, world: World) -> None:
        """The tables of modulators and gates, at their reference rates, and the gains."""
        world.set_array(Gains.value, np.ones(self.count, np.float32))
        if (
            self.gates and not self.rows
        ):  # modulate sets the gains that reflex_gate multiplies: it needs a row, of group 0
            _, spec, first, count = self.gates[0]
            self.rows = [(0, spec.model_copy(update={"slope": 0.0}), first, count)]
        if self.rows:
            self.fill(world.add_table("modulators", [Modulator], len(self.rows)), Modulator, Modulator.group, self.rows)
        if self.gates:
            world.set_array(Arcs.gain, np.ones(self.arc_count, np.float32))
            pairs = np.array(self.gated, np.int32).reshape(-1, 2)
            world.set_array(Arcs.arc, pairs[:, 0].copy())
            world.set_array(Arcs.group, pairs[:, 1].copy())
            self.fill(world.add_table("gates", [Gate], len(self.gates)), Gate, Gate.arc, self.gates)

    def fill(self, table, kind: type, acts_on, rows: list[tuple[int, Modulation, Population, int]]) -> None:
        """Columns of Modulator or Gate."""
        for row, (target, spec, first, count) in enumerate(rows):
            reference = spec.reference
            if reference is None:
                band = first.cell.bands.get(self.network.profile)
                if band is None:
                    raise UserError(f"{spec.by}: has no band of profile {self.network.profile}; a gain by it needs a "
                                    "reference rate")  # fmt: skip
                reference = band.aim
            table[kind.first][row], table[kind.count][row] = first.first, count
            table[kind.decay][row] = np.exp(-1.0 / spec.tau)
            table[kind.per_spike][row] = 1000.0 / (spec.tau * count)
            table[kind.reference][row] = table[kind.rate][row] = reference
            table[kind.slope][row], table[acts_on][row] = spec.slope, target
            table[kind.lowest][row], table[kind.highest][row] = spec.between


def sample_pair(rng, spec: Projection, sources: list[Population], target: Population, gain: float):
    """Fixed in-degree, sources drawn evenly without autapses. Returns pre, post, weight, delay or None."""
    if not sources:
        return None
    pool = np.concatenate([np.arange(s.first, s.first + s.count) for s in sources])
    post = np.arange(target.first, target.first + target.count)
    k = max(1, round(spec.indegree))
    own = np.searchsorted(pool, post) if pool[0] <= target.first <= pool[-1] else None
    if own is not None and pool.size == 1:
        return None
    if k <= pool.size - (own is not None):  # distinct sources: rank random keys, own neuron last
        keys = rng.random((post.size, pool.size), dtype=np.float32)
        if own is not None:
            keys[np.arange(post.size), own] = 2.0
        picks = np.argpartition(keys, k - 1, axis=1)[:, :k] if k < pool.size else np.tile(np.arange(k), (post.size, 1))
    elif own is not None:
        picks = (own[:, None] + rng.integers(1, pool.size, (post.size, k))) % pool.size
    else:
        picks = rng.integers(0, pool.size, (post.size, k))
    weight = sample_weights(rng, spec, spec.psp * gain * spec.indegree / k, (post.size, k))
    low, high = spec.delay if isinstance(spec.delay, list) else (spec.delay, spec.delay)
    delay = np.rint(rng.uniform(low, high, (post.size, k))) if high > low else np.full((post.size, k), round(low))
    return (pool[picks].ravel().astype(np.int32), np.repeat(post, k).astype(np.int32), weight.ravel(),
            delay.ravel().astype(np.uint8))  # fmt: skip


class Tracts:
    """What sampling along tracts needs of the source populations of a projection; arrays are [populations]."""

    def __init__(self, network: Network, sources: list[Population], velocity: float):
        self.connectome, self.velocity = network.connectome, velocity
        self.row = {label: k for k, label in enumerate(network.connectome.labels)}
        self.region = np.array([self.row[s.instance] for s in sources])
        self.first, self.count = np.array([s.first for s in sources]), np.array([s.count for s in sources])
        self.scale = np.array([s.scale for s in sources])
        self.cells = np.bincount(self.region, self.count, minlength=len(self.row))[self.region]

    def delays(self, row: int) -> np.ndarray:
        """From each source population to a region [tick]."""
        return delays_ms(self.connectome.lengths_mm[row], self.velocity)[self.region]


def sample_connectome(rng, network: Network, spec: Projection, tracts: Tracts, target: Population, gain: float):
    """Sources drawn by tract weight; in-degree = spec.indegree x summed weight of the chosen tracts."""
    row = tracts.row[target.instance]
    weight_of = network.weights[row, tracts.region] * tracts.count.astype(float)
    weight_of = weight_of / tracts.cells  # a region's tract weight is shared by its source cells
    if spec.direction == "feedforward":
        weight_of = np.where(tracts.scale < target.scale - 1e-9, weight_of, 0.0)
    elif spec.direction == "feedback":
        weight_of = np.where(tracts.scale < target.scale - 1e-9, 0.0, weight_of)
    exact = spec.indegree * weight_of.sum()
    k = round(exact)
    if k < 1:
        return None
    post = np.arange(target.first, target.first + target.count)
    chance = weight_of / weight_of.sum()
    heard = np.flatnonzero(chance)
    below = chance[heard].cumsum()
    below /= below[-1]
    pick = heard[below.searchsorted(rng.random((post.size, k)), side="right")]  # as rng.choice(sources, p=chance)
    pre = tracts.first[pick] + (rng.random((post.size, k)) * tracts.count[pick]).astype(np.int64)
    weight = sample_weights(rng, spec, spec.psp * gain * exact / k, (post.size, k))
    delay = tracts.delays(row)[pick] if spec.delay == "tract" else np.full(pre.shape, round(spec.delay))
    return (pre.ravel().astype(np.int32), np.repeat(post, k).astype(np.int32), weight.ravel(),
            delay.ravel().astype(np.uint8))  # fmt: skip


def lay_out(world: World, network: Network, receptor: str, branch: str, chunks: list[Chunk], slots: int) -> None:
    """Sort by source, then target; index by (source, part of the target range). The first table makes the ring."""
    total, bounds = network.neuron_count, world[Threads.bounds]
    size, weighty = sum(c.pre.size for c in chunks), any(c.weight.any() for c in chunks)
    if not chunks:  # a table must have a row
        one = np.zeros(1, np.int32)
        chunks = [Chunk(one, one, np.zeros(1, np.float32), np.ones(1, np.uint8), 0)]
    packed = not branch and size >= PACKED
    rule = network.projections[chunks[0].projection].spec.rule if branch else None
    made = lay(chunks, bounds, parcels if packed else None, len(network.projections))
    name = f"synapses_{receptor}_{branch}" if branch else f"synapses_{receptor}"
    components = [Gained, Branch, *(components_of(rule) if rule else [])] if branch else [Fanout]
    network.projection_of[name], network.receptor_of[name] = made.projection, receptor
    network.synapse_count += size if weighty else 0
    if packed:
        parcel = made.parcel
        table = world.add_table(name, [Synapse, *components])
        table.derive(size, {Synapse.post: lambda: (parcel & np.uint64(0xFFFFFF)).astype(np.int32),
                            Synapse.weight: lambda: (parcel >> np.uint64(32)).astype(np.float32) / np.float32(UNIT),
                            Synapse.delay: lambda: (parcel >> np.uint64(24)).astype(np.uint8)})  # fmt: skip
    else:
        table = world.add_table(name, [Synapse, *components], made.post.size)
        for column, values in ((Synapse.post, made.post), (Synapse.weight, made.weight), (Synapse.delay, made.delay)):
            table[column][:] = values
    here = np.flatnonzero(made.start[:, 0] < made.start[:, -1])
    aims = (0, total) if packed else (made.post.min(), made.post.max() + 1)
    span = np.array([here[0], here[-1] + 1, *aims], np.int32)
    if branch:
        table[Gained.group][:] = made.group
        table.set_side(Branch.start, made.start)
        table.set_side(Branch.span, span)
        whole = world.tables[f"synapses_{receptor}"][Fanout.span]  # that one takes out what arrives by any
        whole[2:] = min(whole[2], span[2]), max(whole[3], span[3])
        table.set_side(Branch.ring, world.tables[f"synapses_{receptor}"][Fanout.ring])
        return
    table.set_side(Fanout.start, made.start)
    table.set_side(Fanout.span, span)
    table.set_side(Fanout.parcel, made.parcel if packed else parcels(made.post, made.weight, made.delay))
    table.set_side(Fanout.ring, np.zeros((slots, total), np.int32))
    table.set_side(Fanout.arrived, world[RECEPTORS[receptor][1]])
    table.set_side(Fanout.saturated, np.zeros(MAX_PARTS, np.int64))


def fanout_of(table) -> np.ndarray:
    """First synapse of (source, part) of a synapse table; shape [neuron_count, parts + 1]."""
    return table[Fanout.start] if Fanout in table else table[Branch.start]


def parameters_of(circuits: list[Circuit], profile: str, overrides: dict, where) -> dict[str, float]:
    """Circuit parameters with the scene's overrides; text is read as a speed, a time, or a number."""
    values: dict[str, float] = {}
    for circuit in circuits:
        for name, value in circuit.parameters.items():
            values[name] = _number(getattr(value, profile, value), name)
    for name, value in overrides.items():
        if name not in values:
            raise where(f"no such parameter (there are: {', '.join(sorted(values)) or 'none'})", name)
        values[name] = _number(value, name)
    return values


def _number(value, name: str) -> float:
    if isinstance(value, int | float):
        return float(value)
    for dimension in ("speed", "time", "potential", "rate", "fraction"):
        try:
            return quantity(value, dimension)
        except UserError:
            continue
    raise UserError(f"parameter {name}: expected a number, a speed, a time, a potential or a rate, got {value!r}")
