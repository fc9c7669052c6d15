"""The stage by image statistics, as a person would look: a lit body, neurons that light where they fire, pulses on
time, what lies under a pixel. Pictures are kept under out/."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import UserError
from systems.view.brain_renderer import INJECTED_COLOUR
from systems.view.capture import Capture
from systems.view.frame import HAND_SET, INJECTED
from systems.view.gl import offscreen_context
from systems.view.pick import project
from systems.view.stage import Stage, StageOptions

SIZE = (640, 360)
OUT = Path(__file__).resolve().parents[3] / "out"


@pytest.fixture(scope="module")
def gl():
    """One context for all pictures; skips, with the reason, where there is no OpenGL."""
    try:
        context = offscreen_context()
    except UserError as error:
        pytest.skip(str(error))
    yield context
    context.release()


def staged(gl, scene: str, ms: int):
    """A stage, a frame after `ms` of the scene, and the simulation."""
    from encephagen import load

    sim = load(scene)
    capture = Capture(sim)
    sim.run(ms)
    frame = capture.frame()
    capture.detach()
    return Stage(gl, sim, SIZE), frame, sim


@pytest.fixture(scope="module")
def newborn(gl):
    stage, frame, sim = staged(gl, "newborn", 120)
    yield stage, frame, sim
    stage.release()


@pytest.fixture(scope="module")
def walker(gl):
    stage, frame, sim = staged(gl, "walker", 40)
    yield stage, frame, sim
    stage.release()


@pytest.fixture(scope="module")
def stimulate(gl):
    stage, frame, sim = staged(gl, "stimulate", 40)
    yield stage, frame, sim
    stage.release()


def picture(stage, frame, camera=None, name=None, **options):
    """float [height, width, 3]; kept as out/stage_NAME.png."""
    options = StageOptions(**options)
    stage.draw(frame, camera or stage.camera(frame, options), options)
    pixels = stage.read()
    assert pixels.shape == (SIZE[1], SIZE[0], 3) and pixels.dtype == np.uint8
    if name:
        import matplotlib.image

        OUT.mkdir(exist_ok=True)
        matplotlib.image.imsave(OUT / f"stage_{name}.png", pixels)
    return pixels.astype(float)


def luma(pixels):
    return pixels @ np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("scene", ["newborn", "walker"])
@pytest.mark.parametrize("brain", ["beside", "inside"])
def test_the_body_is_there_and_lit(request, scene, brain):
    stage, frame, _ = request.getfixturevalue(scene)
    shown = picture(stage, frame, name=f"{scene}_{brain}", brain=brain)
    hidden = replace(frame, geom_rgba=np.zeros((stage.model.ngeom, 4)))
    without = picture(stage, hidden, brain=brain)
    body = np.abs(shown - without).max(axis=2) > 24
    assert 0.02 < body.mean() < 0.6
    lit, dark = np.percentile(luma(shown[body]), [95, 5])
    assert lit > 120 and lit > 1.5 * dark
    if brain == "beside":
        assert shown[body][:, 0].mean() > 1.1 * shown[body][:, 2].mean(), "skin is warm"
    empty = luma(picture(stage, hidden, brain="none"))
    nerves = np.abs(luma(without) - empty) > 12
    assert nerves.mean() > 0.003, "the brain is there"


def test_the_brain_fills_a_stage_without_a_body(stimulate):
    stage, frame, _ = stimulate
    shown = luma(picture(stage, frame, name="stimulate"))
    sky = luma(picture(stage, frame, surface=0.0, neurons=False, tracts=False))
    brain = np.abs(shown - sky) > 10
    assert 0.08 < brain.mean() < 0.7
    rows, columns = brain.nonzero()
    assert np.ptp(rows) > 0.6 * SIZE[1] and abs(columns.mean() - SIZE[0] / 2) < 0.1 * SIZE[0]


def quiet(frame, stage):
    total = stage.network.neuron_count
    return replace(frame, glow=np.zeros(total, np.float32), origin=np.zeros(total, np.uint8), points=None,
                   pulses=np.zeros_like(frame.pulses))  # fmt: skip


def places(stage, frame, camera, neurons):
    world = stage._placement(frame, stage._options).world(stage.brain.anatomy.at[neurons])
    return project(camera, SIZE, world)[0]


@pytest.mark.parametrize("scene", ["stimulate", "newborn"])
def test_neurons_light_where_a_region_fires_and_only_there(request, scene):
    """All cells of one region fire: what brightens lies on their pixels, and the region's pixels brighten."""
    stage, frame, sim = request.getfixturevalue(scene)
    region = sim.network.connectome.labels[
        [n.startswith("Calcarine_L") for n in sim.network.connectome.labels].index(True)
    ]
    neurons = sim.network.neurons(f"*.{region}.*")
    rest = quiet(frame, stage)
    active = replace(rest, glow=rest.glow.copy())
    active.glow[neurons] = 1.0
    camera = stage.camera(frame, StageOptions())
    gain = luma(picture(stage, active, camera, f"{scene}_region")) - luma(picture(stage, rest, camera))
    bright = np.argwhere(gain > 20)[:, ::-1]
    at = places(stage, frame, camera, neurons)
    away = np.linalg.norm(bright[:, None] - at[None], axis=2)
    assert len(bright) > 60
    assert away.min(axis=1).max() < 9, "nothing else brightens"
    assert np.mean(away.min(axis=0) < 6) > 0.8, "nearly every cell does"


