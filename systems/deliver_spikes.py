"""Send last tick's spikes into the delay ring and take out what arrives now."""

import numba as nb
import numpy as np

from components.network import Fanout, Spikes, Synapse, Threads
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system

LIMIT = 1 << 30


@system(
    reads=[Now.tick, Threads.bounds, Spikes.ids, Spikes.count, Synapse.post, Synapse.weight, Synapse.delay, Fanout.start],
    writes=[Fanout.ring, Fanout.arrived, Fanout.saturated, Threads.ran],
)
@kernel
def deliver_spikes(n, tick, bounds, ids, count, post, weight, delay, start, ring, arrived, saturated, ran):
    """Push every spike along its synapses, quantised to 2^-16 mV; integer sums do not depend on the order.

    Each part owns a range of target neurons. A spike of tick t with delay d arrives in tick t + d.
    """
    parts = bounds.shape[0] - 1
    slots = ring.shape[0]
    now = tick[0]
    for part in nb.prange(parts):
        ran[nb.get_thread_id()] += 1
        for s in range(count[0]):
            pre = ids[s]
            for j in range(start[pre, part], start[pre, part + 1]):
                slot = (now - 1 + delay[j]) & (slots - 1)
                ring[slot, post[j]] += np.int32(weight[j] * np.float32(65536) + np.float32(0.5))
        here = now & (slots - 1)
        lost = 0
        for k in range(bounds[part], bounds[part + 1]):
            a = ring[here, k]
            if a > LIMIT or a < 0:
                lost += 1
                a = np.int32(LIMIT)
            arrived[k] = a
            ring[here, k] = 0
        saturated[part] += lost
