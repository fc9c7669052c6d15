"""Water: Archimedes' law for balls, ellipsoids and capsules, depth sensors, and what a scene may say of it."""

import numpy as np
import pytest

from components.body import BodyState
from engine.errors import UserError
from engine.scene import load_scene
from systems.physics_step import Physics
from systems.simulation import Simulation
from systems.spawn.body import load_body
from systems.spawn.scene_model import SCENES, Scene, Water

G, RHO = 9.81, 1000.0
MODEL = """
<mujoco><option timestep="0.002" integrator="implicitfast"/><worldbody>
  <body name="thing" pos="0 0 {z}" quat="{quat}"><freejoint name="root"/>
    <geom name="thing" type="{kind}" size="{size}" mass="{mass}"/><site name="touch_skin"/><site name="head"/></body>
</worldbody>
<sensor>
  <touch name="touch_skin" site="touch_skin"/><gyro name="gyro" site="head"/><accelerometer name="accel" site="head"/>
</sensor>
</mujoco>"""
BODY = """
body: thing
model: thing.xml
step: 2 ms
control: 2 ms
muscles: {}
patches: {skin: {}}
head: {gyro: gyro, accel: accel}
default_pose: free
poses: {free: {}}
"""
UPRIGHT, LYING, LEANING = "1 0 0 0", "0.70710678 0.70710678 0 0", "0.9238795 0.3826834 0 0"
BALL = 4 / 3 * np.pi * 0.05**3
CAPSULE = np.pi * 0.03**2 * 0.2 + 4 / 3 * np.pi * 0.03**3


@pytest.fixture
def thing(tmp_path):
    """Makes the Physics of one free geom at a height [m], in water up to `surface` [m]."""

    def make(kind, size, mass, z=0.0, quat=UPRIGHT, surface=0.0, density=None, viscosity=0.0009):
        (tmp_path / "thing.xml").write_text(MODEL.format(kind=kind, size=size, mass=mass, z=z, quat=quat))
        (tmp_path / "thing.yaml").write_text(BODY + (f"density: {{thing: {density} kg/m3}}\n" if density else ""))
        water = Water.model_construct(surface=surface * 1000, density=RHO, viscosity=viscosity)
        return Physics(load_body(str(tmp_path / "thing.yaml"), water=water))

    return make


def lifted(physics) -> tuple[float, np.ndarray]:
    """(lift [N], torque about the middle of mass [3] N m)."""
    physics.data.xfrc_applied[:] = 0.0
    physics.lift()
    force = physics.data.xfrc_applied[1]
    assert np.all(force[:2] == 0.0)
    return float(force[2]), np.array(force[3:])


def settle(physics, seconds=20.0):
    for _ in range(int(seconds * 500)):
        lifted(physics)
        physics.step()


@pytest.mark.parametrize(
    "kind, size, volume", [("sphere", "0.05", BALL), ("capsule", "0.03 0.1", CAPSULE),
                           ("ellipsoid", "0.02 0.05 0.08", 4 / 3 * np.pi * 8e-5)],
)  # fmt: skip
@pytest.mark.parametrize("quat", [UPRIGHT, LYING, LEANING])
def test_water_lifts_by_the_weight_of_what_is_displaced(thing, kind, size, volume, quat):
    for z, part in ((1.0, 0.0), (-1.0, 1.0), (0.0, 0.5)):
        force, torque = lifted(thing(kind, size, 1.0, z, quat))
        assert force == pytest.approx(part * volume * RHO * G, rel=1e-6, abs=1e-9), (z, part)
        if part != 0.5 or quat == UPRIGHT or kind == "sphere":
            assert np.abs(torque).max() < 1e-9, "nothing turns what is wholly under water"


def test_a_ball_in_water_weighs_less_by_what_it_displaces(thing):
    """It sinks with the acceleration that is left, before drag sets in: m g - rho V g."""
    physics = thing("sphere", "0.05", 1.0, -1.0)
    lifted(physics)
    physics.step()
    assert physics.data.qvel[2] / 0.002 == pytest.approx(-(G - BALL * RHO * G), rel=1e-3)


@pytest.mark.parametrize("quat", [UPRIGHT, LEANING, LYING])
def test_a_capsule_that_the_surface_cuts_is_right_within_a_fiftieth(thing, quat):
    """Lift and its moment against a capsule cut into a million points."""
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 1, (400_000, 3)) * (0.03, 0.03, 0.13)
    beyond = np.maximum(np.abs(points[:, 2]) - 0.1, 0.0)
    points = points[points[:, 0] ** 2 + points[:, 1] ** 2 + beyond**2 < 0.03**2]
    for z in (-0.08, -0.03, -0.01, 0.02, 0.07):
        physics = thing("capsule", "0.03 0.1", 1.0, z, quat)
        force, torque = lifted(physics)
        number = physics.model.geom("thing").id
        at = points @ physics.data.geom_xmat[number].reshape(3, 3).T + (0, 0, z)
        under = at[:, 2] < 0.0
        exact = under.mean() * CAPSULE * RHO * G
        assert force == pytest.approx(exact, abs=0.02 * CAPSULE * RHO * G)
        moment = (at[under, 1]).sum() / len(at) * CAPSULE * RHO * G
        assert torque[0] == pytest.approx(moment, abs=0.02 * CAPSULE * RHO * G * 0.13)


