"""Send last tick's spikes along synapses whose weights are modulated or learn, into the ring of their receptor."""

import numba as nb
import numpy as np

from components.network import Branch, Gained, Gains, Spikes, Synapse, Threads
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system


@system(
    reads=[Now.tick, Threads.bounds, Spikes.ids, Spikes.count, Synapse.post, Synapse.weight, Synapse.delay,
           Gained.group, Branch.start, Gains.value],
    writes=[Branch.ring, Threads.ran],
)  # fmt: skip
@kernel
def deliver_modulated(n, tick, bounds, ids, count, post, weight, delay, group, start, gain, ring, ran):
    """As deliver_spikes, with weight * gain[group]. Runs before it: deliver_spikes takes out what is due.

    Each part owns a range of target neurons. The gain is the one at the spike, not at its arrival.
    """
    parts = bounds.shape[0] - 1
    slots = ring.shape[0]
    since = tick[0] - 1
    for part in nb.prange(parts):
        ran[nb.get_thread_id()] += 1
        for s in range(count[0]):
            pre = ids[s]
            for j in range(start[pre, part], start[pre, part + 1]):
                amount = weight[j] * gain[group[j]] * np.float32(65536) + np.float32(0.5)
                ring[(since + delay[j]) & (slots - 1), post[j]] += np.int32(min(amount, np.float32(1 << 29)))
