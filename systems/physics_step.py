"""Advance the body by one step of MuJoCo; the only system that holds the physics."""

from __future__ import annotations

import contextlib
import functools
import math
from pathlib import Path

import numpy as np

from components.body import BodyState
from engine.errors import UserError
from engine.kernel import entry, kernel
from engine.system import Aside, system


@kernel
def pass_on(ctrl, hand, joint_torque, wrench, gravity, hold, carry, holder, holder_turn,
            to_ctrl, to_joints, to_parts, to_gravity, to_hold, to_holder, to_turn):  # fmt: skip
    """Inputs of a step (BodyState) -> the physics' own arrays; returns how many hands carry something."""
    for k in range(ctrl.shape[0]):
        to_ctrl[k] = ctrl[k] + hand[k]
    to_joints[:] = joint_torque
    to_parts[:] = wrench
    to_gravity[:] = gravity
    to_hold[:] = hold
    to_holder[:] = holder
    to_turn[:] = holder_turn
    carried = 0
    for k in range(carry.shape[0]):
        carried += carry[k, 7] != 0.0 or carry[k, 8] != 0.0 or carry[k, 9] != 0.0 or carry[k, 10] != 0.0
    return carried


@kernel
def bear(surface, weight, geom, part, at, half, volume, place, turn, middle, to_parts):
    """Add water's lift to the force and torque on each part [parts, 6]; `weight` is the water's, N/m3, z points up.

    Of each ellipsoid (systems/spawn/water.py) the volume under the surface displaces water, exactly: what a plane cuts
    off an ellipsoid is what it cuts off a ball, stretched. Archimedes; drag is MuJoCo's.
    """
    for k in range(geom.shape[0]):
        g, p = geom[k], part[k]
        lie = turn[g]  # row-major
        x = place[g, 0] + lie[0] * at[k, 0] + lie[1] * at[k, 1] + lie[2] * at[k, 2]
        y = place[g, 1] + lie[3] * at[k, 0] + lie[4] * at[k, 1] + lie[5] * at[k, 2]
        z = place[g, 2] + lie[6] * at[k, 0] + lie[7] * at[k, 1] + lie[8] * at[k, 2]
        a, b, c = lie[6] * half[k, 0], lie[7] * half[k, 1], lie[8] * half[k, 2]
        reach = math.sqrt(a * a + b * b + c * c)  # of the ellipsoid, upwards
        u = (surface - z) / reach
        if u <= -1.0:
            continue
        force = weight * volume[k]
        if u < 1.0:
            cut = 2.0 + 3.0 * u - u * u * u  # 4 x the part of a ball of radius 1 that lies below u
            force *= 0.25 * cut
            low = -0.75 * (1.0 - u * u) * (1.0 - u * u) / cut / reach  # the middle of that part lies this much lower
            a, b, c = a * half[k, 0] * low, b * half[k, 1] * low, c * half[k, 2] * low
            x += lie[0] * a + lie[1] * b + lie[2] * c
            y += lie[3] * a + lie[4] * b + lie[5] * c
        to_parts[p, 2] += force
        to_parts[p, 3] += (y - middle[p, 1]) * force
        to_parts[p, 4] -= (x - middle[p, 0]) * force


