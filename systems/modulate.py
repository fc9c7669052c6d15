"""Filtered spikes of modulating populations -> gains of projections."""

import numpy as np

from components.network import Gains, Modulator, Spikes
from engine.kernel import kernel
from engine.system import system


@system(
    reads=[Spikes.fired, Modulator.first, Modulator.count, Modulator.decay, Modulator.per_spike, Modulator.reference,
           Modulator.slope, Modulator.lowest, Modulator.highest, Modulator.group],
    writes=[Modulator.rate, Gains.value],
)  # fmt: skip
@kernel
def modulate(n, fired, first, count, decay, per_spike, reference, slope, lowest, highest, group, rate, value):
    """Exponential filter of each population's spikes [Hz]; value [groups] = product of its rows' clipped gains."""
    value[:] = np.float32(1)
    for m in range(n):
        spikes = 0
        for k in range(first[m], first[m] + count[m]):
            spikes += fired[k] != 0
        hz = rate[m] * decay[m] + np.float32(spikes) * per_spike[m]
        rate[m] = hz if hz > np.float32(1e-9) else np.float32(0)
        gain = np.float32(1) + slope[m] * (hz / reference[m] - np.float32(1))
        value[group[m]] *= min(max(gain, lowest[m]), highest[m])
