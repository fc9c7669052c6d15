"""Learning rules of projections -> what their tables need: indices, traces, tables of powers, parameters."""

from __future__ import annotations

import math

import numpy as np

from components.learning import Depressing, Incoming, Learning, Plastic, Resources, Stdp, Taught
from components.network import Branch, Fanout, Synapse
from engine.errors import UserError
from engine.world import World
from systems.spawn import circuit_model as spec

STDP_SPAN = 16.0  # time constants in a table of powers: exp(-16) is the precision of a 32-bit number
DEPRESSION_SPAN = 8.0  # what is left of a depression by then is less than a thousandth
TAUGHT_SPAN = 20.0  # ... and for t exp(-t)


def components_of(rule) -> list[type]:
    """What a rule's synapse table has beside what delivery needs."""
    if isinstance(rule, spec.Depression):
        return [Depressing, Resources]
    return [Plastic, Incoming, Stdp if isinstance(rule, spec.Stdp) else Taught]


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
            make_depression(table, network.projections[int(numbers[0])].spec.rule)
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
        else:
            make_taught(world, network, table, joined, psp)


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
