"""Spike-timing-dependent plasticity of pairs: additive, all-to-all, bounded (Song, Miller & Abbott 2000, Nat Neurosci
3:919)."""

import numba as nb
import numpy as np

from components.learning import Incoming, Learning, Plastic, Stdp
from components.network import Branch, Spikes, Synapse
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system


@nb.njit(error_model="numpy", inline="always")
def faded(trace, ticks, decay):
    """What is left of a trace after `ticks`; nothing beyond the table."""
    return trace * decay[ticks] if ticks < decay.shape[0] else np.float32(0)


@system(
    reads=[Learning.on, Now.tick, Spikes.ids, Spikes.count, Synapse.post, Branch.start, Plastic.source, Incoming.span,
           Incoming.start, Incoming.row, Stdp.step, Stdp.pre_decay, Stdp.post_decay],
    writes=[Synapse.weight, Stdp.pre_trace, Stdp.pre_tick, Stdp.post_trace, Stdp.post_tick],
)  # fmt: skip
@kernel
def stdp(
    n, on, tick, ids, count, post, outgoing, source, span, incoming, row, step, pre_decay, post_decay,
    weight, pre_trace, pre_tick, post_trace, post_tick,
):  # fmt: skip
    """A source's spike takes loss * trace(target) from its synapses, a target's adds growth * trace(source) [mV].

    Spikes pair by the ticks they were fired in, whatever the delay; two of one tick have no order and make no pair.
    Where both ends of a synapse fire, it first loses, then grows. Serial, in ascending order of neurons: clipped sums
    of floats depend on the order.
    """
    now = tick[0]
    grow, lose, highest = step[0], step[1], step[2]
    fired = ids[: count[0]]
    pre_first, post_first = span[0], span[2]
    pre_from, pre_to = np.searchsorted(fired, pre_first), np.searchsorted(fired, pre_first + span[1])
    post_from, post_to = np.searchsorted(fired, post_first), np.searchsorted(fired, post_first + span[3])
    last = outgoing.shape[1] - 1
    for s in range(pre_from, pre_to):
        pre = fired[s]
        for j in range(outgoing[pre, 0], outgoing[pre, last]):
            k = post[j] - post_first
            weight[j] = max(weight[j] - lose * faded(post_trace[k], now - post_tick[k], post_decay), np.float32(0))
    for s in range(post_from, post_to):
        k = fired[s] - post_first
        for r in range(incoming[k], incoming[k + 1]):
            j = row[r]
            p = source[j]
            weight[j] = min(weight[j] + grow * faded(pre_trace[p], now - pre_tick[p], pre_decay), highest)
    for s in range(pre_from, pre_to):
        p = fired[s] - pre_first
        pre_trace[p] = faded(pre_trace[p], now - pre_tick[p], pre_decay) + np.float32(1)
        pre_tick[p] = now
    for s in range(post_from, post_to):
        k = fired[s] - post_first
        post_trace[k] = faded(post_trace[k], now - post_tick[k], post_decay) + np.float32(1)
        post_tick[k] = now
