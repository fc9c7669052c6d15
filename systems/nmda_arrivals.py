"""Arrivals by synapses that open NMDA receptors alone: they join the slow drive that lif_integrate lets decay."""

import numpy as np

from components.neuron import Nmda, NmdaArrivals, TickConstants
from engine.kernel import kernel
from engine.schedule import Parts
from engine.system import system


@system(
    reads=[Parts.own, TickConstants.part, TickConstants.run, NmdaArrivals.jump],
    writes=[Nmda.i, NmdaArrivals.arrived],
)
@kernel
def nmda_arrivals(n, own, part, run, jump, i, arrived):
    """i += arrived * jump [mV], each [n]. Saturation is the projection's (rule depression: Brunel & Wang 2001)."""
    for k in range(run[part[own[0]]], run[part[own[1]]]):
        i[k] += np.float32(arrived[k]) * jump[k]
        arrived[k] = 0
