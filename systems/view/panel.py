"""The panel beside the scene: clock, rates with their history, spike raster, muscles, afferents, events, legend.

Drawn with pygame surfaces, without a window or a display. Everything is laid out on a sheet 486 x 720 units large and
scaled to the size asked for; small panels are drawn larger and scaled down, so that text keeps its shape.
"""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

from systems.view.frame import PALETTE, ViewFrame

SHEET = (486.0, 720.0)
MARGIN = 18
HISTORY = 150  # frames kept: 5 s at 30 frames per second
RATE_TOP_HZ, RATE_KNEE_HZ = 200.0, 0.5  # bars are logarithmic above the knee
BACK, CARD, LINE = (15, 18, 25), (22, 26, 36), (42, 49, 64)
TEXT, SOFT, FAINT = (232, 237, 245), (152, 163, 182), (98, 108, 128)
GOOD, WARN, HOT = (122, 214, 143), (245, 190, 96), (255, 92, 72)
MUSCLE_LOW, SENSE = (128, 70, 74), (86, 212, 215)
NAMES_LIMIT = 12  # more muscles or afferents than this are drawn as one strip of bars


def _pygame():
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    if not pygame.font.get_init():
        pygame.font.init()
    return pygame


def rate_share(hz: float | np.ndarray) -> np.ndarray:
    """Length of a rate's bar, 0..1: linear up to about 0.5 Hz, logarithmic above, full at 200 Hz."""
    hz = np.clip(np.nan_to_num(np.asarray(hz, dtype=float)), 0.0, RATE_TOP_HZ)
    return np.log1p(hz / RATE_KNEE_HZ) / np.log1p(RATE_TOP_HZ / RATE_KNEE_HZ)


