"""Retinas against hand-worked contrasts: even light, a panel, how the eye is turned; what the newborn makes of it."""

import numpy as np
import pytest

from components.body import BodyState, Light, Retina
from components.network import Inputs
from engine.errors import UserError
from engine.schedule import Now
from engine.world import World
from systems.sense_light import PITCH, SIDE, sense_light
from systems.simulation import load

GAIN = 30.0
LEVEL = (1.0, 0.0, 0.0, 0.0)
EYES = """
title: A body with eyes and the ends of their nerves
seed: 3
duration: 60 s
brain: {profile: newborn, circuits: [brainstem], stand_ins: [spinal_segments]}
body: {model: newborn, pose: held_head}
"""


def turn(axis, angle: float) -> np.ndarray:
    """Quaternion of a turn about an axis [rad]."""
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    return np.array([np.cos(angle / 2), *(np.sin(angle / 2) * axis)])


def times(p, q) -> np.ndarray:
    """One turn after another: first q, then p."""
    v = p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:])
    return np.array([p[0] * q[0] - p[1:] @ q[1:], *v])


def retina(sign: float = 1.0, wide: int = SIDE, adapt_step: float = 0.0):
    """A world with the whole image of one eye as one group, 64 cells, or one cell for the diffuse light."""
    world, count = World(0), SIDE * SIDE if wide else 1
    world.set_array(Now.tick, np.zeros(1, np.int64))
    world.set_array(BodyState.sensors, np.array(LEVEL))
    world.set_array(Light.ambient, np.ones(1))
    world.set_array(Light.ahead, np.array(LEVEL))
    world.set_array(Light.panel, np.zeros(8))
    world.set_array(Light.blobs, np.zeros((4, 4)))
    world.set_array(Inputs.spread, np.zeros(count, np.float32))
    world.set_array(Inputs.sense, np.zeros(count, np.float32))
    table = world.add_table("retina", [Retina], 1)
    for name, value in {"wide": wide, "sign": sign, "gain": GAIN, "adapt_step": adapt_step, "count": count}.items():
        table[getattr(Retina, name)][0] = value
    return world, table


def image(world, table) -> np.ndarray:
    """Drive [mV] of every pixel, [rows, columns]."""
    sense_light(table, world)
    return world[Inputs.sense].reshape(SIDE, SIDE).copy()


def test_a_retina_feels_contrast_and_gets_used_to_the_light():
    """Twice the light: (2 - 1) / (2 + 1) of the gain; the cells for shade feel nothing, and a third when it halves."""
    world, table = retina(wide=0, adapt_step=1 - np.exp(-0.1))
    assert sense_light(table, world) is None and world[Inputs.sense][0] == 0.0
    world[Light.ambient][0] = 2.0
    sense_light(table, world)
    assert world[Inputs.sense][0] == pytest.approx(GAIN / 3)
    for _ in range(10):
        sense_light(table, world)
    used = 2.0 - np.exp(-1.0)  # after ten steps of a tenth of the time constant
    assert world[Inputs.sense][0] == pytest.approx(GAIN * (2.0 - used) / (2.0 + used), rel=1e-5)
    world, table = retina(sign=-1.0, wide=0)
    world[Light.ambient][0] = 2.0
    sense_light(table, world)
    assert world[Inputs.sense][0] == 0.0
    world[Light.ambient][0] = 0.5
    sense_light(table, world)
    assert world[Inputs.sense][0] == pytest.approx(GAIN / 3)


def test_a_panel_lights_the_pixels_it_covers():
    """Twice as bright, 0.42 to each side and 0.21 up and down: four columns of two rows whole; the pixels beside it,
    whose middle is half a pixel away, not at all."""
    world, table = retina()
    world[Light.panel][:] = 2.0, 0.0, 0.0, 0.0, 0.0, 2 * PITCH, PITCH, 0.0
    seen = image(world, table)
    wanted = np.zeros((SIDE, SIDE))
    wanted[3:5, 2:6] = GAIN / 3
    assert seen == pytest.approx(wanted, abs=1e-5)


def test_a_black_blob_is_seen_by_the_cells_for_shade():
    """All light taken at the middle of the upper left pixel beside the centre: contrast -1 there, less beside it."""
    world, table = retina(sign=-1.0)
    world[Light.panel][:] = 2.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.6, 0.0
    world[Light.blobs][0] = 0.5 * PITCH, 0.5 * PITCH, 0.8 * PITCH, 1.2
    seen = image(world, table)
    assert seen[3, 3] == pytest.approx(GAIN) and np.count_nonzero(seen) == 1


