"""Named random streams from one seed. A new stream never shifts an old one; kernels draw by counter, not by order."""

from __future__ import annotations

import hashlib

import numpy as np


class Streams:
    """`generator(name)` for building; `key(name)` for kernels, which draw Philox blocks at (key, tick, row)."""

    def __init__(self, seed: int):
        self.seed = int(seed)

    def key(self, name: str) -> tuple[int, int]:
        """Two 32-bit key words for the stream `name` under this seed."""
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")

    def generator(self, name: str) -> np.random.Generator:
        """A fresh numpy generator for the stream `name`; the same name gives the same draws."""
        low, high = self.key(name)
        return np.random.Generator(np.random.Philox(key=low | high << 32))
