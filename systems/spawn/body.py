"""Load a body: its MuJoCo model, and its muscles and senses with every name resolved to an index, once.

A body is a YAML file in assets/bodies (muscles, touch patches, head sensors, poses) plus an MJCF file, either beside
it or inside the installed gymnasium package; gymnasium's files get their tendons and sensors here, in memory, without
changing how they move. MuJoCo is imported only when a body is loaded. Lengths in m, angles in rad, forces in N.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.errors import UserError
from engine.units import Angle, Density, Fraction, Length, Time, Torque, bounded, positive, shown
from systems.spawn.water import Water, add_water, fill

if TYPE_CHECKING:
    import mujoco

BODY_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "bodies"
GYMNASIUM = "gymnasium:"
Side = Literal["left", "right", "mid"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
PerSide = str | dict[Literal["left", "right"], str]


# ---- the YAML file -------------------------------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Sided(_Strict):
    """Something that exists once (`mid`) or on both sides; names may hold `{side}` or be given per side."""

    sides: Literal["both", "mid"] = "mid"

    def each(self) -> tuple[Side, ...]:
        return ("left", "right") if self.sides == "both" else ("mid",)


class MuscleSpec(_Sided):
    """An agonist/antagonist pair: absolute torque (own motor per muscle) or a fraction of a shared joint motor."""

    limb: Name
    arm: bounded(Length, gt="0 mm", le="500 mm")
    tau: bounded(Time, ge="5 ms", le="500 ms")
    flexor: str  # what pulling with the flexor looks like
    joint: PerSide | None = None
    torque: positive(Torque) | None = None
    extensor_torque: positive(Torque) | None = None
    fraction: bounded(Fraction, gt="0", le="1") | None = None
    flexor_sign: Literal[-1, 1] | dict[Literal["left", "right"], Literal[-1, 1]] = 1

    @model_validator(mode="after")
    def _one_strength(self):
        if (self.torque is None) == (self.fraction is None):
            raise ValueError("expected exactly one of torque and fraction")
        return self


class PatchSpec(_Sided):
    """A touch patch; `geom` is needed only where the model has no sensor touch_<patch> of its own."""

    geom: PerSide | None = None


class HeadSpec(_Strict):
    """Names of the head's gyro and accelerometer; `body` is needed only where the model does not have them."""

    gyro: Name
    accel: Name
    body: Name | None = None


class EyesSpec(_Strict):
    """Names of the sensors that tell how each eye is turned in the world: quaternions (x ahead, y left, z up)."""

    left: Name
    right: Name


class MouthSpec(_Strict):
    """What a mouth drinks with: the muscle that opens the jaw, the patch that a nipple presses."""

    opener: Name
    patch: Name


class PoseSpec(_Strict):
    """A keyframe of the model (none: its own initial state) and the equality constraints that hold it."""

    key: Name | None = None
    active: tuple[Name, ...] = ()


class FellSpec(_Strict):
    """The body has fallen when the root's height or angle leaves an open interval."""

    height_joint: Name
    height: tuple[Length, Length]
    angle_joint: Name | None = None
    angle: tuple[Angle, Angle] | None = None

    @model_validator(mode="after")
    def _both_or_neither(self):
        if (self.angle_joint is None) != (self.angle is None):
            raise ValueError("expected angle_joint and angle together")
        return self


