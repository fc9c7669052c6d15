"""The docked panels. Each takes the Hud and the frame's data, and reports what was asked for through `hud.ask`."""

from __future__ import annotations

import math

import numpy as np
from imgui_bundle import imgui, implot
from scipy.ndimage import uniform_filter1d

from systems.view import commands as c
from systems.view.frame import PALETTE
from systems.view.hud.style import (
    CUT,
    HELD_DOWN,
    INJECTED,
    P_ACCENT,
    P_FAINT,
    P_GOOD,
    P_HOT,
    P_PALETTE,
    P_SENSE,
    P_SOFT,
    P_TEXT,
    P_TRACK,
    Icon,
    packed,
    rgba,
)
from systems.view.monitor import WAVE_MS, WAVE_NOTE, WAVES
from systems.view.panel import WARN, mix, rate_share, readable

SPAN_S = 2.0  # of the raster
SMOOTH = 6  # bins of a region's rate in one point of its line
SIGN = {"stimulate": packed(INJECTED), "inhibit": packed(HELD_DOWN), "silence": packed(CUT)}
AXIS_BARE = implot.AxisFlags_.no_decorations | implot.AxisFlags_.no_menus | implot.AxisFlags_.no_side_switch
AXIS_TIME = (
    implot.AxisFlags_.no_label
    | implot.AxisFlags_.no_menus
    | implot.AxisFlags_.no_grid_lines
    | implot.AxisFlags_.no_highlight
)
PLOT = (
    implot.Flags_.no_legend
    | implot.Flags_.no_menus
    | implot.Flags_.no_box_select
    | implot.Flags_.no_mouse_text
    | implot.Flags_.no_title
)


def fitted(text: str, room: float) -> str:
    """Text cut with an ellipsis to `room` pixels."""
    width = imgui.calc_text_size(text).x
    if width <= room or room <= 0:
        return text
    keep = max(int(len(text) * room / width) - 1, 1)
    while keep > 1 and imgui.calc_text_size(text[:keep] + "…").x > room:
        keep -= 1
    return text[:keep].rstrip(" ,._") + "…"