def test_what_floats_rests_at_the_depth_that_displaces_its_weight(thing):
    ball = thing("sphere", "0.05", BALL * RHO / 2, 0.1, viscosity=0.2)
    settle(ball)
    assert ball.data.qpos[2] == pytest.approx(0.0, abs=5e-4), "half as dense as water: half under it"
    light = thing("sphere", "0.05", BALL * RHO * 0.15625, 0.0, viscosity=0.2)  # (2 + 3u - u3) / 4 at u = -1/2
    settle(light)
    assert light.data.qpos[2] == pytest.approx(0.025, abs=5e-4)
    stick = thing("capsule", "0.03 0.1", CAPSULE * RHO / 2, 0.1, LEANING, viscosity=0.2)
    settle(stick)
    assert stick.data.qpos[2] == pytest.approx(0.0, abs=1e-3)
    assert abs(stick.data.geom_xmat[stick.model.geom("thing").id][8]) < 0.05, "a stick floats lying down"


def test_a_part_with_a_density_displaces_its_mass_over_it(thing):
    force, _ = lifted(thing("sphere", "0.05", 0.3, -1.0, density=1200))
    assert force == pytest.approx(0.3 / 1200 * RHO * G, rel=1e-6)


def test_depth_is_a_sensor(thing):
    physics = thing("sphere", "0.05", 1.0, -0.3, surface=0.1)
    address = physics.body.sensor_address("depth_skin")[0]
    assert physics.readings[address + 2] == pytest.approx(0.4)
    assert thing("sphere", "0.05", 1.0, 0.3, surface=0.1).readings[address + 2] == pytest.approx(-0.2)


def test_shapes_of_unknown_displacement_are_refused(thing):
    with pytest.raises(UserError, match=r"^water: geom thing: expected a sphere, capsule or ellipsoid, got a box$"):
        thing("box", "0.05 0.05 0.05", 1.0)


@pytest.fixture
def scene(tmp_path):
    """Loads a scene of a newborn without a brain, `body` as YAML."""

    def make(body):
        (tmp_path / "wet.yaml").write_text(f"title: A body in water\nduration: 1 s\nbody: {body}\n")
        return load_scene(tmp_path / "wet.yaml", Scene, [SCENES])

    return make


def test_a_newborn_nearly_floats(scene):
    """3.4 kg that displace 3.38 litres weigh a quarter of a newton in water."""
    physics = Simulation(*scene("{model: newborn, pose: prone_held, water: {surface: 1 m}}")).physics
    physics.data.xfrc_applied[:] = 0.0
    physics.lift()
    weight = 3.4 * G - physics.data.xfrc_applied[:, 2].sum()
    assert 0.1 < weight < 0.5


def test_a_scene_says_how_high_water_stands(scene):
    for text, line in (
        ("{surface: 40}", "body.water.surface: expected a length with its unit, as in 40 mm, got 40"),
        ("{surface: 40 cm, density: 1 kg}", 'body.water.density: expected a density, got "1 kg"'),
        ("{surface: 40 cm, viscosity: 1 mV}", 'body.water.viscosity: expected a viscosity, got "1 mV"'),
        ("{depth: 40 cm}", "body.water.depth: unknown key (known here: surface, density, viscosity)"),
    ):
        with pytest.raises(UserError) as caught:
            scene(f"{{model: newborn, water: {text}}}")
        assert str(caught.value).endswith(line)
    water = "{surface: 40 cm, density: 1.02 g/cm3, viscosity: 1 mPa s}"
    sim = Simulation(*scene(f"{{model: newborn, pose: prone_held, water: {water}}}"))
    assert sim.physics.model.opt.density == pytest.approx(1020) and sim.physics.model.opt.viscosity == 1e-3
    with pytest.raises(UserError, match=r"^tilt: expected a world without water"):
        sim.tilt("10 deg")


def test_water_is_the_same_after_save_and_load_and_with_more_threads(scene, tmp_path):
    wet = scene("{model: newborn, pose: prone, water: {surface: 36 cm}}")
    straight = Simulation(*wet).run("200 ms")
    Simulation(*wet, threads=2).run("101 ms").save(tmp_path / "a.h5")
    again = Simulation(*wet)
    again.load_state(tmp_path / "a.h5")
    again.run("99 ms")
    assert np.array_equal(again.world[BodyState.sensors], straight.world[BodyState.sensors])
    assert np.array_equal(again.physics.data.qpos, straight.physics.data.qpos)
    dry = Simulation(*scene("{model: newborn, pose: prone}")).run("200 ms")
    assert straight.physics.data.qpos[2] > dry.physics.data.qpos[2] + 1e-3, "water lifts it off the floor"


def test_a_dry_world_has_no_trace_of_it(scene):
    physics = Simulation(*scene("{model: newborn}")).physics
    assert not physics.wet and physics.native_step() is not None
    assert physics.model.opt.density == 0.0 and not any("depth_" in name for name in physics.body._sensors)
