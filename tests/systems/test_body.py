"""Bodies: the newborn against reference/newborn.md, its stability and touch, and gymnasium's bodies unchanged."""

import subprocess
import sys

import mujoco
import numpy as np
import pytest

from engine.errors import UserError
from systems.spawn.body import BODY_FOLDER, body_names, gymnasium_file, load_body, read_body_file

NEWBORN_POSES = ("supine", "prone", "held", "held_head", "upright", "upright_head")
PATCHES = [
    *(f"{stem}_{side}" for stem in ("cheek", "palm", "sole_ball", "sole_lateral", "sole_heel", "paraspinal")
      for side in ("left", "right")),
    "lips", "tongue", "belly", "glabella",
]  # fmt: skip


@pytest.fixture(scope="module")
def newborn():
    return load_body("newborn", "held")


def standing(body):
    """Data of the zero pose, trunk upright."""
    data = mujoco.MjData(body.model)
    data.qpos[3:7] = (1, 0, 0, 0)
    mujoco.mj_forward(body.model, data)
    return data


def subtree_kg(model, name):
    return float(model.body_subtreemass[model.body(name).id])


# ---- form ----------------------------------------------------------------------------------------------------------


def test_newborn_weighs_and_is_shared_out_as_the_reference_says(newborn):
    """3.4 kg; head 25 %, trunk 43 %, each arm 5 %, each leg 11 %, fingertips of the examiner included."""
    model = newborn.model
    total = subtree_kg(model, "chest")
    head = subtree_kg(model, "head")
    arms = [subtree_kg(model, f"upper_arm_{side}") for side in ("left", "right")]
    legs = [subtree_kg(model, f"thigh_{side}") for side in ("left", "right")]
    assert total == pytest.approx(3.4, abs=0.01)
    assert head / total == pytest.approx(0.25, abs=0.002)
    assert np.array(arms) / total == pytest.approx([0.05, 0.05], abs=0.001)
    assert np.array(legs) / total == pytest.approx([0.11, 0.11], abs=0.001)
    assert (total - head - sum(arms) - sum(legs)) / total == pytest.approx(0.43, abs=0.003)


def test_newborn_is_50_cm_long_and_a_quarter_of_it_is_head(newborn):
    """Heel to vertex 49..50.5 cm; chin to vertex a quarter; head circumference 34 cm (Ramanujan's ellipse)."""
    model, data = newborn.model, standing(newborn)

    def extent(name, sign):
        geom = model.geom(name).id
        half = data.geom_xmat[geom].reshape(3, 3)[2] * model.geom_size[geom]
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_SPHERE:
            half = model.geom_size[geom][:1]
        return data.geom_xpos[geom, 2] + sign * np.linalg.norm(half)

    length = extent("cranium", 1) - extent("sole_heel_left", -1)
    head = extent("cranium", 1) - min(extent("chin", -1), extent("jaw", -1))
    assert 0.49 <= length <= 0.505
    assert head / length == pytest.approx(0.25, abs=0.01)
    a, b = model.geom("cranium").size[:2]
    around = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
    assert around == pytest.approx(0.34, abs=0.005)


def test_flexor_tone_keeps_joints_from_straightening(newborn):
    """Knee lacks 21 deg, elbow 19, hip 28; the resting posture is flexed."""
    for stem, lacks in (("knee", 21), ("elbow", 19), ("hip_flexion", 28)):
        for side in ("left", "right"):
            joint = newborn.model.joint(f"{stem}_{side}")
            assert np.degrees(joint.range[0]) == pytest.approx(lacks, abs=0.1)
            rest = newborn.model.qpos_spring[joint.qposadr[0]]
            assert rest > joint.range[0] + np.radians(20)


def test_strongest_torques_are_those_of_the_reference(newborn):
    wanted = {"hip_flexion_left": 2.5, "knee_right": 3.1, "elbow_left": 1.1, "neck_flexion": 1.0}
    for pair, torque in wanted.items():
        for role in ("flexor", "extensor"):
            muscle = newborn.muscle(f"{pair}_{role}")
            assert muscle.max_torque_nm == pytest.approx(torque)
            assert muscle.max_force_n * muscle.moment_arm_m == pytest.approx(torque)


