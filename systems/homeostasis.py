"""Cells that fire too much weaken all of their synapses in proportion; those that fire too little strengthen them.

Synaptic scaling (Turrigiano et al. 1998, Nature 391:892; van Rossum, Bi & Turrigiano 2000, J Neurosci 20:8812).
"""

import numpy as np

from components.learning import Incoming, Learning, Scaling
from components.network import Spikes, Synapse
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system


@system(
    reads=[Learning.on, Now.tick, Spikes.ids, Spikes.count, Incoming.span, Incoming.start, Incoming.row, Scaling.goal,
           Scaling.decay],
    writes=[Synapse.weight, Scaling.rate, Scaling.tick],
)  # fmt: skip
@kernel
def homeostasis(n, on, tick, ids, count, span, incoming, row, goal, decay, weight, rate, since):
    """weight *= 1 + step * (1 - rate / goal), at most to the largest, whenever a target is looked at.

    Each is looked at once in `decay.shape[0] - 1` ticks, one after another, so that a tick has little to do. The rate
    is filtered exponentially; a look at a cell that fires at twice the goal or more takes `step` of its weights.
    """
    now, every = tick[0], decay.shape[0] - 1
    fired = ids[: count[0]]
    for s in range(np.searchsorted(fired, span[2]), np.searchsorted(fired, span[2] + span[3])):
        k = fired[s] - span[2]
        t = min(now - since[k], every)
        rate[k] = rate[k] * decay[t] + goal[3]
        since[k] = now
    for k in range(now % every, span[3], every):
        t = min(now - since[k], every)
        rate[k] *= decay[t]
        since[k] = now
        off = max(np.float32(1) - rate[k] / goal[0], np.float32(-1))
        factor = np.float32(1) + goal[1] * off
        for r in range(incoming[k], incoming[k + 1]):
            j = row[r]
            weight[j] = min(weight[j] * factor, goal[2])
