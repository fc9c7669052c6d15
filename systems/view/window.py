"""The window of `encephagen play`: a simulation in its own thread, drawn, touched and steered by mouse and keyboard.

GL, pygame and imgui belong to the main thread; the simulation to the player's. Input becomes commands
(systems/view/commands.py): those about the picture are done here, the others are posted to the player.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from engine.errors import UserError
from systems.view import commands as c
from systems.view.hands import TOOLS, Hands
from systems.view.player import FPS, Player

SIZE = (1280, 720)
MIN_SIZE = (640, 360)
UNSEEN = ("offscreen", "dummy", "evdev")  # what SDL falls back to where there is no display
PACKAGES = "apt-get install --no-install-recommends libgl1 libgl1-mesa-dri"
SPEEDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, math.inf)
CLICK_PX = 4  # a press that moves less is a click
KEYBOARD_CM = 1.0  # a step of a grabbed limb
MESSAGE_S = 5.0
FULL_FPS, SPARING_FPS = 60.0, 18.0
LEAST_FPS, AMPLE_FPS = 16.0, 28.0  # where a processor draws: the stage gets coarser below and finer above
EASE_EVERY_S, EASE_STEP, LEAST_DETAIL = 2.0, 0.1, 0.6
SWITCH_S = 3e-4  # between kernels, which run without it, the simulation waits at most this long for Python's lock

HELP = (  # (keys, what they do); the actions of the scene follow
    ("left button on skin", "use the tool; shift pinches, ctrl pricks, alt strokes"),
    ("left button on a neuron", "select its population; again: its region; again: its structure"),
    ("left button elsewhere, right button", "orbit"),
    ("middle button, shift + right", "pan"),
    ("wheel", "zoom; while a limb is held: nearer, farther"),
    ("1 2 3 4 5", "touch, pinch, prick, stroke, grab"),
    ("t, shift t", "next, previous patch of skin for the keyboard"),
    ("enter", "use the tool on that patch while held; arrows move what is grabbed"),
    ("arrows, page up/down, home", "orbit, zoom, back to the start; shift: pan"),
    ("f", "follow the body, or not"),
    ("n, p", "select the next, previous population; shift: structure"),
    ("s, i", "stimulate, inhibit the selection; again: end it"),
    ("l, u", "lesion the selection, undo it"),
    ("space", "pause, go on"),
    ("period, comma", "one tick, one picture forward, paused"),
    ("plus, minus, 0", "faster, slower, real time"),
    ("backspace, shift backspace", "back 1 s, 10 s"),
    ("r", "start again"),
    ("F5, F9", "save the state, load the last one"),
    ("F6", "save the session as a scene"),
    ("F12, v", "screenshot; record an MP4, stop recording"),
    ("h, F1", "this help"),
    ("escape, q", "let go and close help; close the window"),
)


_X_HANDLER = []  # kept, or the display would call freed memory


def _keep_from_ending() -> None:
    """Let X errors pass: its library ends the program at the first one, as where a driver for GLX is missing."""
    if not sys.platform.startswith("linux") or _X_HANDLER:
        return
    import ctypes

    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    _X_HANDLER.append(kind(lambda display, event: 0))
    x11.XSetErrorHandler.restype = ctypes.c_void_p
    x11.XSetErrorHandler(_X_HANDLER[0])


def open_gl(size: tuple[int, int], title: str):
    """(pygame, window, moderngl context) of a new window; one clear line where that cannot be."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if sys.platform.startswith("linux") and not os.environ.get("WAYLAND_DISPLAY"):
        os.environ.setdefault("SDL_VIDEODRIVER", "x11")  # or a missing display is a tale of all the others
    import pygame

    try:
        pygame.display.init()
        if pygame.display.get_driver() in UNSEEN:
            raise pygame.error(f"only {pygame.display.get_driver()}")
    except pygame.error as error:
        pygame.display.quit()
        raise UserError(f"no display for a window ({error}); --video FILE.mp4 draws without one, xvfb-run in a virtual "
                        "one: apt-get install xvfb") from None  # fmt: skip
    for attribute, value in (
        (pygame.GL_CONTEXT_MAJOR_VERSION, 3), (pygame.GL_CONTEXT_MINOR_VERSION, 3),
        (pygame.GL_CONTEXT_PROFILE_MASK, pygame.GL_CONTEXT_PROFILE_CORE),
        (pygame.GL_CONTEXT_FLAGS, pygame.GL_CONTEXT_FORWARD_COMPATIBLE_FLAG if sys.platform == "darwin" else 0),
        (pygame.GL_DOUBLEBUFFER, 1),
    ):  # fmt: skip
        pygame.display.gl_set_attribute(attribute, value)
    _keep_from_ending()
    try:
        window = pygame.Window(title, size, opengl=True, resizable=True, allow_high_dpi=True)
        window.minimum_size = MIN_SIZE
    except pygame.error as error:
        pygame.display.quit()
        raise UserError(f"no OpenGL 3.3 driver for a window ({error}); install one: {PACKAGES}; "
                        "--video FILE.mp4 draws without a window") from None  # fmt: skip
    import moderngl

    try:
        ctx = moderngl.create_context(require=330)
    except Exception as error:  # glcontext raises bare Exception, moderngl ValueError
        pygame.display.quit()
        raise UserError(f"OpenGL 3.3 is needed ({error}); a newer driver: {PACKAGES}") from None
    return pygame, window, ctx