def test_left_and_right_mirror_each_other(newborn):
    model, data = newborn.model, standing(newborn)
    for i in range(model.nbody):
        name = model.body(i).name
        if name.endswith("_left") and not name.startswith("press"):
            other = model.body(name.replace("_left", "_right")).id
            assert data.xpos[i] * (1, -1, 1) == pytest.approx(data.xpos[other], abs=1e-9)
            assert model.body_mass[i] == pytest.approx(model.body_mass[other])


# ---- muscles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["newborn", "walker", "humanoid"])
def test_every_muscle_shortens_itself_and_stretches_its_antagonist(name):
    """Weightless and without contact; the joint starts mid-range. The force sensor reads the pull."""
    body = load_body(name, "held" if name == "newborn" else None)
    model = body.model
    model.opt.gravity[:] = 0
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    for muscle in body.muscles:
        data = body.new_data()
        joint = model.joint(muscle.joint)
        data.qpos[joint.qposadr[0]] = joint.range.mean()
        mujoco.mj_forward(model, data)
        read = {s: body.sensor_address(s)[0] for m in (muscle, body.muscle(muscle.antagonist))
                for s in (m.length_sensor, m.velocity_sensor, m.force_sensor)}  # fmt: skip
        own, other = muscle.length_sensor, body.muscle(muscle.antagonist).length_sensor
        before = {s: data.sensordata[a] for s, a in read.items()}
        assert muscle.length_range_m[0] < before[own] < muscle.length_range_m[1], muscle.name
        data.ctrl[muscle.actuator_id] = muscle.ctrl_gain
        mujoco.mj_forward(model, data)
        pull = muscle.force_sign * muscle.force_scale * data.sensordata[read[muscle.force_sensor]]
        assert pull == pytest.approx(muscle.max_force_n, rel=1e-4), muscle.name
        torque = data.qfrc_actuator[joint.dofadr[0]]
        assert abs(torque) == pytest.approx(muscle.max_torque_nm, rel=1e-4), muscle.name
        for _ in range(5):
            mujoco.mj_step(model, data)
        mujoco.mj_forward(model, data)
        assert data.sensordata[read[own]] < before[own], muscle.name
        assert data.sensordata[read[other]] > before[other], muscle.name
        assert data.sensordata[read[muscle.velocity_sensor]] < 0, muscle.name


@pytest.mark.parametrize(
    ("pair", "part", "axis", "sign"),
    [
        ("neck_flexion", "eye_left", 0, 1), ("neck_lateral", "eye_left", 1, 1), ("neck_rotation", "jaw", 1, 0),
        ("hip_flexion_left", "foot_left", 0, 1), ("hip_abduction_left", "foot_left", 1, 1),
        ("hip_abduction_right", "foot_right", 1, -1), ("knee_left", "foot_left", 0, -1),
        ("ankle_right", "toes_right", 2, 1), ("elbow_right", "hand_right", 0, 1),
        ("shoulder_flexion_left", "hand_left", 0, 1), ("shoulder_abduction_right", "hand_right", 1, -1),
        ("wrist_left", "fingers_left", 1, -1), ("wrist_right", "fingers_right", 1, 1),
        ("trunk_flexion", "thigh_left", 0, 1), ("trunk_lateral", "thigh_left", 1, 1),
    ],
)  # fmt: skip
def test_flexors_move_limbs_the_way_the_file_says(newborn, pair, part, axis, sign):
    """Standing, facing +x, left +y, up +z: a positive turn of the joint moves the part this way."""
    model, data = newborn.model, standing(newborn)
    before = data.body(part).xpos.copy()
    data.qpos[model.joint(pair).qposadr[0]] += 0.2
    mujoco.mj_kinematics(model, data)
    moved = (data.body(part).xpos - before)[axis]
    assert abs(moved) < 0.02 if sign == 0 else sign * moved > 0.003


def test_isometric_force_falls_with_shortening_speed(newborn):
    """A muscle whose joint turns at 20 rad/s in its own direction pulls no more; it never pushes."""
    model, data = newborn.model, newborn.new_data()
    muscle = newborn.muscle("knee_left_flexor")
    address, _ = newborn.sensor_address(muscle.force_sensor)
    data.ctrl[muscle.actuator_id] = 1
    pulls = []
    for speed in (-100, 0, 10, 20, 40):
        data.qvel[model.joint("knee_left").dofadr[0]] = speed
        mujoco.mj_forward(model, data)
        pulls.append(data.sensordata[address] / muscle.max_force_n)
    assert pulls == pytest.approx([1.4, 1, 0.5, 0, 0], abs=1e-3)


