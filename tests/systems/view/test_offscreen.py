"""The off-screen picture, by what a person would check: a lit body, its shadow, readable text, clear errors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import UserError
from systems.view import geom_mesh
from systems.view.camera import OrbitCamera
from systems.view.frame import FrameComposer, Points, ViewFrame
from systems.view.gl import SHADERS, offscreen_context, shader_source

SIZE = (320, 180)
SCENE_WIDTH = 198
ROOT = Path(__file__).resolve().parents[3]
NEWBORN = ROOT / "assets" / "bodies" / "newborn.xml"


@pytest.fixture(scope="module", autouse=True)
def gl():
    """Skips the module, with the reason, where there is no OpenGL."""
    try:
        context = offscreen_context()
    except UserError as error:
        pytest.skip(str(error))
    yield context
    context.release()


def load(name):
    import gymnasium
    import mujoco

    path = NEWBORN if name == "newborn" else Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / name
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    model = mujoco.MjModel.from_xml_path(str(path))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def model_of(*geoms, floor=True, height=1.0):
    """A model whose one free body, at `height` [m], has the given geoms; the floor is the first geom."""
    import mujoco

    plane = '<geom type="plane" size="0 0 1"/>' if floor else ""
    mesh = '<mesh name="wedge" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/>'
    body = f'<body pos="0 0 {height}"><freejoint/>{"".join(geoms)}</body>'
    model = mujoco.MjModel.from_xml_string(
        f"<mujoco><asset>{mesh}</asset><worldbody>{plane}{body}</worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def frame_of(data, **more):
    return ViewFrame(geom_xpos=data.geom_xpos.copy(), geom_xmat=data.geom_xmat.copy(), **more)


def scene_of(picture):
    return picture[:, :SCENE_WIDTH].astype(float)


def luma(picture):
    return picture @ np.array([0.299, 0.587, 0.114])


@pytest.fixture
def composed():
    """compose(model, frame): one picture from a composer that is closed afterwards."""
    composers = []

    def compose(model, frame, **camera):
        composers.append(FrameComposer(model, SIZE))
        if camera:
            composers[-1].camera = composers[-1].body.camera(frame.geom_xpos, **camera)
        return composers[-1].compose(frame)

    yield compose
    for composer in composers:
        composer.close()


@pytest.mark.parametrize("name", ["walker2d_v5.xml", "humanoid.xml", "newborn"])
def test_body_is_in_the_picture_and_lit(composed, name):
    """Hiding the body changes a fair part of the scene, from dark floor to lit warm skin, and not at its edge."""
    model, data = load(name)
    shown = composed(model, frame_of(data))
    hidden = composed(model, frame_of(data, geom_rgba=np.zeros((model.ngeom, 4))))
    assert shown.shape == (SIZE[1], SIZE[0], 3) and shown.dtype == np.uint8
    changed = np.abs(scene_of(shown) - scene_of(hidden)).max(axis=2) > 24
    assert 0.03 < changed.mean() < 0.6
    body = scene_of(shown)[changed]
    assert luma(body).max() > 150, "nothing is lit"
    assert body[:, 0].mean() > 1.15 * body[:, 2].mean(), "skin is warm"
    lit, dark = np.percentile(luma(body), [95, 5])
    assert lit > 1.8 * dark, "light has a direction"
    skin = (np.abs(scene_of(shown) - scene_of(hidden)).max(axis=2) > 60).nonzero()
    assert skin[0].min() > 0 and skin[0].max() < SIZE[1] - 1 and skin[1].min() > 0 and skin[1].max() < SCENE_WIDTH - 1


def test_a_ball_darkens_the_floor_on_the_side_away_from_the_light(composed):
    model, data = model_of('<geom type="sphere" size="0.3"/>', height=0.31)
    empty = frame_of(data, geom_rgba=np.zeros((2, 4)))
    with_ball = luma(scene_of(composed(model, frame_of(data))))
    without = luma(scene_of(composed(model, empty)))
    shadow = with_ball < 0.75 * without
    assert 0.004 < shadow.mean() < 0.2
    assert shadow.nonzero()[1].mean() > SCENE_WIDTH / 2, "the key light stands at the left"
    assert shadow.nonzero()[0].mean() > SIZE[1] / 2, "the shadow lies on the floor"


@pytest.mark.parametrize(
    "geom",
    [
        '<geom type="sphere" size="0.3"/>',
        '<geom type="capsule" size="0.1 0.3"/>',
        '<geom type="ellipsoid" size="0.1 0.2 0.3"/>',
        '<geom type="box" size="0.1 0.2 0.3"/>',
        '<geom type="cylinder" size="0.2 0.3"/>',
        '<geom type="mesh" mesh="wedge"/>',
    ],
)
def test_silhouette_matches_the_shape(composed, geom):
    """Seen from the side without a floor, each shape covers its projected bounding box by the share geometry says."""
    model, data = model_of(geom, floor=False)
    frame = frame_of(data)
    picture = composed(model, frame, azimuth_deg=0.0, elevation_deg=0.0, fov_deg=4.0)
    rows, columns = np.nonzero(luma(scene_of(picture)) > 60)
    kind, (x, y, z) = int(model.geom_type[0]), model.geom_size[0]
    if kind == geom_mesh.MESH:
        assert len(rows) > 1000
        return
    wide, tall, share = {
        geom_mesh.SPHERE: (x, x, np.pi / 4),
        geom_mesh.CAPSULE: (x, x + y, (4 * x * y + np.pi * x * x) / (4 * x * (x + y))),
        geom_mesh.ELLIPSOID: (y, z, np.pi / 4),
        geom_mesh.BOX: (y, z, 1.0),
        geom_mesh.CYLINDER: (x, y, 1.0),
    }[kind]
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height / width == pytest.approx(tall / wide, rel=0.05)
    assert len(rows) / (height * width) == pytest.approx(share, rel=0.06)


def test_hidden_group_and_colour_overrides(composed):
    ball = '<geom type="sphere" size="0.3" group="{}" rgba="0.2 0.2 0.9 1"/>'
    model, data = model_of(ball.format(0), ball.format(3))
    blue = scene_of(composed(model, frame_of(data)))
    green = np.array(model.geom_rgba)
    green[:, :3] = 0.1, 0.9, 0.1
    overridden = scene_of(composed(model, frame_of(data, geom_rgba=green)))
    red = scene_of(composed(model, frame_of(data, geom_tint=np.ones(model.ngeom))))
    middle = (slice(60, 100), slice(80, 118))
    for picture, channel in ((blue, 2), (overridden, 1), (red, 0)):
        means = picture[middle].mean(axis=(0, 1))
        assert means[channel] == means.max() and means[channel] > 1.5 * np.sort(means)[1]
    model, data = model_of(ball.format(0), ball.format(3).replace("0.3", "0.9"))
    assert np.array_equal(scene_of(composed(model, frame_of(data))), blue), "a larger ball of group 3 changes nothing"


def test_glass_lets_the_other_side_through(composed):
    both = ['<geom type="sphere" size="0.2" rgba="0 1 0 1"/>', '<geom type="box" size="0.4 0.4 0.4" rgba="1 0 0 0.4"/>']
    model, data = model_of(*both)
    middle = scene_of(composed(model, frame_of(data)))[75:105, 84:114].mean(axis=(0, 1))
    assert middle[0] > 60 and middle[1] > 60


def test_camera_follows_the_body_and_history_survives(composed):
    model, data = load("walker2d_v5.xml")
    with FrameComposer(model, SIZE) as composer:
        composer.compose(frame_of(data))
        moved = frame_of(data, time_s=5.0)
        moved.geom_xpos[1:, 0] += 1.5
        composer.compose(moved)
        assert composer.camera.target[0] == pytest.approx(composer.body.centre(moved.geom_xpos)[0], abs=1e-2)
        composer.follow = False
        before = composer.camera.target.copy()
        moved.geom_xpos[1:, 0] += 1.0
        composer.compose(moved)
        assert np.array_equal(before, composer.camera.target)


def test_a_body_that_blew_up_is_drawn_without_taking_the_camera_along():
    model, data = load("walker2d_v5.xml")
    with FrameComposer(model, SIZE) as composer:
        good = composer.compose(frame_of(data))
        broken = frame_of(data, time_s=0.1)
        broken.geom_xpos[3:] = np.nan
        composer.compose(broken)
        assert np.isfinite(composer.camera.target).all()
        again = composer.compose(frame_of(data, time_s=0.2))
    assert np.abs(scene_of(good) - scene_of(again)).mean() < 1


def test_framing_contains_every_ball():
    """Project the balls of 200 random clouds: all centres must lie within the picture."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        centres, radii = rng.normal(size=(6, 3)) * rng.uniform(0.05, 2, 3), rng.uniform(0.01, 0.3, 6)
        aspect = rng.uniform(0.6, 2.0)
        camera = OrbitCamera.framing(centres, radii, aspect)
        clip = np.c_[centres, np.ones(6)] @ (camera.projection(aspect) @ camera.view()).T
        assert np.all(clip[:, 3] > 0) and np.all(np.abs(clip[:, :2] / clip[:, 3:]) < 1)