class BodyFile(_Strict):
    """assets/bodies/<name>.yaml."""

    body: Name
    model: str
    step: positive(Time)
    control: positive(Time)
    muscles: dict[Name, MuscleSpec]
    patches: dict[Name, PatchSpec] = {}
    head: HeadSpec
    eyes: EyesSpec | None = None
    density: dict[str, positive(Density)] = {}  # globs over parts -> what it displaces in water: mass / density
    mouth: MouthSpec | None = None
    poses: dict[Name, PoseSpec]
    default_pose: Name
    fell: FellSpec | None = None

    @model_validator(mode="after")
    def _whole_steps(self):
        if self.step % 1 or self.control % self.step:
            raise ValueError("expected step in whole ms and control in whole steps")
        if self.default_pose not in self.poses:
            raise ValueError(f"expected default_pose among {', '.join(self.poses)}, got {self.default_pose}")
        if self.mouth is not None:
            muscles = [f"{pair.name}_{role}" for pair in self.pairs() for role in ("flexor", "extensor")]
            patches = [_with_side(name, side) for name, patch in self.patches.items() for side in patch.each()]
            for key, name, known in (("opener", self.mouth.opener, muscles), ("patch", self.mouth.patch, patches)):
                if name not in known:
                    raise ValueError(f"expected mouth.{key} among {', '.join(known)}, got {name}")
        return self

    def pairs(self) -> list[Pair]:
        """Every agonist/antagonist pair with its sides written out, in file order, left before right."""
        return [Pair.of(dof, spec, side) for dof, spec in self.muscles.items() for side in spec.each()]


@dataclass(frozen=True)
class Pair:
    """One row of the muscle list: a joint and the two muscles that pull on it."""

    name: str  # "knee_left": muscles are <name>_flexor and <name>_extensor
    dof: str  # "knee"
    side: Side
    joint: str
    limb: str
    arm_m: float
    tau_ms: float
    flexor_nm: float | None
    extensor_nm: float | None
    fraction: float | None
    flexor_sign: int
    flexor_does: str

    @classmethod
    def of(cls, dof: str, spec: MuscleSpec, side: Side) -> Pair:
        name = _with_side(dof, side)
        sign = spec.flexor_sign[side] if isinstance(spec.flexor_sign, dict) else spec.flexor_sign
        return cls(
            name=name, dof=dof, side=side, joint=_named(spec.joint, side) or name, limb=_with_side(spec.limb, side),
            arm_m=spec.arm / 1000, tau_ms=spec.tau, flexor_nm=spec.torque,
            extensor_nm=spec.extensor_torque or spec.torque, fraction=spec.fraction, flexor_sign=sign,
            flexor_does=spec.flexor,
        )  # fmt: skip


def _with_side(name: str, side: Side) -> str:
    return name if side == "mid" else f"{name}_{side}"


def _named(name: PerSide | None, side: Side) -> str | None:
    if isinstance(name, dict):
        return name.get(side)
    return name.replace("{side}", side) if name else None


# ---- what the systems get ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Muscle:
    """One muscle. Pull [N] = max(0, force_sign * force_scale * sensordata[force_sensor]).

    Drive: ctrl[actuator_id] = sum over the muscles of that actuator of ctrl_gain * activation (0..1).
    Lengths are those of a fixed tendon: zero at joint angle zero, shorter (so negative) where the muscle has shortened.
    """

    name: str
    pair: str
    dof: str
    joint: str
    role: Literal["flexor", "extensor"]
    antagonist: str
    limb: str
    side: Side
    flexor_does: str
    actuator: str
    actuator_id: int
    ctrl_gain: float
    max_force_n: float
    max_torque_nm: float
    moment_arm_m: float
    tau_ms: float
    length_sensor: str
    velocity_sensor: str
    force_sensor: str
    force_sign: int
    force_scale: float  # N of pull per unit of the force sensor
    rest_length_m: float  # where the joint's spring rests
    length_range_m: tuple[float, float]


@dataclass(frozen=True)
class Patch:
    """A touch patch: the sensor reads newtons; ctrl[presser_actuator_id] is the examiner's force in N (-1: none)."""

    name: str
    stem: str
    side: Side
    sensor: str
    presser_actuator_id: int = -1


@dataclass(frozen=True)
class Fell:
    """Limits on the root's height [m] and angle [rad]; -1 where a body has no angle limit."""

    height_qpos: int
    height_m: tuple[float, float]
    angle_qpos: int = -1
    angle_rad: tuple[float, float] = (-np.inf, np.inf)

    def __call__(self, qpos: np.ndarray) -> bool:
        """True once the body is outside the limits, by gymnasium's rule (the limits themselves count as fallen)."""
        low, high = self.height_m
        inside = low < qpos[self.height_qpos] < high
        if self.angle_qpos >= 0:
            inside = inside and self.angle_rad[0] < qpos[self.angle_qpos] < self.angle_rad[1]
        return not bool(inside)


