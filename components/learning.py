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


class Triplet(Side):
    """Plasticity of triplets of spikes. Both traces of a cell hold as of its last spike, to the substep."""

    step = column("f4", unit="mV", doc="Growth of a pair and a triplet, loss of each, largest weight; shape [5].")
    pre_decay = column("f4", unit="1", doc="exp(-substeps / tau_plus) by substeps; 0 beyond; shape [substeps].")
    pre_slow_decay = column("f4", unit="1", doc="The same of tau_x; shape [substeps].")
    post_decay = column("f4", unit="1", doc="The same of tau_minus; shape [substeps].")
    post_slow_decay = column("f4", unit="1", doc="The same of tau_y; shape [substeps].")
    pre_trace = column("f4", unit="1", doc="Fast trace of each source's spikes; shape [sources].")
    pre_slow = column("f4", unit="1", doc="Slow trace of each source's spikes; shape [sources].")
    pre_tick = column("i4", unit="tick", doc="When each source's traces were true; shape [sources].")
    pre_sub = column("u1", unit="substep", doc="... and in which substep, counted from 1; shape [sources].")
    post_trace = column("f4", unit="1", doc="Fast trace of each target's spikes; shape [targets].")
    post_slow = column("f4", unit="1", doc="Slow trace of each target's spikes; shape [targets].")
    post_tick = column("i4", unit="tick", doc="When each target's traces were true; shape [targets].")
    post_sub = column("u1", unit="substep", doc="... and in which substep, counted from 1; shape [targets].")


class Eligible(Component):
    """What the spikes of both ends have left at a synapse, for a third factor to make a change of weight of."""

    trace = column("f4", unit="1", doc="Eligibility as of `since`, signed.")
    since = column("i4", unit="tick", doc="When weight and trace were brought up to date, at most 16 ticks ago.")


class ThreeFactor(Side):
    """Eligibility by pairs of spikes, and the population that makes changes of weight of it."""

    step = column("f4", unit="1", doc="Eligibility by a pair at lag 0, before and after; shape [2].")
    rate = column("f4", unit="mV", doc="Change per tick of a full trace at an error of 1, largest weight; shape [2].")
    keep = column("f4", unit="1", doc="exp(-tick / tau) of the eligibility; shape [1].")
    pre_decay = column("f4", unit="1", doc="exp(-ticks / tau_plus) by ticks; 0 beyond; shape [ticks].")
    post_decay = column("f4", unit="1", doc="exp(-ticks / tau_minus) by ticks; 0 beyond; shape [ticks].")
    by = column("i4", unit="neuron", doc="First cell of the third factor's population, number of cells; shape [2].")
    filter = column("f4", unit="1", doc="exp(-tick / tau) of its rate, Hz per spike, exp(-tick / tau) of its baseline, "
                                        "lowest baseline [Hz]; shape [4].")  # fmt: skip
    level = column("f4", unit="Hz", doc="Its filtered rate, its baseline; shape [2].")
    error = column("f4", unit="1", doc="Rate / baseline - 1 of the last ticks, by tick; shape [16].")
    pre_trace = column("f4", unit="1", doc="Trace of each source's spikes; shape [sources].")
    pre_tick = column("i4", unit="tick", doc="When each source's trace was true; shape [sources].")
    post_trace = column("f4", unit="1", doc="Trace of each target's spikes; shape [targets].")
    post_tick = column("i4", unit="tick", doc="When each target's trace was true; shape [targets].")


class Eligibility(Component):
    """What a synapse's weight has done to its target so far, for a learning signal to be multiplied with."""

    filtered = column("f4", unit="1", doc="Eligibility, filtered as the answers are.")
    adapted = column("f4", unit="1", doc="Part of the target's adaptation that is due to the weight, per mV of it.")
    held = column("f4", unit="1", doc="What that has taken from the target's potential, per mV of weight.")


class Eprop(Side):
    """e-prop: targets' learning signals from errors of output populations against teachers."""

    psp = column("f4", unit="1", doc="Over a tick: what is left of the drive and of v, what the drive adds to v, an "
                                     "arrival to v, an arrival to the drive; shape [5].")  # fmt: skip
    adaptation = column("f4", unit="1", doc="What is left of it after a tick, what a spike adds [mV]; shape [2].")
    step = column("f4", unit="1", doc="Change per tick [mV], signed; gamma; decay of the filter; rate that an error of "
                                      "1 is [Hz]; largest weight [mV]; shape [5].")  # fmt: skip
    rates = column("f4", unit="1", doc="Of the targets: decay, Hz per spike, rate aimed at [Hz], strength; shape [4].")
    answer = column("i4", unit="neuron", doc="First cell and number of each output's population; shape [outputs, 2].")
    teacher = column("i4", unit="neuron", doc="The same of its teacher; shape [outputs, 2].")
    feedback = column("f4", unit="1", doc="From errors to targets; shape [targets, outputs].")
    level = column("f4", unit="Hz", doc="Filtered rates of answers and of teachers; shape [2, outputs].")
    error = column("f4", unit="1", doc="Teacher minus answer; 0 while all teachers are silent; shape [outputs].")
    drive = column("f4", unit="1", doc="Drive that a unit weight of each source would have made; shape [sources].")
    trace = column("f4", unit="1", doc="Potential that it would have made, by tick; shape [sources, slots].")
    hz = column("f4", unit="Hz", doc="Filtered rate of each target; shape [targets].")
    slope = column("f4", unit="1", doc="Pseudo-derivative of each target's spikes; shape [targets].")
    signal = column("f4", unit="1", doc="Learning signal of each target; shape [targets].")


class Heterosynaptic(Side):
    """A target's spikes draw all of its synapses towards one weight, whether they were active or not."""

    pull = column("f4", unit="1", doc="Part of the way that one spike goes, weight drawn towards [mV]; shape [2].")


class Scaling(Side):
    """Targets that fire too much weaken all of their synapses in proportion, those that fire too little ..."""

    goal = column("f4", unit="1", doc="Rate aimed at [Hz], change of all weights per look at a silent cell, largest "
                                      "weight [mV], Hz per spike; shape [4].")  # fmt: skip
    decay = column("f4", unit="1", doc="exp(-ticks / tau) by ticks; shape [ticks between two looks + 1].")
    rate = column("f4", unit="Hz", doc="Filtered rate of each target as of `tick`; shape [targets].")
    tick = column("i4", unit="tick", doc="When each target's rate was true; shape [targets].")


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


class Release(Side):
    """What the sources of a facilitating table release of what they have left (Tsodyks, Pawelzik & Markram 1998)."""

    span = column("i4", unit="neuron", doc="First source, number from it to the last; shape [2].")
    use = column("f4", unit="1", doc="Part of what is left that one spike of a rested source releases; shape [1].")
    recovery_decay = column("f4", unit="1", doc="exp(-ticks / recovery) by ticks; 0 beyond; shape [ticks].")
    facilitation_decay = column("f4", unit="1", doc="exp(-ticks / facilitation) by ticks; 0 beyond; shape [ticks].")
    more = column("f4", unit="1", doc="Release beyond `use` right after each source's last spike; shape [sources].")
    spent = column("f4", unit="1", doc="What was spent right after each source's last spike; shape [sources].")
    tick = column("i4", unit="tick", doc="When that spike was; shape [sources].")