# ---- stability -----------------------------------------------------------------------------------------------------


def simulate(body, seconds, drive=None, lift_m=0.0, presser_n=0.0):
    """Largest kinetic energy [J] and deepest penetration [m] on the way; fails on NaN or any MuJoCo warning."""
    model, data = body.model, body.new_data()
    model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    rng = np.random.default_rng(3)
    if lift_m:
        data.qpos[2] += lift_m
    most, deepest = 0.0, 0.0
    for step in range(int(seconds * 1000 / body.step_ms)):
        if drive and step % 10 == 0:
            for muscle in body.muscles:
                data.ctrl[muscle.actuator_id] = drive(muscle, rng)
            for patch in body.patches:
                data.ctrl[patch.presser_actuator_id] = presser_n * rng.random()
        mujoco.mj_step(model, data)
        most = max(most, data.energy[1])
        if data.ncon:
            deepest = min(deepest, data.contact.dist[: data.ncon].min())
    assert np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all()
    assert [int(warning.number) for warning in data.warning] == [0] * len(data.warning)
    assert np.abs(data.qpos[:3]).max() < 1.5
    return most, deepest, data


DRIVES = {
    "all": lambda muscle, rng: 1.0,
    "flexors": lambda muscle, rng: float(muscle.role == "flexor"),
    "extensors": lambda muscle, rng: float(muscle.role == "extensor"),
    "random": lambda muscle, rng: rng.random(),
    "on and off": lambda muscle, rng: float(rng.random() < 0.5),
}


@pytest.mark.parametrize("pose", NEWBORN_POSES)
def test_limp_newborn_stays_as_it_settled(pose):
    body = load_body("newborn", pose)
    most, deepest, data = simulate(body, 2)
    assert most < 0.05
    assert deepest > -0.002
    assert data.qpos[:3] == pytest.approx(body.qpos[:3], abs=0.003)


@pytest.mark.parametrize("pose", ["supine", "prone"])
def test_newborn_lands_from_20_cm_and_comes_to_rest(pose):
    """Falls with its potential energy m g h = 6.7 J at most and is still again after 4 s."""
    most, deepest, data = simulate(load_body("newborn", pose), 4, lift_m=0.2)
    assert most < 3.4 * 9.81 * 0.2
    assert deepest > -0.02
    assert data.energy[1] < 1e-4


@pytest.mark.parametrize("drive", DRIVES)
def test_no_drive_blows_the_newborn_up(drive):
    assert simulate(load_body("newborn", "supine"), 1.5, DRIVES[drive])[0] < 5


@pytest.mark.slow
@pytest.mark.parametrize("pose", NEWBORN_POSES)
@pytest.mark.parametrize("drive", [None, *DRIVES])
def test_newborn_survives_ten_seconds_of_anything(pose, drive):
    most, _, _ = simulate(load_body("newborn", pose), 10, DRIVES.get(drive), presser_n=2.0 if drive else 0.0)
    assert most < 5


def test_letting_go_of_the_held_newborn_drops_it(newborn):
    model, data = newborn.model, newborn.new_data()
    for _ in range(100):
        mujoco.mj_step(model, data)
    held = data.qpos[2]
    for name in newborn.active_equalities:
        data.eq_active[model.equality(name).id] = 0
    for _ in range(50):
        mujoco.mj_step(model, data)
    assert held == pytest.approx(newborn.qpos[2], abs=1e-3)
    assert held - data.qpos[2] == pytest.approx(0.5 * 9.81 * 0.1**2, abs=0.02)


# ---- touch ---------------------------------------------------------------------------------------------------------


def test_patches_are_the_examined_ones(newborn):
    assert {patch.name for patch in newborn.patches} == set(PATCHES)


