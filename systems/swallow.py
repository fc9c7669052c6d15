"""A jaw that opens draws milk into the mouth; motor neurons of swallowing squeeze it into the stomach."""

import numpy as np

from components.body import BodyState, Gullet, Milk
from components.network import Spikes
from engine.kernel import kernel
from engine.system import system

TICK_S = 0.001
MOUTH_ML = 2.0  # more runs out of a newborn's mouth
NIPPLE_N = 0.05  # less force than this on the tongue, and there is no nipple in the mouth


@system(
    reads=[BodyState.sensors, Spikes.fired, Milk.offered, Gullet.opener_sensor, Gullet.nipple_sensor, Gullet.first,
           Gullet.count, Gullet.decay, Gullet.twitch, Gullet.empties],
    writes=[Milk.mouth, Milk.stomach, Gullet.activation],
)  # fmt: skip
@kernel
def swallow(n, sensors, fired, offered, opener_sensor, nipple_sensor, first, count, decay, twitch, empties, mouth,
            stomach, activation):  # fmt: skip
    """Milk drawn = offered x shortening of the jaw's opener, milk swallowed = empties x activation; n = pools.

    Suction draws milk as the jaw falls (Wolff 1968, Pediatrics 42:943). Activation follows the spikes of the pool as
    that of a muscle does (`muscle_drive`). Volumes in millilitres.
    """
    for g in range(n):
        if sensors[nipple_sensor[g]] > NIPPLE_N and sensors[opener_sensor[g]] < 0.0:
            mouth[0] = min(mouth[0] - offered[0] * sensors[opener_sensor[g]] * TICK_S, MOUTH_ML)
        spikes = 0
        for k in range(first[g], first[g] + count[g]):
            if fired[k]:
                spikes += 1
        a = min(activation[g] * decay[g] + np.float32(spikes) * twitch[g] / np.float32(count[g]), np.float32(1.0))
        if a < np.float32(1e-9):
            a = np.float32(0.0)
        activation[g] = a
        moved = min(mouth[0], np.float64(empties[g] * a))
        mouth[0] -= moved
        stomach[0] += moved
