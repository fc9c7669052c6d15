"""The panels as a whole: one imgui context, docked panels around the stage, bars, overlays; commands come out.

Off-screen the same pictures come out as in a window: the layout is then the default one and no file is read or written.
"""

from __future__ import annotations

import math
import time

import numpy as np
from imgui_bundle import imgui, implot

from systems.view import commands as c
from systems.view.frame import PALETTE
from systems.view.hud import layout, panels, style
from systems.view.hud.gl_renderer import GlRenderer
from systems.view.hud.panels import Tree, readable
from systems.view.hud.raster import COLUMNS, Raster
from systems.view.hud.state import UiState
from systems.view.hud.style import (
    P_ACCENT,
    P_FAINT,
    P_GOOD,
    P_HOT,
    P_LINE,
    P_SOFT,
    P_TEXT,
    P_TRACK,
    P_WARN,
    Icon,
    packed,
    rgba,
)
from systems.view.monitor import HudData
from systems.view.panel import BACK, CARD, HOT, WARN, rate_share

KEYS = (  # what the panels themselves answer to; the window's own keys come in UiState.help
    ("tab", "panels away, back"),
    ("F2", "panels where they were at first"),
    ("F3", "find a population"),
    ("F4", "spikes of: all structures, the selection, each structure in turn"),
    ("F7", "brain beside the body, inside it, away"),
    ("F8", "the brain's surface"),
    ("F10", "neurons, tracts on and off"),
    ("F11", "quality of the picture"),
    ("[ and ]", "weaker, stronger drive of what is stimulated"),
)
BAR = imgui.WindowFlags_
BAR_FLAGS = (BAR.no_title_bar | BAR.no_resize | BAR.no_move | BAR.no_scrollbar | BAR.no_scroll_with_mouse
             | BAR.no_saved_settings | BAR.no_docking | BAR.no_nav | BAR.no_bring_to_front_on_focus)  # fmt: skip
OVERLAY_FLAGS = (BAR.no_title_bar | BAR.no_resize | BAR.no_move | BAR.no_scrollbar | BAR.no_saved_settings
                 | BAR.no_docking | BAR.no_nav | BAR.no_focus_on_appearing)  # fmt: skip
PANEL_FLAGS = BAR.no_collapse
LATE_S = 20.0  # of the timeline at the left of now
SOON_S = 5.0


class RasterTexture:
    """The raster's pixels on the device."""

    def __init__(self, renderer, raster: Raster):
        self.renderer, self.raster = renderer, raster
        self._texture = None
        self._stamp = None

    @property
    def first(self) -> float:
        """Where the oldest column begins, as a share of the width."""
        return (self.raster.column + 1) / COLUMNS

    @property
    def reference(self) -> imgui.ImTextureRef:
        return imgui.ImTextureRef(self._texture.glo)

    def update(self, data: HudData) -> None:
        raster = self.raster
        raster.update(data.tick, data.spikes)
        size, stamp = (COLUMNS, raster.rows), (data.tick, raster.selector)
        if self._texture is None or self._texture.size != size:
            if self._texture is not None:
                self.renderer.drop(self._texture)
            self._texture, self._stamp = self.renderer.texture(size, repeat=True), None
        if stamp != self._stamp:
            self._texture.write(raster.pixels)
            self._stamp = stamp


class Strips:
    """Histories of all structures as one texture, a row each."""

    def __init__(self, renderer):
        self.renderer, self._texture, self._tick = renderer, None, None

    @property
    def reference(self) -> imgui.ImTextureRef:
        return imgui.ImTextureRef(self._texture.glo)

    def update(self, data: HudData) -> None:
        history = data.structure_history
        size = (history.shape[1], history.shape[0])
        if self._texture is None or self._texture.size != size:
            if self._texture is not None:
                self.renderer.drop(self._texture)
            self._texture, self._tick = self.renderer.texture(size), None
            self._colours = np.array(PALETTE, np.float32)[np.arange(size[1]) % len(PALETTE)]
        if self._tick != data.tick:
            share = rate_share(history).astype(np.float32)[..., None]
            pixels = np.empty((size[1], size[0], 4), np.uint8)
            ground = np.array(CARD, np.float32)
            pixels[..., :3] = ground + share * (self._colours[:, None] - ground)
            pixels[..., 3] = 255
            self._texture.write(pixels)
            self._tick = data.tick


