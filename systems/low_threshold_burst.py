"""Low-threshold calcium current: cells that were inhibited answer the release with a burst."""

import numpy as np

from components.neuron import LowThreshold, Membrane, TickConstants
from engine.kernel import kernel
from engine.schedule import Parts
from engine.system import system


@system(
    reads=[Parts.own, TickConstants.part, TickConstants.run, Membrane.v, Membrane.tonic, Membrane.stimulus,
           Membrane.sense, LowThreshold.on, LowThreshold.off, LowThreshold.below, LowThreshold.gain],
    writes=[LowThreshold.h, Membrane.drive],
)  # fmt: skip
@kernel
def low_threshold_burst(n, own, part, run, v, tonic, stimulus, sense, on, off, below, gain, h, drive):
    """h -> 1 with tau_off below `below`, -> 0 with tau_on above; open, it adds gain * h to the drive; all [n].

    Integrate-and-fire-or-burst (Smith, Cox, Sherman & Rinzel 2000, J Neurophysiol 83:588); the driving force is taken
    as constant, since a calcium reversal of +120 mV is far from all potentials here.
    """
    for k in range(run[part[own[0]]], run[part[own[1]]]):
        if v[k] < below[k]:
            h[k] = np.float32(1) - (np.float32(1) - h[k]) * off[k]
            current = np.float32(0)
        else:
            h[k] = h[k] * on[k] if h[k] > np.float32(1e-9) else np.float32(0)
            current = gain[k] * h[k]
        drive[k] = tonic[k] + stimulus[k] + sense[k] + current