def test_injected_and_hand_set_cells_have_their_colours(stimulate):
    stage, frame, sim = stimulate
    neurons = sim.network.neurons("*.Frontal_Mid_2_R.*")
    rest = quiet(frame, stage)
    camera = stage.camera(frame, StageOptions())
    options = {"surface": 0.0, "tracts": False}
    before = picture(stage, rest, camera, **options)
    hue = {}
    for origin in (INJECTED, HAND_SET):
        marked = replace(rest, origin=rest.origin.copy())
        marked.origin[neurons] = origin
        change = picture(stage, marked, camera, **options) - before
        hue[origin] = change[np.abs(change).max(axis=2) > 25].mean(axis=0)
    assert hue[INJECTED][1] > hue[INJECTED][0] > hue[INJECTED][2] and INJECTED_COLOUR[1] > INJECTED_COLOUR[2]
    assert hue[HAND_SET][0] > 30 + max(hue[HAND_SET][1], hue[HAND_SET][2])


def test_a_pulse_is_seen_at_the_far_end_after_its_delay_not_before(stimulate):
    """Every cell of a source fired once: 12 ms before the delay has passed the tract's end is dark, then it is lit."""
    stage, frame, _ = stimulate
    tracts = stage.brain.tracts
    rest = quiet(frame, stage)
    camera = stage.camera(frame, StageOptions())
    stage.draw(rest, camera, StageOptions())
    world = stage._placement(frame, stage._options).world(tracts.curve.reshape(-1, 3))
    pixel = project(camera, SIZE, world)[0].reshape(tracts.count, -1, 2)

    def alone(k):  # no other tract of the same source comes near the end
        others = [j for j in np.flatnonzero(tracts.source == tracts.source[k]) if j != k]
        return not others or np.linalg.norm(pixel[others] - pixel[k, -1], axis=2).min() > 12

    k = next(k for k in np.argsort(-tracts.delay_ms) if alone(k) and tracts.delay_ms[k] < 150)
    delay = int(np.floor(tracts.delay_ms[k]))
    assert delay > 20
    only = {"neurons": False, "surface": 0.0}
    dark = luma(picture(stage, rest, camera, **only))

    def gain(age_ms, along):
        fired = replace(rest, pulses=rest.pulses.copy())
        fired.pulses[tracts.source[k], age_ms] = min(tracts.size[tracts.source[k]], 255)
        change = luma(picture(stage, fired, camera, **only)) - dark
        x, y = np.rint(pixel[k, round(along * 24)]).astype(int)
        return change[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max()

    assert gain(2, 0.0) > 20, "it leaves the source"
    assert gain(delay - 12, 1.0) < 6
    assert gain(delay + 2, 1.0) > 20


def test_pick_at_the_palm_returns_its_patch(newborn):
    """The palm's patch, projected to the screen from where the eye sees it, is what a click there finds."""
    stage, frame, _ = newborn
    at, turn = frame.geom_xpos, frame.geom_xmat
    for name in ("palm_left", "belly"):
        k = stage.parts.patch_names.index(name)
        spot = stage.parts.patches_at(at, turn)[k]
        best = None
        for azimuth in range(0, 360, 30):
            camera = stage.camera(frame, azimuth_deg=float(azimuth), elevation_deg=35.0)
            (x, y), _ = (v[0] for v in project(camera, SIZE, spot[None]))
            found = stage.pick(frame, camera, x, y)
            if found is not None and found.point is not None and found.patch == name:
                best = found
                break
        assert best is not None, name
        assert best.kind == "skin" and np.linalg.norm(best.point - spot) < 0.05
        assert np.allclose(project(camera, SIZE, best.point[None])[0][0], (x, y), atol=0.5), "it lies under the pixel"
        assert best.normal @ camera.axes()[2] > 0 and np.linalg.norm(best.normal) == pytest.approx(1.0, abs=1e-6)


def test_pick_finds_ground_neurons_and_sky(newborn, stimulate):
    stage, frame, _ = newborn
    camera = stage.camera(frame)
    assert stage.pick(frame, camera, SIZE[0] - 8, SIZE[1] - 8).kind == "ground"
    stage, frame, sim = stimulate
    camera = stage.camera(frame, azimuth_deg=180.0)  # from its left
    stage.draw(frame, camera, StageOptions())
    assert stage.pick(frame, camera, 3, 3) is None
    population = sim.network.select("*.Postcentral_L.l23")[0]
    hits = []
    at = places(stage, frame, camera, np.arange(population.first, population.first + population.count))
    for x, y in at[::5]:
        found = stage.pick(frame, camera, x, y)
        hits.append(found is not None and found.kind == "neuron" and found.region)
    regions = [hit for hit in hits if hit]
    assert len(regions) == len(hits) and np.mean([hit == "Postcentral_L" for hit in hits]) > 0.5


def test_interpolation_moves_the_body_part_of_the_way(newborn):
    stage, frame, _ = newborn
    later = replace(frame, geom_xpos=frame.geom_xpos + [0.1, 0.0, 0.0], time_s=frame.time_s + 0.1)
    at, _, lag = stage._between(later, (frame, 0.25))
    assert np.allclose(at - frame.geom_xpos, [0.025, 0, 0]) and lag == pytest.approx(75.0)


def test_muscles_redden_and_touched_skin_turns_blue(newborn):
    stage, frame, _ = newborn
    camera = stage.camera(frame)
    slack = replace(frame, activation=np.zeros_like(frame.activation), patch_rate=np.zeros_like(frame.patch_rate),
                    geom_tint=np.zeros_like(frame.geom_tint))  # fmt: skip
    before = picture(stage, slack, camera)
    pulled = picture(stage, replace(slack, activation=np.ones_like(frame.activation)), camera, "muscles") - before
    touched = picture(stage, replace(slack, patch_rate=np.full_like(frame.patch_rate, 100.0)), camera, "touch") - before
    for change, strong, weak in ((pulled, 0, 2), (touched, 2, 0)):
        where = np.abs(change).max(axis=2) > 20
        assert 0.0005 < where.mean() < 0.15
        assert change[where][:, strong].mean() > change[where][:, weak].mean() + 20
        if strong == 0:
            assert change[where][:, 1].mean() < -30, "red, not just bright"


def test_legend_and_labels(newborn):
    stage, frame, _ = newborn
    legend = stage.legend()
    assert [text.split(" ")[0] for text, _ in legend[:3]] == ["computed", "injected", "hand-set"]
    colours = np.array([colour for _, colour in legend])
    assert colours.min() >= 0 and colours.max() <= 1
    gap = np.linalg.norm(colours[:, None] - colours[None], axis=2) + 9 * np.eye(len(colours))
    assert gap[:3].min() > 0.25 and gap.min() > 0.1, "no colour stands for two things"
    assert {text for text, _ in legend} >= {name.replace("_", " ") for name in stage.network.structures}
    labels = stage.labels(frame, stage.camera(frame))
    assert {text for text, *_ in labels} >= {name.replace("_", " ") for name in stage.network.structures}
    assert all(0 <= x < SIZE[0] and 0 <= y < SIZE[1] for _, x, y, _ in labels)
    spots = np.array([(x, y) for _, x, y, _ in labels])
    gap = np.abs(spots[:, None] - spots[None]) + 99 * np.eye(len(spots))[:, :, None]
    assert not ((gap[..., 0] < 20) & (gap[..., 1] < 12)).any(), "no label is written over another"


def test_quality_levels_resize_and_selection(stimulate):
    """All qualities show the same thing, at the size asked for; a selection brightens its cells."""
    stage, frame, _ = stimulate
    camera = stage.camera(frame)
    pictures = [picture(stage, frame, camera, quality=q) for q in (0, 1, 2)]
    for one in pictures:
        assert abs(luma(one).mean() - luma(pictures[1]).mean()) < 5
    rest = quiet(frame, stage)
    chosen = picture(stage, rest, camera, selected="*.Calcarine_R.*") - picture(stage, rest, camera)
    assert (luma(chosen) > 8).sum() > 20 and (luma(chosen) < -8).sum() < 10
    stage.resize((322, 182))
    stage.draw(frame, camera, StageOptions())
    assert stage.read().shape == (182, 322, 3)
    stage.resize(SIZE)
    with pytest.raises(UserError, match="picture size"):
        stage.resize((10, 10))
