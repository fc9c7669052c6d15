"""Rules that code review would miss, read off the syntax trees of the whole program.

1. Senses are sensors (design rule 2): the pose of the body is touched only by probes and the view, once when a body is
   laid out, and by the program that draws the newborn. Control comes from muscle_drive alone, and only physics_step
   hands it, and outside forces, to the physics.
2. The brain is data (design rule 3): no structure of the brain is named in code.
"""

import ast
import re
from pathlib import Path

import pytest

from systems.schedule import TICK

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("engine", "components", "systems", "tools")
SOURCES = sorted(p.relative_to(ROOT).as_posix() for f in FOLDERS for p in (ROOT / f).rglob("*.py")) + ["encephagen.py"]

# what mujoco knows of the body and no nerve could: pose, motion, forces, contacts; and the readings of its sensors
POSE_WORDS = """
qpos qvel qacc qacc_warmstart qfrc_actuator qfrc_passive qfrc_constraint qfrc_inverse xpos xquat xmat xipos
ximat xanchor xaxis geom_xpos geom_xmat site_xpos site_xmat cam_xpos cam_xmat subtree_com subtree_linvel
subtree_angmom cvel cdof cinert cacc cfrc_int cfrc_ext ten_length ten_velocity actuator_length
actuator_velocity actuator_force actuator_moment sensordata contact ncon efc_force energy
"""
POSE = frozenset(POSE_WORDS.split())
# what the physics obeys
HANDS = frozenset(("ctrl", "act", "qfrc_applied", "xfrc_applied", "eq_active", "mocap_pos", "mocap_quat"))

# file (or folder) -> what it may read of the pose, and why. Nothing may be assigned but where ASSIGN says so.
READ = {
    "systems/probes.py": POSE | HANDS,  # a probe measures, and no system reads what it measured
    "systems/sample_record.py": POSE | HANDS,  # so does a record
    "systems/view/": POSE | HANDS,  # the view draws a copy
    # owns the physics; hands over sensor readings, nothing else; water lifts what is under its surface
    "systems/physics_step.py": HANDS | {"sensordata", "geom_xpos", "geom_xmat", "xipos"},
    "systems/spawn/body.py": HANDS | {"qpos", "qvel"},  # lays a body out in its pose before the first tick
    "systems/spawn/build.py": {
        "sensordata",
        "eq_active",
        "mocap_pos",
        "mocap_quat",
    },  # first readings, before the first tick
    "tools/make_newborn.py": POSE | HANDS,  # writes an MJCF file with its key poses; no nervous system is near
}
ASSIGN = {
    "systems/physics_step.py": HANDS - {"act"},
    "systems/spawn/body.py": HANDS - {"ctrl", "act"} | {"qpos", "qvel"},
    "systems/view/capture.py": {"geom_xpos", "geom_xmat"},  # fields of its own frame, which holds copies
    "systems/view/pick.py": {"geom_xpos", "geom_xmat"},  # of an MjData of its own, which no simulation sees
    "systems/view/still.py": {"qpos", "geom_xpos", "geom_xmat"},  # likewise
    "tools/make_newborn.py": HANDS - {"ctrl", "act"} | {"qpos", "qvel"},
}
STEPPERS = {"systems/physics_step.py", "tools/make_newborn.py"}  # who may advance or set the physics
BY_NAME = ("getattr", "setattr", "attrgetter")
STEP = re.compile(r"mj_(step|step1|step2|setState|setKeyframe|resetData\w*)$")


def allowed(table: dict, file: str) -> frozenset:
    return frozenset().union(*(names for place, names in table.items() if file == place or
                               (place.endswith("/") and file.startswith(place))))  # fmt: skip