class Hud:
    """Panels for one simulation, of whose network names are taken once. Belongs to the thread of its GL context.

    `draw` builds and renders into the bound framebuffer, which is `size` (width, height) pixels, and returns what was
    asked for. `event` takes pygame's events and says whether they were meant for the panels.
    """

    def __init__(self, sim, size: tuple[int, int], window: bool = True, *, ctx=None, scale: float = 1.0):
        import moderngl

        self.ctx = ctx if ctx is not None else moderngl.get_context()
        self.size, self.window, self.scale = (int(size[0]), int(size[1])), window, scale
        self.pointer_scale = 1.0  # pixels of the picture per unit of the mouse's coordinates
        self.title = sim.scene.title
        network = sim.network
        self.tree = Tree(network) if network is not None else None
        self.raster = Raster(network) if network is not None else None
        self.has_body = sim.physics is not None
        lacking = ({"Reflexes", "Joints"} if sim.physics is None else set()) | (
            {"Reflexes", "State", "Spikes", "Traces", "Brain", "Structures"} if network is None else set())  # fmt: skip
        self.panels = {name: body for name, body in panels.ALL.items() if name not in lacking}
        self._cells = network.neuron_count if network is not None else 0
        self._count_of = {p.name: p.count for p in network.populations} if network is not None else {}
        self._network = network
        self._imgui = imgui.create_context()
        self._implot = implot.create_context()
        self._enter()
        io = imgui.get_io()
        io.set_ini_filename("")
        io.set_log_filename("")
        io.config_flags |= imgui.ConfigFlags_.docking_enable
        io.config_windows_move_from_title_bar_only = True
        io.config_input_text_cursor_blink = window
        io.display_size = self.size
        io.delta_time = 1 / 60
        with self.ctx:
            self.renderer = GlRenderer(self.ctx)
        self.fonts = style.load_fonts(style.BASE_PX)
        self.raster_texture = RasterTexture(self.renderer, self.raster) if self.raster is not None else None
        self.strips = Strips(self.renderer)
        self.line_spec = implot.Spec()
        self.line_spec.line_weight = 1.0
        self.submitted: list[str] = []  # texts of the last picture
        self.rects: dict[str, tuple[float, float, float, float]] = {}  # where panels are in it, x y width height
        self.buttons: dict[str, tuple[float, float, float, float]] = {}
        self.commands: list[c.Command] = []
        self.drive_mv, self.focus_search, self.wave_scale = 20.0, False, 0.5
        self._widths: dict[str, float] = {}
        self._fits: dict[tuple[str, int], str] = {}
        self._regions: list[int] = []
        self._regions_at = -1
        self._owner: dict[int, bool] = {}
        self._pressed: list[c.Command] = []
        self._shapes = True  # neurons and tracts shown
        self._reset_layout = self._settle = False
        self._build = False
        self._clock = time.perf_counter()
        self._empty = HudData()
        self._docked: set[str] = set()
        self._stage = (0, 0, *self.size)
        self._new_size()

    def _enter(self) -> None:
        imgui.set_current_context(self._imgui)
        implot.set_current_context(self._implot)

    def _new_size(self) -> None:
        """Type and layout for this size."""
        compact = layout.is_compact(self.size) and self.scale <= 1.0
        if getattr(self, "compact", None) == compact:
            return
        if getattr(self, "compact", None) is not None:
            self._save_layout()
        self.compact = compact
        self.text_px = (style.COMPACT_PX if compact else style.BASE_PX) * self.scale
        self.unit = self.text_px / style.BASE_PX
        style.apply(self.text_px)
        self._widths.clear()
        self._fits.clear()
        text = layout.read_layout(layout.layout_file(compact)) if self.window else None
        self._build = text is None
        if text is not None:
            imgui.load_ini_settings_from_memory(text)
        self._settle = True

    # what panels use ------------------------------------------------------------------------------------------------
    def ask(self, command: c.Command) -> None:
        """Something was asked for."""
        self.commands.append(command)

    def text_width(self, text: str) -> float:
        """Pixels; remembered, since most texts come again."""
        width = self._widths.get(text)
        if width is None:
            if len(self._widths) > 5000:
                self._widths.clear()
            width = self._widths[text] = imgui.calc_text_size(text).x
        return width

    def fit(self, text: str, room: float) -> str:
        key = (text, int(room))
        found = self._fits.get(key)
        if found is None:
            if len(self._fits) > 5000:
                self._fits.clear()
            found = self._fits[key] = panels.fitted(text, room)
        return found

    def icon(self, draw, glyph: str, x: float, y: float, colour: int, size: float = 1.0) -> None:
        draw.add_text(self.fonts[2], self.text_px * size, (x, y), colour, glyph)

    def button(self, name: str, glyph: str, tip: str, key: str, *, width: float = 0.0, active: bool = False,
               tint=None, enabled: bool = True, text: str = "") -> bool:  # fmt: skip
        """A button with a glyph, a text or both; its key stands in the tip. True where it was pressed."""
        u = self.unit
        height = 22 * u
        wide = width or (26 * u if not text else self.text_width(text) + (30 * u if glyph else 14 * u))
        at = imgui.get_cursor_screen_pos()
        pressed = imgui.invisible_button(f"##{name}", (wide, height))
        hovered, held = imgui.is_item_hovered(), imgui.is_item_active()
        self.buttons[name] = (at.x, at.y, wide, height)
        draw = imgui.get_window_draw_list()
        colour = tint or PALETTE[0]
        if active:
            ground = packed(colour, 0.30 if not hovered else 0.42)
        else:
            ground = packed((58, 72, 98) if held else (46, 56, 76) if hovered else (29, 35, 47), 0.95)
        draw.add_rect_filled((at.x, at.y), (at.x + wide, at.y + height), ground, 4 * u)
        ink = packed(colour if active else (232, 237, 245) if enabled else (98, 108, 128))
        if not active and enabled and tint is not None:
            ink = packed(tint, 0.95)
        if glyph:
            size = 0.86 * self.text_px
            left = at.x + (7 * u if text else (wide - self._icon_width(glyph, size)) / 2)
            draw.add_text(self.fonts[2], size, (left, at.y + (height - size) / 2), ink, glyph)
        if text:
            left = at.x + (24 * u if glyph else (wide - self.text_width(text)) / 2)
            draw.add_text((left, at.y + (height - self.text_px) / 2 - 1), ink, text)
            self.submitted.append(text)
        if hovered:
            imgui.set_tooltip(f"{tip}    [{key}]" if key else tip)
        return pressed and enabled

    def _icon_width(self, glyph: str, size: float) -> float:
        key = f"{glyph}{size:.1f}"
        if key not in self._widths:
            imgui.push_font(self.fonts[2], size)
            self._widths[key] = imgui.calc_text_size(glyph).x
            imgui.pop_font()
        return self._widths[key]

    # the raster's choice ----------------------------------------------------------------------------------------
    def raster_choices(self, ui: UiState) -> list[str | None]:
        """All, the selection, each structure."""
        own = [f"{name}.*" for name in self.tree.structures]
        chosen = [ui.selected] if ui.selected and ui.selected not in own else []
        return [None, *chosen, *own]

    def choose_raster(self, selector: str | None) -> None:
        """Which cells the raster shows; None: some of every structure."""
        if self.raster is not None:
            self.raster.choose(selector)

    def raster_total(self) -> int:
        if self.raster.selector is None:
            return self._cells
        return sum(p.count for p in self._network.select(self.raster.selector))

    def choose_regions(self, data: HudData, ui: UiState) -> list[int]:
        """Up to four regions: those of the selection, then the busiest; chosen anew once in a second."""
        second = data.tick // 1000
        instance = ui.selected.split(".")[1] if ui.selected and ui.selected.count(".") == 2 else None
        if (second, instance) != self._regions_at:
            self._regions_at = (second, instance)
            recent = data.region_history[:, -60:]
            order = np.argsort(-(recent.max(axis=1) + recent.std(axis=1)), kind="stable").tolist()
            first = [data.regions.index(instance)] if instance in data.regions else []
            self._regions = (first + [k for k in order if k not in first])[:4]
        return self._regions

    # input ------------------------------------------------------------------------------------------------------
    @property
    def stage_rect(self) -> tuple[int, int, int, int]:
        """Where the stage is seen: x, y, width, height in pixels, y down; known after the first picture."""
        return self._stage

    def over_stage(self, x: float, y: float) -> bool:
        """Whether the stage, and no panel, is under this pixel."""
        left, top, width, height = self._stage
        if self._help_open or not (left <= x < left + width and top <= y < top + height):
            return False
        return not any(
            name.startswith("overlay") and a <= x < a + w and b <= y < b + h
            for name, (a, b, w, h) in self.rects.items()
        )

    _help_open = False

    def event(self, event) -> bool:
        """Take an event of pygame; True: it was meant for the panels, the window is to leave it alone."""
        import pygame

        self._enter()
        io = imgui.get_io()
        if event.type == pygame.MOUSEMOTION:
            x, y = event.pos[0] * self.pointer_scale, event.pos[1] * self.pointer_scale
            io.add_mouse_pos_event(x, y)
            if self._owner:
                return all(self._owner.values())
            return io.want_capture_mouse or not self.over_stage(x, y)
        if event.type in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
            button = {1: 0, 2: 2, 3: 1}.get(event.button)
            if button is None:
                return False
            x, y = event.pos[0] * self.pointer_scale, event.pos[1] * self.pointer_scale
            io.add_mouse_pos_event(x, y)
            if event.type == pygame.MOUSEBUTTONDOWN:
                popup = imgui.is_popup_open("", imgui.PopupFlags_.any_popup) or io.want_text_input
                mine = popup or not self.over_stage(x, y) or self._floating(x, y)
                self._owner[event.button] = mine
            else:
                mine = self._owner.pop(event.button, False)
            io.add_mouse_button_event(button, event.type == pygame.MOUSEBUTTONDOWN)
            return mine
        if event.type == pygame.MOUSEWHEEL:
            io.add_mouse_wheel_event(event.x, event.y)
            position = io.mouse_pos
            return not self.over_stage(position.x, position.y) or self._floating(position.x, position.y)
        if event.type in (pygame.KEYDOWN, pygame.KEYUP):
            return self._key(event, pygame, io)
        return False

    feed_event = event

    def _floating(self, x: float, y: float) -> bool:
        """Whether an undocked panel lies there."""
        return any(
            name in panels.ALL and a <= x < a + w and b <= y < b + h for name, (a, b, w, h) in self.rects.items()
        )

    def _key(self, event, pygame, io) -> bool:
        down, typing = event.type == pygame.KEYDOWN, io.want_text_input
        known = {
            pygame.K_LEFT: imgui.Key.left_arrow, pygame.K_RIGHT: imgui.Key.right_arrow, pygame.K_UP: imgui.Key.up_arrow,
            pygame.K_DOWN: imgui.Key.down_arrow, pygame.K_HOME: imgui.Key.home, pygame.K_END: imgui.Key.end,
            pygame.K_BACKSPACE: imgui.Key.backspace, pygame.K_DELETE: imgui.Key.delete,
            pygame.K_RETURN: imgui.Key.enter, pygame.K_KP_ENTER: imgui.Key.keypad_enter,
            pygame.K_ESCAPE: imgui.Key.escape, pygame.K_a: imgui.Key.a, pygame.K_c: imgui.Key.c,
            pygame.K_v: imgui.Key.v, pygame.K_x: imgui.Key.x,
        }  # fmt: skip
        for bit, which in ((pygame.KMOD_CTRL, imgui.Key.mod_ctrl), (pygame.KMOD_SHIFT, imgui.Key.mod_shift),
                           (pygame.KMOD_ALT, imgui.Key.mod_alt)):  # fmt: skip
            io.add_key_event(which, bool(event.mod & bit))
        if event.key in known:
            io.add_key_event(known[event.key], down)
        if typing:
            if down:
                for char in event.unicode:
                    if 32 <= ord(char) < 0x10000 and ord(char) != 127:
                        io.add_input_character(ord(char))
            return True
        return down and self.press(pygame.key.name(event.key))

    def press(self, key: str) -> bool:
        """Do what one of KEYS does; False where it is none of them."""
        key = key.lower()
        if key == "tab":
            self._pressed.append(c.Toggle("panels"))
        elif key == "f2":
            self._reset_layout = True
        elif key == "f3":
            self.focus_search = True
            self._enter()
            imgui.set_window_focus("Brain")
        elif key == "f4" and self.raster is not None:
            choices = self.raster_choices(self._ui)
            here = self.raster.selector
            at = choices.index(here) + 1 if here in choices else 0
            self.choose_raster(choices[at % len(choices)])
        elif key == "f7":
            self._pressed.append(c.Toggle("brain"))
        elif key == "f8":
            self._pressed.append(c.Toggle("surface"))
        elif key == "f10":
            self._shapes = not self._shapes
            self._pressed += [c.Toggle("neurons", self._shapes), c.Toggle("tracts", self._shapes)]
        elif key == "f11":
            self._pressed.append(c.Toggle("quality"))
        elif key in ("[", "]"):
            self.drive_mv = float(np.clip(self.drive_mv + (2.0 if key == "]" else -2.0), 1.0, 60.0))
        else:
            return key == "f4"
        return True

    _ui = UiState()

    # a picture --------------------------------------------------------------------------------------------------
    def resize(self, size: tuple[int, int]) -> None:
        """The framebuffer has another size from now on."""
        self.size = (max(int(size[0]), 1), max(int(size[1]), 1))
        self._enter()
        imgui.get_io().display_size = self.size
        self._new_size()

    def draw(self, frame, stage_texture_id: int | None, ui: UiState) -> list[c.Command]:
        """Panels, bars and overlays with the stage's picture in the middle, into the bound framebuffer."""
        target = self.ctx.fbo
        with self.ctx:
            target.use()  # it was bound while, perhaps, no context was current
            return self._draw(frame, stage_texture_id, ui)

    def _draw(self, frame, stage_texture_id: int | None, ui: UiState) -> list[c.Command]:
        self._enter()
        self._ui, self._help_open = ui, ui.help_open
        io = imgui.get_io()
        now = time.perf_counter()
        io.delta_time = min(max(now - self._clock, 1e-4), 0.25) if self.window else 1 / 30
        self._clock = now
        if self._settle or self._build or self._reset_layout:  # docking takes a picture to settle
            fresh = self._build or self._reset_layout
            for _ in range(2):
                self._compose(frame, ui)
            for name in layout.IN_FRONT if fresh else ():
                imgui.set_window_focus(name)
                self._compose(frame, ui)
            self._settle = False
            imgui.set_window_focus(None)
        self._compose(frame, ui)
        commands, self.commands = self.commands + self._pressed, []
        self._pressed = []
        self._render(stage_texture_id, ui)
        if self.window and io.want_save_ini_settings:
            self._save_layout()
        return commands

    def _render(self, stage_texture_id: int | None, ui: UiState) -> None:
        width, height = self.size
        x, y, w, h = self._stage
        self.ctx.clear(*(channel / 255 for channel in BACK), 1.0)
        if stage_texture_id:
            if ui.stage_rect is not None:
                self.renderer.copy(stage_texture_id, tuple(ui.stage_rect), height)
            else:
                part = (x / width, 1.0 - (y + h) / height, w / width, h / height)
                self.renderer.copy(stage_texture_id, (x, y, w, h), height, part)
        self.renderer.render(imgui.get_draw_data())

    def _compose(self, frame, ui: UiState) -> None:
        """One pass of imgui."""
        data = frame.hud if getattr(frame, "hud", None) is not None else self._empty
        self.submitted.clear()
        self.rects.clear()
        self.buttons.clear()
        imgui.new_frame()
        imgui.push_font(self.fonts[0], self.text_px)
        top = self._top_bar(frame, ui)
        bottom = self._bottom_bar(frame, data, ui)
        self._dock(top, bottom, ui)
        if ui.panels:
            for name, body in self.panels.items():
                self._panel(name, body, data, ui)
        self._over_stage(frame, ui)
        if ui.help_open:
            self._help(ui)
        imgui.pop_font()
        imgui.render()

    def _panel(self, name: str, body, data: HudData, ui: UiState) -> None:
        if name in self._docked:  # the ground is there already
            imgui.set_next_window_bg_alpha(0.0)
        shown, _ = imgui.begin(name, None, PANEL_FLAGS)
        (self._docked.add if imgui.is_window_docked() else self._docked.discard)(name)
        if shown:
            at, extent = imgui.get_window_pos(), imgui.get_window_size()
            self.rects[name] = (at.x, at.y, extent.x, extent.y)
            self.submitted.append(name)
            body(self, data, ui)
        imgui.end()

    def _dock(self, top: float, bottom: float, ui: UiState) -> None:
        """The place for panels between the bars; its middle is the stage."""
        width, height = self.size
        imgui.set_next_window_pos((0, top))
        imgui.set_next_window_size((width, max(height - top - bottom, 1)))
        imgui.push_style_var(imgui.StyleVar_.window_padding, (0.0, 0.0))
        imgui.begin("##host", None, BAR_FLAGS | BAR.no_background)
        imgui.pop_style_var()
        dock = imgui.get_id("dock")
        if self._build or self._reset_layout:
            layout.build_default(dock, (width, height - top - bottom), self.compact, set(self.panels))
            self._build = self._reset_layout = False
        hidden = imgui.DockNodeFlags_.keep_alive_only if not ui.panels else 0
        # The ground is cleared, not painted: half a megapixel of blending costs a software renderer 7 ms.
        imgui.push_style_color(imgui.Col_.window_bg, rgba(BACK, 0.0))
        imgui.dock_space(dock, (0.0, 0.0), imgui.DockNodeFlags_.passthru_central_node | hidden)
        imgui.pop_style_color()
        imgui.end()
        node = imgui.internal.dock_builder_get_central_node(dock)
        if ui.panels and node is not None:
            left, up = round(node.pos.x), round(node.pos.y)
            self._stage = (left, up, max(round(node.size.x), 1), max(round(node.size.y), 1))
        else:
            self._stage = (0, round(top), width, max(round(height - top - bottom), 1))
        self.rects["stage"] = tuple(float(v) for v in self._stage)

    # bars -------------------------------------------------------------------------------------------------------
    def _top_bar(self, frame, ui: UiState) -> float:
        """Title, simulated time, pace."""
        u, width = self.unit, self.size[0]
        height = round(34 * u)
        self._bar("##top", 0, height)
        draw = imgui.get_window_draw_list()
        big = 1.28 * self.text_px
        clock = f"{frame.time_s:.2f} s"
        x = width - 10 * u
        pace = frame.realtime_x
        parts = []
        if ui.fps is not None:
            parts.append((f"{ui.fps:.0f} fps", P_FAINT))
        if ui.dropped_s >= 0.05:
            parts.append((f"{ui.dropped_s:.1f} s dropped", P_WARN))
        if ui.recording:
            parts.append(("REC", P_HOT))
        asked = "max" if math.isinf(ui.speed) else f"{ui.speed:g}x"
        parts.append((f"paused, {asked}" if ui.paused else f"asked {asked}", P_WARN if ui.paused else P_FAINT))
        if pace is not None and math.isfinite(pace) and not ui.paused:
            short = math.isfinite(ui.speed) and pace < 0.97 * ui.speed
            parts.append((f"{pace:.2f} x real time", P_WARN if short else P_GOOD))
        middle = height / 2 - self.text_px / 2 - 1
        for text, colour in parts:
            x -= self.text_width(text)
            draw.add_text((x, middle), colour, text)
            self.submitted.append(text)
            x -= 14 * u
        x -= 6 * u + len(clock) * 0.56 * big
        draw.add_text(self.fonts[1], big, (x, height / 2 - big / 2 - 1), P_TEXT, clock)
        self.submitted.append(clock)
        self.rects["clock"] = (x, 0.0, width - x, float(height))
        title = self.fit(frame.title or self.title, x - 24 * u)
        draw.add_text((10 * u, middle), P_SOFT, title)
        self.submitted.append(title)
        draw.add_line((0, height - 1), (width, height - 1), P_LINE)
        imgui.end()
        return height

    def _bar(self, name: str, y: float, height: float) -> None:
        imgui.set_next_window_pos((0, y))
        imgui.set_next_window_size((self.size[0], height))
        imgui.push_style_var(imgui.StyleVar_.window_padding, (8 * self.unit, 4 * self.unit))
        imgui.begin(name, None, BAR_FLAGS | BAR.no_background)
        imgui.pop_style_var()
        self.rects[name.strip("#")] = (0.0, float(y), float(self.size[0]), float(height))

    def _bottom_bar(self, frame, data: HudData, ui: UiState) -> float:
        """Transport, files, and the timeline with its events."""
        u = self.unit
        height = round(30 * u)
        self._bar("##bottom", self.size[1] - height, height)
        gap = 3 * u

        def press(name, glyph, tip, key, command, *, after: float = gap, **look) -> None:
            if self.button(name, glyph, tip, key, **look):
                self.ask(command)
            imgui.same_line(0, after)

        press("reset", Icon.RESET, "Start again", "r", c.Reset())
        press("rewind", Icon.BACK, "Back 1 s", "backspace; shift: 10 s", c.Rewind(1.0))
        press("pause", Icon.PLAY if ui.paused else Icon.PAUSE, "Go on" if ui.paused else "Pause", "space", c.Pause(),
              active=ui.paused, tint=WARN if ui.paused else None)  # fmt: skip
        press("tick", Icon.TICK, "One tick (1 ms)", "period", c.StepTicks(1))
        press("frame", Icon.FRAME, "One picture (1/30 s)", "comma", c.StepFrame(), after=9 * u)
        press("slower", Icon.SLOWER, "Slower", "minus; 0: real time", c.Speed(self._speed(ui.speed, -1)))
        asked = "max" if math.isinf(ui.speed) else f"{ui.speed:g}x"
        press("speed", "", "Back to real time", "0", c.Speed(1.0), text=asked, width=42 * u)
        press("faster", Icon.FASTER, "Faster", "plus", c.Speed(self._speed(ui.speed, 1)), after=9 * u)
        press("save", Icon.SAVE, "Save the state", "F5", c.SaveState())
        press("load", Icon.LOAD, "Load the last state", "F9", c.LoadState())
        press("session", Icon.SESSION, "Save what was played as a scene", "F6", c.SaveSession(), after=9 * u)
        press("screenshot", Icon.CAMERA, "Screenshot", "F12", c.Screenshot())
        press("record", Icon.RECORD, "Stop recording" if ui.recording else "Record an MP4", "v", c.RecordVideo(),
              active=ui.recording, tint=HOT, after=9 * u)  # fmt: skip
        press("panels", Icon.PANELS, "Panels away, back", "tab", c.Toggle("panels"))
        if self.button("layout", Icon.LAYOUT, "Panels where they were at first", "F2"):
            self._reset_layout = True
        imgui.same_line(0, gap)
        press("help", Icon.HELP, "All keys", "h, F1", c.Toggle("help_open"), active=ui.help_open)
        at = imgui.get_cursor_screen_pos()
        right = self.size[0] - 10 * u
        if right - at.x > 60 * u:
            self._timeline(frame, data, at.x + 8 * u, right, self.size[1] - height, height)
        imgui.end()
        return height

    @staticmethod
    def _speed(now: float, step: int) -> float:
        speeds = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, math.inf)
        here = min(range(len(speeds)), key=lambda k: abs(math.log(min(speeds[k], 64.0) / min(max(now, 0.01), 64.0))))
        return speeds[min(max(here + step, 0), len(speeds) - 1)]

    def _timeline(self, frame, data: HudData, left: float, right: float, top: float, height: float) -> None:
        """Events of the last seconds and of the next; now is the bright line."""
        u, draw, now = self.unit, imgui.get_window_draw_list(), frame.time_s
        begin = max(now - LATE_S, 0.0) if now > LATE_S else 0.0
        end = begin + LATE_S + SOON_S
        at = lambda s: left + (right - left) * (s - begin) / (end - begin)  # noqa: E731
        base = top + height - 6 * u
        draw.add_rect_filled((left, base - 2 * u), (right, base), P_TRACK, u)
        draw.add_rect_filled((left, base - 2 * u), (min(at(now), right), base), packed(PALETTE[0], 0.55), u)
        for second in range(math.ceil(begin / 5) * 5, int(end) + 1, 5):
            draw.add_line((at(second), base), (at(second), base + 3 * u), P_FAINT)
        busy, shown = left, []
        events = data.events or frame.events
        for when, text, past in [(t, s, True) for t, s in events if t >= begin] + [
            (t, s, False) for t, s in data.coming
        ]:
            x = at(when)
            if not left <= x <= right:
                continue
            fresh = past and now - when < 1.5
            colour = P_WARN if fresh else P_ACCENT if past else P_FAINT
            draw.add_line((x, base - 7 * u), (x, base + 1), colour, 2.0 * u)
            shown.append((x, text, when))
            room = self.text_width(text)
            if x >= busy and x + room < right:
                draw.add_text((x, top + 2 * u), P_TEXT if fresh else P_SOFT if past else P_FAINT, text)
                self.submitted.append(text)
                busy = x + room + 10 * u
        draw.add_line((at(now), base - 9 * u), (at(now), base + 2 * u), P_TEXT, 1.5 * u)
        self.rects["timeline"] = (left, top, right - left, height)
        mouse = imgui.get_mouse_pos()
        if top <= mouse.y < top + height and left <= mouse.x <= right and shown:
            x, text, when = min(shown, key=lambda item: abs(item[0] - mouse.x))
            if abs(x - mouse.x) < 8 * u:
                imgui.set_tooltip(f"{when:.2f} s   {text}")

    # over the stage -----------------------------------------------------------------------------------------------
    def _over_stage(self, frame, ui: UiState) -> None:
        u = self.unit
        x, y, width, height = self._stage
        draw = imgui.get_background_draw_list()
        draw.push_clip_rect((x, y), (x + width, y + height))
        taken: list[tuple[float, float, float]] = []
        shift = (0, 0) if ui.stage_rect is None else (x, y)
        for text, tx, ty, colour in ui.labels if not self.compact else ():
            ink = tuple(int(255 * v) if max(colour) <= 1.0 else int(v) for v in colour)
            place, wide = (tx + shift[0], ty + shift[1]), self.text_width(text)
            if any(abs(place[1] - b) < self.text_px and place[0] < a + w and a < place[0] + wide for a, b, w in taken):
                continue  # names that would lie over one another: the first ones count
            taken.append((*place, wide))
            draw.add_text((place[0] + 1, place[1] + 1), packed((0, 0, 0), 0.6), text)
            draw.add_text(place, packed(ink), text)
            self.submitted.append(text)
        self._legend(draw, ui, x + 10 * u, y + 8 * u)
        if ui.message:
            text = self.fit(ui.message, width - 40 * u)
            wide = self.text_width(text) + 24 * u
            left, up = x + (width - wide) / 2, y + 10 * u
            draw.add_rect_filled((left, up), (left + wide, up + 24 * u), packed(BACK, 0.88), 12 * u)
            draw.add_text((left + 12 * u, up + 4 * u), P_TEXT, text)
            self.submitted.append(ui.message)
            self.rects["message"] = (left, up, wide, 24 * u)
        draw.pop_clip_rect()
        if not self.compact or width >= 300:
            self._tools(ui, x, y, width, height)

    def _legend(self, draw, ui: UiState, x: float, y: float) -> None:
        """What colours mean: where activity comes from."""
        u = self.unit
        own = {readable(name) for name in self.tree.structures} if self.tree is not None else set()
        chips = [chip for chip in ui.legend if chip[0] not in own]  # structures have their colours in their panel
        if not chips:
            return
        wide = max(self.text_width(text) for text, _ in chips) + 26 * u
        high = len(chips) * 16 * u + 8 * u
        draw.add_rect_filled((x - 4 * u, y - 4 * u), (x + wide, y + high - 4 * u), packed(BACK, 0.55), 4 * u)
        for k, (text, colour) in enumerate(chips):
            ink = tuple(int(255 * v) if max(colour) <= 1.0 else int(v) for v in colour)
            row = y + k * 16 * u
            draw.add_circle_filled((x + 6 * u, row + 8 * u), 4 * u, packed(ink), 12)
            draw.add_text((x + 16 * u, row), P_SOFT, text)
            self.submitted.append(text)
        self.rects["legend"] = (x - 4 * u, y - 4 * u, wide + 4 * u, high)

    def _tools(self, ui: UiState, x: float, y: float, width: float, height: float) -> None:
        """Tools for the mouse, and the scene's own actions, along the lower edge of the stage."""
        u, gap, row = self.unit, 4 * self.unit, 26 * self.unit
        chips = []
        if self.has_body:
            for k, name in enumerate(ui.tools):
                chips.append((f"tool {name}", name, f"The mouse on skin: {name}", str(k + 1), c.Tool(name),
                              name == ui.tool))  # fmt: skip
        actions = [(f"action {name}", name, f"{name}: an action of the scene", key, c.SceneAction(name), False)
                   for name, key in ui.actions]  # fmt: skip
        if self.compact:
            actions = []
        lines, room = [], width - 20 * u
        for group in (actions, chips):
            line, used = [], 0.0
            widths = [self.text_width(chip[1]) + self.text_width(chip[3]) * 0.86 + 22 * u for chip in group]
            total = sum(widths) + gap * len(widths)
            even = total / max(math.ceil(total / room), 1) + 40 * u  # lines of about equal length
            for chip, wide in zip(group, widths, strict=True):
                if line and used + wide > min(room, even):
                    lines.append(line)
                    line, used = [], 0.0
                line.append((*chip, wide))
                used += wide + gap
            if line:
                lines.append(line)
        if not lines or len(lines) * row > 0.5 * height:
            lines = lines[-1:] if lines else []
        if not lines:
            return
        high = len(lines) * row
        top = y + height - high - 6 * u
        wide = max(sum(chip[-1] + gap for chip in line) for line in lines) + 4 * u
        imgui.set_next_window_pos((x + 8 * u, top))
        imgui.set_next_window_size((wide, high + 2 * u))
        imgui.push_style_var(imgui.StyleVar_.window_padding, (2 * u, 2 * u))
        imgui.push_style_var(imgui.StyleVar_.window_min_size, (8.0, 8.0))
        imgui.begin("##tools", None, OVERLAY_FLAGS | BAR.no_background)
        for k, line in enumerate(lines):
            left = x + 10 * u
            for name, text, tip, key, command, active, chip_width in line:
                imgui.set_cursor_screen_pos((left, top + 2 * u + k * row))
                if self._chip(name, text, tip, key, chip_width, active):
                    self.ask(command)
                self.rects[f"overlay {name}"] = self.buttons[name]
                left += chip_width + gap
        imgui.end()
        imgui.pop_style_var(2)

    def _chip(self, name: str, text: str, tip: str, key: str, width: float, active: bool) -> bool:
        """A small button: what it does, and its key in a fainter colour."""
        u, height = self.unit, 22 * self.unit
        at = imgui.get_cursor_screen_pos()
        pressed = imgui.invisible_button(f"##{name}", (width, height))
        hovered = imgui.is_item_hovered()
        self.buttons[name] = (at.x, at.y, width, height)
        draw = imgui.get_window_draw_list()
        ground = packed(PALETTE[0], 0.34) if active else packed((46, 56, 76) if hovered else (24, 29, 40), 0.86)
        draw.add_rect_filled((at.x, at.y), (at.x + width, at.y + height), ground, 4 * u)
        lift = (height - self.text_px) / 2 - 1
        draw.add_text((at.x + 7 * u, at.y + lift), P_TEXT if active or hovered else P_SOFT, text)
        if key:
            small = 0.86 * self.text_px
            draw.add_text(self.fonts[0], small, (at.x + width - 6 * u - self.text_width(key) * 0.86, at.y + lift + u),
                          P_TEXT if active else P_ACCENT, key)  # fmt: skip
        self.submitted.append(text)
        if hovered:
            imgui.set_tooltip(f"{tip}    [{key}]" if key else tip)
        return pressed

    def _help(self, ui: UiState) -> None:
        """Every key, over everything."""
        u = self.unit
        rows = [*ui.help, *KEYS]
        width, height = self.size
        columns = 2 if width > 760 * u else 1
        per = math.ceil(len(rows) / columns)
        line = 19 * u
        high = min(per * line + 58 * u, height - 16 * u)
        wide = min(1040 * u if columns == 2 else 560 * u, width - 16 * u)
        imgui.set_next_window_pos(((width - wide) / 2, (height - high) / 2))
        imgui.set_next_window_size((wide, high))
        imgui.set_next_window_focus()
        imgui.push_style_color(imgui.Col_.window_bg, rgba(CARD, 0.97))
        imgui.push_style_var(imgui.StyleVar_.window_rounding, 8 * u)
        flags = OVERLAY_FLAGS & ~BAR.no_scrollbar
        imgui.begin("##help", None, flags)
        at = imgui.get_window_pos()
        self.rects["help"] = (at.x, at.y, wide, high)
        imgui.push_font(self.fonts[1], 1.15 * self.text_px)
        imgui.text("Keys and mouse")
        imgui.pop_font()
        imgui.same_line(wide - 60 * u)
        if self.button("close help", "", "Close", "escape, h", text="close"):
            self.ask(c.Toggle("help_open", False))
        start = imgui.get_cursor_screen_pos()
        draw = imgui.get_window_draw_list()
        column = (wide - 20 * u) / columns
        for k, (key, text) in enumerate(rows):
            x, y = start.x + (k // per) * column, start.y + 4 * u + (k % per) * line
            room = 0.40 * column
            draw.add_text((x, y), P_ACCENT, self.fit(key, room - 10 * u))
            draw.add_text((x + room, y), P_TEXT, self.fit(text, column - room - 10 * u))
            self.submitted += [key, text]
        imgui.dummy((1, per * line))
        imgui.end()
        imgui.pop_style_var()
        imgui.pop_style_color()

    # the end ----------------------------------------------------------------------------------------------------
    def _save_layout(self) -> None:
        if self.window:
            layout.write_layout(layout.layout_file(self.compact), imgui.save_ini_settings_to_memory())
            imgui.get_io().want_save_ini_settings = False

    def release(self) -> None:
        """Remember the layout, free the driver and imgui; releasing twice is harmless."""
        if self._imgui is None:
            return
        self._enter()
        self._save_layout()
        with self.ctx:
            self.renderer.release()
        for texture in imgui.get_platform_io().textures:
            texture.set_tex_id(0)
            texture.set_status(imgui.ImTextureStatus.destroyed)
        implot.destroy_context(self._implot)
        imgui.destroy_context(self._imgui)
        self._imgui = self._implot = None
