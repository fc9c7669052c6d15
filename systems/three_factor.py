"""Spikes of both ends make a synapse eligible; the spikes of a third population make a change of weight of that.

Eligibility by pairs of spikes, times a signed prediction error (Izhikevich 2007, Cereb Cortex 17:2443; Schultz 1997,
Science 275:1593): the third population's filtered rate against its own slow baseline.
"""

import numba as nb
import numpy as np

from components.learning import Eligible, Incoming, Learning, Plastic, ThreeFactor
from components.network import Branch, Spikes, Synapse
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system

SWEEP = 16  # ticks in which every synapse is brought up to date once; a power of two


@nb.njit(error_model="numpy", inline="always")
def faded(trace, ticks, decay):
    """What is left of a trace after `ticks`; nothing beyond the table."""
    return trace * decay[ticks] if ticks < decay.shape[0] else np.float32(0)


@nb.njit(error_model="numpy")
def catch_up(j, now, weight, trace, since, rate, highest, keep, error):
    """Bring one synapse up to date: tick by tick the eligibility fades, then the error of that tick acts on it."""
    ticks = now - since[j]
    since[j] = now
    c = trace[j]
    if c == np.float32(0):
        return
    if ticks > SWEEP:  # it was not followed: learning was off
        trace[j] = np.float32(0)
        return
    w = weight[j]
    for u in range(now - ticks + 1, now + 1):
        c *= keep
        w += rate * (c * error[u & (SWEEP - 1)])
    trace[j] = c if abs(c) > np.float32(1e-6) else np.float32(0)
    weight[j] = min(max(w, np.float32(0)), highest)


@system(
    reads=[Learning.on, Now.tick, Spikes.fired, Spikes.ids, Spikes.count, Synapse.post, Branch.start, Plastic.source,
           Incoming.span, Incoming.start, Incoming.row, ThreeFactor.step, ThreeFactor.rate, ThreeFactor.keep,
           ThreeFactor.pre_decay, ThreeFactor.post_decay, ThreeFactor.by, ThreeFactor.filter],
    writes=[Synapse.weight, Eligible.trace, Eligible.since, ThreeFactor.level, ThreeFactor.error, ThreeFactor.pre_trace,
            ThreeFactor.pre_tick, ThreeFactor.post_trace, ThreeFactor.post_tick],
)  # fmt: skip
@kernel
def three_factor(
    n, on, tick, fired, ids, count, post, outgoing, source, span, incoming, row, step, rate, keep, pre_decay,
    post_decay, by, filter, weight, trace, since, level, error, pre_trace, pre_tick, post_trace, post_tick,
):  # fmt: skip
    """The error of this tick, then what spikes leave: a source's takes from its synapses' eligibility, a target's adds.

    Pairs are those of systems/stdp.py. A weight is up to date whenever its source fires, and at most 16 ticks old.
    """
    now = tick[0]
    spikes = 0
    for k in range(by[0], by[0] + by[1]):
        spikes += fired[k] != 0
    hz = level[0] * filter[0] + np.float32(spikes) * filter[1]
    base = hz + (level[1] - hz) * filter[2]
    level[0], level[1] = hz, base
    error[now & (SWEEP - 1)] = hz / max(base, filter[3]) - np.float32(1)
    listed = ids[: count[0]]
    pre_first, post_first = span[0], span[2]
    pre_from, pre_to = np.searchsorted(listed, pre_first), np.searchsorted(listed, pre_first + span[1])
    post_from, post_to = np.searchsorted(listed, post_first), np.searchsorted(listed, post_first + span[3])
    last = outgoing.shape[1] - 1
    for s in range(pre_from, pre_to):
        pre = listed[s]
        for j in range(outgoing[pre, 0], outgoing[pre, last]):
            k = post[j] - post_first
            catch_up(j, now, weight, trace, since, rate[0], rate[1], keep[0], error)
            trace[j] -= step[1] * faded(post_trace[k], now - post_tick[k], post_decay)
    for s in range(post_from, post_to):
        k = listed[s] - post_first
        for r in range(incoming[k], incoming[k + 1]):
            j = row[r]
            p = source[j]
            catch_up(j, now, weight, trace, since, rate[0], rate[1], keep[0], error)
            trace[j] += step[0] * faded(pre_trace[p], now - pre_tick[p], pre_decay)
    part = now & (SWEEP - 1)
    for j in range(n * part // SWEEP, n * (part + 1) // SWEEP):
        catch_up(j, now, weight, trace, since, rate[0], rate[1], keep[0], error)
    for s in range(pre_from, pre_to):
        p = listed[s] - pre_first
        pre_trace[p] = faded(pre_trace[p], now - pre_tick[p], pre_decay) + np.float32(1)
        pre_tick[p] = now
    for s in range(post_from, post_to):
        k = listed[s] - post_first
        post_trace[k] = faded(post_trace[k], now - post_tick[k], post_decay) + np.float32(1)
        post_tick[k] = now