def text_share(picture):
    """Share of the panel's pixels that are bright and grey: letters."""
    panel = picture[:, SCENE_WIDTH:].astype(int)
    return float(np.mean((panel.min(axis=2) > 110) & (np.ptp(panel, axis=2) < 40)))


FULL = {
    "title": "Touch the palm, the fingers close",
    "realtime_x": 1.4,
    "rates": {"cortex": 4.0, "thalamus": 9.0, "brainstem": 20.0},
    "muscles": {"elbow_flexor_left": 0.9, "elbow_extensor_left": 0.1},
    "afferents": {"palm_left": 40.0},
    "events": [(0.5, "touch palm left 0.5 N")],
}


def test_panel_shows_text_bars_and_raster(composed):
    raster = np.zeros((60, 200), dtype=np.uint8)
    raster[:30, ::9] = 255
    bands = [("cortex", 0, 30), ("thalamus", 30, 60)]
    bare = composed(None, ViewFrame())
    full = composed(None, ViewFrame(time_s=0.6, raster=raster, raster_bands=bands, **FULL))
    assert text_share(bare) > 0.001
    assert text_share(full) > 2 * text_share(bare)
    colourful = [(np.ptp(picture[:, SCENE_WIDTH:].astype(int), axis=2) > 60).mean() for picture in (bare, full)]
    assert colourful[1] > colourful[0] + 0.02


