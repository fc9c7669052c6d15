"""Move the spike log to the observers: rates, histories, records, the spike hash."""

from __future__ import annotations

import hashlib
from collections import deque

import numpy as np

from components.network import SpikeLog
from engine.system import system

BLOCK = 10  # ticks between flushes


class SpikeObserver:
    """Observed spikes: a chained hash of all, the last `keep_ms` in memory, and whoever listens (records, the view)."""

    def __init__(self, keep_ms: float = 60_000.0):
        self.keep_ms = keep_ms
        self.digest = bytes(16)
        self.total = 0
        self.lost = 0
        self.listeners: list = []
        self._blocks: deque = deque()

    def take(self, ids: np.ndarray, ticks: np.ndarray, substeps: np.ndarray, lost: int, until: int) -> None:
        """One block of spikes, ascending in time and then in neuron."""
        self.digest = _chain(self.digest, ids, ticks, substeps)
        self.total += ids.size
        self.lost += lost
        self._blocks.append((until, ids, ticks, substeps))
        while self._blocks and self._blocks[0][0] < until - self.keep_ms:
            self._blocks.popleft()
        for listener in self.listeners:
            listener(ids, ticks, substeps)

    def history(self, since: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(neuron, tick, substep) of the spikes still in memory; whole blocks without any from `since` on left out."""
        found = []
        for block in reversed(self._blocks):
            if block[1].size and block[0] <= since:
                break
            found.append(block)
        if not found:
            return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.uint8)
        return tuple(np.concatenate([block[k] for block in reversed(found)]) for k in (1, 2, 3))

    def snapshot(self) -> dict[str, np.ndarray]:
        ids, ticks, substeps = self.history()
        return {
            "digest": np.frombuffer(self.digest, np.uint8), "totals": np.array([self.total, self.lost]),
            "ids": ids, "ticks": ticks, "substeps": substeps,
        }  # fmt: skip

    def mark(self) -> tuple:
        """The same for a moment kept in memory: blocks are never changed, so they are shared."""
        return self.digest, self.total, self.lost, tuple(self._blocks)

    def recall(self, mark: tuple) -> None:
        self.digest, self.total, self.lost, blocks = mark
        self._blocks = deque(blocks)

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        self.digest = np.asarray(saved["digest"], np.uint8).tobytes()
        self.total, self.lost = (int(x) for x in saved["totals"])
        ids, ticks, substeps = (np.asarray(saved[k]) for k in ("ids", "ticks", "substeps"))
        self._blocks.clear()
        if ids.size:
            self._blocks.append((int(ticks[-1]) + 1, ids, ticks, substeps))


def _chain(digest: bytes, ids: np.ndarray, ticks: np.ndarray, substeps: np.ndarray) -> bytes:
    h = hashlib.blake2b(digest, digest_size=16)
    for array in (ids, ticks, substeps):
        h.update(np.ascontiguousarray(array).tobytes())
    return h.digest()


@system(reads=[SpikeLog.ids, SpikeLog.ticks, SpikeLog.substeps], writes=[SpikeLog.count], objects=[SpikeObserver])
def flush_spikes(n, ids, ticks, substeps, count, spikes):
    """Hand over the block logged since the last flush and empty the log."""
    found = int(count[0])
    until = int(ticks[found - 1]) + 1 if found else 0
    spikes.take(ids[:found].copy(), ticks[:found].copy(), substeps[:found].copy(), int(count[1]), until)
    count[:] = 0
