"""A target's spikes draw all of its synapses towards one weight, active or not: strong ones weaken, weak ones recover.

Heterosynaptic plasticity (Chistiakova et al. 2014, Neuroscientist 20:483; the term of Zenke, Agnes & Gerstner 2015, Nat
Commun 6:6922, without its bursts): without it what pairs of spikes gain by chance adds up.
"""

import numpy as np

from components.learning import Heterosynaptic, Incoming, Learning
from components.network import Spikes, Synapse
from engine.kernel import kernel
from engine.system import system


@system(
    reads=[Learning.on, Spikes.ids, Spikes.count, Incoming.span, Incoming.start, Incoming.row, Heterosynaptic.pull],
    writes=[Synapse.weight],
)  # fmt: skip
@kernel
def heterosynaptic(n, on, ids, count, span, incoming, row, pull, weight):
    """weight += part * (rest - weight) of every synapse onto a target that fires, after what its rule did."""
    fired = ids[: count[0]]
    for s in range(np.searchsorted(fired, span[2]), np.searchsorted(fired, span[2] + span[3])):
        k = fired[s] - span[2]
        for r in range(incoming[k], incoming[k + 1]):
            j = row[r]
            weight[j] += pull[0] * (pull[1] - weight[j])
