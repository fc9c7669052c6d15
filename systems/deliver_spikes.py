"""Send last tick's spikes into the delay ring and take out what arrives now."""

import numba as nb
import numpy as np

from components.network import Fanout, Spikes, Synapse, Threads
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system

LIMIT = np.int32(1 << 30)


@system(
    reads=[Now.tick, Threads.bounds, Spikes.ids, Spikes.count, Synapse.post, Synapse.weight, Synapse.delay,
           Fanout.start],
    writes=[Fanout.ring, Fanout.arrived, Fanout.saturated, Threads.ran],
)  # fmt: skip
@kernel
def deliver_spikes(n, tick, bounds, ids, count, post, weight, delay, start, ring, arrived, saturated, ran):
    """Push every spike along its synapses, quantised to 2^-16 mV; integer sums do not depend on the order.

    Each part owns a range of target neurons. A spike of tick t with delay d arrives in tick t + d.
    """
    parts = bounds.shape[0] - 1
    slots = ring.shape[0]
    now = tick[0]
    flat = ring.ravel()
    mask, width = np.uint64(slots - 1), np.uint64(ring.shape[1])
    for part in nb.prange(parts):
        ran[nb.get_thread_id()] += 1
        for s in range(count[0]):
            pre = ids[s]
            a, b = start[pre, part], start[pre, part + 1]
            posts, weights, delays = post[a:b], weight[a:b], delay[a:b]
            for j in range(b - a):
                slot = np.uint64(now - 1 + np.int64(delays[j])) & mask
                flat[slot * width + np.uint64(posts[j])] += np.int32(weights[j] * np.float32(65536) + np.float32(0.5))
        first, last = bounds[part], bounds[part + 1]
        due, into = ring[now & (slots - 1), first:last], arrived[first:last]
        lost = 0
        for k in range(last - first):
            lost += (due[k] > LIMIT) | (due[k] < 0)
        for k in range(last - first):
            into[k] = LIMIT if (due[k] > LIMIT) | (due[k] < 0) else due[k]
        due[:] = 0
        saturated[part] += lost