@dataclass(frozen=True)
class Body:
    """A loaded body in one of its poses. Holds no MjData; `new_data` makes one."""

    name: str
    model: mujoco.MjModel
    step_ms: int
    control_steps_ms: int
    pose: str
    qpos: np.ndarray  # [nq]
    qvel: np.ndarray  # [nv]
    mocap_pos: np.ndarray  # [nmocap, 3]
    mocap_quat: np.ndarray  # [nmocap, 4]
    active_equalities: tuple[str, ...]
    muscles: tuple[Muscle, ...]
    patches: tuple[Patch, ...]
    gyro: str
    accel: str
    fell: Fell | None = None
    eyes: dict[str, str] = field(default_factory=dict)  # side -> sensor of how the eye is turned; empty: no eyes
    mouth: MouthSpec | None = None
    poses: dict[str, PoseSpec] = field(default_factory=dict, repr=False)
    water: Water | None = field(default=None, repr=False)
    _sensors: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    def sensor_address(self, name: str) -> tuple[int, int]:
        """Where a sensor's values stand in `sensordata`: (address, dimension)."""
        if name not in self._sensors:
            raise UserError(f"body {self.name}: expected the name of a sensor, got {shown(name)}")
        return self._sensors[name]

    @cached_property
    def _muscle_by_name(self) -> dict[str, Muscle]:
        return {muscle.name: muscle for muscle in self.muscles}

    @cached_property
    def _patch_by_name(self) -> dict[str, Patch]:
        return {patch.name: patch for patch in self.patches}

    def muscle(self, name: str) -> Muscle:
        if name not in self._muscle_by_name:
            raise UserError(f"body {self.name}: expected the name of a muscle, got {shown(name)}")
        return self._muscle_by_name[name]

    def patch(self, name: str) -> Patch:
        if name not in self._patch_by_name:
            raise UserError(
                f"body {self.name}: expected a touch patch ({', '.join(self._patch_by_name)}), got {shown(name)}"
            )
        return self._patch_by_name[name]

    def shaken(self, noise: float, rng: np.random.Generator) -> Body:
        """The body with every coordinate and speed of its pose off by up to `noise`, as gymnasium's resets are."""
        positions = self.qpos + rng.uniform(-noise, noise, self.qpos.size)
        return replace(self, qpos=positions, qvel=self.qvel + rng.uniform(-noise, noise, self.qvel.size))

    def new_data(self) -> mujoco.MjData:
        """Fresh MjData in this pose, its holds active, derived quantities and sensors computed."""
        import mujoco

        data = mujoco.MjData(self.model)
        data.qpos[:], data.qvel[:] = self.qpos, self.qvel
        if self.model.nmocap:
            data.mocap_pos[:], data.mocap_quat[:] = self.mocap_pos, self.mocap_quat
        for name in self.active_equalities:
            data.eq_active[self.model.equality(name).id] = 1
        mujoco.mj_forward(self.model, data)
        return data


# ---- loading -------------------------------------------------------------------------------------------------------


def body_names() -> list[str]:
    """Bare names of the shipped bodies."""
    return sorted(path.stem for path in BODY_FOLDER.glob("*.yaml"))


