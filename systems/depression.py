"""Synapses release less the more they have just been used, and recover with time: habituation.

Short-term depression (Tsodyks & Markram 1997, PNAS 94:719), with recovery slow enough to outlast a stimulus.
"""

import numpy as np

from components.learning import Depressing, Resources
from components.network import Branch, Spikes, Synapse
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system


@system(
    reads=[Now.tick, Spikes.ids, Spikes.count, Branch.start, Depressing.rested, Resources.span, Resources.use,
           Resources.decay],
    writes=[Synapse.weight, Resources.spent, Resources.tick],
)  # fmt: skip
@kernel
def depression(n, tick, ids, count, outgoing, rested, span, use, decay, weight, spent, since):
    """weight = rested * (1 - spent); a spike travels with what had recovered before it, then spends `use` of that.

    Runs in the tick of the spike, before the spike is delivered in the next one.
    """
    now = tick[0]
    fired = ids[: count[0]]
    last = outgoing.shape[1] - 1
    for s in range(np.searchsorted(fired, span[0]), np.searchsorted(fired, span[0] + span[1])):
        pre = fired[s]
        p = pre - span[0]
        t = now - since[p]
        left = np.float32(1) - (spent[p] * decay[t] if t < decay.shape[0] else np.float32(0))
        for j in range(outgoing[pre, 0], outgoing[pre, last]):
            weight[j] = rested[j] * left
        spent[p] = np.float32(1) - left * (np.float32(1) - use[0])
        since[p] = now
