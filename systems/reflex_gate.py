"""Filtered spikes of gating populations -> one gain for each reflex arc -> the gains of its projections."""

import numpy as np

from components.network import Arcs, Gains, Gate, Spikes
from engine.kernel import kernel
from engine.system import system


@system(
    reads=[Spikes.fired, Arcs.arc, Arcs.group, Gate.first, Gate.count, Gate.decay, Gate.per_spike, Gate.reference,
           Gate.slope, Gate.lowest, Gate.highest, Gate.arc],
    writes=[Gate.rate, Arcs.gain, Gains.value],
)  # fmt: skip
@kernel
def reflex_gate(
    n, fired, gated, group, first, count, decay, per_spike, reference, slope, lowest, highest, arc, rate, gain, value
):  # fmt: skip
    """gain [arcs] = product of the clipped gains of an arc's gates; value [groups], which modulate set, is multiplied.

    Tonic inhibition holds an arc down and disinhibition lets it go (Chevalier & Deniau 1990): a gate of negative slope.
    Nothing here ranks arcs: who gives way follows from which populations fire.
    """
    gain[:] = np.float32(1)
    for m in range(n):
        spikes = 0
        for k in range(first[m], first[m] + count[m]):
            spikes += fired[k] != 0
        hz = rate[m] * decay[m] + np.float32(spikes) * per_spike[m]
        rate[m] = hz if hz > np.float32(1e-9) else np.float32(0)
        factor = np.float32(1) + slope[m] * (hz / reference[m] - np.float32(1))
        gain[arc[m]] *= min(max(factor, lowest[m]), highest[m])
    for k in range(gated.shape[0]):
        value[group[k]] *= gain[gated[k]]
