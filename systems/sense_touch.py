"""Touch: contact forces on patches of skin, or how deep they are under water -> afferent drive."""

import numpy as np

from components.body import BodyState, TouchPatch
from components.network import Inputs
from engine.kernel import kernel
from engine.system import system


@system(
    reads=[BodyState.sensors, Inputs.spread, TouchPatch.sensor, TouchPatch.gain, TouchPatch.half_force,
           TouchPatch.first, TouchPatch.count],
    writes=[Inputs.sense],
)  # fmt: skip
@kernel
def sense_touch(n, sensors, spread, sensor, gain, half_force, first, count, sense):
    """Saturating drive gain x F / (F + half_force) of pressure mechanoreceptors; n = patches, F in newtons.

    Water, F in metres under its surface, comes on as fast: there is no other wetness to feel than chill and touch
    (Filingeri & Havenith 2015, Temperature 2:86), and the skin's temperature is not modelled.
    """
    for g in range(n):
        force = max(sensors[sensor[g]], 0.0)
        drive = gain[g] * force / (force + half_force[g])
        for k in range(first[g], first[g] + count[g]):
            sense[k] = np.float32(drive) - spread[k]