def test_panel_draws_many_of_everything_and_odd_numbers(composed):
    many = ViewFrame(
        time_s=1e4,
        realtime_x=float("inf"),
        title="a very long title " * 20,
        rates={f"region_{k}": [0.0, float("nan"), 1e6, 3.0][k % 4] for k in range(96)},
        muscles={f"muscle_{k}": [-1.0, 2.0, float("nan"), 0.5][k % 4] for k in range(90)},
        afferents={f"patch_{k}": 10.0 * k for k in range(40)},
        raster=np.full((2000, 3), 255, dtype=np.uint8),
        events=[(9e3 + k, "x" * 200) for k in range(100)],
    )
    assert text_share(composed(None, many)) > 0.01


def test_active_region_lights_and_only_it(composed):
    """Of two far apart points the active one is bright; swap the values and the light moves over."""
    xyz = np.array([[-60.0, -60.0, 0.0], [60.0, 60.0, 0.0], [0.0, 0.0, 50.0]])
    pictures = [
        luma(scene_of(composed(None, ViewFrame(points=Points(xyz, np.array(value), full=10.0)))))
        for value in ([10.0, 0.0, 0.0], [0.0, 10.0, 0.0])
    ]
    gain = pictures[0] - pictures[1]
    first, second = np.argwhere(gain > 60), np.argwhere(gain < -60)
    assert len(first) > 20 and len(second) > 20
    assert np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) > 40


def test_body_with_brain_inset(composed):
    model, data = load("walker2d_v5.xml")
    xyz = np.random.default_rng(0).normal(size=(40, 3)) * 40
    plain = composed(model, frame_of(data))
    inset = composed(model, frame_of(data, points=Points(xyz, np.ones(40))))
    corner = (slice(0, 45), slice(145, SCENE_WIDTH))
    assert inset[corner].mean() > plain[corner].mean() + 5
    assert np.array_equal(inset[60:, :140], plain[60:, :140])


def test_two_composers_do_not_disturb_one_another():
    """Contexts are switched per picture: interleaved drawing gives the same pictures as drawing alone."""
    walker, humanoid = load("walker2d_v5.xml"), load("humanoid.xml")
    with FrameComposer(walker[0], SIZE) as one, FrameComposer(humanoid[0], SIZE) as other:
        first = one.compose(frame_of(walker[1]))
        between = other.compose(frame_of(humanoid[1]))
        again = one.compose(frame_of(walker[1]))
    assert np.array_equal(scene_of(first), scene_of(again))
    assert not np.array_equal(first, between)


