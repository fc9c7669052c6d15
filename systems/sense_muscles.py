"""Muscle spindles and tendon organs: sensor readings -> afferent drive."""

import math

import numpy as np

from components.body import BodyState, Spindle, TendonOrgan
from components.network import Inputs
from engine.kernel import kernel
from engine.system import system


@system(
    reads=[BodyState.sensors, Inputs.spread, Spindle.length_sensor, Spindle.velocity_sensor, Spindle.rest_length,
           Spindle.length_range, Spindle.length_gain, Spindle.velocity_gain, Spindle.first, Spindle.count],
    writes=[Inputs.sense],
)  # fmt: skip
@kernel
def sense_spindles(
    n, sensors, spread, length_sensor, velocity_sensor, rest_length, length_range, length_gain, velocity_gain, first,
    count, sense,
):  # fmt: skip
    """Drive = length_gain x stretch + velocity_gain x (lengthening speed)^(5/8), both in ranges; n = afferent groups.

    The power law of velocity is Prochazka & Gorassini (1998, J Physiol 507:277), who have 0.6; 5/8 needs square roots
    only, which every machine rounds alike. Shortening takes drive away, so a shortening muscle's afferents fall silent.
    """
    for g in range(n):
        stretch = (sensors[length_sensor[g]] - rest_length[g]) / length_range[g]
        speed = sensors[velocity_sensor[g]] / length_range[g]
        drive = length_gain[g] * stretch
        if speed > 0.0:
            root = math.sqrt(speed)
            drive += velocity_gain[g] * root * math.sqrt(math.sqrt(root))
        elif speed < 0.0:
            drive += velocity_gain[g] * max(speed, -1.0)
        for k in range(first[g], first[g] + count[g]):
            sense[k] = np.float32(drive) - spread[k]


@system(
    reads=[BodyState.sensors, Inputs.spread, TendonOrgan.force_sensor, TendonOrgan.force_scale, TendonOrgan.gain,
           TendonOrgan.first, TendonOrgan.count],
    writes=[Inputs.sense],
)  # fmt: skip
@kernel
def sense_tendon_organs(n, sensors, spread, force_sensor, force_scale, gain, first, count, sense):
    """Drive = gain x pull / maximum pull, n = afferent groups (Crago, Houk & Rymer 1982: nearly linear in force)."""
    for g in range(n):
        pull = max(sensors[force_sensor[g]] * force_scale[g], 0.0)
        for k in range(first[g], first[g] + count[g]):
            sense[k] = np.float32(gain[g] * pull) - spread[k]