@pytest.mark.parametrize("name", PATCHES)
@pytest.mark.parametrize("force_n", [0.5, 5.0])
def test_a_fingertip_is_felt_where_it_presses_and_pushes_nothing_away(newborn, name, force_n):
    """Contact within 20 ms; steady reading within 20 % of the command; other patches silent; no net force."""
    model, data = newborn.model, newborn.new_data()
    patch = newborn.patch(name)
    address, dim = newborn.sensor_address(patch.sensor)
    others = [newborn.sensor_address(other.sensor)[0] for other in newborn.patches if other.name != name]
    for _ in range(100):
        mujoco.mj_step(model, data)
        assert data.sensordata[[address, *others]] == pytest.approx(0, abs=1e-9)
    body = model.site_bodyid[model.site(patch.sensor).id]
    before = data.xpos[body].copy()
    data.ctrl[patch.presser_actuator_id] = force_n
    felt = []
    for _ in range(150):
        mujoco.mj_step(model, data)
        felt.append(data.sensordata[address])
    assert dim == 1
    assert np.argmax(np.array(felt) > 0) * newborn.step_ms < 20
    assert felt[-50:] == pytest.approx([force_n] * 50, rel=0.2)
    assert data.sensordata[others] == pytest.approx(0, abs=1e-9)
    assert data.xpos[body] == pytest.approx(before, abs=0.003)
    data.ctrl[:] = 0
    for _ in range(20):
        mujoco.mj_step(model, data)
    assert data.sensordata[address] == 0


def test_the_mat_is_felt_by_the_back_when_supine_and_by_the_belly_when_prone():
    for pose, touched, free in (("supine", "paraspinal_left", "belly"), ("prone", "belly", "paraspinal_left")):
        body = load_body("newborn", pose)
        data = body.new_data()
        assert data.sensordata[body.sensor_address(f"touch_{touched}")[0]] > 0.5
        assert data.sensordata[body.sensor_address(f"touch_{free}")[0]] == 0


def test_resting_head_feels_gravity_and_no_turning():
    body = load_body("newborn", "supine")
    data = body.new_data()
    gyro, dim = body.sensor_address(body.gyro)
    accel, _ = body.sensor_address(body.accel)
    assert dim == 3
    assert np.linalg.norm(data.sensordata[accel : accel + 3]) == pytest.approx(9.81, abs=0.1)
    assert np.abs(data.sensordata[gyro : gyro + 3]).max() < 0.02


# ---- gymnasium's bodies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["walker", "humanoid"])
def test_added_senses_leave_trajectories_bit_identical(name):
    """1,000 steps of random ctrl: every bit of qpos and qvel equals the unmodified XML's."""
    body = load_body(name)
    ours, original = body.model, mujoco.MjModel.from_xml_path(str(gymnasium_file(read_body_file(name).model)))
    mine, theirs = mujoco.MjData(ours), mujoco.MjData(original)
    rng = np.random.default_rng(11)
    for _ in range(1000):
        ctrl = rng.uniform(*original.actuator_ctrlrange.T)
        mine.ctrl[:] = theirs.ctrl[:] = ctrl
        mujoco.mj_step(ours, mine)
        mujoco.mj_step(original, theirs)
        assert mine.qpos.tobytes() == theirs.qpos.tobytes()
        assert mine.qvel.tobytes() == theirs.qvel.tobytes()


@pytest.mark.parametrize(("name", "step", "control", "motors"), [("walker", 2, 8, 6), ("humanoid", 3, 15, 17)])
def test_gymnasium_bodies_pair_two_muscles_per_motor(name, step, control, motors):
    body = load_body(name)
    assert (body.step_ms, body.control_steps_ms) == (step, control)
    assert len(body.muscles) == 2 * motors == 2 * body.model.nu
    for muscle in body.muscles:
        other = body.muscle(muscle.antagonist)
        assert (other.actuator_id, other.ctrl_gain) == (muscle.actuator_id, -muscle.ctrl_gain)
        assert abs(muscle.ctrl_gain) == pytest.approx(body.model.actuator_ctrlrange[muscle.actuator_id, 1])
    assert all(patch.presser_actuator_id == -1 for patch in body.patches)