class Rows:
    """Rows of equal height in the current window; only those in sight are drawn."""

    def __init__(self, hud, count: int, height: float):
        self.draw, self.height, self.count = imgui.get_window_draw_list(), height, count
        at = imgui.get_cursor_screen_pos()
        self.x, self.y = at.x, at.y
        self.width = imgui.get_content_region_avail().x
        self._text_lift = (height - hud.text_px) / 2 - 1
        self._hud = hud

    def __iter__(self):
        top, bottom = imgui.get_window_pos().y, imgui.get_window_pos().y + imgui.get_window_height()
        first = max(int((top - self.y) // self.height), 0)
        last = min(int((bottom - self.y) // self.height) + 1, self.count)
        for k in range(first, last):
            yield k, self.y + k * self.height
        imgui.dummy((0, self.count * self.height))

    def text(self, text: str, x: float, y: float, colour: int, room: float = 0.0) -> None:
        shown = self._hud.fit(text, room) if room else text
        self.draw.add_text((x, y + self._text_lift), colour, shown)
        self._hud.submitted.append(text)

    def right(self, text: str, x: float, y: float, colour: int) -> None:
        self.draw.add_text((x - self._hud.text_width(text), y + self._text_lift), colour, text)
        self._hud.submitted.append(text)

    def bar(self, x: float, y: float, width: float, share: float, colour: int) -> None:
        middle, thick = y + self.height / 2, max(self.height * 0.11, 1.5)
        self.draw.add_rect_filled((x, middle - thick), (x + width, middle + thick), P_TRACK)
        length = width * min(max(share, 0.0), 1.0)
        if length >= 1.0:
            self.draw.add_rect_filled((x, middle - thick), (x + length, middle + thick), colour)


def clicked_row(hud, rows: Rows) -> int | None:
    """The row that was clicked in this frame, if any."""
    if not imgui.is_window_hovered() or not imgui.is_mouse_clicked(0):
        return None
    at = imgui.get_mouse_pos()
    row = math.floor((at.y - rows.y) / rows.height)
    return row if 0 <= row < rows.count and rows.x <= at.x <= rows.x + rows.width else None


def nothing(text: str) -> None:
    imgui.text_disabled(text)


# reflexes -------------------------------------------------------------------------------------------------------


def reflexes(hud, data, ui) -> None:
    """Name, drive (afferents), gate (gain by modulators), fired."""
    if not data.reflexes:
        nothing("no reflex of the list is in this scene")
        return
    u = hud.unit
    head = Rows(hud, 1, 16 * u)
    narrow = head.width < 190 * u
    lamp, gate = head.x + head.width - 22 * u, head.x + head.width - 52 * u
    bar = 36 * u if narrow else 44 * u
    drive = gate - bar - (26 * u if not narrow else 20 * u)
    for _, y in head:
        for text, x in (("drive", drive), ("gate", gate - 16 * u), ("fired", lamp - 8 * u)):
            head.text(text, x, y, P_FAINT)
    rows = Rows(hud, len(data.reflexes), 20 * u)
    for k, y in rows:
        r = data.reflexes[k]
        lit = r.fired_ago_s is not None and r.fired_ago_s < 1.5
        rows.text(r.name, rows.x, y, P_TEXT if lit or r.drive_hz > 1 else P_SOFT, drive - rows.x - 6 * u)
        rows.bar(drive, y, bar, float(rate_share(r.drive_hz)), P_SENSE)
        rows.right("–" if r.gate is None else f"{r.gate:.2f}", gate + 16 * u, y, P_SOFT)
        fresh = max(0.0, 1.0 - r.fired_ago_s / 1.5) if r.fired_ago_s is not None else 0.0
        middle = (lamp + 8 * u, y + rows.height / 2)
        rows.draw.add_circle_filled(middle, 4.2 * u, packed(mix((38, 45, 60), WARN, fresh)), 14)
        if fresh > 0.3:
            rows.draw.add_circle(middle, 6.4 * u, packed(WARN, 0.5 * fresh), 16, 1.2)
    if imgui.is_window_hovered():
        at = imgui.get_mouse_pos()
        k = math.floor((at.y - rows.y) / rows.height)
        if 0 <= k < rows.count:
            r = data.reflexes[k]
            through = "" if r.through_hz is None else f"   through {r.through_hz:.0f} Hz"
            ago = "not yet" if r.fired_ago_s is None else f"{r.fired_ago_s:.2f} s ago"
            imgui.set_tooltip(
                f"{r.name}\nafferents {r.drive_hz:.0f} Hz{through}   motor cells {r.motor_hz:.1f} Hz\nfired: {ago}"
            )


# rates ----------------------------------------------------------------------------------------------------------


def structures(hud, data, ui) -> None:
    """Rate of every structure, and its last seconds as a strip."""
    if not data.structures:
        nothing("this scene has no brain")
        return
    u = hud.unit
    hud.strips.update(data)
    height = 19 * u
    rows = Rows(hud, len(data.structures), height)
    name_room = min(128 * u, 0.54 * rows.width)
    number = rows.x + rows.width
    strip, strip_end = rows.x + name_room + 14 * u, number - 34 * u
    texture, count = hud.strips.reference, len(data.structures)
    for k, y in rows:
        name, hz = data.structures[k], float(data.structure_hz[k])
        if ui.selected is not None and ui.selected.split(".", 1)[0] == name:
            rows.draw.add_rect_filled(
                (rows.x - 4 * u, y), (number + 2 * u, y + height), packed((46, 56, 76), 0.8), 3 * u
            )
        rows.draw.add_rect_filled((rows.x, y + 6 * u), (rows.x + 8 * u, y + 13 * u), P_PALETTE[k % 12], 2 * u)
        rows.text(readable(name), rows.x + 13 * u, y, P_TEXT if hz >= 0.05 else P_SOFT, name_room)
        if strip_end > strip + 8:
            rows.draw.add_image(texture, (strip, y + 3 * u), (strip_end, y + height - 3 * u),
                                (0.0, (k + 0.5) / count), (1.0, (k + 0.5) / count))  # fmt: skip
        rows.right(f"{hz:.1f}" if hz < 99.95 else f"{hz:.0f}", number, y, P_TEXT)
    row = clicked_row(hud, rows)
    if row is not None:
        hud.ask(c.Select(f"{data.structures[row]}.*"))
    foot = Rows(hud, 1, 15 * u)
    for _, y in foot:
        foot.text("last 12 s, brightness logarithmic", foot.x, y, P_FAINT, foot.width - 24 * u)
        foot.right("Hz", foot.x + foot.width, y, P_FAINT)


# modulators, drives, gains --------------------------------------------------------------------------------------


def state(hud, data, ui) -> None:
    """Neuromodulators against their reference rates, drives, gains of projections."""
    u = hud.unit

    def head(text: str, note: str = "") -> None:
        line = Rows(hud, 1, 16 * u)
        for _, y in line:
            line.text(text, line.x, y, P_FAINT)
            line.right(note, line.x + line.width, y, P_FAINT)

    def bars(items, colour_of) -> None:
        rows = Rows(hud, len(items), 17 * u)
        room = 0.46 * rows.width
        for k, y in rows:
            name, value, share, mark = items[k]
            rows.text(name, rows.x, y, P_TEXT if share > 0.02 else P_SOFT, room - 8 * u)
            wide = rows.width - room - 34 * u
            rows.bar(rows.x + room, y, wide, share, colour_of(k))
            if mark is not None:
                x = rows.x + room + wide * mark
                rows.draw.add_line((x, y + 3 * u), (x, y + rows.height - 3 * u), P_SOFT, 1.0)
            rows.right(value, rows.x + rows.width, y, P_TEXT)

    if data.modulators:
        head("MODULATORS", "Hz; mark: gain 1")
        items = [(readable(name.split(".", 1)[1] if name.split(".")[0] else name), f"{hz:.1f}", hz / (2 * ref), 0.5)
                 for name, hz, ref in data.modulators]  # fmt: skip
        bars(items, lambda k: P_PALETTE[(4 + k) % 12])
    if data.drives:
        head("DRIVES", "Hz")
        bars([(readable(name), f"{hz:.1f}", hz / full, None) for name, hz, full in data.drives], lambda k: P_GOOD)
    if data.gains:
        head("GAINS", "x weight")
        items = [(readable(name.replace(":", ": ")), f"{gain:.2f}", gain / 2, 0.5) for name, gain in data.gains]
        bars(items, lambda k: P_ACCENT)
    if not (data.modulators or data.drives or data.gains):
        nothing("no modulators in this scene")


def joints(hud, data, ui) -> None:
    """Angle of every hinge between its limits."""
    if not data.joints:
        nothing("this scene has no body with joints")
        return
    u = hud.unit
    rows = Rows(hud, len(data.joints), 16 * u)
    room = 0.5 * rows.width
    for k, y in rows:
        name, angle, low, high = data.joints[k]
        share = (angle - low) / max(high - low, 1e-6)
        rows.text(readable(name), rows.x, y, P_SOFT, room - 6 * u)
        x, wide, middle = rows.x + room, rows.width - room - 40 * u, y + rows.height / 2
        rows.draw.add_rect_filled((x, middle - 1.2 * u), (x + wide, middle + 1.2 * u), P_TRACK)
        at = x + wide * min(max(share, 0.0), 1.0)
        over = share < -0.01 or share > 1.01
        rows.draw.add_circle_filled((at, middle), 3.2 * u, P_HOT if over else P_ACCENT, 10)
        rows.right(f"{math.degrees(angle):.0f}°", rows.x + rows.width, y, P_TEXT)


# spikes and traces ----------------------------------------------------------------------------------------------


def spikes(hud, data, ui) -> None:
    """The raster of the chosen cells."""
    raster = hud.raster
    if raster is None:
        nothing("this scene has no brain")
        return
    u = hud.unit
    avail = imgui.get_content_region_avail()
    roomy = avail.y > 90 * u
    if roomy:
        imgui.set_next_item_width(min(230 * u, avail.x * 0.6))
        label = "cells of every structure" if raster.selector is None else raster.selector
        if imgui.begin_combo("##cells", label):
            for choice in hud.raster_choices(ui):
                text = "cells of every structure" if choice is None else choice
                if imgui.selectable(text, choice == raster.selector)[0]:
                    hud.choose_raster(choice)
            imgui.end_combo()
        imgui.same_line()
        imgui.text_disabled(f"{raster.rows} of {hud.raster_total()} cells   F4")
        hud.submitted.append(label)
    size = imgui.get_content_region_avail()
    raster.fit(size.y - (22 if roomy else 6) * u)
    hud.raster_texture.update(data)
    implot.push_style_var(implot.StyleVar_.plot_padding, (2.0 * u, 1.0 * u))
    if implot.begin_plot("##raster", (size.x, max(size.y, 18.0)), PLOT | implot.Flags_.no_inputs):
        implot.setup_axes("", "", AXIS_TIME if roomy else AXIS_BARE, AXIS_BARE)
        implot.setup_axes_limits(-SPAN_S, 0.0, 0.0, float(raster.rows), implot.Cond_.always)
        if roomy:
            implot.setup_axis_format(implot.ImAxis_.x1, "%g s")
        first = hud.raster_texture.first
        implot.plot_image("##spikes", hud.raster_texture.reference, implot.Point(-SPAN_S, 0.0),
                          implot.Point(0.0, float(raster.rows)), (first, 0.0), (first + 1.0, 1.0))  # fmt: skip
        place, extent = implot.get_plot_pos(), implot.get_plot_size()
        draw = implot.get_plot_draw_list()
        hud.rects["raster"] = (place.x, place.y, extent.x, extent.y)
        used = place.y - 99.0
        for name, top, bottom, colour in raster.bands:
            y0 = place.y + extent.y * top / raster.rows
            y1 = place.y + extent.y * bottom / raster.rows
            draw.add_rect_filled((place.x, y0), (place.x + 3 * u, y1 - 0.5), packed(colour))
            middle = 0.5 * (y0 + y1) - 0.45 * hud.text_px
            if roomy and y1 - y0 >= 0.8 * hud.text_px and middle - used >= 0.95 * hud.text_px:
                draw.add_rect_filled((place.x + 5 * u, middle), (place.x + 9 * u + hud.text_width(readable(name)),
                                     middle + hud.text_px), packed((15, 18, 25), 0.72), 2.0)  # fmt: skip
                draw.add_text((place.x + 7 * u, middle - u), packed(colour, 0.95), readable(name))
                used = middle
        implot.end_plot()
    implot.pop_style_var()


def traces(hud, data, ui) -> None:
    """EEG-like traces of four quarters of the head above, rates of regions below."""
    if data.waves is None:
        nothing("no connectome in this scene: no regions to trace")
        return
    u = hud.unit
    size = imgui.get_content_region_avail()
    upper = 0.54 * size.y if size.y > 70 * u else size.y
    _eeg(hud, data, (size.x, upper - 2 * u))
    if upper < size.y:
        _regions(hud, data, ui, (size.x, size.y - upper - 2 * u))


def _labels(hud, names, colours, spaced: bool = False) -> None:
    """Names at the left edge of the current plot, evenly from the top."""
    place, extent, draw = implot.get_plot_pos(), implot.get_plot_size(), implot.get_plot_draw_list()
    top = place.y + (extent.y * 0.55 / (len(names) + 0.55) if spaced else 0.0)
    step = (place.y + extent.y - top) / max(len(names), 1)
    if step < 0.75 * hud.text_px:
        return
    for k, (name, colour) in enumerate(zip(names, colours, strict=True)):
        y = top + step * k
        draw.add_rect_filled((place.x, y), (place.x + 6 + hud.text_width(name), y + min(hud.text_px + 1, step)),
                             packed((15, 18, 25), 0.6), 2.0)  # fmt: skip
        draw.add_text((place.x + 3, y - 0.5), colour, name)
        hud.submitted.append(name)


def _gutter(hud, names, size) -> float:
    """How much longer the axis is, so that names have the left edge to themselves."""
    room = max((hud.text_width(name) for name in names), default=0.0) + 12 * hud.unit
    return 1.0 / max(1.0 - room / max(size[0], 1.0), 0.3)


def _note(hud, text: str) -> None:
    """What a plot shows, in its upper right corner."""
    place, extent, draw = implot.get_plot_pos(), implot.get_plot_size(), implot.get_plot_draw_list()
    x, y = place.x + extent.x - hud.text_width(text) - 4, place.y + 1
    draw.add_rect_filled(
        (x - 3, y), (x + hud.text_width(text) + 3, y + hud.text_px + 1), packed((18, 21, 30), 0.75), 2.0
    )
    draw.add_text((x, y - 0.5), P_FAINT, text)
    hud.submitted.append(text)


def _eeg(hud, data, size) -> None:
    channels = len(data.waves)
    step = next(k for k in (2, 4, 5, 8, 10, 20) if WAVES / k <= 0.9 * size[0] or k == 20)  # a point per pixel or so
    waves = data.waves.reshape(channels, -1, step).mean(axis=2)
    count = waves.shape[1]
    spread = float(np.percentile(np.abs(waves), 98.5)) if waves.any() else 1.0
    hud.wave_scale = spread = max(spread, 0.97 * hud.wave_scale, 0.5)  # swings at once, settles slowly
    seconds = count * step * WAVE_MS / 1000.0
    if implot.begin_plot("##eeg", size, PLOT | implot.Flags_.no_inputs):
        implot.setup_axes("", "", AXIS_BARE, AXIS_BARE)
        implot.setup_axes_limits(-seconds * _gutter(hud, data.wave_names, size), 0.0, 0.0, channels + 0.55,
                                 implot.Cond_.always)  # fmt: skip
        spec = hud.line_spec
        for k in range(channels):
            spec.line_color = rgba(PALETTE[(0, 5, 2, 8)[k % 4]], 0.95)
            line = channels - 0.5 - k + np.clip(waves[k] / (2.0 * spread), -0.75, 0.75)
            implot.plot_line(f"##w{k}", line.astype(np.float32), seconds / count, -seconds, spec)
        _labels(hud, data.wave_names, [P_PALETTE[(0, 5, 2, 8)[k % 4]] for k in range(channels)], True)
        place, extent = implot.get_plot_pos(), implot.get_plot_size()
        hud.rects["eeg"] = (place.x, place.y, extent.x, extent.y)
        _note(hud, f"EEG-like, from spikes, {seconds:g} s")
        hovered = implot.is_plot_hovered()
        implot.end_plot()
        if hovered or imgui.is_item_hovered():
            imgui.begin_tooltip()
            imgui.push_text_wrap_pos(320 * hud.unit)
            imgui.text_wrapped(WAVE_NOTE)
            imgui.pop_text_wrap_pos()
            imgui.end_tooltip()


def _regions(hud, data, ui, size) -> None:
    history = data.region_history
    chosen = hud.choose_regions(data, ui)
    span = history.shape[1] * 0.05
    lines = uniform_filter1d(history[chosen], SMOOTH, axis=1)
    top = max(float(lines.max()) * 1.15 if len(chosen) else 1.0, 5.0)
    names = [readable(data.regions[k]) for k in chosen]
    if implot.begin_plot("##regions", size, PLOT | implot.Flags_.no_inputs):
        implot.setup_axes("", "", AXIS_BARE, AXIS_BARE)
        implot.setup_axes_limits(-span * _gutter(hud, names, size), 0.0, 0.0, 1.2 * top, implot.Cond_.always)
        spec, colours = hud.line_spec, []
        for n, line in enumerate(lines):
            colour = (1, 3, 4, 6)[n % 4]
            spec.line_color = rgba(PALETTE[colour], 0.95)
            colours.append(P_PALETTE[colour])
            implot.plot_line(f"##r{n}", np.ascontiguousarray(line[::2]), 0.10, -span, spec)
        _labels(hud, names, colours)
        place, extent = implot.get_plot_pos(), implot.get_plot_size()
        hud.rects["regions"] = (place.x, place.y, extent.x, extent.y)
        _note(hud, f"regions, {span:g} s, 0..{top:.0f} Hz")
        implot.end_plot()


# the brain as a tree --------------------------------------------------------------------------------------------


def brain(hud, data, ui) -> None:
    """Structure, cell, instance: select, then stimulate, inhibit, lesion or restore."""
    if hud.tree is None:
        nothing("this scene has no brain")
        return
    u, tree = hud.unit, hud.tree
    selected = ui.selected
    in_force = set(data.in_force)
    width = (imgui.get_content_region_avail().x - 3 * 4 * u) / 4
    for icon, verb, text, key, colour in (
        (Icon.STIMULATE, "stimulate", "Stimulate", "s", INJECTED), (Icon.INHIBIT, "inhibit", "Inhibit", "i", HELD_DOWN),
        (Icon.LESION, "silence", "Lesion", "l", CUT), (Icon.RESTORE, "restore", "Restore", "u", PALETTE[2]),
    ):  # fmt: skip
        on = (verb, selected) in in_force and verb != "restore"
        tip = f"{text} what is selected" + ("; again: end it" if verb in ("stimulate", "inhibit") else "")
        if hud.button(
            f"{verb}", icon, tip, key, width=width, active=on, tint=colour, enabled=selected is not None, text=key
        ):
            if verb == "stimulate":
                hud.ask(c.Stimulate(selected, 0.0 if on else hud.drive_mv))
            elif verb == "inhibit":
                hud.ask(c.Inhibit(selected, 0.0 if on else hud.drive_mv))
            else:
                hud.ask((c.Lesion if verb == "silence" else c.Restore)(selected))
        if verb != "restore":
            imgui.same_line(0, 4 * u)
    imgui.set_next_item_width(imgui.get_content_region_avail().x * 0.5)
    _, hud.drive_mv = imgui.slider_float("##drive", hud.drive_mv, 1.0, 60.0, "%.0f mV")
    imgui.same_line(0, 4 * u)
    imgui.set_next_item_width(-1)
    if hud.focus_search:
        imgui.set_keyboard_focus_here()
        hud.focus_search = False
    _, tree.search = imgui.input_text_with_hint("##search", "find   F3", tree.search)
    hud.submitted.append(selected or "nothing selected")
    imgui.push_style_color(imgui.Col_.text, rgba(PALETTE[0] if selected else (98, 108, 128)))
    imgui.text(hud.fit(selected or "nothing selected", imgui.get_content_region_avail().x))
    imgui.pop_style_color()
    imgui.begin_child("##tree", (0, 0))
    lines = tree.lines()
    rows = Rows(hud, len(lines), 17 * u)
    for k, y in rows:
        level, text, selector, folds, colour = lines[k]
        x = rows.x + level * 12 * u
        if selector == selected:
            rows.draw.add_rect_filled(
                (rows.x - 2, y), (rows.x + rows.width, y + rows.height), packed((46, 56, 76)), 3 * u
            )
        if folds:
            hud.icon(rows.draw, Icon.OPEN if selector in tree.opened or tree.search else Icon.CLOSED, x + u, y + 3 * u,
                     P_SOFT, 0.75)  # fmt: skip
        if level == 0:
            rows.draw.add_rect_filled((x + 12 * u, y + 5 * u), (x + 19 * u, y + 12 * u), P_PALETTE[colour % 12], 2 * u)
            x += 11 * u
        rows.text(text, x + 12 * u, y, P_TEXT if level == 0 or selector == selected else P_SOFT,
                  rows.x + rows.width - x - 34 * u)  # fmt: skip
        done = [verb for verb in SIGN if (verb, selector) in in_force]
        for n, verb in enumerate(done):
            rows.draw.add_circle_filled((rows.x + rows.width - (6 + 9 * n) * u, y + rows.height / 2), 3 * u, SIGN[verb])
    row = clicked_row(hud, rows)
    if row is not None:
        level, _, selector, folds, _ = lines[row]
        if folds and imgui.get_mouse_pos().x < rows.x + (level + 1) * 12 * u:
            tree.fold(selector)
        else:
            if selector == selected and folds:
                tree.fold(selector)
            hud.ask(c.Select(selector))
    imgui.end_child()


class Tree:
    """Populations by structure, cell and instance, as lines; what is folded away is not made."""

    def __init__(self, network):
        self.search, self.opened = "", set()
        self.structures = network.structures
        self.cells: dict[str, dict[str, list[str]]] = {}
        for p in network.populations:
            self.cells.setdefault(p.structure, {}).setdefault(p.cell_name, []).append(p.instance)
        self._made = (None, [])

    def fold(self, selector: str) -> None:
        """Open it, or close it."""
        self.opened ^= {selector}

    def lines(self) -> list[tuple[int, str, str, bool, int]]:
        """(level, text, selector, whether it folds, number of its structure) in order of sight."""
        key = (self.search, frozenset(self.opened))
        if self._made[0] != key:
            self._made = (key, self._searched() if self.search.strip() else self._folded())
        return self._made[1]

    def _folded(self) -> list:
        out = []
        for k, structure in enumerate(self.structures):
            out.append((0, readable(structure), f"{structure}.*", True, k))
            if f"{structure}.*" not in self.opened:
                continue
            for cell, instances in self.cells[structure].items():
                selector = f"{structure}.*.{cell}"
                out.append((1, readable(cell), selector, len(instances) > 1, k))
                if selector in self.opened and len(instances) > 1:
                    out += [(2, readable(i), f"{structure}.{i}.{cell}", False, k) for i in instances]
        return out

    def _searched(self) -> list:
        words, out = self.search.lower().split(), []
        for k, structure in enumerate(self.structures):
            found = []
            for cell, instances in self.cells[structure].items():
                for instance in instances:
                    text = f"{structure}.{instance}.{cell}".lower()
                    if all(word in text or word in text.replace("_", " ") for word in words):
                        found.append((1, f"{readable(instance)}  {readable(cell)}", f"{structure}.{instance}.{cell}",
                                      False, k))  # fmt: skip
            if found:
                out += [(0, readable(structure), f"{structure}.*", False, k), *found[:200]]
        return out


ALL = {"Reflexes": reflexes, "State": state, "Joints": joints, "Structures": structures, "Brain": brain,
       "Spikes": spikes, "Traces": traces}  # fmt: skip
