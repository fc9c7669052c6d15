"""e-prop: synapses remember what they did to their target; an error that reaches the target says what was right of it.

Bellec et al. 2020 (Nat Commun 11:3625), with random feedback, for this program's membranes: a double-exponential PSP, a
delay, and adaptation as a drive. The potential's dependence on a weight is exact between spikes; the reset and the
loops through other cells are left out, as e-prop does (systems/eprop_trial.py compares with the gradient).
"""

import numpy as np

from components.learning import Eligibility, Eprop, Incoming, Learning, Plastic
from components.network import Inputs, Spikes, Synapse
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system


@system(
    reads=[Learning.on, Now.tick, Spikes.fired, Inputs.v, Inputs.threshold, Synapse.post, Synapse.delay, Plastic.source,
           Incoming.span, Eprop.psp, Eprop.adaptation, Eprop.step, Eprop.rates, Eprop.answer, Eprop.teacher,
           Eprop.feedback],
    writes=[Synapse.weight, Eligibility.filtered, Eligibility.adapted, Eligibility.held, Eprop.level, Eprop.error,
            Eprop.drive, Eprop.trace, Eprop.hz, Eprop.slope, Eprop.signal],
)  # fmt: skip
@kernel
def eprop(
    n, on, tick, fired, v, threshold, post, delay, source, span, psp, adaptation, step, rates, answer, teacher,
    feedback, weight, filtered, adapted, held, level, error, drive, trace, hz, slope, signal,
):  # fmt: skip
    """Errors of the outputs, traces of the sources, slopes and signals of the targets, then every synapse.

    e = slope (trace - held), held = keep held + (1 - keep) adapted, adapted = fade adapted + jump e; the weight moves
    by step (signal ebar + regular e), ebar = kappa ebar + e. A spike counts for its target from the tick it arrives in.
    """
    now, one, none = tick[0], np.float32(1), np.float32(0)
    outputs, slots = error.shape[0], trace.shape[1]
    taught = none
    hz_per_spike = (one - step[2]) * np.float32(1000)
    for k in range(outputs):
        for row in range(2):
            first, count = (answer[k, 0], answer[k, 1]) if row == 0 else (teacher[k, 0], teacher[k, 1])
            spikes = 0
            for c in range(first, first + count):
                spikes += fired[c] != 0
            level[row, k] = level[row, k] * step[2] + np.float32(spikes) * hz_per_spike / np.float32(max(count, 1))
        taught += level[1, k]
    for k in range(outputs):
        error[k] = (level[1, k] - level[0, k]) / step[3] if taught > np.float32(0.1) * step[3] else none
    for p in range(span[1]):
        arrived = np.float32(fired[span[0] + p] != 0)
        before = trace[p, (now - 1) & (slots - 1)]
        trace[p, now & (slots - 1)] = before * psp[1] + drive[p] * psp[2] + arrived * psp[3]
        drive[p] = drive[p] * psp[0] + arrived * psp[4]
    for k in range(span[3]):
        c = span[2] + k
        spike = fired[c] != 0
        hz[k] = hz[k] * rates[0] + (rates[1] if spike else none)
        near = one - abs(v[c] - threshold[c]) / threshold[c]
        slope[k] = step[1] * (one if spike else max(near, none))
        total = none
        for o in range(outputs):
            total += feedback[k, o] * error[o]
        signal[k] = total
    for j in range(n):
        k = post[j] - span[2]
        past = trace[source[j], (now - delay[j]) & (slots - 1)]
        e = slope[k] * (past - held[j])
        held[j] = held[j] * psp[1] + adapted[j] * (one - psp[1])
        adapted[j] = adapted[j] * adaptation[0] + adaptation[1] * e
        filtered[j] = filtered[j] * step[2] + e
        regular = rates[3] * (one - hz[k] / rates[2])
        w = weight[j] + step[0] * (signal[k] * filtered[j] + regular * e)
        weight[j] = min(max(w, none), step[4])
