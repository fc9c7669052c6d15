"""Send last tick's spikes along synapses whose weights are modulated or learn, into the ring of their receptor."""

import numpy as np

from components.network import Branch, Gained, Gains, Spikes, Synapse
from engine.kernel import kernel
from engine.schedule import Now, Parts
from engine.system import system
from systems.deliver_spikes import BATCH, LOOK, UNIT, add, within


@system(
    reads=[Now.tick, Parts.own, Spikes.ids, Spikes.count, Synapse.post, Synapse.weight, Synapse.delay, Gained.group,
           Branch.start, Branch.span, Gains.value],
    writes=[Branch.ring],
)  # fmt: skip
@kernel
def deliver_modulated(n, tick, own, ids, count, post, weight, delay, group, start, span, gain, ring):
    """As deliver_spikes, with weight * gain[group]. Runs before it: deliver_spikes takes out what is due.

    Each part owns a range of target neurons. The gain is the one at the spike, not at its arrival.
    """
    slots = ring.shape[0]
    flat = ring.ravel()
    mask, width, since = np.uint32(slots - 1), np.uint32(ring.shape[1]), np.uint32((tick[0] - 1) & (slots - 1))
    most = np.float32(1 << 29)
    first, behind = within(ids[: count[0]], span)
    if first == behind:
        return
    cell, amount = np.empty(BATCH + LOOK, np.uint32), np.empty(BATCH, np.int32)
    filled = 0
    for s in range(first, behind):
        row, end = start[ids[s], own[0]], start[ids[s], own[1]]
        while row < end:
            m = min(BATCH - filled, end - row)
            cells, amounts = cell[filled : filled + m], amount[filled : filled + m]
            posts, delays = post[row : row + m], delay[row : row + m]
            for j in range(m):  # vector code: where to
                cells[j] = ((since + np.uint32(delays[j])) & mask) * width + np.uint32(posts[j])
            weights, groups = weight[row : row + m], group[row : row + m]
            for j in range(m):  # ... and how much
                amounts[j] = np.int32(min(weights[j] * gain[groups[j]] * UNIT + np.float32(0.5), most))
            row, filled = row + m, filled + m
            if filled == BATCH:
                add(flat, cell, amount, filled)
                filled = 0
    add(flat, cell, amount, filled)