def eased(detail: float, fps: float) -> float:
    """The stage's detail 0.6..1 after one look at the pictures per second."""
    step = -EASE_STEP if 0.0 < fps < LEAST_FPS else EASE_STEP if fps > AMPLE_FPS else 0.0
    return round(min(1.0, max(LEAST_DETAIL, detail + step)), 6)


class Window:
    """One window on one simulation; `run` returns when it is closed. `status` is a file for tests: JSON lines."""

    def __init__(self, sim, *, size: tuple[int, int] = SIZE, until: int | None = None, status: str | None = None,
                 folder: Path | None = None):  # fmt: skip
        self.sim, self.until, self.folder = sim, until, folder or Path.cwd()
        self._resources = ExitStack()
        self.player = self._film = None
        self.pygame, self.window, self.ctx = open_gl(size, f"encephagen: {sim.source.name}")
        try:
            self._make(sim, status)
        except BaseException:
            self.close()
            raise

    def _make(self, sim, status: str | None) -> None:
        from systems.view.capture import Capture
        from systems.view.hud import Hud
        from systems.view.hud.state import UiState
        from systems.view.monitor import Monitor
        from systems.view.stage import Stage, StageOptions

        self.size = self.ctx.screen.size
        self.ratio = self.size[0] / max(self.window.size[0], 1)  # pixels per unit of the mouse's coordinates
        self._status = self._keep_open(open(status, "w", buffering=1)) if status else None  # noqa: SIM115
        self.hands = Hands(sim)
        self.stage = Stage(self.ctx, sim, self.size)
        self._resources.callback(self.stage.release)
        self.options = StageOptions()
        self.hud = Hud(sim, self.size, window=True, ctx=self.ctx)
        self.hud.pointer_scale = self.ratio
        self._resources.callback(self.hud.release)
        self._rect = (0, 0, *self.size)  # where the stage is seen: x, y, width, height in pixels, y down
        self.ui = UiState(legend=self.stage.legend())
        self.ui.actions = [(action.name, action.key or "") for action in sim.timeline.actions]
        self.ui.help = [*HELP, *((key, name) for name, key in self.ui.actions if key)]
        capture, monitor = Capture(sim), Monitor(sim)
        self._resources.callback(capture.detach)
        self._resources.callback(monitor.detach)
        self.player = Player(sim, capture, monitor, folder=self.folder, until=self.until)
        self.camera = None
        self.follow = True
        self._selectors = self._all_selectors(sim)
        self._down: tuple | None = None  # (button, what the drag does, x, y)
        self._shown_s = self._turned = -1.0
        self._message, self._message_at = "", -math.inf
        self._heard = 0
        self._frames = 0
        self._frame_walls: list[float] = []
        self.running = True
        self._frame = None
        self._eased_at = time.perf_counter()
        self._speed = self.player.status.speed
        self._film_at = 0

    def _keep_open(self, file):
        self._resources.callback(file.close)
        return file

    @staticmethod
    def _all_selectors(sim) -> list[str]:
        """Everything the keyboard can select: structures, then what is in them."""
        if sim.network is None:
            return []
        found: dict[str, dict[str, None]] = {}
        for p in sim.network.populations:
            inside = found.setdefault(p.structure, {})
            inside[f"{p.structure}.{p.instance}.*"] = inside[f"{p.structure}.*.{p.cell_name}"] = None
        return [s for structure, inside in found.items() for s in (f"{structure}.*", *inside)]

    # the loop ---------------------------------------------------------------------------------------------------
    def run(self, stop=lambda: False) -> None:
        """Until the window is closed, the tick `until` is reached or `stop()` is true (Ctrl-C)."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        self.player.start()
        try:
            while self.running and not stop():
                started = time.perf_counter()
                for event in self.pygame.event.get():
                    self._event(event)
                self._draw()
                self._ease()
                if self.until is not None and self.player.status.tick >= self.until:
                    self.running = False
                left = 1.0 / self._pace() - (time.perf_counter() - started)
                if left > 0:
                    time.sleep(left)
        finally:
            sys.setswitchinterval(before)
            self.close()

    def _pace(self) -> float:
        """Pictures per second to draw at most: fewer where the simulation cannot keep up beside them."""
        status = self.player.status
        behind = not status.paused and status.realtime_x < 0.97 * status.speed
        return SPARING_FPS if behind else FULL_FPS

    def _ease(self) -> None:
        """Every two seconds: a coarser stage where a processor draws too slowly, a finer one with time to spare."""
        from systems.view.gl import is_software

        now = time.perf_counter()
        if now - self._eased_at < EASE_EVERY_S or not is_software(self.ctx):
            return
        self._eased_at = now
        self.options.detail = eased(self.options.detail, self.fps)

    def close(self) -> None:
        """Stop the simulation, finish the film, free the driver; closing twice is harmless."""
        if self.player is not None:
            self.player.close()
        film, self._film = self._film, None
        if film is not None:
            film.close() if film.frame_count else film.abort()
        self._resources.close()
        if self.window is not None:
            self.window.destroy()
            self.window = None
            self.pygame.display.quit()

    def _draw(self) -> None:
        latest = self.player.latest()
        if latest is None:
            return
        older, frame, share = latest
        if self.camera is None:  # a picture first: it tells the room that the panels leave, which the camera fills
            self.camera = self._home(frame)
            compose(self, frame, None, self.ctx.screen)
            self.stage.resize((max(self._rect[2], 64), max(self._rect[3], 36)))
            self.camera = self._home(frame)
        elapsed = frame.time_s - self._shown_s
        if (
            self.follow
            and self.stage.body is not None
            and frame.geom_xpos is not None
            and elapsed
            and self._shown_s >= 0
        ):
            self._follow(frame, elapsed)
        self._shown_s, self._frame = frame.time_s, frame
        status = self.player.status
        if status.message_number != self._heard:
            self._heard = status.message_number
            self.say(status.message)
        ui = self.ui
        ui.paused, ui.speed, ui.tool, ui.size = status.paused, status.speed, self.hands.tool, self.size
        ui.recording, ui.fps, ui.dropped_s = self._film is not None, self.fps, status.dropped_s
        ui.can_rewind_s = status.can_rewind_s
        ui.message = self._message if time.perf_counter() - self._message_at < MESSAGE_S else ""
        import moderngl

        try:
            commands = compose(self, frame, (older, share) if older is not frame else None, self.ctx.screen)
            if self._film is not None:
                self._shoot(frame)
            self.window.flip()
        except (moderngl.Error, self.pygame.error) as error:
            raise UserError(f"the graphics device was lost ({error}); LIBGL_ALWAYS_SOFTWARE=1 draws without it, with "
                            f"{PACKAGES}") from error  # fmt: skip
        for command in commands or ():
            self.do(command)
        self._frames += 1
        now = time.perf_counter()
        self._frame_walls = [t for t in self._frame_walls if now - t < 2.0] + [now]
        if self._status is not None:
            self._report(frame)

    def _home(self, frame):
        self._shift = None
        return home(self.stage, frame, self.options, self.sim.scene.view)

    def _follow(self, frame, elapsed: float) -> None:
        """Keep the body where it is in the picture as it moves."""
        centre = self.stage.body.centre(np.nan_to_num(frame.geom_xpos))
        if self._shift is None or elapsed < 0:
            self._shift = np.asarray(self.camera.target) - centre
        self.camera.follow(centre + self._shift, elapsed if elapsed > 0 else 1e3)

    @property
    def fps(self) -> float:
        """Pictures per wall second, lately."""
        t = self._frame_walls
        return (len(t) - 1) / (t[-1] - t[0]) if len(t) > 1 and t[-1] > t[0] else 0.0

    def say(self, text: str) -> None:
        self._message, self._message_at = text, time.perf_counter()

    # events -----------------------------------------------------------------------------------------------------
    def _event(self, event) -> None:
        pygame = self.pygame
        if event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
            self.do(c.Quit())
            return
        if event.type in (pygame.WINDOWRESIZED, pygame.WINDOWSIZECHANGED):
            self._resize()
            return
        if event.type == pygame.WINDOWFOCUSLOST:
            self._do_all(self.hands.release())
        if self.hud.event(event) and event.type != pygame.MOUSEBUTTONUP:
            return
        if self._frame is None or self.camera is None:
            return
        if event.type == pygame.MOUSEBUTTONDOWN and event.button in (1, 2, 3):
            self._press(event)
        elif event.type == pygame.MOUSEBUTTONUP:
            self._release(event)
        elif event.type == pygame.MOUSEMOTION and self._down is not None:
            self._move(event)
        elif event.type == pygame.MOUSEWHEEL:
            if self.hands.grasp is not None:
                self._do_all(self.hands.carry(0.02 * event.y * self.camera.axes()[2]))
            else:
                self.do(c.Camera(zoom=0.9**event.y))
        elif event.type == pygame.KEYDOWN:
            self._key(event)
        elif event.type == pygame.KEYUP and event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            self._do_all(self.hands.release())

    def _resize(self) -> None:
        width, height = (max(round(side * self.ratio), 16) for side in self.window.size)
        if (width, height) == tuple(self.size) or width < 64 or height < 36:
            return
        self.size = (width, height)
        self._finish_film("the window changed its size")
        self.hud.resize(self.size)

    def _at(self, event) -> tuple[float, float]:
        """Where the pointer is, in pixels of the stage."""
        return event.pos[0] * self.ratio - self._rect[0], event.pos[1] * self.ratio - self._rect[1]

    def _press(self, event) -> None:
        pygame, (x, y) = self.pygame, self._at(event)
        keys = pygame.key.get_mods()
        if event.button == 2 or (event.button == 3 and keys & pygame.KMOD_SHIFT):
            self._down = (event.button, "pan", x, y)
            return
        if event.button == 3:
            self._down = (3, "orbit", x, y)
            return
        pick = self.stage.pick(self._frame, self.camera, x, y)
        what = "orbit"
        if pick is not None and pick.kind in ("skin", "part"):
            tool = self.hands.tool
            for key, instead in (
                (pygame.KMOD_SHIFT, "pinch"),
                (pygame.KMOD_CTRL, "prick"),
                (pygame.KMOD_ALT, "stroke"),
            ):
                if keys & key:
                    tool = instead
            acts = self.hands.press(pick, self._frame, self.camera, tool)
            if acts:
                what = "hands"
                self._do_all(acts)
                self.ui.picked = pick
                if pick.patch is not None:
                    self.hands.patch = pick.patch if pick.patch in self.hands.patches else self.hands.patch
        elif pick is not None and pick.kind == "neuron":
            self.do(c.Select(pick))
        self._down = (1, what, x, y)

    def _release(self, event) -> None:
        if self._down is not None and event.button == self._down[0]:
            if self._down[1] == "hands":
                self._do_all(self.hands.release())
            self._down = None

    def _move(self, event) -> None:
        button, what, x0, y0 = self._down
        x, y = self._at(event)
        dx, dy = x - x0, y - y0
        self._down = (button, what, x, y)
        height = self.stage.size[1]
        if what == "orbit":
            self.do(c.Camera(azimuth_deg=-180.0 * dx / height, elevation_deg=180.0 * dy / height))
        elif what == "pan":
            self.do(c.Camera(right=-dx / height, up=dy / height))
        elif self.hands.grasp is not None:
            self._do_all(self.hands.drag(dx, dy, self.camera, height))
        elif self.hands.stroking:
            self._do_all(self.hands.stroke(self.stage.pick(self._frame, self.camera, x, y)))

    def _key(self, event) -> None:
        pygame = self.pygame
        shift = bool(event.mod & pygame.KMOD_SHIFT)
        name = pygame.key.name(event.key)
        steps = {pygame.K_LEFT: (-1, 0), pygame.K_RIGHT: (1, 0), pygame.K_UP: (0, 1), pygame.K_DOWN: (0, -1)}
        if event.key in steps:
            self._arrow(*steps[event.key], shift)
            return
        if event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            if not self.hands.busy and self.hands.patch is not None:
                self._do_all(self._by_keyboard())
            return
        if event.unicode in ("+", "-", "=", "0") and event.unicode:
            self._faster({"+": 1, "=": 1, "-": -1, "0": 0}[event.unicode])
            return
        plain = {
            pygame.K_SPACE: c.Pause(), pygame.K_PERIOD: c.StepTicks(1), pygame.K_COMMA: c.StepFrame(),
            pygame.K_BACKSPACE: c.Rewind(10.0 if shift else 1.0), pygame.K_r: c.Reset(), pygame.K_F5: c.SaveState(),
            pygame.K_F9: c.LoadState(), pygame.K_F6: c.SaveSession(), pygame.K_F12: c.Screenshot(),
            pygame.K_v: c.RecordVideo(), pygame.K_h: c.Toggle("help_open"), pygame.K_F1: c.Toggle("help_open"),
            pygame.K_f: c.Camera(follow=not self.follow), pygame.K_HOME: c.Camera(home=True), pygame.K_q: c.Quit(),
            pygame.K_PAGEUP: c.Camera(zoom=0.85), pygame.K_PAGEDOWN: c.Camera(zoom=1 / 0.85),
        }  # fmt: skip
        if event.key in plain:
            self.do(plain[event.key])
        elif name in "12345"[: len(TOOLS)] and len(name) == 1:
            self.do(c.Tool(TOOLS[int(name) - 1]))
        elif event.key == pygame.K_t:
            patch = self.hands.next_patch(-1 if shift else 1)
            self.say(f"patch: {patch}" if patch else "this body has no skin to touch")
        elif event.key in (pygame.K_n, pygame.K_p):
            self._select_next(1 if event.key == pygame.K_n else -1, shift)
        elif event.key in (pygame.K_s, pygame.K_i, pygame.K_l, pygame.K_u):
            self._on_selection(name)
        elif event.key == pygame.K_ESCAPE:
            self._do_all(self.hands.release())
            self.ui.help_open = False
            self.do(c.Select(None))
        elif any(name == key for _, key in self.ui.actions):
            self.do(c.SceneAction(next(action for action, key in self.ui.actions if key == name)))

    def _by_keyboard(self) -> list[c.Command]:
        """The tool on the chosen patch; to grab is to take the part it is on by its middle."""
        hands, frame = self.hands, self._frame
        if hands.tool != "grab":
            return hands.touch(hands.patch)
        parts = self.stage.parts
        place = parts.patches_at(frame.geom_xpos, frame.geom_xmat)[parts.patch_names.index(hands.patch)]
        part = int(parts.patch_body[parts.patch_names.index(hands.patch)])
        geom = next((g for g in np.flatnonzero(hands._geom_body == part)), None)
        if geom is None:
            return []
        from systems.view.pick import Pick

        return hands.press(Pick("part", parts.names[part], int(geom), point=place), frame, self.camera, "grab", "key")

    def _arrow(self, dx: int, dy: int, shift: bool) -> None:
        if self.hands.grasp is not None:
            right, up, _ = self.camera.axes()
            self._do_all(self.hands.carry(KEYBOARD_CM / 100.0 * (dx * right + dy * up)))
        elif shift:
            self.do(c.Camera(right=0.05 * dx, up=0.05 * dy))
        else:
            self.do(c.Camera(azimuth_deg=8.0 * dx, elevation_deg=5.0 * dy))

    def _faster(self, step: int) -> None:
        now = self._speed  # as asked last: the player tells of it with the next frame only

        def away(k: int) -> float:
            both = math.isfinite(SPEEDS[k]) and math.isfinite(now)
            return abs(math.log(SPEEDS[k] / now)) if both else 0.0 if SPEEDS[k] == now else math.inf

        here = min(range(len(SPEEDS)), key=away)
        there = SPEEDS.index(1.0) if step == 0 else min(max(here + step, 0), len(SPEEDS) - 1)
        self.do(c.Speed(SPEEDS[there]))
        self.say("as fast as it goes" if math.isinf(SPEEDS[there]) else f"{SPEEDS[there]:g} x real time")

    # selection --------------------------------------------------------------------------------------------------
    def _select(self, pick) -> None:
        """A neuron's population, at the next click its region, then its structure, or a selector as it is."""
        if pick is None or isinstance(pick, str):
            selector = pick
        else:
            if pick.population is None:
                return
            region = f"{pick.structure}.{pick.region}.*"
            wider = {pick.population: region, region: f"{pick.structure}.*"}
            selector = wider.get(self.ui.selected, pick.population)
        self.ui.selected = selector
        self.options.selected = selector
        if selector is not None:
            self.say(f"selected {selector}")

    def _select_next(self, step: int, by_structure: bool) -> None:
        names = [s for s in self._selectors if s.count(".") == 1] if by_structure else self._selectors
        if not names:
            self.say("this scene has no brain")
            return
        here = self.ui.selected
        if here in names:
            at = names.index(here) + step
        elif by_structure and here is not None:
            at = next((k for k, s in enumerate(names) if here.startswith(s[:-1])), 0) + step
        else:
            at = 0 if step > 0 else len(names) - 1
        self._select(names[at % len(names)])

    def _on_selection(self, key: str) -> None:
        selector = self.ui.selected
        if selector is None:
            self.say("nothing is selected: click a neuron, or n and p")
            return
        doing = self.player.status.doing
        if key in "si":
            kind = c.Stimulate if key == "s" else c.Inhibit
            self.do(kind(selector, 0.0 if selector in doing else 20.0))
        else:
            self.do((c.Lesion if key == "l" else c.Restore)(selector))

    # commands ---------------------------------------------------------------------------------------------------
    def _do_all(self, commands: list[c.Command]) -> None:
        for command in commands:
            self.do(command)

    def do(self, command: c.Command) -> None:
        """Do it here if it is about the picture, else let the player do it."""
        if isinstance(command, c.Speed):
            self._speed = command.x
        if isinstance(command, c.Quit):
            self.running = False
        elif isinstance(command, c.Camera):
            self._move_camera(command)
        elif isinstance(command, c.Select):
            self._select(command.pick)
        elif isinstance(command, c.Tool):
            if command.name in TOOLS:
                self.hands.tool = command.name
                self.say(f"tool: {command.name}")
        elif isinstance(command, c.Toggle):
            self._toggle(command)
        elif isinstance(command, c.Screenshot):
            self._screenshot(command)
        elif isinstance(command, c.RecordVideo):
            self._record(command)
        else:
            self.player.post(command)

    def _move_camera(self, command: c.Camera) -> None:
        if self.camera is None:
            return
        if command.home:
            self.camera = self._home(self._frame)
            return
        camera = self.camera
        camera.azimuth_deg += command.azimuth_deg
        camera.elevation_deg = float(np.clip(camera.elevation_deg + command.elevation_deg, -85.0, 89.0))
        camera.distance = float(np.clip(camera.distance * command.zoom, 1e-2, 1e3))
        if command.right or command.up:
            right, up, _ = camera.axes()
            metres = 2.0 * camera.distance * math.tan(math.radians(camera.fov_deg) / 2)
            camera.target = camera.target + metres * (command.right * right + command.up * up)
            self._shift = None
        if command.follow is not None:
            self.follow = command.follow
            self._shift = None
            self.say("the camera follows" if self.follow else "the camera stays")

    def _toggle(self, command: c.Toggle) -> None:
        for holder in (self.options, self.ui):
            value = getattr(holder, command.option, None)
            if isinstance(value, bool):
                setattr(holder, command.option, not value if command.on is None else command.on)
                return
        if command.option == "brain":
            places = ("beside", "inside", "none")
            self.options.brain = places[(places.index(self.options.brain) + 1) % len(places)]
        elif command.option == "surface":
            self.options.surface = {0.6: 1.0, 1.0: 0.0}.get(self.options.surface, 0.6)
        elif command.option == "quality":
            self.options.quality = (self.options.quality + 1) % 3

    # pictures ---------------------------------------------------------------------------------------------------
    def picture(self) -> np.ndarray:
        """What the window shows, uint8 RGB [height, width, 3], first row on top."""
        width, height = self.size
        raw = self.ctx.screen.read(viewport=(0, 0, width, height), components=3, alignment=1)
        return np.frombuffer(raw, np.uint8).reshape(height, width, 3)[::-1]

    def _free(self, what: str, suffix: str) -> Path:
        return self.player._free(what, suffix)

    def _screenshot(self, command: c.Screenshot) -> None:
        try:
            path = Path(command.path) if command.path is not None else self._free("shot", ".png")
            write_png(path, self.picture())
        except UserError as error:
            self.say(str(error))
            return
        self.say(f"saved {path.name}")

    def _record(self, command: c.RecordVideo) -> None:
        wanted = self._film is None if command.on is None else command.on
        if not wanted:
            self._finish_film("")
            return
        if self._film is not None:
            return
        from systems.view.video import VideoWriter

        try:
            path = Path(command.path) if command.path is not None else self._free("video", ".mp4")
            self._film = VideoWriter(path, (self.size[0] // 2 * 2, self.size[1] // 2 * 2), FPS)
        except UserError as error:
            self.say(str(error))
            return
        self._film_at = None
        self.say(f"recording {path.name}")

    def _shoot(self, frame) -> None:
        """As many pictures as simulated time has gone on, 30 a second, so that the film runs in simulated time."""
        number = math.floor(frame.time_s * FPS)
        if self._film_at is None or number < self._film_at:  # begins, or time was taken back
            self._film_at = number - 1
        picture = None
        try:
            for _ in range(min(number - self._film_at, FPS)):
                picture = self.picture()[: self._film.size[1], : self._film.size[0]] if picture is None else picture
                self._film.write(picture)
        except UserError as error:
            self._film = None
            self.say(str(error))
        self._film_at = number

    def _finish_film(self, why: str) -> None:
        film, self._film = self._film, None
        if film is None:
            return
        if not film.frame_count:
            film.abort()
            self.say("nothing was recorded")
            return
        try:
            film.close()
        except UserError as error:  # a full disk ends the film, not the window
            self.say(str(error))
            return
        self.say(f"saved {film.path.name}" + (f": {why}" if why else ""))

    # for tests --------------------------------------------------------------------------------------------------
    def _report(self, frame) -> None:
        """One JSON line of how things stand."""
        status, places = self.player.status, {}
        parts = getattr(self.stage, "parts", None)
        if parts is not None and parts.patch_names and frame.geom_xpos is not None:
            from systems.view.pick import project

            pixel, _ = project(self.camera, self.stage.size, parts.patches_at(frame.geom_xpos, frame.geom_xmat))
            pixel = (pixel + self._rect[:2]) / self.ratio
            places = {name: at.tolist() for name, at in zip(parts.patch_names, pixel, strict=True)}
        line = {
            "frame": self._frames, "tick": status.tick, "paused": status.paused, "speed": str(status.speed),
            "fps": round(self.fps, 2), "realtime_x": round(status.realtime_x, 3), "dropped_s": status.dropped_s,
            "message": self._message, "selected": self.ui.selected, "tool": self.hands.tool, "size": list(self.size),
            "doing": status.doing, "lesions": status.lesions, "afferents": frame.afferents, "muscles": frame.muscles,
            "places": places, "stage": [x / self.ratio for x in self._rect],
            "recording": self._film is not None, "help": self.ui.help_open,
            "window": self.window.handle, "azimuth_deg": self.camera.azimuth_deg, "mark_ms": self.player.mark_ms,
        }  # fmt: skip
        self._status.write(json.dumps(line) + "\n")


def compose(view, frame, between, target) -> list[c.Command]:
    """One picture of a view (its stage, hud, ui, options, camera, size and _rect) into a framebuffer.

    The stage is drawn at the size at which the panels show it; what is asked for at the panels is returned.
    """
    stage, hud, ui = view.stage, view.hud, view.ui
    if tuple(stage.size) != (max(view._rect[2], 64), max(view._rect[3], 36)):
        stage.resize((max(view._rect[2], 64), max(view._rect[3], 36)))
    stage.draw(frame, view.camera, view.options, between)
    ui.stage_rect, ui.labels, ui.size = view._rect, stage.labels(frame, view.camera), view.size
    with view.ctx:  # stage and panels enter it too, and such blocks must not be nested
        target.use()
        view.ctx.viewport = (0, 0, *view.size)
        view.ctx.clear(0.0, 0.0, 0.0)
    commands = hud.draw(frame, stage.texture.glo, ui)
    view._rect = tuple(hud.stage_rect)
    return commands


def home(stage, frame, options, view):
    """Where the scene wants the camera; what it leaves out, the stage chooses."""
    fixed = {}
    if view.azimuth is not None:
        fixed["azimuth_deg"] = math.degrees(view.azimuth)
    if view.elevation is not None:
        fixed["elevation_deg"] = math.degrees(view.elevation)
    camera = stage.camera(frame, options, **fixed)
    if view.distance is not None:
        camera.distance = view.distance / 1000.0
    return camera


def write_png(path: Path, picture: np.ndarray) -> None:
    """A uint8 RGB picture as a PNG, all or nothing."""
    import tempfile

    import pygame

    if not path.parent.is_dir():
        raise UserError(f"{path}: folder {path.parent} does not exist")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".png", dir=path.parent)
        os.close(handle)
        surface = pygame.image.frombuffer(np.ascontiguousarray(picture).tobytes(), picture.shape[1::-1], "RGB")
        pygame.image.save(surface, temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except (OSError, pygame.error) as error:
        raise UserError(f"{path}: cannot be written ({error})") from error
