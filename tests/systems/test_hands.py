"""The examiner's hands against mechanics worked by hand, and a snapshot inside every verb."""

import math

import numpy as np
import pytest

from encephagen import load
from engine.errors import UserError
from systems.spawn.scene_model import VERBS

SCENE = """
title: hands
duration: 60 s
seed: 3
body: {model: newborn, pose: supine}
"""
BRAIN = "brain: {profile: newborn, circuits: [spinal_segments]}\n"
PALM = "spinal_segments.palm_left.cutaneous"


@pytest.fixture(scope="module")
def lying(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "lying.yaml"
    path.write_text(SCENE)
    return path


@pytest.fixture(scope="module")
def cord(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "cord.yaml"
    path.write_text(SCENE + BRAIN)
    return path


def torque_of(sim, part: str, point, force) -> np.ndarray:
    """Joint forces [dof] that a force [N] at a world point of a part amounts to: the Jacobian's transpose times it."""
    import mujoco

    model, data = sim.physics.model, sim.physics.data
    jacobian = np.zeros((3, model.nv))
    mujoco.mj_jac(model, data, jacobian, None, np.asarray(point, float), model.body(part).id)
    return jacobian.T @ np.asarray(force, float)


def test_a_grab_is_a_spring_that_gives_way_no_further_than_its_force(lying):
    """10 N at 5 cm: 200 N/m. At rest, 2 cm away, it pulls with 4 N towards its target; 1 m away with 10 N."""
    sim = load(lying).run("200 ms")
    data, local = sim.physics.data, np.array([0.0, 0.0, -0.02])
    for away, newtons in ((0.02, 4.0), (1.0, 10.0)):
        hand = data.body("hand_left")
        point = hand.xpos + hand.xmat.reshape(3, 3) @ local
        still = data.qvel.copy()
        data.qvel[:] = 0.0
        sim.grab("hand_left", point + [0.0, 0.0, away], at=local, force="10 N", last="2 ms")
        before = torque_of(sim, "hand_left", point, [0.0, 0.0, newtons])
        sim.run("2 ms")
        assert data.qfrc_applied == pytest.approx(before, abs=2e-3 * newtons)
        data.qvel[:] = still
        sim.run("2 ms")
        assert not data.qfrc_applied.any()


def test_a_grabbed_limb_comes_and_a_way_point_moves_it(lying):
    at = [{"after": "0 ms", "to": [-9, 14, 11]}, {"after": "700 ms", "to": [-2, 14, 11]}]
    path = ", ".join("{{after: {}, to: [{}]}}".format(s["after"], ", ".join(f"{x} cm" for x in s["to"])) for s in at)
    sim = load(lying, overrides=[f"timeline=[{{at: 0 ms, last: 1400 ms, grab: {{part: hand_left, path: [{path}]}}}}]"])
    for until, step in ((700, at[0]), (1400, at[1])):
        sim.run(until - sim.tick)
        gap = sim.physics.data.body("hand_left").xpos - np.array(step["to"]) / 100.0
        assert np.linalg.norm(gap) < 0.025, "the limb's weight sags it by weight / stiffness, 1 N / 200 N/m, and more"
    sim.run("600 ms")
    assert sim.physics.data.body("hand_left").xpos[2] < 0.05, "let go, it falls"


def test_a_push_at_a_point_turns_as_its_lever_says(lying):
    sim = load(lying, overrides=["timeline=[{at: 10 ms, last: 2 ms, push: {part: head, force: 3 N, "
                                 "direction: [0, 1, 0], at: [5 cm, 0 cm, 0 cm]}}]"]).run("10 ms")  # fmt: skip
    head = sim.physics.data.body("head")
    import mujoco

    mujoco.mj_kinematics(sim.physics.model, sim.physics.data)
    mujoco.mj_comPos(sim.physics.model, sim.physics.data)
    expected = torque_of(sim, "head", head.xpos + head.xmat.reshape(3, 3) @ [0.05, 0, 0], [0, 3, 0])
    sim.run("2 ms")
    assert sim.physics.data.qfrc_applied == pytest.approx(expected, abs=1e-9) and np.abs(expected).max() > 0.1


def test_a_tilt_turns_gravity_and_back(lying):
    sim = load(lying)
    sim.tilt("30 deg", last="20 ms")
    sim.run("10 ms")
    assert sim.physics.model.opt.gravity == pytest.approx([9.81 * 0.5, 0.0, -9.81 * math.sqrt(0.75)])
    sim.run("12 ms")
    assert sim.physics.model.opt.gravity.tolist() == [0.0, 0.0, -9.81]


def test_hands_carry_the_body_upright_gently_and_lay_it_down_by_letting_go(lying):
    sim = load(lying)
    sim.hold("upright", lift="10 mm", last="2500 ms")
    places = []
    for _ in range(25):
        sim.run("100 ms")
        places.append(sim.physics.data.body("chest").xpos[2])
    assert np.abs(np.diff([0.042, *places])).max() < 0.035, "0.25 m/s: 25 mm in 100 ms"
    assert sim.physics.data.body("chest").xpos == pytest.approx([0, 0, 0.259], abs=2e-3)
    assert sim.physics.data.body("chest").xquat == pytest.approx([1, 0, 0, 0], abs=0.02)
    sim.run("1 s")
    assert sim.physics.data.body("chest").xpos[2] < 0.2


def test_hands_that_move_on_carry_the_body_at_their_speed(lying):
    sim = load(lying)
    sim.hold("upright", last=None, speed="0.2 m/s", direction=(0, 2, 0))
    sim.run("2 s")
    before = sim.physics.data.body("chest").xpos.copy()
    sim.run("1 s")
    assert sim.physics.data.body("chest").xpos - before == pytest.approx([0.0, 0.2, 0.0], abs=3e-3)
    assert sim.physics.data.body("chest").cvel[3:] == pytest.approx([0.0, 0.2, 0.0], abs=0.03)


def test_what_is_held_can_be_dropped_and_is_caught(lying):
    sim = load(lying)
    with pytest.raises(UserError, match="is not held"):
        sim.drop()
    sim.hold("upright", last=None)
    sim.run("2 s")
    sim.drop("5 cm")  # falls for sqrt(2 h / g) = 101 ms
    sim.run("1 ms")
    assert not sim.physics.data.eq_active.any()
    sim.run("1 s")
    assert sim.physics.data.eq_active.any() and sim.physics.data.body("chest").xpos[2] == pytest.approx(0.199, abs=3e-3)


def test_a_drop_on_the_way_up_lowers_where_it_goes(lying):
    sim = load(lying)
    sim.hold("upright", last=None)
    sim.run("300 ms")
    sim.drop("2 cm")
    sim.run("3 s")
    assert sim.physics.data.body("chest").xpos[2] == pytest.approx(0.2494 - 0.02, abs=3e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_head_turns_the_way_it_is_turned(lying, sign):
    sim = load(lying).run("200 ms")
    before = float(sim.physics.data.joint("neck_rotation").qpos[0])
    sim.turn("neck_rotation", f"{0.3 * sign} N m")
    sim.run("500 ms")
    assert sign * (float(sim.physics.data.joint("neck_rotation").qpos[0]) - before) > 0.5


def pressure(sim, patch: str) -> float:
    return float(sim.physics.data.sensor(f"touch_{patch}").data[0])


def test_a_stroke_goes_from_patch_to_patch(lying):
    sim = load(lying, overrides=["body.pose=upright"]).run("100 ms")
    patches = ["cheek_left", "lips", "cheek_right"]
    sim.stroke(patches, force="2 N", last="300 ms")
    for under in patches:
        sim.run("80 ms")
        felt = {patch: pressure(sim, patch) for patch in patches}
        assert felt[under] > 1.0 and all(felt[p] < 0.2 for p in patches if p != under), (under, felt)
        sim.run("20 ms")
    sim.run("80 ms")
    assert all(pressure(sim, patch) < 0.2 for patch in patches)


def test_a_prick_ends_by_itself_and_a_pinch_moves_nothing(lying):
    sim = load(lying).run("200 ms")
    before = sim.physics.data.body("chest").xpos.copy()
    sim.prick("belly")
    sim.run("40 ms")
    assert pressure(sim, "belly") > 3.0
    sim.run("60 ms")
    assert pressure(sim, "belly") < 0.2
    sim.pinch("belly", last="100 ms")
    sim.run("90 ms")
    assert pressure(sim, "belly") > 2.0
    assert sim.physics.data.body("chest").xpos == pytest.approx(before, abs=2e-3)


def test_touch_at_a_point_is_felt_by_the_nearest_patch(lying):
    sim = load(lying, overrides=["timeline=[{at: 0 ms, touch: {part: head, at: [5 cm, 4 cm, 3 cm], force: 1 N}}]"])
    assert sim.timeline.coming[0].of == "cheek_left"
    with pytest.raises(UserError, match="no touch patch within 5 cm"):
        load(lying, overrides=["timeline=[{at: 0 ms, touch: {part: head, at: [-9 cm, 0 cm, 9 cm], force: 1 N}}]"])


def test_inhibited_neurons_are_silent_while_it_lasts(cord):
    sim = load(cord).run("100 ms")
    sim.touch("palm_left", last="600 ms")
    sim.run("200 ms")
    sim.inhibit(PALM, "100 mV", last="200 ms")
    sim.run("400 ms")
    assert sim.spike_count(PALM, 100, 300) > 20 < sim.spike_count(PALM, 520, 700)
    assert sim.spike_count(PALM, 330, 500) == 0


def test_hands_refuse_what_is_not_there(lying):
    sim = load(lying)
    for action, text in (
        (lambda: sim.grab("tail", (0, 0, 1)), "grab: no part 'tail'"),
        (lambda: sim.turn("root", "1 N m"), "turn: no joint 'root'"),
        (lambda: sim.hold("prone"), "expected a pose that is held"),
        (lambda: sim.stroke(["lips", "tail"]), "expected a touch patch"),
        (lambda: sim.inhibit("a", "1 mV"), "no brain"),
        (lambda: sim.drop("3 m"), "at most 2 m"),
    ):
        with pytest.raises(UserError, match=text):
            action()
    with pytest.raises(UserError, match="nothing holds the body walker"):
        load(lying, overrides=["body={model: walker}"]).hold("stand")


EVENTS = {
    "touch": "last: 40 ms, touch: {patch: palm_left, force: 1 N}",
    "pinch": "last: 40 ms, pinch: {patch: palm_left}",
    "prick": "prick: {patch: sole_heel_left}",
    "stroke": "last: 40 ms, stroke: {patches: [cheek_left, lips, cheek_right]}",
    "tap": "last: 40 ms, tap: {muscle: knee_left_extensor, torque: 0.4 N m}",
    "push": "last: 40 ms, push: {part: head, force: 3 N, at: [5 cm, 0 cm, 0 cm]}",
    "grab": "last: 40 ms, grab: {part: hand_left, path: [{after: 0 ms, to: [0 cm, 9 cm, 20 cm]}, "
            "{after: 25 ms, to: [9 cm, 9 cm, 20 cm]}]}",
    "drop": "drop: {height: 1 cm}",
    "tilt": "last: 40 ms, tilt: {angle: 20 deg}",
    "hold": "last: 40 ms, hold: {pose: upright}",
    "turn": "last: 40 ms, turn: {joint: neck_rotation, torque: 0.3 N m}",
    "brighten": "last: 40 ms, brighten: {level: 20}",
    "show": "last: 40 ms, show: {pattern: face, from: -20 deg, to: 20 deg, takes: 15 ms}",
    "feed": "last: 40 ms, feed: {draws: 1 mL}",
    "stimulate": f"last: 40 ms, stimulate: {{population: {PALM}, drive: 30 mV}}",
    "inhibit": f"last: 40 ms, inhibit: {{population: {PALM}, drive: 30 mV}}",
    "silence": f"last: 40 ms, silence: {{population: {PALM}}}",
    "restore": f"restore: {{population: {PALM}}}",
}  # fmt: skip


def test_there_is_an_event_of_every_verb():
    assert set(EVENTS) == set(VERBS)


def with_event(cord, verb):
    pose = "supine_held" if verb == "drop" else "supine"
    touched = "{at: 0 ms, last: 90 ms, touch: {patch: palm_left, force: 0.5 N}}"
    return load(cord, overrides=[f"body.pose={pose}", f"timeline=[{touched}, {{at: 10 ms, {EVENTS[verb]}}}]"])


@pytest.mark.parametrize("verb", EVENTS)
def test_a_snapshot_inside_a_verb_goes_on_bit_for_bit(cord, tmp_path, verb):
    whole = with_event(cord, verb).run("31 ms")
    whole.save(tmp_path / "a.h5")
    whole.run("59 ms")
    again = with_event(cord, verb)
    again.load_state(tmp_path / "a.h5").run("59 ms")
    assert again.spike_hash == whole.spike_hash
    assert np.array_equal(again.physics.data.qpos, whole.physics.data.qpos)
    assert np.array_equal(again.physics.data.qvel, whole.physics.data.qvel)
