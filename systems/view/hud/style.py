"""Colours, type and spacing of the panels: a dark, calm instrument in the colours of systems/view/frame.PALETTE."""

from __future__ import annotations

from pathlib import Path

import imgui_bundle
from imgui_bundle import imgui, implot

from systems.view.frame import PALETTE
from systems.view.panel import BACK, CARD, FAINT, GOOD, HOT, LINE, SENSE, SOFT, TEXT, WARN

FONTS = Path(imgui_bundle.__file__).parent / "assets" / "fonts"
ACCENT = PALETTE[0]
INJECTED, HELD_DOWN, CUT = (255, 214, 102), (139, 160, 255), HOT  # what a player does to cells
BASE_PX, COMPACT_PX = 14.0, 11.0


class Icon:
    """Glyphs of Font Awesome 6, by what they are used for."""

    PLAY, PAUSE, TICK, FRAME, BACK, RESET = "\uf04b", "\uf04c", "\uf051", "\uf04e", "\uf04a", "\uf0e2"
    SLOWER, FASTER, CAMERA, RECORD, SAVE, LOAD = "\uf068", "\uf067", "\uf030", "\uf111", "\uf0c7", "\uf07c"
    SESSION, HELP, PANELS, LAYOUT = "\uf15c", "\uf059", "\uf0db", "\uf00a"
    STIMULATE, INHIBIT, LESION, RESTORE = "\uf0e7", "\uf2dc", "\uf0c4", "\uf21e"
    OPEN, CLOSED = "\uf0d7", "\uf0da"


def rgba(colour, alpha: float = 1.0) -> imgui.ImVec4:
    """sRGB 0..255 as imgui's four floats."""
    r, g, b = colour
    return imgui.ImVec4(r / 255, g / 255, b / 255, alpha)


def packed(colour, alpha: float = 1.0) -> int:
    """sRGB 0..255 as one number for a draw list."""
    r, g, b = (min(max(int(c), 0), 255) for c in colour)
    return r | g << 8 | b << 16 | min(max(int(255 * alpha), 0), 255) << 24


P_TEXT, P_SOFT, P_FAINT, P_CARD, P_LINE = (packed(c) for c in (TEXT, SOFT, FAINT, CARD, LINE))
P_PALETTE = [packed(c) for c in PALETTE]
P_TRACK = packed((32, 38, 51))
P_GOOD, P_WARN, P_HOT, P_SENSE, P_ACCENT = (packed(c) for c in (GOOD, WARN, HOT, SENSE, ACCENT))


def load_fonts(pixels: float) -> tuple:
    """(text, bold, icons): Roboto and Font Awesome, which come with imgui-bundle."""
    atlas = imgui.get_io().fonts
    text = atlas.add_font_from_file_ttf(str(FONTS / "Roboto" / "Roboto-Regular.ttf"), pixels)
    bold = atlas.add_font_from_file_ttf(str(FONTS / "Roboto" / "Roboto-Bold.ttf"), pixels)
    icons = atlas.add_font_from_file_ttf(str(FONTS / "Font_Awesome_6_Free-Solid-900.otf"), pixels)
    return text, bold, icons


def apply(pixels: float) -> None:
    """imgui's and implot's styles for type of this size."""
    style, unit = imgui.get_style(), pixels / BASE_PX
    style.font_size_base = pixels
    style.window_rounding = style.child_rounding = 0.0
    style.frame_rounding = style.grab_rounding = style.popup_rounding = 4.0 * unit
    style.tab_rounding = 3.0 * unit
    style.window_border_size = style.child_border_size = style.frame_border_size = 0.0
    style.popup_border_size = 1.0
    style.tab_bar_border_size, style.tab_bar_overline_size = 0.0, 2.0
    style.window_padding = (8.0 * unit, 6.0 * unit)
    style.frame_padding = (7.0 * unit, 3.0 * unit)
    style.item_spacing = (6.0 * unit, 4.0 * unit)
    style.item_inner_spacing = (5.0 * unit, 4.0 * unit)
    style.scrollbar_size, style.scrollbar_rounding = 8.0 * unit, 4.0 * unit
    style.docking_separator_size = 2.0
    style.window_menu_button_position = imgui.Dir.none
    style.docking_node_has_close_button = False
    style.window_min_size = (24.0, 24.0)
    hover, press = (46, 56, 76), (58, 72, 98)
    c = imgui.Col_
    for which, colour, alpha in (
        (c.text, TEXT, 1), (c.text_disabled, FAINT, 1), (c.window_bg, BACK, 1), (c.child_bg, BACK, 0),
        (c.popup_bg, CARD, 0.98), (c.border, LINE, 1), (c.frame_bg, CARD, 1), (c.frame_bg_hovered, hover, 1),
        (c.frame_bg_active, press, 1), (c.title_bg, BACK, 1), (c.title_bg_active, BACK, 1),
        (c.title_bg_collapsed, BACK, 1), (c.scrollbar_bg, BACK, 0), (c.scrollbar_grab, LINE, 1),
        (c.scrollbar_grab_hovered, hover, 1), (c.scrollbar_grab_active, press, 1), (c.button, CARD, 1),
        (c.button_hovered, hover, 1), (c.button_active, press, 1), (c.header, hover, 0.8), (c.header_hovered, hover, 1),
        (c.header_active, press, 1), (c.separator, LINE, 0.6), (c.separator_hovered, ACCENT, 0.6),
        (c.separator_active, ACCENT, 1), (c.resize_grip, LINE, 0), (c.resize_grip_hovered, ACCENT, 0.5),
        (c.resize_grip_active, ACCENT, 0.8), (c.tab, BACK, 1), (c.tab_hovered, hover, 1), (c.tab_selected, CARD, 1),
        (c.tab_dimmed, BACK, 1), (c.tab_dimmed_selected, CARD, 1), (c.tab_selected_overline, ACCENT, 0.9),
        (c.tab_dimmed_selected_overline, LINE, 1), (c.docking_preview, ACCENT, 0.4), (c.docking_empty_bg, BACK, 0),
        (c.check_mark, ACCENT, 1), (c.slider_grab, ACCENT, 0.8), (c.slider_grab_active, ACCENT, 1),
        (c.modal_window_dim_bg, (0, 0, 0), 0.45), (c.text_selected_bg, ACCENT, 0.35),
    ):  # fmt: skip
        style.set_color_(which, rgba(colour, alpha))
    plot = implot.get_style()
    plot.plot_border_size = 0.0
    plot.plot_padding = (4.0 * unit, 3.0 * unit)
    plot.label_padding = (3.0 * unit, 2.0 * unit)
    plot.plot_min_size = (20.0, 16.0)
    p = implot.Col_
    for which, colour, alpha in (
        (p.frame_bg, BACK, 0), (p.plot_bg, CARD, 0.55), (p.plot_border, LINE, 0), (p.axis_text, FAINT, 1),
        (p.axis_grid, LINE, 0.5), (p.axis_tick, LINE, 1), (p.axis_bg, BACK, 0), (p.axis_bg_hovered, BACK, 0),
        (p.axis_bg_active, BACK, 0), (p.inlay_text, SOFT, 1), (p.legend_bg, BACK, 0.7), (p.legend_text, SOFT, 1),
    ):  # fmt: skip
        plot.set_color_(which, rgba(colour, alpha))