def test_ways_of_antialiasing_show_the_same_scene():
    """Multisampling, edge smoothing and neither differ at edges only; both smooth ones have fewer hard steps."""
    model, data = load("walker2d_v5.xml")
    pictures = {}
    for samples in (4, 1, 0):
        with FrameComposer(model, SIZE, samples=samples) as composer:
            pictures[samples] = luma(scene_of(composer.compose(frame_of(data))))
    steps = {samples: np.mean(np.abs(np.diff(picture, axis=1)) > 60) for samples, picture in pictures.items()}
    assert steps[4] < steps[0] and steps[1] < steps[0]
    for samples in (4, 1):
        assert np.mean(np.abs(pictures[samples] - pictures[0]) > 12) < 0.06


def test_unused_view_costs_no_import():
    """The frame and the writer can be imported where there is no OpenGL, SDL or FFmpeg; they load on first use."""
    done = run_python(
        "import sys, systems.view.frame, systems.view.video, systems.view.gl, systems.view.panel\n"
        "print(sorted({'moderngl', 'pygame', 'av', 'mujoco'} & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_odd_and_tiny_sizes():
    model, data = load("walker2d_v5.xml")
    for size in ((321, 181), (64, 36), (640, 360)):
        with FrameComposer(model, size) as composer:
            assert composer.compose(frame_of(data, **FULL)).shape == (size[1], size[0], 3)
    with pytest.raises(UserError, match="64x36 pixels or more"):
        FrameComposer(None, (10, 10))


def run_python(code, **environment):
    environment = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment, timeout=60
    )


def test_drawing_opens_no_display():
    """No SDL video driver is started and the environment is left alone."""
    done = run_python(
        "import os; from systems.view.frame import FrameComposer, ViewFrame\n"
        "FrameComposer(None, (320, 180)).compose(ViewFrame(title='x'))\n"
        "import pygame; assert not pygame.display.get_init(); assert 'SDL_VIDEODRIVER' not in os.environ",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


CALL = """
from systems.view.gl import offscreen_context
try:
    offscreen_context()
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is Linux's")
def test_no_driver_is_one_line_with_the_packages():
    done = run_python(CALL, GLCONTEXT_LINUX_LIBEGL="libnothing.so", GLCONTEXT_LINUX_LIBX11="libnothing.so", DISPLAY="")
    assert done.stdout.startswith("UserError no OpenGL driver"), done.stdout + done.stderr
    assert "apt-get install --no-install-recommends libegl1 libgl1" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Mesa's settings")
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"MESA_GL_VERSION_OVERRIDE": "2.1"}, "UserError the OpenGL driver is too old: drawing needs 3.3"),
        ({"LIBGL_DRIVERS_PATH": "/nonexistent"}, "UserError no OpenGL driver"),
        ({"__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent"}, "UserError no OpenGL driver"),
    ],
)
def test_a_driver_that_cannot_is_one_line_with_the_packages(setting, message):
    """A real driver, made too old or taken away."""
    done = run_python(CALL, DISPLAY="", **setting)
    assert done.stdout.startswith(message), done.stdout + done.stderr
    assert "libegl-mesa0 libgl1-mesa-dri" in done.stdout
    assert done.stdout.count("\n") == 1 and not done.stderr.strip(), done.stderr


def test_too_old_a_driver_is_one_line(monkeypatch):
    import moderngl

    def old(**_):
        raise ValueError("Requested OpenGL version 330, got version 210")

    monkeypatch.setattr(moderngl, "create_context", old)
    with pytest.raises(UserError, match=r"OpenGL 2\.1 is too old: drawing needs 3\.3.*apt-get install"):
        offscreen_context()


def test_shaders_resolve_their_includes_and_name_a_missing_file():
    for path in SHADERS.glob("*.*.glsl"):
        text = shader_source(path.name)
        assert text.startswith("#version 330 core") and "#include" not in text
    with pytest.raises(UserError, match=r"nothing\.frag\.glsl"):
        shader_source("nothing.frag.glsl")
