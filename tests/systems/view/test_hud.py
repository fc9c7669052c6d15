"""The panels by what a person would check: text in every panel, buttons and keys that do something, nothing outside."""

import numpy as np
import pytest

from engine.errors import UserError
from systems.simulation import load
from systems.view import commands as c
from systems.view.capture import Capture
from systems.view.frame import PALETTE
from systems.view.gl import offscreen_context
from systems.view.hud import Hud, UiState, layout
from systems.view.hud.hud import KEYS
from systems.view.hud.raster import BIN_MS, COLUMNS, Raster
from systems.view.monitor import Monitor
from systems.view.panel import BACK

SIZES = ((1280, 720), (640, 360))
ACTIONS = [("clap", "c"), ("hold upright", "w"), ("turn head left", "e")]


@pytest.fixture(scope="module")
def ctx():
    """Skips the module, with the reason, where there is no OpenGL."""
    try:
        context = offscreen_context()
    except UserError as error:
        pytest.skip(str(error))
    yield context
    context.release()


@pytest.fixture(scope="module")
def world():
    """(simulation, a frame with its numbers) after a finger was in the left palm."""
    sim = load("newborn")
    capture, monitor = Capture(sim), Monitor(sim)
    sim.run(300)
    sim.touch("palm_left", last="200 ms")
    sim.run(150)
    frame = capture.frame(1.2)
    frame.hud = monitor.data()
    capture.detach()
    monitor.detach()
    return sim, frame


class Screen:
    """A framebuffer with a Hud on it, and a mouse."""

    def __init__(self, ctx, sim, size, frame, window=False, **ui):
        self.ctx, self.frame, self.size = ctx, frame, size
        self.hud = Hud(sim, size, window=window, ctx=ctx)
        self.ui = UiState(actions=ACTIONS, **ui)
        with ctx:
            self.target = ctx.simple_framebuffer(size)
            self.stage = ctx.texture(size, 4, np.full((*size, 4), (90, 40, 160, 255), np.uint8).tobytes())

    def draw(self):
        self.target.use()
        return self.hud.draw(self.frame, self.stage.glo, self.ui)

    def picture(self) -> np.ndarray:
        with self.ctx:
            raw = self.target.read(components=3, alignment=1)
        return np.frombuffer(raw, np.uint8).reshape(self.size[1], self.size[0], 3)[::-1]

    def click(self, x, y) -> list:
        import pygame

        out = []
        still = {"rel": (0, 0), "buttons": (0, 0, 0)}
        for kind, more in (
            (pygame.MOUSEMOTION, still),
            (pygame.MOUSEBUTTONDOWN, {"button": 1}),
            (pygame.MOUSEBUTTONUP, {"button": 1}),
        ):
            self.hud.event(pygame.event.Event(kind, pos=(x, y), **more))
            out += self.draw()
        return out + self.draw()

    def press(self, name) -> list:
        x, y, w, h = self.hud.buttons[name]
        return self.click(x + w / 2, y + h / 2)

    def close(self):
        self.hud.release()
        with self.ctx:
            self.target.release()
            self.stage.release()


@pytest.fixture
def screen(ctx, world):
    made = []

    def make(size=(1280, 720), window=False, **ui):
        made.append(Screen(ctx, world[0], size, world[1], window, **ui))
        made[-1].draw()
        return made[-1]

    yield make
    for one in made:
        one.close()


def part(picture, rect):
    x, y, w, h = (round(v) for v in rect)
    return picture[max(y, 0) : y + h, max(x, 0) : x + w].astype(int)


