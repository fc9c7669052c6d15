"""Sample what a record keeps: pose, activations, sensors, potentials. A probe: it may read the pose."""

from __future__ import annotations

import numpy as np

from engine.record import Record
from engine.schedule import Now
from engine.system import system


class Sampler:
    """What to sample each period: name -> function that returns an array, bound at load."""

    def __init__(self):
        self.sources: dict = {}
        self.record: Record | None = None
        self.watchers: list = []

    def __call__(self, tick: int) -> None:
        for watcher in self.watchers:
            watcher(tick)
        if self.record is not None:
            self.record.append("samples/tick", np.array(tick, np.int64))
            for name, source in self.sources.items():
                self.record.append(f"samples/{name}", np.asarray(source()))


@system(reads=[Now.tick], objects=[Sampler])
def sample_record(n, tick, sampler):
    """One sample of everything chosen."""
    sampler(int(tick[0]))
