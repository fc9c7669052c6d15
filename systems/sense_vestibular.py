"""Semicircular canals and otoliths: turning and specific force of the head -> afferent drive."""

import numpy as np

from components.body import BodyState, Vestibular
from components.network import Inputs
from engine.kernel import kernel
from engine.system import system


@system(
    reads=[BodyState.sensors, Inputs.spread, Vestibular.sensor, Vestibular.scale, Vestibular.limit, Vestibular.gain,
           Vestibular.fast_step, Vestibular.slow_step, Vestibular.first, Vestibular.count],
    writes=[Vestibular.fast, Vestibular.slow, Inputs.sense],
)  # fmt: skip
@kernel
def sense_vestibular(
    n, sensors, spread, sensor, scale, limit, gain, fast_step, slow_step, first, count, fast, slow, sense
):
    """Drive = gain x band-passed motion towards the direction; n = groups, motion in rad/s (canals) or g (otoliths).

    Canals are torsion pendulums, angular velocity between their two time constants (Steinhausen 1933; 5.7 s and 3 ms:
    Fernandez & Goldberg 1971, J Neurophysiol 34:661). Otoliths feel acceleration and gravity alike, up to 16 ms
    (Fernandez & Goldberg 1976, J Neurophysiol 39:996). Motion away from the direction takes drive away.
    """
    for g in range(n):
        motion = min(max(sensors[sensor[g]] * scale[g], -limit[g]), limit[g])
        fast[g] += fast_step[g] * (motion - fast[g])
        slow[g] += slow_step[g] * (fast[g] - slow[g])
        drive = np.float32(gain[g] * (fast[g] - slow[g]))
        for k in range(first[g], first[g] + count[g]):
            sense[k] = drive - spread[k]