@pytest.mark.parametrize("size", SIZES)
def test_every_panel_in_sight_has_ink(screen, size):
    """Where a panel is, a share of the pixels is bright: letters, not a blank and not a blot."""
    shown = screen(size, help=[("q", "close")])
    picture = shown.picture()
    names = ("Structures", "Spikes", "Reflexes", "State", "Brain", "Traces", "top", "bottom", "timeline")
    seen = [name for name in names if name in shown.hud.rects]
    assert {"Structures", "Spikes", "top", "bottom"} <= set(seen)
    if size == SIZES[0]:
        assert {"Reflexes", "State", "Brain", "Traces"} <= set(seen)
    for name in seen:
        region = part(picture, shown.hud.rects[name])
        ink = (np.abs(region - np.array(BACK)).max(axis=2) > 60).mean()
        assert 0.003 < ink < 0.6, (name, ink)


def test_the_words_are_there(screen):
    shown = screen(selected="cortex.Precentral_L.l5", message="saved a.h5", legend=[("injected", (1.0, 1.0, 0.0))])
    words = set(shown.hud.submitted)
    sim_names = {name.replace("_", " ") for name in shown.frame.hud.structures}
    assert sim_names <= words
    assert {"palm grasp, left", "knee jerk, right", "drive", "gate", "fired", "dopamine", "wake", "left front", "clap",
            "hold upright", "touch", "grab", "saved a.h5", "injected", "0.45 s", "1.20 x real time",
            "touch palm left", "cortex.Precentral_L.l5"} <= words  # fmt: skip


@pytest.mark.parametrize("size", [*SIZES, (1600, 900), (960, 540)])
def test_nothing_is_outside_and_the_stage_is_the_largest(screen, size):
    shown = screen(size, help_open=True, help=[("q", "close")] * 30)
    for name, (x, y, w, h) in [*shown.hud.rects.items(), *shown.hud.buttons.items()]:
        assert x >= -1 and y >= -1 and x + w <= size[0] + 1 and y + h <= size[1] + 1, (name, x, y, w, h)
    area = {name: w * h for name, (_, _, w, h) in shown.hud.rects.items() if name != "help"}
    assert max(area, key=area.get) == "stage" and area["stage"] >= 0.38 * size[0] * size[1]


def test_the_stage_is_seen_in_the_middle_only(screen):
    shown = screen()
    picture = shown.picture()
    x, y, w, h = shown.hud.stage_rect
    purple = np.abs(picture.astype(int) - (90, 40, 160)).max(axis=2) < 4
    assert purple[y : y + h, x : x + w].mean() > 0.75
    outside = purple.copy()
    outside[y : y + h, x : x + w] = False
    assert not outside.any()


def test_buttons_do_what_they_say(screen):
    shown = screen(selected="cortex.*")
    expected = {
        "reset": c.Reset(), "rewind": c.Rewind(1.0), "pause": c.Pause(), "tick": c.StepTicks(1), "frame": c.StepFrame(),
        "slower": c.Speed(0.5), "speed": c.Speed(1.0), "faster": c.Speed(2.0), "save": c.SaveState(),
        "load": c.LoadState(), "session": c.SaveSession(), "screenshot": c.Screenshot(), "record": c.RecordVideo(),
        "panels": c.Toggle("panels"), "help": c.Toggle("help_open"), "stimulate": c.Stimulate("cortex.*", 20.0),
        "inhibit": c.Inhibit("cortex.*", 20.0), "silence": c.Lesion("cortex.*"), "restore": c.Restore("cortex.*"),
        "tool grab": c.Tool("grab"), "tool touch": c.Tool("touch"), "action clap": c.SceneAction("clap"),
        "action turn head left": c.SceneAction("turn head left"),
    }  # fmt: skip
    for name, command in expected.items():
        assert shown.press(name) == [command], name
    assert set(shown.hud.buttons) - set(expected) - {"layout"} <= {
        *(f"tool {t}" for t in shown.ui.tools), *(f"action {a}" for a, _ in ACTIONS)
    }  # fmt: skip


def test_nothing_selected_nothing_done(screen):
    shown = screen()
    for name in ("stimulate", "inhibit", "silence", "restore"):
        assert shown.press(name) == []