def assigned(tree: ast.AST):
    """Attribute nodes that are assigned to, whole or in part (`data.ctrl`, `data.ctrl[3]`, `data.ctrl[:] += 1`)."""
    for node in ast.walk(tree):
        targets = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = list(node.targets)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.NamedExpr):
            targets = [node.target]
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            targets = [node.optional_vars]
        elif isinstance(node, ast.keyword) and node.arg == "out":
            targets = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("fill", "put"):
            targets = [node.func.value]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("copyto", "place", "putmask")):
            targets = node.args[:1]
        while targets:
            target = targets.pop()
            if isinstance(target, ast.Tuple | ast.List):
                targets += target.elts
            elif isinstance(target, ast.Starred | ast.Subscript):
                targets.append(target.value)
                if isinstance(target, ast.Subscript):  # world[BodyState.ctrl][:] = ...
                    targets.append(target.slice)
            elif isinstance(target, ast.Attribute):
                yield target


def pose_violations(source: str, file: str) -> list[str]:
    """Breaches of rule 1 in one file, as `file:line: what`."""
    tree, found = ast.parse(source), []
    may_read, may_assign = allowed(READ, file), allowed(ASSIGN, file)

    def breach(node, what):
        found.append(f"{file}:{node.lineno}: {what}")

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            declared = isinstance(node.value, ast.Name) and node.value.id == "BodyState"
            if node.attr in POSE | HANDS - {"act"} and not declared and node.attr not in may_read:
                breach(node, f"touches .{node.attr}")
            if STEP.match(node.attr) and file not in STEPPERS:
                breach(node, f"moves the physics with {node.attr}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in BY_NAME:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and str(argument.value).split(".")[-1] in POSE | HANDS:
                    breach(node, f"touches {argument.value!r} by name")
        elif isinstance(node, ast.FunctionDef):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "system":
                    parts = [k.value for k in call.keywords if k.arg in ("writes", "optional_writes")]
                    written = " ".join(ast.unparse(part) for part in parts)
                    if re.search(r"\bBodyState\.ctrl\b", written) and file != "systems/muscle_drive.py":
                        breach(node, "writes BodyState.ctrl, as only muscle_drive may")
                    if re.search(r"\bBodyState\.sensors\b", written) and file != "systems/physics_step.py":
                        breach(node, "writes BodyState.sensors, as only physics_step may")
    for node in assigned(tree):
        if node.attr in POSE | HANDS and node.attr not in may_assign:
            breach(node, f"assigns .{node.attr}")
    return found


@pytest.mark.parametrize("file", SOURCES)
def test_only_sensors_are_sensed_and_only_motor_neurons_move(file):
    assert not pose_violations((ROOT / file).read_text(), file)


PLANTED = {
    "a sense that reads a joint angle": "def sense(data):\n    return data.qpos[7]",
    "a gyroscope of its own making": "def tilt(physics):\n    return physics.data.xquat[1]",
    "the readings behind the bridge's back": "drive = sim.physics.data.sensordata[3]",
    "by another name": "angle = getattr(data, 'qpos')[2]",
    "a getter": "get = operator.attrgetter('data.qpos')",
    "contacts counted": "touching = data.ncon > 0",
    "a posture held": "data.ctrl[:] = 0.3",
    "a reflex in arithmetic": "self.physics.data.ctrl[4] += gain * stretch",
    "a nudge": "data.qfrc_applied[6:] = torque",
    "a system that writes control": "@system(reads=[X.y], writes=[BodyState.ctrl])\ndef cpg(n, y, ctrl):\n    pass",
    "an optional one": "@system(optional_writes=[BodyState.ctrl])\ndef cpg(n, ctrl):\n    ctrl[0] = 1",
    "control set through the world": "world[BodyState.ctrl][:] = 1.0",
    "control copied in": "np.copyto(data.ctrl, wanted)",
    "control computed in place": "np.multiply(a, b, out=data.ctrl)",
    "control filled": "data.ctrl.fill(1.0)",
    "control in a tuple": "a, data.ctrl[0] = 1, 2",
    "a false sensor": "@system(writes=[BodyState.sensors])\ndef lie(n, sensors):\n    sensors[:] = 0",
    "a second clock": "mujoco.mj_step(model, data)",
    "a reset pose": "mujoco.mj_setState(model, data, state, kind)",
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_violation_is_caught(what):
    for file in ("systems/sense_touch.py", "tools/run.py", "engine/world.py"):
        assert pose_violations(PLANTED[what], file), what


def test_what_is_allowed_is_allowed_only_where_it_is():
    reading = "height = data.xpos[1, 2]"
    assert not pose_violations(reading, "systems/probes.py") and not pose_violations(reading, "systems/view/camera.py")
    assert pose_violations(reading, "systems/physics_step.py") and pose_violations(reading, "systems/spawn/body.py")
    for file in ("systems/probes.py", "systems/view/play.py", "systems/sample_record.py", "tools/play.py"):
        assert pose_violations("data.ctrl[:] = 1", file), "a probe or a view may look, never push"
        assert pose_violations("data.qpos[2] = 1", file)
    assert not pose_violations("data.ctrl[:] = ctrl\nsensors[:] = data.sensordata", "systems/physics_step.py")
    assert pose_violations("sensors[:] = data.qpos", "systems/physics_step.py")
    assert not pose_violations("def fall(n, qpos):\n    '''data.qpos in words'''\n    return qpos", "systems/a.py")


def test_the_allowances_are_all_in_use():
    """An allowance for a file that is gone would let its successor by."""
    for place in {*READ, *ASSIGN, *STEPPERS}:
        assert (ROOT / place).exists(), place


def test_the_schedule_agrees_who_writes_control():
    """The same from the other side: what the systems that run declare."""
    from components.body import BodyState

    systems = [s for phase in TICK for s in phase.systems]
    assert [s.name for s in systems if BodyState.ctrl in (*s.writes, *s.optional_writes)] == ["muscle_drive"]
    assert [s.name for s in systems if BodyState.sensors in (*s.writes, *s.optional_writes)] == ["physics_step"]


# names -----------------------------------------------------------------------------------------------------------

STRUCTURES = {
    "cortex", "thalamus", "basal_ganglia", "cerebellum", "superior_colliculus", "neuromodulators", "hippocampus",
    "amygdala", "hypothalamus", "spinal_cpg", "brainstem", "spinal_segments",
    *(path.stem for path in (ROOT / "assets" / "circuits").glob("*.yaml")),
}  # fmt: skip
NAMED = re.compile(rf"(?<![a-z])({'|'.join(sorted(STRUCTURES))})(?![a-z])", re.IGNORECASE)


def name_violations(source: str, file: str) -> list[str]:
    """Structures named in identifiers or texts of one file, but for docstrings and `doc=`."""
    tree = ast.parse(source)
    words = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    words |= {id(k.value) for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg in ("doc", "description")}
    found = []
    for node in ast.walk(tree):
        texts = []
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in words:
            texts = [str(node.value)]
        elif isinstance(node, ast.Name):
            texts = [node.id]
        elif isinstance(node, ast.Attribute):
            texts = [node.attr]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            texts = [node.name]
        elif isinstance(node, ast.arg | ast.keyword):
            texts = [node.arg or ""]
        elif isinstance(node, ast.alias):
            texts = [node.name, node.asname or ""]
        elif isinstance(node, ast.ImportFrom):
            texts = [node.module or ""]
        found += [f"{file}:{node.lineno}: names {m[1]} in {text!r}" for text in texts if (m := NAMED.search(text))]
    return found


@pytest.mark.parametrize("file", [f for f in SOURCES if f.split("/")[0] in ("engine", "components", "systems")])
def test_no_structure_of_the_brain_is_named_in_code(file):
    assert not name_violations((ROOT / file).read_text(), file)


@pytest.mark.parametrize(
    "source",
    [
        "if p.structure == 'cortex': pass",
        "cortex_rate = 1",
        "def step_cerebellum(): pass",
        "class Thalamus: pass",
        "world.thalamus.v = 1",
        "f(hippocampus=1)",
        "from tools.amygdala import x",
        "RATES = {'spinal_segments.*': 3}",
        "glob = f'basal_ganglia.{name}'",
        "def f(brainstem): pass",
    ],
)
def test_a_planted_name_is_caught(source):
    assert name_violations(source, "systems/a.py")


def test_words_in_documentation_are_no_names():
    quiet = '"""The cortex."""\nx = column("f4", unit="1", doc="From thalamus.")\n"""Attribute of the cortex."""\n'
    assert not name_violations(quiet + "cortical = subcortical = 1", "systems/a.py")
