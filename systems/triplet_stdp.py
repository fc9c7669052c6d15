"""Plasticity by triplets of spikes, exact to the substep (Pfister & Gerstner 2006, J Neurosci 26:9673), all-to-all."""

import numba as nb
import numpy as np

from components.learning import Incoming, Learning, Plastic, Triplet
from components.network import Branch, Spikes, Synapse
from components.timing import Substeps
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system


@nb.njit(error_model="numpy", inline="always")
def faded(trace, substeps, decay):
    """What is left of a trace after `substeps`; nothing beyond the table."""
    return trace * decay[substeps] if substeps < decay.shape[0] else np.float32(0)


@system(
    reads=[Learning.on, Now.tick, Substeps.count, Spikes.fired, Spikes.ids, Spikes.count, Synapse.post, Branch.start,
           Plastic.source, Incoming.span, Incoming.start, Incoming.row, Triplet.step, Triplet.pre_decay,
           Triplet.pre_slow_decay, Triplet.post_decay, Triplet.post_slow_decay],
    writes=[Synapse.weight, Triplet.pre_trace, Triplet.pre_slow, Triplet.pre_tick, Triplet.pre_sub, Triplet.post_trace,
            Triplet.post_slow, Triplet.post_tick, Triplet.post_sub],
)  # fmt: skip
@kernel
def triplet_stdp(
    n, on, tick, substeps, fired, ids, count, post, outgoing, source, span, incoming, row, step, pre_decay,
    pre_slow_decay, post_decay, post_slow_decay, weight, pre_trace, pre_slow, pre_tick, pre_sub, post_trace, post_slow,
    post_tick, post_sub,
):  # fmt: skip
    """A source's spike takes o1 (A2- + A3- r2) from its synapses, a target's adds r1 (A2+ + A3+ o2) [mV].

    r1, r2 are the source's fast and slow trace, o1, o2 the target's; a slow trace counts as of just before the spike
    itself. Where both ends of a synapse fire in one tick the earlier substep comes first; two of one substep have no
    order: they make no pair with each other, and it first loses, then grows.
    """
    now, per = tick[0], substeps[0]
    spikes = ids[: count[0]]
    pre_first, post_first = span[0], span[2]
    pre_from, pre_to = np.searchsorted(spikes, pre_first), np.searchsorted(spikes, pre_first + span[1])
    post_from, post_to = np.searchsorted(spikes, post_first), np.searchsorted(spikes, post_first + span[3])
    last = outgoing.shape[1] - 1
    one, none = np.float32(1), np.float32(0)
    for s in range(pre_from, pre_to):
        pre = spikes[s]
        p = pre - pre_first
        a = np.int64(fired[pre])
        t = (now - pre_tick[p]) * per + a - pre_sub[p]
        slow = faded(pre_slow[p], t, pre_slow_decay)
        for j in range(outgoing[pre, 0], outgoing[pre, last]):
            k = post[j] - post_first
            b = np.int64(fired[post[j]])
            w = weight[j]
            if b != 0 and b < a:  # the target fired first
                before = (now - post_tick[k]) * per + b - post_sub[k]
                source_trace = faded(pre_trace[p], t - (a - b), pre_decay)
                w += source_trace * (step[0] + step[1] * faded(post_slow[k], before, post_slow_decay))
                w = min(w, step[4])
                target_trace = faded(faded(post_trace[k], before, post_decay) + one, a - b, post_decay)
            else:
                target_trace = faded(post_trace[k], (now - post_tick[k]) * per + a - post_sub[k], post_decay)
            w -= target_trace * (step[2] + step[3] * slow)
            weight[j] = max(w, none)
    for s in range(post_from, post_to):
        k = spikes[s] - post_first
        b = np.int64(fired[spikes[s]])
        slow = faded(post_slow[k], (now - post_tick[k]) * per + b - post_sub[k], post_slow_decay)
        for r in range(incoming[k], incoming[k + 1]):
            j = row[r]
            p = source[j]
            a = np.int64(fired[pre_first + p])
            if a > b:
                continue  # it grew above, before it lost
            t = (now - pre_tick[p]) * per - pre_sub[p]
            if a != 0 and a < b:
                trace = faded(faded(pre_trace[p], t + a, pre_decay) + one, b - a, pre_decay)
            else:
                trace = faded(pre_trace[p], t + b, pre_decay)
            weight[j] = min(weight[j] + trace * (step[0] + step[1] * slow), step[4])
    for s in range(pre_from, pre_to):
        p = spikes[s] - pre_first
        a = np.int64(fired[spikes[s]])
        t = (now - pre_tick[p]) * per + a - pre_sub[p]
        pre_trace[p] = faded(pre_trace[p], t, pre_decay) + one
        pre_slow[p] = faded(pre_slow[p], t, pre_slow_decay) + one
        pre_tick[p] = now
        pre_sub[p] = a
    for s in range(post_from, post_to):
        k = spikes[s] - post_first
        b = np.int64(fired[spikes[s]])
        t = (now - post_tick[k]) * per + b - post_sub[k]
        post_trace[k] = faded(post_trace[k], t, post_decay) + one
        post_slow[k] = faded(post_slow[k], t, post_slow_decay) + one
        post_tick[k] = now
        post_sub[k] = b
