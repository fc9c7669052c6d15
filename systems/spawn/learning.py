"""Learning rules of projections -> what their tables need: indices, traces, tables of powers, parameters."""

from __future__ import annotations

import itertools
import math

import numpy as np

from components.learning import (
    Depressing,
    Eligibility,
    Eligible,
    Eprop,
    Heterosynaptic,
    Incoming,
    Learning,
    Plastic,
    Release,
    Resources,
    Scaling,
    Stdp,
    Taught,
    ThreeFactor,
    Triplet,
)
from components.network import Branch, Fanout, Synapse
from components.neuron import Membrane, TickConstants
from components.timing import Substeps
from engine.errors import UserError
from engine.world import World
from systems.lif_integrate import DT, ED
from systems.spawn import circuit_model as spec

STDP_SPAN = 16.0  # time constants in a table of powers: exp(-16) is the precision of a 32-bit number
DEPRESSION_SPAN = 8.0  # what is left of a depression by then is less than a thousandth
TAUGHT_SPAN = 20.0  # ... and for t exp(-t)
RATE_MS = 1000.0  # filter of the rate that e-prop regularises
RECEPTOR_ROW = ("ampa", "gaba", "gaba_slow")  # as in TickConstants.rows
LOWEST_BASELINE = 0.1  # of the reference rate: an error is at most ten times what the rate is worth


def components_of(rule) -> list[type]:
    """What a rule's synapse table has beside what delivery needs."""
    if isinstance(rule, spec.Depression):
        return [Depressing, Resources]
    if isinstance(rule, spec.Facilitation):
        return [Depressing, Release]
    own = {spec.Stdp: [Stdp], spec.Triplet: [Triplet], spec.ThreeFactor: [Eligible, ThreeFactor],
           spec.Eprop: [Eligibility, Eprop], spec.TaughtDepression: [Taught]}[type(rule)]  # fmt: skip
    more = [kind for kind, given in ((Heterosynaptic, rule.heterosynaptic), (Scaling, rule.scaling)) if given]
    return [Plastic, Incoming, *own, *more]


def presynaptic(table) -> np.ndarray:
    """Source of every synapse of a table in the global neuron index; shape [synapses]."""
    start = table[Branch.start if Branch in table else Fanout.start]
    return np.repeat(np.arange(start.shape[0], dtype=np.int32), start[:, -1] - start[:, 0])


def powers(tau: float, span: float) -> np.ndarray:
    """exp(-ticks / tau) for 0 .. `span` time constants."""
    return np.exp(-np.arange(math.ceil(span * tau) + 1) / tau).astype(np.float32)


