"""Send last tick's spikes into the delay ring and take out what arrives now."""

import numba as nb
import numpy as np

from components.network import Fanout, Spikes, Threads
from engine.errors import UserError
from engine.kernel import kernel
from engine.prefetch import prefetch
from engine.schedule import Now, Parts
from engine.system import system

LIMIT = np.int32(1 << 30)
UNIT = np.float32(65536)  # arrivals are counted in 2^-16 mV
AHEAD = 2  # spikes whose synapses are being loaded while one is delivered
BATCH = 4096  # synapses handled together
LOOK = 64  # additions between asking for memory and using it
LINE = 8  # synapses in a cache line


@nb.njit(error_model="numpy")
def add(flat, cell, amount, count):
    """flat[cell] += amount for the first `count`, each asked for LOOK additions before its turn."""
    cell[count : count + LOOK] = 0
    for j in range(min(LOOK, count)):
        prefetch(flat, cell[j])
    for j in range(count):
        prefetch(flat, cell[j + LOOK])
        flat[cell[j]] += amount[j]


@nb.njit(error_model="numpy")
def within(ids, span):
    """Where among the spikes, ascending in neurons, those of a table's sources begin and end."""
    return np.searchsorted(ids, span[0]), np.searchsorted(ids, span[1])


@system(
    reads=[Now.tick, Parts.own, Threads.bounds, Spikes.ids, Spikes.count, Fanout.start, Fanout.span,
           Fanout.parcel],
    writes=[Fanout.ring, Fanout.arrived, Fanout.saturated],
)  # fmt: skip
@kernel
def deliver_spikes(n, tick, own, bounds, ids, count, start, span, parcel, ring, arrived, saturated):
    """Push every spike along its synapses, quantised to 2^-16 mV; integer sums do not depend on the order.

    Each part owns a range of target neurons. A spike of tick t with delay d arrives in tick t + d.
    """
    slots = ring.shape[0]
    now = tick[0]
    flat = ring.ravel()
    mask, width, since = np.uint32(slots - 1), np.uint32(ring.shape[1]), np.uint32((now - 1) & (slots - 1))
    begin, spikes = within(ids[: count[0]], span)
    cell, amount = np.empty(BATCH + LOOK, np.uint32), np.empty(BATCH, np.int32)
    filled = 0
    for s in range(begin - AHEAD, spikes):
        if s + AHEAD < spikes:
            pre = ids[s + AHEAD]
            for j in range(start[pre, own[0]], start[pre, own[1]] + LINE - 1, LINE):
                prefetch(parcel, j)
        if s < begin:
            continue
        pre = ids[s]
        row, end = start[pre, own[0]], start[pre, own[1]]
        while row < end:
            m = min(BATCH - filled, end - row)
            taken, cells, amounts = parcel[row : row + m], cell[filled : filled + m], amount[filled : filled + m]
            for j in range(m):  # vector code: where to
                word = np.uint32(taken[j])
                cells[j] = ((since + (word >> np.uint32(24))) & mask) * width + (word & np.uint32(0xFFFFFF))
            for j in range(m):  # ... and how much
                amounts[j] = np.int32(taken[j] >> np.uint64(32))
            row, filled = row + m, filled + m
            if filled == BATCH:
                add(flat, cell, amount, filled)
                filled = 0
    add(flat, cell, amount, filled)
    first, last = max(bounds[own[0]], span[2]), min(bounds[own[1]], span[3])
    due, into = ring[now & (slots - 1), first:last], arrived[first:last]
    lost = np.uint32(0)
    for k in range(last - first):
        over = np.uint32(due[k]) > np.uint32(LIMIT)  # a sum that wrapped to negative is a large unsigned number
        lost += np.uint32(1) if over else np.uint32(0)
        into[k] = LIMIT if over else due[k]
    due[:] = 0
    saturated[own[0]] += lost


def parcels(post: np.ndarray, weight: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """Fanout.parcel: target in bits 0..23, delay in 24..31, quantised weight in 32..63.

    deliver_spikes reads nothing else of a synapse: whoever changes its columns makes its parcel again.
    """
    if post.max(initial=0) >= 1 << 24:
        raise UserError(f"a target has number {post.max()}; expected at most {1 << 24:,} neurons")
    amount = (weight * UNIT + np.float32(0.5)).astype(np.int32).astype(np.uint64)
    return post.astype(np.uint64) | delay.astype(np.uint64) << np.uint64(24) | amount << np.uint64(32)