def test_fell_is_gymnasiums_rule():
    """Walker2d-v5: 0.8 < z < 2 and |angle| < 1; Humanoid-v5: 1 < z < 2; on the limit is fallen."""
    walker, humanoid = load_body("walker"), load_body("humanoid")
    z, angle = (walker.model.joint(name).qposadr[0] for name in ("rootz", "rooty"))
    for height, lean, fallen in (
        (1.25, 0, False), (0.8, 0, True), (0.81, 0.99, False), (1.25, 1, True), (1.25, -1.2, True), (2, 0, True),
    ):  # fmt: skip
        qpos = walker.qpos.copy()
        qpos[[z, angle]] = height, lean
        assert walker.fell(qpos) is fallen
    for height, fallen in ((1.4, False), (1.0, True), (2.0, True), (1.01, False)):
        qpos = humanoid.qpos.copy()
        qpos[2] = height
        assert humanoid.fell(qpos) is fallen
    assert load_body("newborn").fell is None


def test_walker_and_humanoid_feel_the_ground():
    for name in ("walker", "humanoid"):
        body = load_body(name)
        data = body.new_data()
        assert data.sensordata[body.sensor_address("touch_sole_left")[0]] == 0
        most = 0.0
        for _ in range(300):
            mujoco.mj_step(body.model, data)
            most = max(most, data.sensordata[body.sensor_address("touch_sole_left")[0]])
        assert most > 10


# ---- files and errors ----------------------------------------------------------------------------------------------


def test_shipped_bodies_and_the_generated_model_are_current():
    """newborn.xml is what tools/make_newborn.py writes, keyframes aside (they depend on the MuJoCo version)."""
    from xml.etree import ElementTree as ET

    from tools.make_newborn import build

    assert body_names() == ["humanoid", "newborn", "walker"]
    fresh = build()
    stored = ET.parse(BODY_FOLDER / "newborn.xml").getroot()
    stored.remove(stored.find("keyframe"))
    ET.indent(fresh), ET.indent(stored)
    assert ET.tostring(stored).strip() == ET.tostring(fresh).strip()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("step: 2 ms", "step: 2 mV", ":6: step: expected a time"),
        ("step: 2 ms", "step: 4 ms", "step: expected 2 ms as in the model, got 4 ms"),
        ("control: 8 ms", "control: 3 ms", "control in whole steps"),
        ("limb: foot,", "limb: foot, colour: red,", "muscles.ankle.colour: unknown key"),
        ("fraction: 1.0", "fraction: 1.5", "muscles.hip_flexion.fraction: expected a fraction"),
        ("default_pose: stand", "default_pose: lie", "default_pose among stand"),
        ("thigh_joint", "thigh_hinge", "expected a joint with a motor"),
        ("foot_geom,", "foot_gem,", "patches.sole: expected a geom"),
        ("body: torso", "body: trunk", "head.body: expected a body"),
        ("walker2d_v5.xml", "walker9.xml", "model: expected a file"),
        ("body: walker", "body: [walker", "expected YAML"),
        ("height_joint: rootz", "height_joint: rootq", "expected a joint of the model"),
    ],
)
def test_a_wrong_body_file_is_one_clear_line(tmp_path, old, new, says):
    source = (BODY_FOLDER / "walker.yaml").read_text()
    assert old in source
    path = tmp_path / "mine.yaml"
    path.write_text(source.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load_body(str(path))
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_user_errors(newborn):
    for wrong in (
        lambda: load_body("nowborn"), lambda: load_body("newborn", "flying"), lambda: load_body("gone/x.yaml"),
        lambda: newborn.muscle("knee"), lambda: newborn.patch("nose"), lambda: newborn.sensor_address("x"),
    ):  # fmt: skip
        with pytest.raises(UserError):
            wrong()


def test_changed_torque_without_changed_model_is_refused(tmp_path):
    source = (BODY_FOLDER / "newborn.yaml").read_text()
    (tmp_path / "newborn.xml").write_text((BODY_FOLDER / "newborn.xml").read_text())
    path = tmp_path / "newborn.yaml"
    path.write_text(source.replace("torque: 3.1 N m", "torque: 4 N m"))
    with pytest.raises(UserError, match=r"knee\.torque: expected 3\.1 N m as in the model, got 4 N m"):
        load_body(str(path))


def test_importing_the_loader_does_not_import_mujoco():
    code = "import sys, systems.spawn.body; sys.exit('mujoco' in sys.modules or 'gymnasium' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=BODY_FOLDER.parents[1], check=False).returncode == 0
