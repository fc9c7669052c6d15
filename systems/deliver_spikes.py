"""Send last tick's spikes into the delay ring and take out what arrives now."""

import numba as nb
import numpy as np

from components.network import Fanout, Spikes, Synapse, Threads
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system

CHUNK = 64  # synapses handled together
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
    mask, width = np.uint32(slots - 1), np.uint32(ring.shape[1])
    since = np.uint32((now - 1) & (slots - 1))
    for part in nb.prange(parts):
        ran[nb.get_thread_id()] += 1
        cell, amount = np.empty(CHUNK, np.uint32), np.empty(CHUNK, np.int32)
        for s in range(count[0]):
            pre = ids[s]
            row, end = start[pre, part], start[pre, part + 1]
            for a in range(row, end, CHUNK):
                m = min(CHUNK, end - a)
                posts, weights, delays = post[a : a + m], weight[a : a + m], delay[a : a + m]
                for j in range(m):  # vector code: where to, and how much
                    cell[j] = ((since + np.uint32(delays[j])) & mask) * width + np.uint32(posts[j])
                for j in range(m):
                    amount[j] = np.int32(weights[j] * np.float32(65536) + np.float32(0.5))
                for j in range(m):
                    flat[cell[j]] += amount[j]
        first, last = bounds[part], bounds[part + 1]
        due, into = ring[now & (slots - 1), first:last], arrived[first:last]
        lost = np.uint32(0)
        for k in range(last - first):
            over = np.uint32(due[k]) > np.uint32(LIMIT)  # a sum that wrapped to negative is a large unsigned number
            lost += np.uint32(1) if over else np.uint32(0)
            into[k] = LIMIT if over else due[k]
        due[:] = 0
        saturated[part] += lost