def test_a_row_selects_and_the_tree_unfolds(screen):
    shown = screen()
    x, y, w, _ = shown.hud.rects["Structures"]
    found = [cmd for row in range(20, 60, 6) for cmd in shown.click(x + w / 2, y + row)]
    assert c.Select(f"{shown.frame.hud.structures[0]}.*") in found
    tree = shown.hud.tree
    before = len(tree.lines())
    tree.fold("cortex.*")
    assert len(tree.lines()) > before
    tree.search = "precentral_l l5"
    assert [line[2] for line in tree.lines() if line[0]] == ["cortex.Precentral_L.l5"]


def test_every_key_of_the_panels_is_handled_and_listed(screen):
    shown = screen(help_open=True)
    asked = []
    for keys, text in KEYS:
        assert keys in shown.hud.submitted and text in shown.hud.submitted
        for key in keys.replace(" and ", " ").split():
            assert shown.hud.press(key), key
            asked += shown.draw()
    assert {c.Toggle("panels"), c.Toggle("brain"), c.Toggle("surface"), c.Toggle("quality")} <= set(asked)
    assert not shown.hud.press("w")


def test_a_key_goes_to_the_search_field_while_it_is_written_in(screen):
    import pygame

    shown = screen()
    shown.hud.press("F3")
    for _ in range(5):
        shown.draw()
    for letter in "amy":
        event = pygame.event.Event(pygame.KEYDOWN, key=ord(letter), mod=0, unicode=letter)
        assert shown.hud.event(event)
        shown.draw()
    assert shown.hud.tree.search == "amy"


def test_the_stage_keeps_its_mouse(screen):
    import pygame

    shown = screen()
    x, y, w, h = shown.hud.stage_rect
    press = pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(x + w // 2, y + h // 3))
    lift = pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=(10, 300))
    assert not shown.hud.event(press)
    shown.draw()
    drag = pygame.event.Event(pygame.MOUSEMOTION, pos=(10, 300), rel=(0, 0), buttons=(1, 0, 0))
    assert not shown.hud.event(drag)  # a drag that began there stays its own over a panel
    assert not shown.hud.event(lift)
    panel = pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(10, 300))
    assert shown.hud.event(panel)


