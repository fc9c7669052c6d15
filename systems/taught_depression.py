"""A teacher's spike depresses the synapses onto its pupil that were active shortly before; use lets them recover.

Cerebellar learning (Albus 1971, Math Biosci 10:25; Ito & Kano 1982, Neurosci Lett 33:253).
"""

import numpy as np

from components.learning import Incoming, Learning, Plastic, Taught
from components.network import Branch, Spikes, Synapse
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system


@system(
    reads=[Learning.on, Now.tick, Spikes.ids, Spikes.count, Branch.start, Plastic.source, Incoming.span, Incoming.start,
           Incoming.row, Taught.step, Taught.per_tick, Taught.decay, Taught.teachers, Taught.start, Taught.pupil,
           Taught.delay],
    writes=[Synapse.weight, Taught.first, Taught.second, Taught.tick, Taught.due],
)  # fmt: skip
@kernel
def taught_depression(
    n, on, tick, ids, count, outgoing, source, span, incoming, row, step, per_tick, decay, teachers, taught, pupil,
    delay, weight, first, second, since, due,
):  # fmt: skip
    """Eligibility of a source: the sum over its spikes of (t / lag) exp(1 - t / lag), t ticks after each was fired.

    A teacher's spike counts when it arrives, after the delay of its synapse; until then `due` keeps it. In a tick
    sources' spikes come first (they recover their synapses; their own eligibility is still 0), then the teachers'.
    """
    now = tick[0]
    depression, recovery, highest = step[0], step[1], step[2]
    fired = ids[: count[0]]
    last = outgoing.shape[1] - 1
    for s in range(np.searchsorted(fired, span[0]), np.searchsorted(fired, span[0] + span[1])):
        pre = fired[s]
        p = pre - span[0]
        t = now - since[p]
        left = decay[t] if t < decay.shape[0] else np.float32(0)
        second[p] = (second[p] + first[p] * (np.float32(t) * per_tick[0])) * left
        first[p] = first[p] * left + np.float32(1)
        since[p] = now
        for j in range(outgoing[pre, 0], outgoing[pre, last]):
            weight[j] = min(weight[j] + recovery, highest)
    slots = due.shape[0]
    for s in range(np.searchsorted(fired, teachers[0]), np.searchsorted(fired, teachers[0] + teachers[1])):
        teacher = fired[s] - teachers[0]
        for r in range(taught[teacher], taught[teacher + 1]):
            coming = due[(now + delay[r]) & (slots - 1)]
            if coming[0] != now + delay[r]:
                coming[0] = now + delay[r]
                coming[1] = 0
            coming[2 + coming[1]] = pupil[r]
            coming[1] += 1
    arrived = due[now & (slots - 1)]
    if arrived[0] != now:
        return
    for a in range(arrived[1]):
        k = arrived[2 + a]
        for r in range(incoming[k], incoming[k + 1]):
            j = row[r]
            p = source[j]
            t = now - since[p]
            if t < decay.shape[0]:
                eligible = (second[p] + first[p] * (np.float32(t) * per_tick[0])) * decay[t]
                weight[j] = max(weight[j] - depression * eligible, np.float32(0))
