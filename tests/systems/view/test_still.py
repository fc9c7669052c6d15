"""Stills of a body in kept poses, and the moments that the contact sheet of the exam shows."""

from types import SimpleNamespace

import numpy as np
import pytest

from engine.errors import UserError
from engine.scene import load_scene
from systems.spawn.scene_model import SCENES, Scene, View
from systems.view.still import Stills
from tools import exam_sheet


@pytest.fixture(scope="module")
def stills():
    scene, source = load_scene("exam/plantar_grasp", Scene, [SCENES])
    with Stills(scene, source, ["toes_left_flexor"], (160, 120)) as made:
        yield made


@pytest.fixture
def pose(stills):
    return np.array(stills.sim.physics.data.qpos)


def test_a_picture_shows_the_pose_and_the_finger(stills, pose):
    joint = int(stills.model.joint("knee_left").qposadr[0])
    bent = pose.copy()
    bent[joint] = np.radians(140)
    frames = [stills.frame(p, np.zeros(1), tick) for p, tick in ((pose, 0), (bent, 0), (pose, 2500), (pose, 4000))]
    cameras = stills.cameras(frames, None, View())
    assert all((camera.target == cameras[0].target).all() for camera in cameras), "the camera stands still"
    rest, bent, pressed, after = (stills.draw(f, c).astype(int) for f, c in zip(frames, cameras, strict=True))
    assert rest.shape == (120, 160, 3) and rest.std() > 5
    assert (np.abs(bent - rest).max(axis=2) > 30).sum() > 20
    lit = np.argwhere(np.abs(pressed - rest).max(axis=2) > 30)
    assert 0 < len(lit) < 400 and not (after != rest).any(), "the finger is there from 2 s on for 2 s"


def test_close_ups_show_what_the_joints_move(stills, pose):
    frames = [stills.frame(pose, None, 0)]
    foot = stills.part_of(["toes_left"])
    assert stills.model.body(foot).name == "foot_left"
    assert stills.part_of(["hip_flexion_left", "hip_flexion_right"]) == stills.row("pelvis")
    assert stills.part_of(["neck_rotation"]) is None and stills.part_of([]) is None and stills.row("chest") is None
    lifted = pose.copy()
    lifted[int(stills.model.joint("hip_flexion_left").qposadr[0])] = np.radians(130)
    frames.append(stills.frame(lifted, None, 0))
    (whole, _), close = (stills.cameras(frames, part, View()) for part in (None, foot))
    at = stills.model.geom_bodyid == foot
    for frame, camera in zip(frames, close, strict=True):
        assert camera.distance == close[0].distance < 0.3 * whole.distance
        assert np.linalg.norm(camera.target - frame.geom_xpos[at].mean(axis=0)) < 0.04, "it follows the foot"
    with pytest.raises(UserError, match="no part of the body is called tail"):
        stills.row("tail")


def scene_of(**more):
    """A joint is looked at from 2 s to 3 s; a finger comes at 2 s."""
    probe = SimpleNamespace(name="x", measure="joint_angle", windows=[(2000.0, 3000.0)])
    event = SimpleNamespace(verb="touch", action=SimpleNamespace(patch="palm_left"), last=1000.0, starts=[2000.0])
    exam = SimpleNamespace(pictures=None, close_up=None, view=None)
    return SimpleNamespace(probes=[probe], expect=[SimpleNamespace(probe="x")], timeline=[event], duration=5000.0,
                           exam=exam, **more)  # fmt: skip


def test_moments_are_onset_peak_and_end():
    """A joint at 1 rad drifts by less than a fifth of its swing, which begins at 2.1 s, is over the top at 2.5 s, and
    over at 3.7 s: a triangle, so a fifth is passed at 2.18 s and again at 3.46 s."""
    ticks = np.arange(9, 5000, 10)
    swing = np.interp(ticks, [0, 2100, 2500, 3700], [0.0, 0.0, -0.8, 0.0])
    traces = {"tick": ticks, "of/x": (1.0 + 0.03 * np.sin(ticks / 300.0) + swing)[:, None], "names/x": np.array(["j"])}
    found = exam_sheet.moments(scene_of(), traces)
    seconds = {name: ticks[k] / 1000.0 for name, k in found.items()}
    assert seconds == pytest.approx({"onset": 2.18, "peak": 2.5, "end": 3.46}, abs=0.05)
    chosen = scene_of()
    chosen.exam.pictures = [1000.0, 4000.0]
    assert [ticks[k] for k in exam_sheet.moments(chosen, traces).values()] == [999, 3999]


def test_what_cannot_be_seen_has_no_picture():
    scene = scene_of()
    scene.probes[0].measure = "rate_hz"
    traces = {"tick": np.arange(9, 5000, 10), "of/x": np.zeros((500, 1)), "names/x": np.array(["a.b.c"])}
    assert exam_sheet.moments(scene, traces) == {}
