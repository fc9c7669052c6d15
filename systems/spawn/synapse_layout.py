"""Lay sampled synapses out source-major: counted, placed and sorted by compiled code, in the memory they end up in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.kernel import kernel

PARCEL_POST = np.uint64(0xFFFFFF)  # deliver_spikes.parcels: target, delay, quantised weight


@dataclass
class Chunk:
    """Synapses that were sampled together; arrays have one entry per synapse."""

    pre: np.ndarray
    """Source [int32, global index]."""
    post: np.ndarray
    """Target [int32, global index]."""
    weight: np.ndarray
    """PSP [float32, mV]."""
    delay: np.ndarray
    """Ticks [uint8]."""
    projection: int
    """Number of the projection."""
    group: int = 0
    """Row of Gains.value."""


@dataclass
class Laid:
    """Synapses sorted by source, then target; those of one source and target in the order they were sampled."""

    start: np.ndarray
    """First synapse of (source, part of the target range) [int32, neurons x (parts + 1)]."""
    projection: np.ndarray
    """Number of each synapse's projection [uint16, or uint8 where parcels are all that is kept]."""
    post: np.ndarray | None = None
    weight: np.ndarray | None = None
    delay: np.ndarray | None = None
    group: np.ndarray | None = None
    parcel: np.ndarray | None = None
    """Instead of post, weight and delay, if parcels are all that is kept [uint64]."""


@kernel
def count_sources(pre, count):
    """count [neurons] += synapses of each source."""
    for k in range(pre.shape[0]):
        count[pre[k]] += 1


@kernel
def place(pre, post, weight, delay, projection, group, at, to_post, to_weight, to_delay, to_group, to_projection):
    """Append every synapse of a chunk to its source's; `at` [neurons] is where the next one goes."""
    for k in range(pre.shape[0]):
        to = at[pre[k]]
        at[pre[k]] = to + 1
        to_post[to] = post[k]
        to_weight[to] = weight[k]
        to_delay[to] = delay[k]
        to_group[to] = group
        to_projection[to] = projection


@kernel
def place_parcels(pre, parcel, projection, at, to_parcel, to_projection):
    """As `place`, for synapses that are kept as parcels."""
    for k in range(pre.shape[0]):
        to = at[pre[k]]
        at[pre[k]] = to + 1
        to_parcel[to] = parcel[k]
        to_projection[to] = projection


@kernel
def sort_rows(first, post, weight, delay, group, projection):
    """Sort each source's synapses by target, stably; `first` [neurons + 1]."""
    for s in range(first.shape[0] - 1):
        a, b = first[s], first[s + 1]
        if b - a < 2:
            continue
        key = np.empty(b - a, np.uint64)
        ordered = True
        for k in range(b - a):
            key[k] = np.uint64(post[a + k]) << np.uint64(32) | np.uint64(k)
            ordered = ordered and (k == 0 or key[k] > key[k - 1])
        if ordered:
            continue
        key.sort()
        w, d, g, p = weight[a:b].copy(), delay[a:b].copy(), group[a:b].copy(), projection[a:b].copy()
        for k in range(b - a):
            j = np.int64(key[k] & np.uint64(0xFFFFFFFF))
            post[a + k] = np.int32(key[k] >> np.uint64(32))
            weight[a + k], delay[a + k], group[a + k], projection[a + k] = w[j], d[j], g[j], p[j]


@kernel
def sort_parcels(first, parcel, projection):
    """As `sort_rows`, for parcels."""
    for s in range(first.shape[0] - 1):
        a, b = first[s], first[s + 1]
        if b - a < 2:
            continue
        key = np.empty(b - a, np.uint64)
        ordered = True
        for k in range(b - a):
            key[k] = (parcel[a + k] & PARCEL_POST) << np.uint64(32) | np.uint64(k)
            ordered = ordered and (k == 0 or key[k] > key[k - 1])
        if ordered:
            continue
        key.sort()
        c, p = parcel[a:b].copy(), projection[a:b].copy()
        for k in range(b - a):
            j = np.int64(key[k] & np.uint64(0xFFFFFFFF))
            parcel[a + k], projection[a + k] = c[j], p[j]


@kernel
def part_starts(first, post, bounds, start):
    """First synapse of (source, part) from the sorted targets; post may be parcels."""
    for s in range(first.shape[0] - 1):
        at = first[s]
        for part in range(bounds.shape[0]):
            while at < first[s + 1] and np.int64(np.uint64(post[at]) & PARCEL_POST) < bounds[part]:
                at += 1
            start[s, part] = at


def lay(chunks: list[Chunk], bounds: np.ndarray, pack: Callable | None, projections: int) -> Laid:
    """The chunks as one table; they are used up. `pack(post, weight, delay)` makes parcels, if those are to be kept."""
    total = int(bounds[-1])
    count = np.zeros(total + 1, np.int64)
    for chunk in chunks:
        count_sources(chunk.pre, count[1:])
    first = np.cumsum(count)
    size, at = int(first[-1]), first[:-1].copy()
    start = np.empty((total, bounds.size), np.int32)
    chunks.reverse()
    if pack is not None:
        kind = np.uint8 if projections <= 256 else np.uint16
        made = Laid(start, np.empty(size, kind), parcel=np.empty(size, np.uint64))
        while chunks:
            c = chunks.pop()
            place_parcels(c.pre, pack(c.post, c.weight, c.delay), c.projection, at, made.parcel, made.projection)
        sort_parcels(first, made.parcel, made.projection)
        part_starts(first, made.parcel, bounds, start)
        return made
    made = Laid(start, np.empty(size, np.uint16), np.empty(size, np.int32), np.empty(size, np.float32),
                np.empty(size, np.uint8), np.empty(size, np.uint8))  # fmt: skip
    columns = made.post, made.weight, made.delay, made.group, made.projection
    while chunks:
        c = chunks.pop()
        place(c.pre, c.post, c.weight, c.delay, c.projection, c.group, at, *columns)
    sort_rows(first, *columns)
    part_starts(first, made.post, bounds, start)
    return made