class Physics:
    """The body's physics: a mujoco model and its data, advanced by physics_step and read by probes and the view."""

    def __init__(self, body):
        import mujoco

        self._mujoco = mujoco
        self.body = body
        self.model = body.model
        self.data = body.new_data()
        self.steps = 0
        self._point()
        mujoco.mj_forward(self.model, self.data)

    def _point(self) -> None:
        """Where a step's inputs go and its readings come from."""
        data = self.data
        self.inputs = (data.ctrl, data.qfrc_applied, data.xfrc_applied, self.model.opt.gravity, data.eq_active,
                       data.mocap_pos, data.mocap_quat)  # fmt: skip
        self._columns: tuple | None = None
        self.readings = data.sensordata
        if (water := self.body.water) is not None:
            weight = water.density * abs(float(self.model.opt.gravity[2]))
            self._lifted = (water.surface_m, weight, water.geom, water.part, water.at, water.half, water.volume,
                          data.geom_xpos, data.geom_xmat, data.xipos, data.xfrc_applied)  # fmt: skip
            self._bear = entry(bear.compiled, self._lifted)
        else:
            self._bear = None
        step = _c_function("mj_step")
        self._native = (step, self.model._address, data._address) if step is not None else None

    def step(self) -> None:
        if self.environment is None:
            self._mujoco.mj_step(self.model, self.data)
        else:
            self.environment(self.data, self.steps)
        self.steps += 1

    def pass_on(self, *columns: np.ndarray) -> int:
        """Copy what outside forces and control are to where the physics looks for it (`pass_on`)."""
        if self._columns is None or any(a is not b for a, b in zip(columns, self._columns, strict=True)):
            self._columns, self._pass = columns, entry(pass_on.compiled, (*columns, *self.inputs))
        return self._pass(*columns, *self.inputs)

    @property
    def wet(self) -> bool:
        """Whether there is water."""
        return self._bear is not None

    def lift(self) -> None:
        """Let the water lift what is under its surface now, not where the last step saw it."""
        self._mujoco.mj_kinematics(self.model, self.data)
        self._bear(*self._lifted)

    def native_step(self) -> tuple[int, int, int] | None:
        """The next step as a C function and what to call it with; None if it takes Python."""
        if self._native is None or self.environment is not None:
            return None
        self.steps += 1
        return self._native

    environment = None

    def hand_over(self, model, data, advance) -> None:
        """Let a reinforcement-learning environment own the physics: from now on `advance(data, steps)` is called for
        each body step, and steps its `data` when it is time. Its model must be this body's, sensors included."""
        if model.nsensordata != self.model.nsensordata or model.nu != self.model.nu:
            raise UserError(f"body {self.body.name}: expected an environment made with this body's model")
        if self.wet:
            raise UserError(f"body {self.body.name}: an environment that steps it has no water")
        self.model, self.data, self.environment = model, data, advance
        self._point()

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
        self._mujoco.mj_kinematics(self.model, self.data)  # for who looks before the next step

    # the examiner's hands ---------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Bring positions and velocities up to date, which mj_step leaves one step behind and a snapshot lacks."""
        self._mujoco.mj_kinematics(self.model, self.data)
        self._mujoco.mj_comPos(self.model, self.data)
        self._mujoco.mj_comVel(self.model, self.data)

    def _place(self, part: int, point: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World position [3] and orientation [9] of a point and frame fixed to a part."""
        at, frame = np.zeros(3), np.zeros(9)
        self._mujoco.mj_local2Global(self.data, at, frame, point, turn, part, 0)
        return at, frame

    def pull(self, grip: np.ndarray) -> None:
        """Forces at points of parts, springs and plain ones (BodyState.grip), added to the forces on the joints."""
        m, model, data = self._mujoco, self.model, self.data
        self._refresh()
        for part, x, y, z, *aim, stiffness, damping, most in grip[grip[:, 0] > 0]:
            at, _ = self._place(int(part), np.array([x, y, z]), UNTURNED)
            force = np.array(aim)
            if stiffness > 0.0:
                spin = np.zeros(6)  # turning, then moving, about the part's own origin, along the world's axes
                m.mj_objectVelocity(model, data, m.mjtObj.mjOBJ_XBODY, int(part), spin, 0)
                origin, _ = self._place(int(part), np.zeros(3), UNTURNED)
                speed = spin[3:] + np.cross(spin[:3], at - origin)
                force = stiffness * (force - at) - damping * speed
                size = float(np.linalg.norm(force))
                if size > most:
                    force *= most / size
            m.mj_applyFT(model, data, force, np.zeros(3), at, int(part), data.qfrc_applied)

    def carry(self, hold: np.ndarray, holder: np.ndarray, holder_turn: np.ndarray, carry: np.ndarray) -> None:
        """Hands that take hold begin where the part is, go where they carry it, gently, and move on."""
        m, model = self._mujoco, self.model
        dt = float(model.opt.timestep)
        if (carry[:, 7] == 1.0).any():
            self._refresh()
        for hand in np.flatnonzero(carry[:, 7:].any(axis=1)):
            goal = carry[hand]
            if goal[7] == 1.0:
                held = next(k for k in range(model.neq) if model.body_mocapid[model.eq_obj1id[k]] == hand)
                holder[hand], frame = self._place(int(model.eq_obj2id[held]), np.zeros(3), UNTURNED)
                m.mju_mat2Quat(holder_turn[hand], frame)
                goal[7] = 2.0
            goal[:3] += goal[8:] * dt
            holder[hand] += goal[8:] * dt
            if goal[7] == 0.0:
                continue
            way, turn = goal[:3] - holder[hand], np.zeros(3)
            m.mju_subQuat(turn, goal[3:7], holder_turn[hand])
            left = max(float(np.linalg.norm(way)) / CARRY_M_S, float(np.linalg.norm(turn)) / CARRY_RAD_S) / dt
            if left <= 1.0:
                holder[hand], holder_turn[hand], goal[7] = goal[:3], goal[3:7], 0.0
            else:
                holder[hand] += way / left
                m.mju_quatIntegrate(holder_turn[hand], turn, 1.0 / left)


UNTURNED = np.array([1.0, 0.0, 0.0, 0.0])
CARRY_M_S, CARRY_RAD_S = 0.25, 1.5  # an examiner's hands are gentle


def hand_over(n, ctrl, hand, joint_torque, wrench, grip, gravity, hold, sensors, holder, holder_turn, carry,
              physics):  # fmt: skip
    """Control and outside forces of the step to come."""
    carried = physics.pass_on(ctrl, hand, joint_torque, wrench, gravity, hold, carry, holder, holder_turn)
    if carried:
        physics.carry(hold, holder, holder_turn, carry)
        physics.inputs[-2][:] = holder
        physics.inputs[-1][:] = holder_turn
    if grip[0, 0] > 0:
        physics.pull(grip)
    if physics.wet:
        physics.lift()


def advance(*arguments):
    """One step; nothing but the physics is touched, so that others may run beside it."""
    arguments[-1].step()


def step_of(*arguments) -> tuple[int, int, int] | None:
    """`advance` as a C function, for threads without Python; None if an environment steps the body."""
    return arguments[-1].native_step()


@functools.cache
def _c_function(name: str) -> int | None:
    """Address of a function of the physics library that is loaded; None if it is not found."""
    import ctypes

    import mujoco

    folder = Path(mujoco.__file__).parent
    for path in sorted([*folder.glob("libmujoco*"), *folder.glob("mujoco*.dll")]):
        with contextlib.suppress(OSError, AttributeError):
            return ctypes.cast(getattr(ctypes.CDLL(str(path)), name), ctypes.c_void_p).value
    return None


def take_readings(n, ctrl, hand, joint_torque, wrench, grip, gravity, hold, sensors, holder, holder_turn, carry,
                  physics):  # fmt: skip
    """Sensor readings after the step."""
    sensors[:] = physics.readings


@system(
    reads=[BodyState.ctrl, BodyState.hand, BodyState.joint_torque, BodyState.wrench, BodyState.grip, BodyState.gravity,
           BodyState.hold],
    writes=[BodyState.sensors, BodyState.holder, BodyState.holder_turn, BodyState.carry],
    objects=[Physics],
    aside=Aside(hand_over, advance, take_readings, (BodyState.sensors,), step_of),
)  # fmt: skip
def physics_step(n, ctrl, hand, joint_torque, wrench, grip, gravity, hold, sensors, holder, holder_turn, carry,
                 physics):  # fmt: skip
    """Hand over control and outside forces, take one step, take the sensor readings."""
    arguments = (n, ctrl, hand, joint_torque, wrench, grip, gravity, hold, sensors, holder, holder_turn, carry, physics)
    hand_over(*arguments)
    advance(*arguments)
    take_readings(*arguments)