@pytest.mark.parametrize("azimuth", [-0.6, 0.0, 0.4])
def test_the_image_depends_on_the_panel_and_the_eye_together(azimuth):
    """An eye that turns after the panel sees what it saw before, however both stand in the world."""
    world, table = retina()
    world[Light.blobs][0] = 0.1, 0.05, 0.2, 0.7
    world[Light.panel][:] = 2.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.4, 0.0
    straight = image(world, table)
    room = turn((0.3, -1.0, 0.4), 1.1)
    world[Light.ahead][:] = room
    world[Light.panel][1:3] = azimuth
    world[BodyState.sensors][:] = times(room, turn((0, 0, 1), azimuth))
    assert image(world, table) == pytest.approx(straight, abs=0.01)
    if azimuth:
        world[BodyState.sensors][:] = room
        column = np.average(np.arange(SIDE), weights=image(world, table).sum(axis=0))
        assert (column < 3.5) == (azimuth > 0), "what is to the left is seen to the left"


def test_an_eye_that_leans_sees_the_panel_lean():
    """A quarter turn about the line of sight, to the right: what was above is seen on the left."""
    world, table = retina()
    world[Light.panel][:] = 2.0, 0.0, 0.0, 0.0, 0.4, 0.2, 0.2, 0.0
    above = image(world, table)
    world[BodyState.sensors][:] = turn((1, 0, 0), np.pi / 2)
    leaning = image(world, table)
    assert above[:4].sum() > 0 and above[4:].sum() == 0
    assert leaning == pytest.approx(np.rot90(above), abs=1e-4) and leaning[:, 4:].sum() == 0


def test_a_panel_swings_to_and_fro():
    """0.5 rad in 1000 ticks: after 2300 it is 0.3 of its third way, after 1300 as far from the end of the second."""
    for tick, azimuth in ((300, 0.35 - 0.21), (1300, -0.35 + 0.21), (2300, 0.35 - 0.21)):
        world, table = retina()
        world[Now.tick][0] = 40 + tick
        world[Light.panel][:] = 2.0, 0.35, -0.35, 1 / 1000, 0.0, 0.3, 0.4, 40
        moving = image(world, table)
        world[Light.panel][1:4] = azimuth, azimuth, 0.0
        assert moving == pytest.approx(image(world, table), abs=1e-4)


def eyes(tmp_path):
    path = tmp_path / "eyes.yaml"
    path.write_text(EYES)
    return load(str(path))


def test_ganglion_cells_fire_where_the_panel_is(tmp_path):
    """Far to the left, so that only the left eye's cells of that side fire; nothing fires in an even light."""
    sim = eyes(tmp_path).run("300 ms")
    assert sim.rate_hz("brainstem.*.retina_*", "300 ms") < 2.0
    sim.show("blank", "30 deg", last="300 ms")
    sim.run("300 ms")
    assert sim.rate_hz("brainstem.left_far_*.retina_on", "250 ms") > 10.0
    assert sim.rate_hz("brainstem.right_*.retina_*", "250 ms") < 2.0


def test_more_of_a_face_is_above_and_more_of_the_scrambled_one_below(tmp_path):
    found = {}
    for pattern in ("face", "scrambled", "blank"):
        sim = eyes(tmp_path).run("100 ms")
        sim.show(pattern, last="500 ms")
        sim.run("500 ms")
        cells = [f"brainstem.*_{half}.retina_off" for half in ("up", "down")]
        found[pattern] = [sim.spike_count(name, "100 ms", "600 ms") for name in cells]
    assert found["face"][0] > 1.5 * found["face"][1] > 0
    assert found["scrambled"][1] > 1.5 * found["scrambled"][0] > 0
    assert sum(found["blank"]) < 0.05 * sum(found["face"])


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda sim: sim.show("cat"), 'show: expected one of face, scrambled, blank, got "cat"'),
        (lambda sim: sim.brighten(0.0), "brighten: expected a level above 0, got 0"),
    ],
)
def test_what_cannot_be_shown_is_one_line(tmp_path, do, message):
    with pytest.raises(UserError, match=message):
        do(eyes(tmp_path))


def test_a_body_without_eyes_is_shown_nothing():
    sim = load("walker", overrides=["brain.circuits=[brainstem,spinal_segments]"])
    with pytest.raises(UserError, match="show: the body walker has no eyes"):
        sim.show("face")
