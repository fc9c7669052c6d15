"""Point neurons: one row per neuron. Rest is 0 mV. Optional components cost only the tables that carry them."""

from engine.component import Component, Side, column


class Membrane(Component):
    """Leaky integrate-and-fire state, tau_m dv/dt = -v + drive + synaptic drives (Lapicque 1907; Brunel 2000)."""

    v = column("f4", unit="mV", doc="Membrane potential above rest.")
    drive = column("f4", unit="mV", doc="Depolarisation a constant current would reach: tonic + afferent + stimulus.")
    tonic = column("f4", unit="mV", doc="Constant part of `drive`, set at load.")
    stimulus = column("f4", unit="mV", doc="Part of `drive` that the timeline or a player adds.")
    sense = column("f4", unit="mV", doc="Part of `drive` that a sense organ adds (afferents only).")
    decay = column("f4", unit="1", init=0.995, doc="exp(-substep / tau_m).")
    threshold = column("f4", unit="mV", init=15.0, doc="A spike is raised at or above this; infinite when silenced.")
    threshold_intact = column("f4", unit="mV", init=15.0, doc="Threshold to return to when a lesion is restored.")
    reset = column("f4", unit="mV", doc="Potential right after a spike.")
    refractory = column("f4", unit="substep", init=20.0, doc="Substeps held at reset after a spike (>= one tick).")
    refractory_left = column("f4", unit="substep", doc="Substeps still to hold.")
    fired = column("u1", unit="substep", doc="1 + substep of this tick's spike, 0 if none.")


class Ampa(Component):
    """Fast excitation; `arrived` is filled by deliver_spikes and background_noise, spent by lif_integrate."""

    arrived = column("i4", unit="mV / 65536", doc="PSP arriving this tick, summed as integers, spread over the tick.")
    i = column("f4", unit="mV", doc="Synaptic drive.")
    decay = column("f4", unit="1", doc="exp(-substep / tau_ampa).")
    jump = column("f4", unit="mV/unit", doc="Drive added per arrived unit and substep, so that the PSP peak is 1 mV.")
    share = column("f4", unit="1", doc="Depolarisation at the end of a substep per unit drive at its start.")


class Gaba(Component):
    """Fast inhibition (PV, spinal); columns as in Ampa, subtracted."""

    arrived = column("i4", unit="mV / 65536", doc="IPSP arriving this tick.")
    i = column("f4", unit="mV", doc="Synaptic drive (positive number, hyperpolarising).")
    decay = column("f4", unit="1", doc="exp(-substep / tau_gaba).")
    jump = column("f4", unit="mV/unit", doc="Drive added per arrived unit and substep.")
    share = column("f4", unit="1", doc="Depolarisation at the end of a substep per unit drive at its start.")


class GabaSlow(Component):
    """Slow dendritic inhibition (SST); columns as in Gaba."""

    arrived = column("i4", unit="mV / 65536", doc="IPSP arriving this tick.")
    i = column("f4", unit="mV", doc="Synaptic drive (positive number, hyperpolarising).")
    decay = column("f4", unit="1", doc="exp(-substep / tau_gaba_slow).")
    jump = column("f4", unit="mV/unit", doc="Drive added per arrived unit and substep.")
    share = column("f4", unit="1", doc="Depolarisation at the end of a substep per unit drive at its start.")


class Nmda(Component):
    """Slow excitation fed by the same arrivals as Ampa (co-localised receptors); constant within a tick."""

    i = column("f4", unit="mV", doc="Synaptic drive.")
    decay = column("f4", unit="1", doc="exp(-tick / tau_nmda).")
    jump = column("f4", unit="mV/unit", doc="Drive added per arrived Ampa unit.")


class NmdaArrivals(Component):
    """What arrives by synapses that open NMDA receptors alone; nmda_arrivals adds it to Nmda.i and spends it."""

    arrived = column("i4", unit="mV / 65536", doc="PSP arriving this tick.")
    jump = column("f4", unit="mV/unit", doc="Drive added to Nmda.i per arrived unit, so that the PSP peak is 1 mV.")


class Adaptation(Component):
    """Spike-frequency adaptation: a drive subtracted, raised by each spike (Treves 1993); constant within a tick."""

    w = column("f4", unit="mV", doc="Adaptation, subtracted from the drive.")
    decay = column("f4", unit="1", doc="exp(-tick / tau_adaptation).")
    step = column("f4", unit="mV", doc="Added to w by each spike.")


class LowThreshold(Component):
    """Low-threshold calcium current as a drive: de-inactivated by inhibition, open after it (Smith et al. 2000)."""

    h = column("f4", unit="1", doc="De-inactivation, 0..1.")
    on = column("f4", unit="1", doc="exp(-tick / tau_on): decay of h while open.")
    off = column("f4", unit="1", doc="exp(-tick / tau_off): approach of h to 1 while hyperpolarised.")
    below = column("f4", unit="mV", doc="De-inactivates below, is open at or above.")
    gain = column("f4", unit="mV", doc="Drive at h = 1.")


class TickConstants(Side):
    """What lif_integrate needs of a table's constants to step a whole tick at once, derived at load."""

    run = column("i4", unit="row", doc="First row of each run of at most 256 alike neurons, and the end; [runs + 1].")
    rows = column("f4", unit="1", doc="Constants of each run (lif_integrate.tick_constants); shape [runs, 25].")
    part = column("i4", unit="run", doc="First run of each part of the neurons, and the end; shape [parts + 1].")


class Background(Component):
    """Poisson input from neurons outside the model: one row per block of at most 16 neurons of a population."""

    first = column("i4", unit="neuron", doc="First neuron of the block in the global index.")
    count = column("i4", unit="neuron", doc="Neurons of the block, at most 16.")
    key0 = column("u4", unit="1", doc="Key word 0 of the population's stream.")
    key1 = column("u4", unit="1", doc="Key word 1 of the population's stream.")
    index = column("u4", unit="1", doc="Number of the block within the population, so that others do not matter.")
    rate_class = column("i4", unit="1", doc="Row of BackgroundRates.threshold.")
    psp = column("i4", unit="mV / 65536", doc="PSP of one event.")


class BackgroundRates(Side):
    """How many events sixteen neurons receive together in a tick, and which blocks belong to each part."""

    threshold = column("i4", unit="2^-32", doc="P(events <= k) - 1/2 of each rate class; shape [classes, 96].")
    part = column("i4", unit="block", doc="First block of each part of the neurons, and the end; shape [parts + 1].")