def load_body(name: str, pose: str | None = None, water=None) -> Body:
    """Load a shipped body by bare name, or any body by the path of its YAML file, in `pose` (none: its default);
    `water`: the scene's, if it has any."""
    path = body_path(name)
    spec = read_body_file(name)
    chosen = spec.poses.get(pose or spec.default_pose)
    if chosen is None:
        raise UserError(f"{path}: poses: expected one of {', '.join(spec.poses)}, got {shown(pose)}")
    model, immersed = _compile(spec, path, water)
    find = _Finder(model, path)
    step_ms = round(model.opt.timestep * 1000, 9)
    if step_ms != spec.step:
        raise UserError(f"{path}: step: expected {step_ms:g} ms as in the model, got {spec.step:g} ms")
    qpos, qvel = model.qpos0.copy(), np.zeros(model.nv)
    mocap_pos, mocap_quat = np.zeros((model.nmocap, 3)), np.tile((1.0, 0, 0, 0), (model.nmocap, 1))
    if chosen.key:
        key = find("key", chosen.key)
        qpos, qvel = model.key_qpos[key].copy(), model.key_qvel[key].copy()
        mocap_pos, mocap_quat = model.key_mpos[key].reshape(-1, 3).copy(), model.key_mquat[key].reshape(-1, 4).copy()
    for equality in chosen.active:
        find("equality", equality)
    sensors = {model.sensor(i).name: (int(model.sensor_adr[i]), int(model.sensor_dim[i])) for i in range(model.nsensor)}
    eyes = spec.eyes.model_dump() if spec.eyes is not None else {}
    for sensor in (spec.head.gyro, spec.head.accel, *eyes.values()):
        find("sensor", sensor)
    return Body(
        name=spec.body, model=model, step_ms=int(spec.step), control_steps_ms=int(spec.control),
        pose=pose or spec.default_pose, qpos=qpos, qvel=qvel, mocap_pos=mocap_pos, mocap_quat=mocap_quat,
        active_equalities=chosen.active, muscles=tuple(m for pair in spec.pairs() for m in _muscles(pair, find)),
        patches=tuple(_patches(spec, find)), gyro=spec.head.gyro, accel=spec.head.accel, fell=_fell(spec.fell, find),
        eyes=eyes, mouth=spec.mouth, poses=spec.poses, water=immersed, _sensors=sensors,
    )  # fmt: skip


def body_path(name: str) -> Path:
    """A bare name stands for a shipped body; anything with a suffix or a folder is a path."""
    path = Path(name)
    if not path.suffix and path.name == str(name):
        path = BODY_FOLDER / f"{name}.yaml"
        if not path.is_file():
            raise UserError(f"body: expected one of {', '.join(body_names())} or a path, got {shown(str(name))}")
    if not path.is_file():
        raise UserError(f"body: expected a file, found none at {path}")
    return path