def index(key: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(start, order) such that `order[start[k] : start[k + 1]]` are the places where `key` is k, ascending."""
    order = np.argsort(key, kind="stable").astype(np.int32)
    return np.searchsorted(key[order], np.arange(count + 1)).astype(np.int32), order


def make_rules(world: World, network, learning: bool = True) -> None:
    """Complete the tables of plastic projections; weights above their bound are clipped and counted."""
    for name, numbers in network.projection_of.items():
        table = world.tables[name]
        if Depressing in table:
            tiring = network.projections[int(numbers[0])].spec.rule
            (make_depression if isinstance(tiring, spec.Depression) else make_facilitation)(table, tiring)
        if Plastic not in table:
            continue
        if learning:
            world.set_array(Learning.on, np.ones(1, np.uint8))
        joined = network.projections[int(numbers[0])]
        pre, post, rule, psp = presynaptic(table), table[Synapse.post], joined.spec.rule, joined.spec.psp * joined.gain
        pre_first, pre_count = int(pre[0]), int(pre[-1] - pre[0]) + 1
        post_first, post_count = int(post.min()), int(np.ptp(post)) + 1
        table[Plastic.source][:] = pre - pre_first
        table.set_side(Incoming.span, np.array([pre_first, pre_count, post_first, post_count], np.int32))
        start, row = index(post - post_first, post_count)
        table.set_side(Incoming.start, start)
        table.set_side(Incoming.row, row)
        highest = np.float32(rule.highest * psp)
        joined.clipped = int((table[Synapse.weight] > highest).sum())
        np.minimum(table[Synapse.weight], highest, out=table[Synapse.weight])
        if isinstance(rule, spec.Stdp):
            make_stdp(table, rule, psp, pre_count, post_count)
        elif isinstance(rule, spec.Triplet):
            make_triplet(table, rule, psp, pre_count, post_count, int(world[Substeps.count][0]))
        elif isinstance(rule, spec.ThreeFactor):
            make_three_factor(network, table, joined, psp, pre_count, post_count)
        elif isinstance(rule, spec.Eprop):
            make_eprop(world, network, table, joined, psp, pre_count, post_count)
        else:
            make_taught(world, network, table, joined, psp)
        if rule.heterosynaptic is not None:
            table.set_side(Heterosynaptic.pull, np.array([rule.heterosynaptic.pull, rule.heterosynaptic.rest * psp],
                                                         np.float32))  # fmt: skip
        if rule.scaling is not None:
            make_scaling(network, table, joined, rule.highest * psp)


def make_depression(table, rule: spec.Depression) -> None:
    """Rested synapses."""
    pre = presynaptic(table)
    first, count = int(pre[0]), int(pre[-1] - pre[0]) + 1
    table[Depressing.rested][:] = table[Synapse.weight]
    table.set_side(Resources.span, np.array([first, count], np.int32))
    table.set_side(Resources.use, np.array([rule.use], np.float32))
    table.set_side(Resources.decay, powers(rule.recovery, DEPRESSION_SPAN))
    table.set_side(Resources.spent, np.zeros(count, np.float32))
    table.set_side(Resources.tick, np.zeros(count, np.int32))


def make_facilitation(table, rule: spec.Facilitation) -> None:
    """Rested synapses."""
    pre = presynaptic(table)
    first, count = int(pre[0]), int(pre[-1] - pre[0]) + 1
    table[Depressing.rested][:] = table[Synapse.weight]
    table.set_side(Release.span, np.array([first, count], np.int32))
    table.set_side(Release.use, np.array([rule.use], np.float32))
    table.set_side(Release.recovery_decay, powers(rule.recovery, DEPRESSION_SPAN))
    table.set_side(Release.facilitation_decay, powers(rule.facilitation, DEPRESSION_SPAN))
    for column in (Release.more, Release.spent, Release.tick):
        table.set_side(column, np.zeros(count, column.dtype))


def make_triplet(table, rule: spec.Triplet, psp: float, pre_count: int, post_count: int, substeps: int) -> None:
    """Parameters [mV] and silent traces; time constants are counted in substeps."""
    amplitudes = (rule.a2_plus, rule.a3_plus, rule.a2_minus, rule.a3_minus, rule.highest)
    table.set_side(Triplet.step, np.array([a * psp for a in amplitudes], np.float32))
    for column, tau in ((Triplet.pre_decay, rule.tau_plus), (Triplet.pre_slow_decay, rule.tau_x),
                        (Triplet.post_decay, rule.tau_minus), (Triplet.post_slow_decay, rule.tau_y)):  # fmt: skip
        table.set_side(column, powers(tau * substeps, STDP_SPAN))
    for columns, count in (
        ((Triplet.pre_trace, Triplet.pre_slow, Triplet.pre_tick, Triplet.pre_sub), pre_count),
        ((Triplet.post_trace, Triplet.post_slow, Triplet.post_tick, Triplet.post_sub), post_count),
    ):
        for column in columns:
            table.set_side(column, np.zeros(count, column.dtype))


def make_three_factor(network, table, joined, psp: float, pre_count: int, post_count: int) -> None:
    """Parameters, silent traces, and the third factor at its baseline; nothing changes where it is not in the scene."""
    rule = joined.spec.rule
    cells = populations_of(network, rule.by)
    reference = rule.reference
    if reference is None and cells:
        band = cells[0].cell.bands.get(network.profile)
        if band is None:
            raise UserError(f"{joined.name}: rule: by: {rule.by} has no band of profile {network.profile}; expected a "
                            "reference rate")  # fmt: skip
        reference = band.aim
    reference = reference or 1.0
    first, count = (cells[0].first, sum(p.count for p in cells)) if cells else (0, 0)
    if any(a.first + a.count != b.first for a, b in itertools.pairwise(cells)):
        raise UserError(f"{joined.name}: rule: by: {rule.by} is not one range of neurons")
    table.set_side(ThreeFactor.step, np.array([rule.before, -rule.after], np.float32))
    rate = rule.rate * psp / 1000.0 if cells else 0.0
    table.set_side(ThreeFactor.rate, np.array([rate, rule.highest * psp], np.float32))
    table.set_side(ThreeFactor.keep, np.array([math.exp(-1.0 / rule.tau)], np.float32))
    table.set_side(ThreeFactor.pre_decay, powers(rule.tau_plus, STDP_SPAN))
    table.set_side(ThreeFactor.post_decay, powers(rule.tau_minus, STDP_SPAN))
    table.set_side(ThreeFactor.by, np.array([first, count], np.int32))
    table.set_side(ThreeFactor.filter, np.array([
        math.exp(-1.0 / rule.filter), 1000.0 / (rule.filter * max(count, 1)), math.exp(-1.0 / rule.baseline),
        LOWEST_BASELINE * reference], np.float32))  # fmt: skip
    table.set_side(ThreeFactor.level, np.array([reference, reference], np.float32))
    table.set_side(ThreeFactor.error, np.zeros(16, np.float32))
    for trace, tick, size in ((ThreeFactor.pre_trace, ThreeFactor.pre_tick, pre_count),
                              (ThreeFactor.post_trace, ThreeFactor.post_tick, post_count)):  # fmt: skip
        table.set_side(trace, np.zeros(size, np.float32))
        table.set_side(tick, np.zeros(size, np.int32))


def make_eprop(world: World, network, table, joined, psp: float, pre_count: int, post_count: int) -> None:
    """The targets' membrane over a tick, random feedback, silent traces."""
    rule = joined.spec.rule
    answers, teachers = (populations_of(network, name) for name in (rule.answer, rule.teacher))
    by_instance = {p.instance: p for p in teachers}
    if not answers or sorted(p.instance for p in answers) != sorted(by_instance):
        raise UserError(f"{joined.name}: rule: expected a teacher for each population of {rule.answer}, found "
                        f"{len(teachers)} for {len(answers)}")  # fmt: skip
    first = int(table[Incoming.span][2])
    targets = [p for p in network.populations if first <= p.first < first + post_count]
    membranes = {(p.tau_m, p.cell.tau_ampa, p.cell.tau_gaba, p.cell.tau_gaba_slow, p.has_nmda, str(p.cell.adaptation))
                 for p in targets}  # fmt: skip
    if len(membranes) != 1 or targets[0].has_nmda:
        raise UserError(f"{joined.name}: rule: eprop needs targets of one kind of membrane, without NMDA")
    constants = constants_of(world, first)
    receptor = RECEPTOR_ROW.index(network.receptor_of[table.name])
    left, to_v, arrival_v, arrival = constants[ED + 4 * receptor : ED + 4 * receptor + 4]
    unit = 65536.0  # constants are per arrived unit
    table.set_side(Eprop.psp, np.array([left, constants[DT], to_v, arrival_v * unit, arrival * unit], np.float32))
    adaptation = targets[0].cell.adaptation
    fade, jump = (math.exp(-1.0 / adaptation.tau), adaptation.step) if adaptation else (0.0, 0.0)
    table.set_side(Eprop.adaptation, np.array([fade, jump], np.float32))
    sign = 1.0 if network.receptor_of[table.name] == "ampa" else -1.0
    table.set_side(Eprop.step, np.array([sign * rule.rate * psp / 1000.0, rule.gamma, math.exp(-1.0 / rule.filter),
                                         rule.full, rule.highest * psp], np.float32))  # fmt: skip
    table.set_side(Eprop.rates, np.array([math.exp(-1.0 / RATE_MS), 1000.0 / RATE_MS, rule.target_rate, rule.regular],
                                         np.float32))  # fmt: skip
    pairs = [[(p.first, p.count) for p in answers],
             [(by_instance[p.instance].first, by_instance[p.instance].count) for p in answers]]  # fmt: skip
    table.set_side(Eprop.answer, np.array(pairs[0], np.int32))
    table.set_side(Eprop.teacher, np.array(pairs[1], np.int32))
    cells, edges = np.arange(first, first + post_count), [(p.first, p.first + p.count) for p in answers]
    own = np.stack([(cells >= low) & (cells < high) for low, high in edges], axis=1).astype(np.float32)
    random = world.streams.generator(f"feedback/{joined.name}").normal(size=own.shape).astype(np.float32)
    table.set_side(Eprop.feedback, own if own.any() else random)
    slots = 1 << int(table[Synapse.delay].max()).bit_length()
    table.set_side(Eprop.level, np.zeros((2, len(answers)), np.float32))
    table.set_side(Eprop.error, np.zeros(len(answers), np.float32))
    table.set_side(Eprop.drive, np.zeros(pre_count, np.float32))
    table.set_side(Eprop.trace, np.zeros((pre_count, slots), np.float32))
    table.set_side(Eprop.hz, np.full(post_count, rule.target_rate, np.float32))
    table.set_side(Eprop.slope, np.zeros(post_count, np.float32))
    table.set_side(Eprop.signal, np.zeros(post_count, np.float32))


def constants_of(world: World, neuron: int) -> np.ndarray:
    """The row of TickConstants.rows of a neuron, in double precision."""
    first = 0
    for table in world.tables_with([Membrane]):
        if neuron < first + table.row_count:
            run = int(np.searchsorted(table[TickConstants.run], neuron - first, side="right")) - 1
            return table[TickConstants.rows][run].astype(float)
        first += table.row_count
    raise IndexError(neuron)


def populations_of(network, name: str) -> list:
    """Populations called `structure.cell` or `structure.instance.cell`, by first neuron; [] if not in the scene."""
    structure, *instance, cell = name.split(".")
    found = [p for p in network.populations if p.structure == structure and p.cell_name == cell
             and (not instance or p.instance == ".".join(instance))]  # fmt: skip
    return sorted(found, key=lambda p: p.first)


def make_scaling(network, table, joined, highest: float) -> None:
    """Targets at the rate that they aim at."""
    rule, (_, _, first, targets) = joined.spec.rule.scaling, table[Incoming.span]
    goal = rule.rate
    if goal is None:
        population = next(p for p in network.populations if p.first <= first < p.first + p.count)
        band = population.cell.bands.get(network.profile)
        if band is None:
            raise UserError(f"{joined.name}: rule: scaling: {population.name} has no band of profile "
                            f"{network.profile}; expected a rate")  # fmt: skip
        goal = band.aim
    table.set_side(Scaling.goal, np.array([goal, rule.step, highest, 1000.0 / rule.tau], np.float32))
    every = round(rule.every)
    table.set_side(Scaling.decay, np.exp(-np.arange(every + 1) / rule.tau).astype(np.float32))
    table.set_side(Scaling.rate, np.full(targets, goal, np.float32))
    table.set_side(Scaling.tick, np.zeros(targets, np.int32))


def make_stdp(table, rule: spec.Stdp, psp: float, pre_count: int, post_count: int) -> None:
    """Parameters [mV] and silent traces."""
    table.set_side(Stdp.step, np.array([rule.a_plus * psp, rule.a_minus * psp, rule.highest * psp], np.float32))
    table.set_side(Stdp.pre_decay, powers(rule.tau_plus, STDP_SPAN))
    table.set_side(Stdp.post_decay, powers(rule.tau_minus, STDP_SPAN))
    for trace, tick, count in ((Stdp.pre_trace, Stdp.pre_tick, pre_count),
                               (Stdp.post_trace, Stdp.post_tick, post_count)):  # fmt: skip
        table.set_side(trace, np.zeros(count, np.float32))
        table.set_side(tick, np.zeros(count, np.int32))


def make_taught(world: World, network, table, joined, psp: float) -> None:
    """Parameters [mV], silent traces, and who teaches whom after how many ticks."""
    rule, (_, sources, first, targets) = joined.spec.rule, table[Incoming.span]
    table.set_side(Taught.step, np.array([math.e * rule.depression * psp, rule.recovery * psp, rule.highest * psp],
                                         np.float32))  # fmt: skip
    table.set_side(Taught.per_tick, np.array([1.0 / rule.lag], np.float32))
    table.set_side(Taught.decay, powers(rule.lag, TAUGHT_SPAN))
    for column in (Taught.first, Taught.second, Taught.tick):
        table.set_side(column, np.zeros(sources, column.dtype))
    teacher, pupil, delay = teaching(world, network, joined)
    taught = (pupil >= first) & (pupil < first + targets)
    teacher, pupil, delay = teacher[taught], pupil[taught] - first, delay[taught]
    lowest, count = (int(teacher.min()), int(np.ptp(teacher)) + 1) if teacher.size else (0, 0)
    start, order = index(teacher - lowest, count)
    table.set_side(Taught.teachers, np.array([lowest, count], np.int32))
    table.set_side(Taught.start, start)
    table.set_side(Taught.pupil, pupil[order].astype(np.int32))
    table.set_side(Taught.delay, delay[order].astype(np.int32))
    slots = 1 << int(delay.max(initial=1)).bit_length()
    table.set_side(Taught.due, np.full((slots, 2 + targets), -1, np.int32))


def teaching(world: World, network, joined) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(teacher, pupil, delay [tick]) of every synapse of the projection that teaches `joined`; empty if it is cut."""

    def aim(projection) -> str:
        to = projection.spec.to
        return to if "." in to else f"{projection.structure}.{to}"

    name, wanted = joined.name, joined.spec.rule.teacher
    named = [k for k, p in enumerate(network.projections) if p.spec.name == wanted and aim(p) == aim(joined)]
    if len(named) != 1:
        known = ", ".join(dict.fromkeys(p.spec.name for p in network.projections
                                        if p.spec.name and p is not joined and aim(p) == aim(joined)))  # fmt: skip
        found = f"{len(named)} are" if named else "none is"
        raise UserError(f"{name}: rule: teacher: expected one named projection onto {aim(joined)}, {found} called "
                        f"{wanted!r} (there are: {known or 'none'})")  # fmt: skip
    columns = [np.zeros(0, np.int32)] * 3
    for table_name, numbers in network.projection_of.items():
        table = world.tables[table_name]
        rows = np.flatnonzero(numbers == named[0])
        if rows.size and network.projections[named[0]].count:
            columns = [c[rows] for c in (presynaptic(table), table[Synapse.post], table[Synapse.delay])]
            break
    if columns[1].size and (most := int(np.bincount(columns[1]).max())) > 1:
        raise UserError(f"{name}: rule: teacher: expected one teacher per target, {wanted} has {most}")
    return tuple(columns)
