"""Advance the body by one step of MuJoCo; the only system that holds the physics."""

from __future__ import annotations

import numpy as np

from components.body import BodyState
from engine.errors import UserError
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
        mujoco.mj_forward(self.model, self.data)

    def step(self) -> None:
        if self.environment is None:
            self._mujoco.mj_step(self.model, self.data)
        else:
            self.environment(self.data, self.steps)
        self.steps += 1

    environment = None

    def hand_over(self, model, data, advance) -> None:
        """Let a reinforcement-learning environment own the physics: from now on `advance(data, steps)` is called for
        each body step, and steps its `data` when it is time. Its model must be this body's, sensors included."""
        if model.nsensordata != self.model.nsensordata or model.nu != self.model.nu:
            raise UserError(f"body {self.body.name}: expected an environment made with this body's model")
        self.model, self.data, self.environment = model, data, advance

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


@system(
    reads=[BodyState.ctrl, BodyState.hand, BodyState.joint_torque, BodyState.wrench, BodyState.hold, BodyState.holder],
    writes=[BodyState.sensors],
    objects=[Physics],
)
def physics_step(n, ctrl, hand, joint_torque, wrench, hold, holder, sensors, physics):
    """Hand over control and outside forces, take one step, take the sensor readings."""
    data = physics.data
    data.ctrl[:] = ctrl
    data.ctrl += hand
    data.qfrc_applied[:] = joint_torque
    data.xfrc_applied[:] = wrench
    data.eq_active[:] = hold
    data.mocap_pos[:] = holder
    physics.step()
    sensors[:] = data.sensordata