def read_body_file(name: str) -> BodyFile:
    """The validated YAML of a body; every error is one line with file, line and key."""
    import yaml

    path = body_path(name)
    try:
        source = path.read_text(encoding="utf-8")
        tree, content = yaml.compose(source, yaml.SafeLoader), yaml.safe_load(source)
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise UserError(f"{path}:{line}: expected YAML, got {getattr(error, 'problem', None) or error}") from None
    try:
        return BodyFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        line, keys = _locate(tree, first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key"
        found = "" if "got" in message or isinstance(first["input"], dict) else f", got {shown(first['input'])}"
        raise UserError(f"{path}:{line}: {'.'.join(keys) or 'file'}: {message}{found}") from None


def _locate(node: Any, loc: tuple) -> tuple[int, list[str]]:
    """Line number and key path of a pydantic location in the YAML tree; stops where the tree ends."""
    import yaml

    line, keys = (node.start_mark.line + 1 if node else 1), []
    for step in loc:
        child = None
        if isinstance(node, yaml.MappingNode):
            child = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if child is None and step == loc[-1]:
                keys.append(str(step))  # a missing key: named, but it has no line of its own
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            child = (node.value[step], node.value[step])
        if child is None:
            continue
        keys.append(str(step))
        line, node = child[0].start_mark.line + 1, child[1]
    return line, keys


class _Finder:
    """Turns names into indices, or says which name of the YAML the model does not have."""

    def __init__(self, model: mujoco.MjModel, path: Path):
        self.model, self.path = model, path

    def __call__(self, kind: str, name: str) -> int:
        import mujoco

        index = mujoco.mj_name2id(self.model, getattr(mujoco.mjtObj, f"mjOBJ_{kind.upper()}"), name)
        if index < 0:
            raise UserError(f"{self.path}: expected a {kind} of the model, got {shown(name)}")
        return index


def _compile(spec: BodyFile, path: Path, water) -> tuple[mujoco.MjModel, Water | None]:
    """The MJCF as it stands, or gymnasium's with our sensors added; in water, if there is any."""
    import mujoco

    file = path.parent / spec.model
    if spec.model.startswith(GYMNASIUM):
        file = gymnasium_file(spec.model)
    if not file.is_file():
        raise UserError(f"{path}: model: expected a file, found none at {file}")
    try:
        mjcf = mujoco.MjSpec.from_file(str(file))
        if spec.model.startswith(GYMNASIUM):
            _add_senses(mjcf, spec, path)
        if water is None:
            return mjcf.compile(), None
        add_water(mjcf, [_with_side(stem, side) for stem, patch in spec.patches.items() for side in patch.each()],
                  water.surface / 1000.0)  # fmt: skip
        model = mjcf.compile()
        return model, fill(mjcf, model, water, spec.density)
    except ValueError as error:
        raise UserError(f"{file}: expected a MuJoCo model, got: {error}") from None


def gymnasium_file(model: str) -> Path:
    """`gymnasium:walker2d_v5.xml` -> that file in the installed package, found without importing gymnasium."""
    from importlib.util import find_spec

    package = find_spec("gymnasium")
    if package is None or not package.submodule_search_locations:
        raise UserError(f"{model}: expected the package gymnasium, which is not installed")
    return Path(package.submodule_search_locations[0], "envs", "mujoco", "assets", model.removeprefix(GYMNASIUM))


def _add_senses(mjcf: mujoco.MjSpec, spec: BodyFile, path: Path):
    """Tendons without stiffness, and sensors: what a body without muscles needs so that ours can be read from it."""
    import mujoco

    sensor, obj = mujoco.mjtSensor, mujoco.mjtObj
    motors = {actuator.target: actuator for actuator in mjcf.actuators}
    for pair in spec.pairs():
        if pair.joint not in motors:
            raise UserError(f"{path}: muscles.{pair.dof}: expected a joint with a motor, got {shown(pair.joint)}")
        motor = motors[pair.joint]
        motor.name = motor.name or pair.joint
        for role, sign in (("flexor", -1), ("extensor", 1)):
            name = f"{pair.name}_{role}"
            mjcf.add_tendon(name=name).wrap_joint(pair.joint, sign * pair.flexor_sign * pair.arm_m)
            for what, kind in (("length", sensor.mjSENS_TENDONPOS), ("velocity", sensor.mjSENS_TENDONVEL)):
                mjcf.add_sensor(name=f"{name}_{what}", type=kind, objtype=obj.mjOBJ_TENDON, objname=name)
            mjcf.add_sensor(
                name=f"{name}_force", type=sensor.mjSENS_ACTUATORFRC, objtype=obj.mjOBJ_ACTUATOR, objname=motor.name
            )
    geoms = {geom.name: geom for geom in mjcf.geoms}
    for stem, patch in spec.patches.items():
        for side in patch.each():
            geom = geoms.get(_named(patch.geom, side))
            if geom is None:
                raise UserError(f"{path}: patches.{stem}: expected a geom, got {shown(_named(patch.geom, side))}")
            name = f"touch_{_with_side(stem, side)}"
            geom.parent.add_site(
                name=name, type=geom.type, pos=geom.pos, quat=geom.quat, size=[s + 0.005 for s in geom.size], group=4
            )
            mjcf.add_sensor(name=name, type=sensor.mjSENS_TOUCH, objtype=obj.mjOBJ_SITE, objname=name)
    trunk = mjcf.body(spec.head.body) if spec.head.body else None
    if trunk is None:
        raise UserError(f"{path}: head.body: expected a body of the model, got {shown(spec.head.body)}")
    trunk.add_site(name="head", group=4)
    for name, kind in ((spec.head.gyro, sensor.mjSENS_GYRO), (spec.head.accel, sensor.mjSENS_ACCELEROMETER)):
        mjcf.add_sensor(name=name, type=kind, objtype=obj.mjOBJ_SITE, objname="head")


def _muscles(pair: Pair, find: _Finder) -> list[Muscle]:
    """The two muscles of a pair, checked against the model."""
    import mujoco

    model, joint = find.model, find("joint", pair.joint)
    low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (-np.pi, np.pi)
    rest_angle = float(model.qpos_spring[model.jnt_qposadr[joint]])
    muscles = []
    for role, sign, torque in (("flexor", 1, pair.flexor_nm), ("extensor", -1, pair.extensor_nm)):
        name, other = f"{pair.name}_{role}", f"{pair.name}_{'extensor' if role == 'flexor' else 'flexor'}"
        if torque is not None:
            actuator, drive, gain, unit = find("actuator", name), 1, 1.0, 1.0
            in_model = model.actuator_gainprm[actuator][0] * abs(model.actuator_gear[actuator][0])
            if abs(in_model - torque / pair.arm_m) > 1e-3 * in_model:
                raise UserError(
                    f"{find.path}: muscles.{pair.dof}.torque: expected {in_model * pair.arm_m:.4g} N m as in the "
                    f"model, got {torque:g} N m"
                )
            force = torque / pair.arm_m
        else:
            actuator = _motor_of(joint, find)
            ctrl_max = float(model.actuator_ctrlrange[actuator][1])
            drive = sign * pair.flexor_sign
            gain = drive * pair.fraction * ctrl_max
            gear = float(model.actuator_gear[actuator][0])
            torque, unit = pair.fraction * ctrl_max * gear, gear / pair.arm_m
            force = torque / pair.arm_m
        coef = -sign * pair.flexor_sign * pair.arm_m
        muscles.append(Muscle(
            name=name, pair=pair.name, dof=pair.dof, joint=pair.joint, role=role, antagonist=other, limb=pair.limb,
            side=pair.side, flexor_does=pair.flexor_does,
            actuator=mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_ACTUATOR, actuator), actuator_id=actuator,
            ctrl_gain=gain, max_force_n=force, max_torque_nm=torque, moment_arm_m=pair.arm_m, tau_ms=pair.tau_ms,
            length_sensor=f"{name}_length", velocity_sensor=f"{name}_velocity", force_sensor=f"{name}_force",
            force_sign=drive, force_scale=unit, rest_length_m=coef * rest_angle,
            length_range_m=(float(min(coef * low, coef * high)), float(max(coef * low, coef * high))),
        ))  # fmt: skip
        for sensor in (muscles[-1].length_sensor, muscles[-1].velocity_sensor, muscles[-1].force_sensor):
            find("sensor", sensor)
    return muscles


