"""Advance the body by one step of MuJoCo; the only system that holds the physics."""

from __future__ import annotations

import numpy as np

from components.body import BodyState
from engine.system import system


class Physics:
    """The body's physics: a mujoco model and its data, advanced by physics_step and read by probes and the view."""

    def __init__(self, body):
        import mujoco

        self._mujoco = mujoco
        self.body = body
        self.model = body.model
        self.data = body.new_data()
        self.steps = 0
        data = self.data
        self.inputs = data.ctrl, data.qfrc_applied, data.xfrc_applied, data.eq_active, data.mocap_pos
        self.readings = data.sensordata
        mujoco.mj_forward(self.model, data)

    def step(self) -> None:
        self._mujoco.mj_step(self.model, self.data)
        self.steps += 1

    @property
    def clock_ms(self) -> float:
        """Time as the physics counts it."""
        return self.data.time * 1000.0

    def snapshot(self) -> dict[str, np.ndarray]:
        kind = self._mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.zeros(self._mujoco.mj_stateSize(self.model, kind))
        self._mujoco.mj_getState(self.model, self.data, state, kind)
        return {"state": state, "steps": np.array([self.steps])}

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        kind = self._mujoco.mjtState.mjSTATE_INTEGRATION
        self._mujoco.mj_setState(self.model, self.data, np.asarray(saved["state"], float), kind)
        self.steps = int(saved["steps"][0])


def hand_over(n, ctrl, hand, joint_torque, wrench, hold, holder, sensors, physics):
    """Control and outside forces of the step to come."""
    into = physics.inputs
    np.add(ctrl, hand, out=into[0])
    into[1][:] = joint_torque
    into[2][:] = wrench
    into[3][:] = hold
    into[4][:] = holder


def advance(n, ctrl, hand, joint_torque, wrench, hold, holder, sensors, physics):
    """One step; nothing but the physics is touched, so that others may run beside it."""
    physics.step()


def take_readings(n, ctrl, hand, joint_torque, wrench, hold, holder, sensors, physics):
    """Sensor readings after the step."""
    sensors[:] = physics.readings


@system(
    reads=[BodyState.ctrl, BodyState.hand, BodyState.joint_torque, BodyState.wrench, BodyState.hold, BodyState.holder],
    writes=[BodyState.sensors],
    objects=[Physics],
    aside=(hand_over, advance, take_readings),
)
def physics_step(n, ctrl, hand, joint_torque, wrench, hold, holder, sensors, physics):
    """Hand over control and outside forces, take one step, take the sensor readings."""
    arguments = (n, ctrl, hand, joint_torque, wrench, hold, holder, sensors, physics)
    hand_over(*arguments)
    advance(*arguments)
    take_readings(*arguments)