def mix(a, b, share: float) -> tuple[int, int, int]:
    """Colour between `a` (share 0) and `b` (share 1)."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def readable(name: str) -> str:
    """`superior_colliculus` as people write it."""
    return name.replace("_", " ")


class Panel:
    """Draws frames into a picture of `size` (width, height); remembers the rates it was shown."""

    def __init__(self, size: tuple[int, int]):
        self.size = (max(int(size[0]), 8), max(int(size[1]), 8))
        scale = min(self.size[0] / SHEET[0], self.size[1] / SHEET[1])
        self._zoom = 1.0 if scale >= 0.75 else 1.0 / scale  # drawn this much larger, then shrunk
        self._scale = scale * self._zoom
        self.pygame = _pygame()
        drawn = tuple(max(round(side * self._zoom), 8) for side in self.size)
        self._surface = self.pygame.Surface(drawn, depth=32)
        self._width, self._height = drawn[0] / self._scale, drawn[1] / self._scale
        self._colours: dict[str, tuple[int, int, int]] = {}
        self._history: dict[str, np.ndarray] = {}
        self._font = lru_cache(maxsize=64)(lambda pixels: self.pygame.font.Font(None, pixels))
        self._glyphs = lru_cache(maxsize=2048)(self._render_text)

    def _render_text(self, text: str, pixels: int, colour):
        """Text drawn three times too large and shrunk: even spacing, which small hinted glyphs do not have."""
        large = self._font(3 * pixels).render(text or " ", True, colour)
        size = max(round(large.get_width() / 3), 1), max(round(large.get_height() / 3), 1)
        return self.pygame.transform.smoothscale(large, size)

    def _text_width(self, text: str, size: float) -> float:
        return self._font(3 * max(self._px(size), 6)).size(text)[0] / (3 * self._scale)

    # -- drawing in sheet units -----------------------------------------------------------------------------------

    def _px(self, units: float) -> int:
        return round(units * self._scale)

    def _box(self, x, y, width, height, colour, radius: float = 0.0, onto=None) -> None:
        left, top = self._px(x), self._px(y)
        rect = (left, top, max(self._px(x + width) - left, 1), max(self._px(y + height) - top, 1))
        self.pygame.draw.rect(onto or self._surface, colour, rect, border_radius=self._px(radius))

    def _text(self, text, x, y, size=17.0, colour=TEXT, align="left", room: float | None = None, onto=None) -> float:
        """Text whose vertical middle is at y; cut with an ellipsis to `room` units; returns its width."""
        pixels = max(self._px(size), 6)
        if room is not None and self._text_width(text, size) > room:
            while text and self._text_width(text + "...", size) > room:
                text = text[:-1]
            text = text.rstrip() + "..."
        glyphs = self._glyphs(text, pixels, colour)
        width = glyphs.get_width()
        left = self._px(x) - {"left": 0, "right": width, "centre": width // 2}[align]
        (onto or self._surface).blit(glyphs, (left, self._px(y) - glyphs.get_height() // 2))
        return width / self._scale

    def _head(self, text: str, y: float, note: str = "") -> float:
        self._text(text.upper(), MARGIN, y + 8, 14.5, SOFT)
        if note:
            self._text(note, self._width - MARGIN, y + 8, 14.5, FAINT, "right")
        return y + 19

    # -- one picture ----------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Drop the history lines (time was rewound)."""
        self._history.clear()

    def colour(self, name: str) -> tuple[int, int, int]:
        """The group's colour, given out in order of first appearance."""
        if name not in self._colours:
            self._colours[name] = PALETTE[len(self._colours) % len(PALETTE)]
        return self._colours[name]

    def draw(self, frame: ViewFrame) -> np.ndarray:
        """The panel for this frame, uint8 RGB [height, width, 3]; call once per frame, it moves the history on."""
        self._remember(frame)
        self._surface.fill(BACK)
        y = self._header(frame)
        bottom = self._height - 28
        self._legend(frame, bottom + 6)
        parts = self._parts(frame)
        free = bottom - y - sum(height for _, height, _ in parts)
        elastic = sum(stretch for *_, stretch in parts)
        for draw, height, stretch in parts:
            if free < 0:
                height *= max((bottom - y) / max(sum(h for _, h, _ in parts), 1e-6), 0.2) if elastic == 0 else 1.0
            height += stretch / elastic * free if elastic else 0.0
            if y + height > bottom + 1:
                break
            draw(frame, y, height - 12)
            y += height
        return self._pixels(self._surface, self.size)

    def _pixels(self, surface, size) -> np.ndarray:
        if surface.get_size() != size:
            surface = self.pygame.transform.smoothscale(surface, size)
        data = self.pygame.image.tobytes(surface, "RGB")
        return np.frombuffer(data, dtype=np.uint8).reshape(size[1], size[0], 3)

    def _parts(self, frame: ViewFrame) -> list[tuple]:
        """What is shown, top to bottom: (method, height in units with its gap, share of the room left over)."""
        parts = []
        if frame.rates:
            row = 16.0 if len(frame.rates) <= 13 else max(13 * 16.0 / len(frame.rates), 11.0)
            parts.append((self._rates, 32 + row * min(len(frame.rates), 20), 0.0))
        if frame.raster is not None and np.size(frame.raster):
            parts.append((self._raster, 80.0, 1.0))
        for values, draw in ((frame.muscles, self._muscles), (frame.afferents, self._afferents)):
            if values:
                rows = (len(values) + 1) // 2
                parts.append((draw, 31 + (14.5 * rows if len(values) <= NAMES_LIMIT else 56.0), 0.0))
        parts.append((self._events, 31 + 16.0 * 3, 0.0))
        return parts

    def _header(self, frame: ViewFrame) -> float:
        right = self._width - MARGIN
        self._text(frame.title or "encephagen", MARGIN, 28, 25, TEXT, room=self._width - 2 * MARGIN)
        width = self._text(f"{frame.time_s:.2f}", MARGIN, 58, 28, TEXT)
        self._text("s simulated", MARGIN + width + 6, 60, 16, SOFT)
        if frame.realtime_x is not None and np.isfinite(frame.realtime_x):
            colour = GOOD if frame.realtime_x >= 1 else WARN
            wide = self._text("x real time", right, 60, 16, SOFT, "right")
            digits = 1 if frame.realtime_x >= 10 else 2
            self._text(f"{frame.realtime_x:.{digits}f}", right - wide - 5, 58, 28, colour, "right")
        self._box(MARGIN, 78, self._width - 2 * MARGIN, 1, LINE)
        return 88.0

    def _remember(self, frame: ViewFrame) -> None:
        for name, value in (*frame.rates.items(), ("", frame.time_s)):
            line = self._history.setdefault(name, np.full(HISTORY, np.nan))
            line[:-1] = line[1:]
            line[-1] = value

    def _history_note(self) -> str:
        times = self._history[""][~np.isnan(self._history[""])]
        step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
        return f"last {step * HISTORY:.1f} s, own peak" if step > 0 else "history"

    def _rates(self, frame: ViewFrame, y: float, height: float) -> None:
        left, name_room, value_room = MARGIN, 142.0, 46.0
        history_width = 0.29 * self._width
        bar_left = left + name_room
        bar_width = self._width - 2 * MARGIN - name_room - value_room - history_width - 14
        line_left = self._width - MARGIN - history_width
        end = y + height
        y = self._head("Firing rates", y)
        for hz in (1, 10, 100):
            x = bar_left + bar_width * float(rate_share(hz))
            self._text(str(hz), x, y - 11, 13.5, FAINT, "centre")
            self._box(x, y - 3, 1, end - y + 3, LINE)
        self._text("Hz", bar_left + bar_width + value_room - 4, y - 11, 13.5, FAINT, "right")
        self._text(self._history_note(), self._width - MARGIN, y - 11, 13.5, FAINT, "right")
        names = list(frame.rates)
        row = min((end - y) / max(len(names), 1), 24.0) if len(names) <= 20 else (end - y) / 20
        shown = names if len(names) <= 20 else names[:19]
        for name in shown:
            hz, colour, middle = frame.rates[name], self.colour(name), y + row / 2
            size = min(16.5, 1.08 * row)
            self._text(readable(name), left, middle, size, TEXT if hz > 0 else SOFT, room=name_room - 8)
            self._box(bar_left, middle - 0.2 * row, bar_width, 0.4 * row, CARD, 2)
            share = float(rate_share(hz))
            if share > 0:
                self._box(bar_left, middle - 0.2 * row, max(bar_width * share, 2), 0.4 * row, colour, 2)
            text = f"{hz:.1f}" if hz < 99.95 else f"{hz:.0f}"
            self._text(text, bar_left + bar_width + value_room - 4, middle, size, TEXT if hz > 0 else FAINT, "right")
            self._history_line(name, line_left, y + 1, history_width, row - 2, colour)
            y += row
        if len(names) > len(shown):
            self._text(f"and {len(names) - len(shown)} more", left, y + row / 2, 14, FAINT)

    def _history_line(self, name, x, y, width, height, colour) -> None:
        line = self._history.get(name, np.zeros(0))
        known = np.flatnonzero(~np.isnan(line))
        self._box(x, y + height, width, 1, CARD)
        if len(known) < 2:
            return
        left = (x + width * known / (HISTORY - 1)) * self._scale
        peak = max(float(line[known].max()), RATE_KNEE_HZ)
        top = (y + height * (1.0 - np.clip(line[known] / peak, 0.0, 1.0))) * self._scale
        base = (y + height) * self._scale
        points = [*zip(left.tolist(), top.tolist(), strict=True)]
        self.pygame.draw.polygon(self._surface, mix(BACK, colour, 0.28), [(left[0], base), *points, (left[-1], base)])
        self.pygame.draw.aalines(self._surface, colour, False, points)

    def _raster(self, frame: ViewFrame, y: float, height: float) -> None:
        image = np.asarray(frame.raster)
        image = image.astype(np.uint8) * np.uint8(255 if image.dtype == bool else 1)
        bands = frame.raster_bands
        span = f"last {frame.raster_span_s:g} s" if frame.raster_span_s else ""
        end = y + height
        y = self._head("Spikes", y, span)
        gutter = 112.0 if bands else 0.0
        x, width = MARGIN + gutter, self._width - 2 * MARGIN - gutter
        size = max(self._px(width), 1), max(self._px(end - y), 1)
        pooled = _pool(_pool(image, size[1], 0), size[0], 1)
        colour = np.tile(np.array(TEXT, dtype=float), (image.shape[0], 1))
        for name, first, last in bands:
            colour[first:last] = self.colour(name)
        colour = colour[(np.arange(size[1]) * image.shape[0]) // size[1]]
        share = (pooled / 255.0)[..., None]
        pixels = np.array(CARD) + share * (colour[:, None, :] - np.array(CARD))
        picture = self.pygame.image.frombuffer(pixels.astype(np.uint8).tobytes(), size, "RGB")
        self._surface.blit(picture, (self._px(x), self._px(y)))
        used = y
        for name, first, last in bands:
            middle = y + (end - y) * 0.5 * (first + last) / image.shape[0]
            top = y + (end - y) * first / image.shape[0]
            self._box(x - 5, top + 0.5, 3, max((end - y) * (last - first) / image.shape[0] - 1, 1), self.colour(name))
            if middle - 6 >= used - 1 and middle + 6 <= end + 6:  # thin bands keep their colour, not their name
                self._text(readable(name), x - 10, middle, 14.5, SOFT, "right", room=gutter - 10)
                used = middle + 6

    def _muscles(self, frame: ViewFrame, y: float, height: float) -> None:
        shares = {name: float(np.clip(np.nan_to_num(value), 0.0, 1.0)) for name, value in frame.muscles.items()}
        levels = {name: (share, mix(MUSCLE_LOW, HOT, share)) for name, share in shares.items()}
        notes = {name: f"{value:.2f}" for name, value in frame.muscles.items()}
        self._values("Muscles", "activation 0..1", levels, notes, y, height)

    def _afferents(self, frame: ViewFrame, y: float, height: float) -> None:
        levels = {name: (float(rate_share(hz)), SENSE) for name, hz in frame.afferents.items()}
        notes = {name: f"{hz:.0f}" for name, hz in frame.afferents.items()}
        self._values("Senses", "afferent rate, Hz", levels, notes, y, height)

    def _values(self, title: str, note: str, levels: dict, notes: dict[str, str], y: float, height: float) -> None:
        """Named bars in two columns, or, for many, one strip of upright bars and the names of the strongest."""
        end, width = y + height, self._width - 2 * MARGIN
        y = self._head(title, y, note)
        if len(levels) <= NAMES_LIMIT:
            rows = (len(levels) + 1) // 2
            row, column = (end - y) / rows, (width + 18) / 2
            for k, (name, (share, colour)) in enumerate(levels.items()):
                x, middle = MARGIN + (k // rows) * column, y + (k % rows + 0.5) * row
                wide = column - 18
                self._text(readable(name), x, middle, 15, SOFT, room=0.5 * wide - 6)
                self._box(x + 0.5 * wide, middle - 3, 0.5 * wide - 34, 6, CARD, 2)
                length = (0.5 * wide - 34) * min(max(share, 0.0), 1.0)
                if length >= 1:
                    self._box(x + 0.5 * wide, middle - 3, length, 6, colour, 2)
                self._text(notes[name], x + wide, middle, 14.5, TEXT if share > 0.02 else FAINT, "right")
            return
        tall, step = end - y - 17, width / len(levels)
        self._box(MARGIN, y, width, tall, CARD)
        for k, (share, colour) in enumerate(levels.values()):
            rise = tall * min(max(share, 0.0), 1.0)
            if rise >= 0.5:
                self._box(MARGIN + k * step + 0.1 * step, y + tall - rise, 0.8 * step, rise, colour)
        strongest = sorted((name for name in levels if levels[name][0] > 0.02), key=lambda n: -levels[n][0])[:3]
        x = MARGIN
        for name in strongest:
            room = width / 3 - 8
            used = self._text(readable(name), x, end - 7, 14.5, SOFT, room=room - 34)
            self._text(notes[name], x + used + 6, end - 7, 14.5, TEXT)
            x += width / 3
        if not strongest:
            self._text(f"{len(levels)} at rest", x, end - 7, 14.5, FAINT)

    def _events(self, frame: ViewFrame, y: float, height: float) -> None:
        end = y + height
        y = self._head("Events", y)
        recent = sorted((event for event in frame.events if event[0] <= frame.time_s + 1e-9), key=lambda e: e[0])
        if not recent:
            self._text("none yet", MARGIN, y + 8, 15, FAINT)
        for at, text in recent[: -int(max((end - y) // 16, 1)) - 1 : -1]:
            fresh = frame.time_s - at < 1.0
            if fresh:
                self._box(MARGIN, y + 3, 3, 10, WARN)
            self._text(f"{at:.2f} s", MARGIN + 64, y + 8, 15, WARN if fresh else FAINT, "right")
            self._text(text, MARGIN + 76, y + 8, 15.5, TEXT if fresh else SOFT, room=self._width - 2 * MARGIN - 76)
            y += 16

    def _legend(self, frame: ViewFrame, y: float) -> None:
        self._box(MARGIN, y - 4, self._width - 2 * MARGIN, 1, LINE)
        chips = [(PALETTE[:3], "one colour per structure", bool(frame.rates or frame.raster_bands))]
        chips += [((HOT,), "muscle", bool(frame.muscles)), ((SENSE,), "sense", bool(frame.afferents))]
        chips += [((WARN,), "new event", bool(frame.events))]
        x = MARGIN
        for colours, text, shown in chips:
            if not shown:
                continue
            for colour in colours:
                self._box(x, y + 7, 9, 9, colour, 2)
                x += 11
            x += 4 + self._text(text, x + 4, y + 12, 14, SOFT) + 16
        if frame.rates:
            self._text("bars: logarithmic", self._width - MARGIN, y + 12, 14, FAINT, "right")

    # -- on the scene ---------------------------------------------------------------------------------------------

    def label_scene(self, scene: np.ndarray, frame: ViewFrame, kind: str) -> None:
        """Write the scene's own legend into its lower left corner; `kind` is body or points."""
        if kind == "body":
            low, high, words, shown = (206, 160, 132), HOT, ("muscle at rest", "active"), frame.geom_tint is not None
        else:
            low, high, words, shown = (38, 58, 88), (210, 232, 255), ("silent", "active"), frame.points is not None
        if not shown:
            return
        room = (300.0, 24.0)
        surface = self.pygame.Surface(tuple(self._px(side) for side in room), self.pygame.SRCALPHA, 32)
        words_width = sum(self._text_width(word, 15) for word in words)
        self._box(0, 0, words_width + 98, 24, (*BACK, 190), 6, onto=surface)
        x = self._text(words[0], 10, 12, 15, SOFT, onto=surface) + 18
        for k in range(12):
            self._box(x + 5 * k, 8, 5, 8, mix(low, high, k / 11), onto=surface)
        self._text(words[1], x + 68, 12, 15, SOFT, onto=surface)
        size = tuple(max(round(side / self._zoom), 1) for side in surface.get_size())
        if size != surface.get_size():
            surface = self.pygame.transform.smoothscale(surface, size)
        pixels = np.frombuffer(self.pygame.image.tobytes(surface, "RGBA"), dtype=np.uint8)
        pixels = pixels.reshape(size[1], size[0], 4)
        margin = max(round(MARGIN * self._scale / self._zoom), 1)
        place = scene[max(scene.shape[0] - margin - size[1], 0) :, margin:][: size[1], : size[0]]
        pixels = pixels[: place.shape[0], : place.shape[1]].astype(np.uint16)
        alpha = pixels[..., 3:]
        place[:] = (place * (255 - alpha) + pixels[..., :3] * alpha) // 255


def _pool(image: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Resize one axis to `length`: the maximum where it shrinks (no spike is lost), repeats where it grows."""
    starts = (np.arange(length) * image.shape[axis]) // length
    return np.maximum.reduceat(image, starts, axis=axis)
