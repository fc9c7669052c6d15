"""Milk in mouth and stomach -> drive of the afferents that feel it."""

import numpy as np

from components.body import Filling, Milk
from components.network import Inputs
from engine.kernel import kernel
from engine.system import system


@system(
    reads=[Milk.mouth, Milk.stomach, Inputs.spread, Filling.of_stomach, Filling.gain, Filling.half_volume,
           Filling.first, Filling.count],
    writes=[Inputs.sense],
)  # fmt: skip
@kernel
def sense_filling(n, mouth, stomach, spread, of_stomach, gain, half_volume, first, count, sense):
    """Saturating drive gain x V / (V + half_volume); n = groups of afferents, V in millilitres."""
    for g in range(n):
        volume = stomach[0] if of_stomach[g] == 1 else mouth[0]
        drive = gain[g] * volume / (volume + half_volume[g])
        for k in range(first[g], first[g] + count[g]):
            sense[k] = np.float32(drive) - spread[k]
