"""What all neurons share: the spike vector, synapse tables, the delay ring, named ranges."""

from engine.component import Component, Resource, Side, column


class Spikes(Resource):
    """This tick's spikes over the global neuron index (neuron tables are slices of it)."""

    fired = column("u1", unit="substep", doc="1 + substep of this tick's spike, 0 if none; shape [neuron_count].")
    ids = column("i4", unit="neuron", doc="Neurons that fired, ascending; shape [neuron_count], `count` valid.")
    count = column("i8", unit="spike", doc="Number of valid ids; shape [1].")


class Inputs(Resource):
    """Columns of Membrane over the global neuron index, for whoever addresses neurons by name."""

    v = column("f4", unit="mV", doc="Membrane.v of every neuron; shape [neuron_count].")
    stimulus = column("f4", unit="mV", doc="Membrane.stimulus of every neuron; shape [neuron_count].")
    sense = column("f4", unit="mV", doc="Membrane.sense of every neuron; shape [neuron_count].")
    threshold = column("f4", unit="mV", doc="Membrane.threshold of every neuron; shape [neuron_count].")
    threshold_intact = column("f4", unit="mV", doc="Membrane.threshold_intact of every neuron; [neuron_count].")
    spread = column("f4", unit="mV", doc="Afferents' offsets: recruited one after another; shape [neuron_count].")


class SpikeLog(Resource):
    """Spikes since the last flush, for records, rates and the spike hash."""

    ids = column("i4", unit="neuron", doc="Shape [capacity].")
    ticks = column("i4", unit="tick", doc="Tick of each spike; shape [capacity].")
    substeps = column("u1", unit="substep", doc="1 + substep of each spike; shape [capacity].")
    count = column("i8", unit="spike", doc="Number logged, number lost to a full log; shape [2].")


class Threads(Resource):
    """How compiled systems share their neurons (engine/schedule.py: Parts)."""

    bounds = column("i8", unit="neuron", doc="Neuron range of each part; shape [parts + 1].")


class Arrivals(Resource):
    """What each receptor receives this tick, over all neurons; neuron tables hold slices of these vectors."""

    ampa = column("i4", unit="mV / 65536", doc="Shape [neuron_count].")
    gaba = column("i4", unit="mV / 65536", doc="Shape [neuron_count].")
    gaba_slow = column("i4", unit="mV / 65536", doc="Shape [neuron_count].")
    nmda = column("i4", unit="mV / 65536", doc="By synapses that open NMDA receptors alone; shape [neuron_count].")


class Synapse(Component):
    """One row per synapse, sorted by source, then target. One table per (receptor, learning rule)."""

    post = column("i4", unit="neuron", doc="Target in the global neuron index.")
    weight = column("f4", unit="mV", doc="PSP amplitude >= 0; the receptor gives the sign (Dale's law).")
    delay = column("u1", unit="tick", init=1, doc="Ticks from spike to arrival, >= 1.")


class Fanout(Side):
    """Index of a synapse table, and the ring its spikes travel through."""

    start = column("i4", unit="synapse", doc="First synapse of (source, part); shape [neuron_count, parts + 1].")
    span = column("i4", unit="neuron", doc="First source, end of sources, first target, end of targets of this and "
                  "further tables of the receptor; shape [4].")  # fmt: skip
    parcel = column("u8", unit="1", doc="post, delay, quantised weight (deliver_spikes.parcels); shape [synapses].")
    ring = column("i4", unit="mV / 65536", doc="Arrivals by tick and target; shape [slots, neuron_count].")
    arrived = column("i4", unit="mV / 65536", doc="This tick's arrivals at the receptor; shape [neuron_count].")
    saturated = column("i8", unit="arrival", doc="Arrivals clipped at 2^30, by part; shape [64].")


class Branch(Side):
    """Index of a further synapse table of a receptor; its spikes travel through the ring of the first one."""

    start = column("i4", unit="synapse", doc="First synapse of (source, part); shape [neuron_count, parts + 1].")
    span = column("i4", unit="neuron", doc="First source, end of sources, first target, end of targets; shape [4].")
    ring = column("i4", unit="mV / 65536", doc="Fanout.ring of the receptor's first table.")


class Gained(Component):
    """Synapses whose weights a modulator multiplies."""

    group = column("u1", unit="1", doc="Row of Gains.value; 0 is always 1.")


class Gains(Resource):
    """What modulators make of projections."""

    value = column("f4", unit="1", doc="Factor on the weights of each group of synapses; shape [groups].")


class Modulator(Component):
    """One row per (projection, modulating population): filtered spikes -> gain."""

    first = column("i4", unit="neuron", doc="First modulating neuron in the global index.")
    count = column("i4", unit="neuron", doc="Modulating neurons.")
    decay = column("f4", unit="1", doc="exp(-tick / tau).")
    per_spike = column("f4", unit="Hz", doc="Added to `rate` by one spike: 1 s / (tau * count).")
    reference = column("f4", unit="Hz", doc="Rate at which the gain is 1.")
    slope = column("f4", unit="1", doc="Gain = 1 + slope * (rate / reference - 1).")
    lowest = column("f4", unit="1", doc="Smallest gain.")
    highest = column("f4", unit="1", doc="Largest gain.")
    group = column("i4", unit="1", doc="Row of Gains.value that is multiplied.")
    rate = column("f4", unit="Hz", doc="Filtered rate of the modulating population.")


class Arcs(Resource):
    """Reflex arcs and the projections that each of them gates."""

    gain = column("f4", unit="1", init=1, doc="What gating populations make of each arc; shape [arcs].")
    arc = column("i4", unit="1", doc="Arc of each gated projection; shape [gated projections].")
    group = column("i4", unit="1", doc="Row of Gains.value of each gated projection; shape [gated projections].")


class Gate(Component):
    """One row per (reflex arc, gating population): filtered spikes -> gain, as Modulator."""

    first = column("i4", unit="neuron", doc="First gating neuron in the global index.")
    count = column("i4", unit="neuron", doc="Gating neurons.")
    decay = column("f4", unit="1", doc="exp(-tick / tau).")
    per_spike = column("f4", unit="Hz", doc="Added to `rate` by one spike: 1 s / (tau * count).")
    reference = column("f4", unit="Hz", doc="Rate at which the gain is 1.")
    slope = column("f4", unit="1", doc="Gain = 1 + slope * (rate / reference - 1); negative: the population closes it.")
    lowest = column("f4", unit="1", doc="Smallest gain.")
    highest = column("f4", unit="1", doc="Largest gain.")
    arc = column("i4", unit="1", doc="Row of Arcs.gain that is multiplied.")
    rate = column("f4", unit="Hz", doc="Filtered rate of the gating population.")


class Population(Component):
    """A named range of neurons."""

    first = column("i4", unit="neuron", doc="First neuron in the global index.")
    count = column("i4", unit="neuron", doc="Number of neurons.")
    structure = column("i4", unit="1", doc="Row in the list of structure names.")
    excitatory = column("u1", unit="flag", doc="1 if its synapses excite.")
