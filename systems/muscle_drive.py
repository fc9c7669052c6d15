"""Motor-neuron spikes -> muscle activation -> actuator control. The only writer of control."""

import numpy as np

from components.body import BodyState, Muscle
from components.network import Spikes
from engine.kernel import kernel
from engine.system import system


@system(
    reads=[Spikes.fired, Muscle.pool_first, Muscle.pool_count, Muscle.more_first, Muscle.more_count, Muscle.decay,
           Muscle.twitch, Muscle.actuator, Muscle.ctrl_gain],
    writes=[Muscle.activation, BodyState.ctrl],
)  # fmt: skip
@kernel
def muscle_drive(n, fired, pool_first, pool_count, more_first, more_count, decay, twitch, actuator, ctrl_gain,
                 activation, ctrl):  # fmt: skip
    """First-order activation: each spike adds a twitch that decays with tau_activation; n = muscles.

    Twitches grow linearly over each pool, from 1 / count to nearly twice the mean: the neurons recruited first move the
    smallest units (size principle: Henneman 1957; Fuglevand, Winter & Patla 1993, J Neurophysiol 70:2470).
    """
    ctrl[:] = 0.0
    for m in range(n):
        size = 0  # summed over the spikes, in units of 1 / count of the mean twitch
        for k in range(pool_count[m]):
            if fired[pool_first[m] + k]:
                size += 2 * k + 1
        a = activation[m] * decay[m] + np.float32(size) * twitch[m] / np.float32(pool_count[m])
        if more_count[m] > 0:
            size = 0
            for k in range(more_count[m]):
                if fired[more_first[m] + k]:
                    size += 2 * k + 1
            a += np.float32(size) * twitch[m] / np.float32(more_count[m])
        a = min(a, np.float32(1.0))
        if a < np.float32(1e-9):
            a = np.float32(0.0)
        activation[m] = a
        ctrl[actuator[m]] += ctrl_gain[m] * a
