"""Add Poisson background events, drawn by counter, to the excitatory arrivals of this tick."""

import numba as nb
import numpy as np

from components.network import Arrivals, Threads
from components.neuron import Background, BackgroundQuads
from engine.draws import philox4x32
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system

B = 128  # Philox blocks drawn together in one vector loop


@system(
    reads=[Now.tick, Threads.bounds, BackgroundQuads.key0, BackgroundQuads.key1, BackgroundQuads.index,
           BackgroundQuads.quiet, BackgroundQuads.rate_class, BackgroundQuads.psp, BackgroundQuads.threshold,
           Background.target],
    writes=[Arrivals.ampa, Threads.ran],
)  # fmt: skip
@kernel
def background_noise(n, tick, bounds, key0, key1, index, quiet, rate_class, psp, threshold, target, ampa, ran):
    """Event counts of one tick by inversion (at most 8), for every row of the background table, shape [n].

    Draws are keyed by (population's key, tick, place in the population): nothing else moves them.
    """
    parts = bounds.shape[0] - 1
    low = np.uint64(tick[0]) & np.uint64(0xFFFFFFFF)
    high = np.uint64(tick[0]) >> np.uint64(32)
    quads = n // 4
    for part in nb.prange(parts):
        ran[nb.get_thread_id()] += 1
        words = np.empty(4 * B, np.uint32)
        hits = np.empty(4 * B + 1, np.int64)
        first = quads * part // parts
        last = quads * (part + 1) // parts
        for base in range(first, last, B):
            m = min(B, last - base)
            k0, k1, block = key0[base : base + m], key1[base : base + m], index[base : base + m]
            for q in range(m):
                w0, w1, w2, w3 = philox4x32(
                    np.uint64(k0[q]), np.uint64(k1[q]), low, high, np.uint64(block[q]), np.uint64(0)
                )
                words[q] = w0
                words[B + q] = w1
                words[2 * B + q] = w2
                words[3 * B + q] = w3
            silent = quiet[base : base + m]
            found = 0
            for lane in range(4):  # no branch: append every row, keep those with an event
                for q in range(m):
                    hits[found] = 4 * q + lane
                    found += words[lane * B + q] >= silent[q]
            for h in range(found):
                q, lane = hits[h] >> 2, hits[h] & 3
                post = target[4 * base + hits[h]]
                if post >= 0:
                    u, c = words[lane * B + q], rate_class[base + q]
                    events = 1
                    while events < 8 and u >= threshold[events, c]:
                        events += 1
                    ampa[post] += np.int32(events) * psp[base + q]
