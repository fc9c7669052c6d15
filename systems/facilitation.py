"""Synapses release more the more they have just been used, and tire of it: short-term facilitation and depression.

The recursion of Tsodyks, Pawelzik & Markram (1998, Neural Comput 10:821), per source.
"""

import numpy as np

from components.learning import Depressing, Release
from components.network import Branch, Spikes, Synapse
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system


@system(
    reads=[Now.tick, Spikes.ids, Spikes.count, Branch.start, Depressing.rested, Release.span, Release.use,
           Release.recovery_decay, Release.facilitation_decay],
    writes=[Synapse.weight, Release.more, Release.spent, Release.tick],
)  # fmt: skip
@kernel
def facilitation(
    n, tick, ids, count, outgoing, rested, span, use, recovery_decay, facilitation_decay, weight, more, spent, since
):  # fmt: skip
    """weight = rested * u x / use: u = use + more is released of what is left, x = 1 - spent, as of this spike.

    The spike adds use * (1 - u before it) to u, then x loses u x. A rested synapse's first spike has the weight
    `rested`. Runs in the tick of the spike, before the spike is delivered in the next one.
    """
    now, one = tick[0], np.float32(1)
    fired = ids[: count[0]]
    last = outgoing.shape[1] - 1
    for s in range(np.searchsorted(fired, span[0]), np.searchsorted(fired, span[0] + span[1])):
        pre = fired[s]
        p = pre - span[0]
        t = now - since[p]
        extra = more[p] * facilitation_decay[t] if t < facilitation_decay.shape[0] else np.float32(0)
        left = one - (spent[p] * recovery_decay[t] if t < recovery_decay.shape[0] else np.float32(0))
        u = use[0] + extra
        share = left * (u / use[0])
        for j in range(outgoing[pre, 0], outgoing[pre, last]):
            weight[j] = rested[j] * share
        spent[p] = one - left * (one - u)
        more[p] = extra + use[0] * (one - u)
        since[p] = now
