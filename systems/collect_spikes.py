"""List the neurons that fired this tick, in ascending order, and log them."""

import numpy as np

from components.network import SpikeLog, Spikes
from engine.kernel import kernel
from engine.lanes import lowest
from engine.schedule import Now
from engine.system import system


@system(
    reads=[Now.tick, Spikes.fired],
    writes=[Spikes.ids, Spikes.count, SpikeLog.ids, SpikeLog.ticks, SpikeLog.substeps, SpikeLog.count],
)
@kernel
def collect_spikes(n, tick, fired, ids, count, log_ids, log_ticks, log_substeps, log_count):
    """Scan `fired` (eight neurons at a time) into `ids`; a full log counts what it loses."""
    found = 0
    words = fired.shape[0] // 8
    eight = fired[: words * 8].view(np.uint64)
    for several in range(0, words, 4):
        last = min(several + 4, words)
        if last - several == 4 and not (
            eight[several] | eight[several + 1] | eight[several + 2] | eight[several + 3]
        ):  # silence is looked through four times as fast
            continue
        for w in range(several, last):
            word = eight[w]
            while word:  # a byte for each neuron, the first one lowest
                byte = lowest(word) >> 3
                ids[found] = w * 8 + byte
                found += 1
                word &= ~(np.uint64(0xFF) << np.uint64(8 * byte))
    for k in range(words * 8, fired.shape[0]):
        if fired[k]:
            ids[found] = k
            found += 1
    count[0] = found
    at = log_count[0]
    room = log_ids.shape[0] - at
    kept = min(found, room)
    log_count[1] += found - kept
    for s in range(kept):
        log_ids[at + s] = ids[s]
        log_ticks[at + s] = tick[0]
        log_substeps[at + s] = fired[ids[s]]
    log_count[0] = at + kept