def _motor_of(joint: int, find: _Finder) -> int:
    """The actuator that drives a joint, found by its target."""
    import mujoco

    model = find.model
    on_joints = model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT
    return int(np.flatnonzero(on_joints & (model.actuator_trnid[:, 0] == joint))[0])


def _patches(spec: BodyFile, find: _Finder) -> list[Patch]:
    import mujoco

    patches = []
    for stem, patch in spec.patches.items():
        for side in patch.each():
            name = _with_side(stem, side)
            find("sensor", f"touch_{name}")
            presser = mujoco.mj_name2id(find.model, mujoco.mjtObj.mjOBJ_ACTUATOR, f"press_{name}")
            patches.append(Patch(name, stem, side, f"touch_{name}", presser))
    return patches


def _fell(spec: FellSpec | None, find: _Finder) -> Fell | None:
    import mujoco

    if spec is None:
        return None
    model, root = find.model, find("joint", spec.height_joint)
    height = int(model.jnt_qposadr[root]) + (2 if model.jnt_type[root] == mujoco.mjtJoint.mjJNT_FREE else 0)
    limits = tuple(limit / 1000 for limit in spec.height)
    if spec.angle_joint is None:
        return Fell(height, limits)
    return Fell(height, limits, int(model.jnt_qposadr[find("joint", spec.angle_joint)]), spec.angle)