def test_the_raster_shows_a_spike_where_it_was(world, screen):
    """One cell, one tick: one bright cell of the texture, in its row, its column and its colour, and on the screen."""
    sim, _ = world
    raster = Raster(sim.network)
    p = sim.network.populations[0]
    raster.choose(p.name)
    cell = p.first + p.count - 1
    raster.update(1000, [(np.array([cell]), np.array([900]))])
    bright = np.argwhere((raster.pixels[..., :3] == PALETTE[0]).all(axis=2))
    assert bright.tolist() == [[raster.row_of[cell], 900 // BIN_MS]]
    age = (raster.column - 900 // BIN_MS) % COLUMNS
    assert age == (999 - 900) // BIN_MS
    raster.update(1000 + BIN_MS * (COLUMNS - 21), [])  # time goes on: it leaves at the left
    assert (raster.pixels[..., :3] == PALETTE[0]).all(axis=2).sum() == 1
    raster.update(1000 + BIN_MS * (COLUMNS + 1), [])
    assert not (raster.pixels[..., :3] == PALETTE[0]).all(axis=2).any()

    shown = screen()
    shown.hud.choose_raster(p.name)
    data = shown.frame.hud
    kept, now = data.spikes, data.tick
    try:
        data.spikes = ((np.array([cell], np.int32), np.array([now - 300], np.int32)),)
        shown.draw()
        picture = shown.picture()
    finally:
        data.spikes = kept
    x, y, w, h = shown.hud.rects["raster"]
    region = part(picture, (x + 8, y, w - 8, h))
    hit = np.argwhere(np.abs(region - np.array(PALETTE[0])).max(axis=2) < 40)
    hit = hit[hit[:, 1] > 200]  # not the band's name
    assert len(hit)
    assert (hit[:, 1].mean() + 8) / w == pytest.approx(1.0 - 0.3 / 2.0, abs=0.01)
    row = (shown.hud.raster.row_of[cell] + 0.5) / shown.hud.raster.rows
    assert hit[:, 0].mean() / h == pytest.approx(row, abs=0.05)


def test_raster_in_pieces_is_the_raster_at_once(world):
    sim, frame = world
    whole, pieces = Raster(sim.network), Raster(sim.network)
    blocks, now = frame.hud.spikes, frame.hud.tick
    whole.update(now, blocks)
    for tick in (3, 50, 51, 190, 333, now):
        pieces.update(tick, blocks)
    assert np.array_equal(whole.pixels, pieces.pixels)
    assert (whole.pixels[..., :3] != whole.pixels[0, -1, :3]).any(axis=2).sum() > 50


def test_the_layout_is_remembered(screen, tmp_path, monkeypatch):
    """What a user moved is there again; off-screen nothing is read or written; a broken file is no layout."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    screen()
    assert not list(tmp_path.rglob("*"))
    first = screen(window=True)
    usual = first.hud.stage_rect
    x, y, w, h = usual
    import pygame

    def at(kind, px, py, **more):
        first.hud.event(pygame.event.Event(kind, pos=(px, py), **more))
        first.draw()

    edge = (x + w + 1, y + h // 2)  # the splitter between the stage and the right column
    at(pygame.MOUSEMOTION, *edge, rel=(0, 0), buttons=(0, 0, 0))
    at(pygame.MOUSEBUTTONDOWN, *edge, button=1)
    at(pygame.MOUSEMOTION, edge[0] - 100, edge[1], rel=(0, 0), buttons=(1, 0, 0))
    at(pygame.MOUSEBUTTONUP, edge[0] - 100, edge[1], button=1)
    moved = first.hud.stage_rect
    assert moved[2] == pytest.approx(w - 100, abs=3)
    first.hud.release()
    file = layout.layout_file(False)
    assert file.is_file() and [f.name for f in file.parent.iterdir()] == [file.name]
    second = screen(window=True)
    assert second.hud.stage_rect == pytest.approx(moved, abs=2)
    second.hud.press("F2")
    second.draw()
    assert second.hud.stage_rect == pytest.approx(usual, abs=2)
    second.hud.release()
    file.write_bytes(b"\xff\xfe\x00broken")
    assert screen(window=True).hud.stage_rect == pytest.approx(usual, abs=2)


def test_a_window_changes_its_size(screen):
    shown = screen()
    shown.hud.resize((640, 360))
    assert shown.hud.compact
    shown.hud.resize((1000, 700))
    shown.target.use()
    with shown.ctx:
        shown.target.release()
        shown.target = shown.ctx.simple_framebuffer((1000, 700))
    shown.size = (1000, 700)
    shown.draw()
    shown.draw()
    x, y, w, h = shown.hud.stage_rect
    assert w * h >= 0.3 * 1000 * 700 and x + w <= 1000 and y + h <= 700


def test_panels_away(screen):
    shown = screen(panels=False)
    x, _, w, h = shown.hud.stage_rect
    assert (x, w) == (0, 1280) and h >= 640
    assert "Structures" not in shown.hud.submitted and "0.45 s" in shown.hud.submitted


def test_gl_state_is_as_it_was(screen):
    """Whoever draws next finds no scissor, no blending, and its viewport."""
    shown = screen()
    ctx = shown.ctx
    with ctx:
        assert shown.target.scissor in (None, (0, 0, *shown.size))
        assert shown.target.viewport == (0, 0, *shown.size)
        shown.target.use()
        shown.target.clear(1.0, 0.0, 0.0, 1.0)
    assert (shown.picture() == (255, 0, 0)).all()


def test_a_scene_without_body_or_numbers(ctx, world):
    """A frame that has no panel data yet is drawn too."""
    sim, _ = world
    from systems.view.frame import ViewFrame

    shown = Screen(ctx, sim, (800, 600), ViewFrame(time_s=1.0, title="x"))
    assert shown.draw() == []
    assert "x" in shown.hud.submitted
    shown.close()
