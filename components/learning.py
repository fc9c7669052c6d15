"""Synapses that learn. A plastic projection has a table of its own: a rule's parameters are fixed per table."""

from engine.component import Component, Resource, Side, column


class Learning(Resource):
    """Present where synapses learn; where it is absent the rules are not run and weights stay as they are."""

    on = column("u1", unit="flag", init=1, doc="1; shape [1].")


class Plastic(Component):
    """What every learning rule needs of a synapse."""

    source = column("i4", unit="neuron", doc="Presynaptic neuron, counted from the first of Incoming.span.")


class Incoming(Side):
    """Post -> pre index of a plastic table. Neurons of both sides are counted from the first one of their span."""

    span = column("i4", unit="neuron", doc="First source, number from it to the last; same of the targets; shape [4].")
    start = column("i4", unit="1", doc="First entry of `row` of each target, and the end; shape [targets + 1].")
    row = column("i4", unit="synapse", doc="Synapses by target, then source; shape [synapses].")


class Stdp(Side):
    """Pair-based spike-timing-dependent plasticity. A trace holds as of its tick; who reads it brings it up to date."""

    step = column("f4", unit="mV", doc="Growth and loss of a pair at lag 0, largest weight; shape [3].")
    pre_decay = column("f4", unit="1", doc="exp(-ticks / tau_plus) by ticks; 0 beyond; shape [ticks].")
    post_decay = column("f4", unit="1", doc="exp(-ticks / tau_minus) by ticks; 0 beyond; shape [ticks].")
    pre_trace = column("f4", unit="1", doc="Trace of each source's spikes; shape [sources].")
    pre_tick = column("i4", unit="tick", doc="When each source's trace was true; shape [sources].")
    post_trace = column("f4", unit="1", doc="Trace of each target's spikes; shape [targets].")
    post_tick = column("i4", unit="tick", doc="When each target's trace was true; shape [targets].")


class Taught(Side):
    """Depression by a teacher's spike. The eligibility is the second of two traces in a row, an alpha function."""

    step = column("f4", unit="mV", doc="Depression at the best lag times e, recovery, largest weight; shape [3].")
    per_tick = column("f4", unit="1", doc="Tick / lag: feeds the second trace from the first; shape [1].")
    decay = column("f4", unit="1", doc="exp(-ticks / lag) by ticks; 0 beyond; shape [ticks].")
    teachers = column("i4", unit="neuron", doc="First teacher, number from it to the last; shape [2].")
    start = column("i4", unit="1", doc="First entry of `pupil` of each teacher, and the end; shape [teachers + 1].")
    pupil = column("i4", unit="neuron", doc="Targets by teacher, each at most once; shape [taught targets].")
    delay = column("i4", unit="tick", doc="From the teacher's spike to the pupil; shape [taught targets].")
    first = column("f4", unit="1", doc="First trace of each source's spikes; shape [sources].")
    second = column("f4", unit="1", doc="Second trace, eligibility / e; shape [sources].")
    tick = column("i4", unit="tick", doc="When each source's traces were true; shape [sources].")
    due = column(
        "i4", unit="1", doc="By arrival tick: that tick, number of pupils, pupils; shape [slots, 2 + targets]."
    )


class Depressing(Component):
    """Synapses that tire with use; they do so whether or not the others learn."""

    rested = column("f4", unit="mV", doc="Weight when nothing is spent.")


class Resources(Side):
    """What the sources of a depressing table have left to release (Tsodyks & Markram 1997)."""

    span = column("i4", unit="neuron", doc="First source, number from it to the last; shape [2].")
    use = column("f4", unit="1", doc="Part of what is left that one spike spends; shape [1].")
    decay = column("f4", unit="1", doc="exp(-ticks / recovery) by ticks; 0 beyond; shape [ticks].")
    spent = column("f4", unit="1", doc="What was spent right after each source's last spike; shape [sources].")
    tick = column("i4", unit="tick", doc="When that spike was; shape [sources].")
