"""What one picture shows, and the composer that turns it into pixels: the body at the left, the panel at the right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from systems.view.camera import OrbitCamera

BODY_SHARE = 0.62  # of the width
MIN_SIZE = (64, 36)
# One colour per group in order of appearance, apart in hue and alike in weight on a dark ground (sRGB 0..255).
PALETTE = (
    (94, 171, 255), (255, 170, 92), (122, 214, 143), (243, 114, 134), (186, 148, 255), (86, 212, 215),
    (245, 214, 104), (233, 137, 214), (158, 192, 92), (255, 135, 96), (139, 160, 255), (196, 170, 140),
)  # fmt: skip

COMPUTED, INJECTED, HAND_SET = 0, 1, 2  # where a neuron's activity comes from: the network, a stimulus, a lesion
GLOW_MS = 60.0
PULSE_MS = 192  # longest delay that a tract shows, and a trail


@dataclass
class Points:
    """Places to draw as glowing balls: positions [R, 3] in mm, values [R]; `full` is the value of full brightness."""

    xyz_mm: np.ndarray
    value: np.ndarray
    colour: np.ndarray | None = None  # sRGB [R, 3] in 0..1; one soft blue where not given
    full: float = 1.0


@dataclass
class ViewFrame:
    """A copy of what the view needs at one moment; nothing in it is shared with the simulation.

    Rates and afferents are in Hz, muscles are activations in 0..1, events are (time in s, text) with the newest last.
    Rows of `raster` are cells or groups, columns are time, the newest at the right; `raster_bands` names row ranges.
    """

    time_s: float = 0.0
    realtime_x: float | None = None
    geom_xpos: np.ndarray | None = None  # [G, 3] m
    geom_xmat: np.ndarray | None = None  # [G, 9] row-major
    rates: dict[str, float] = field(default_factory=dict)
    raster: np.ndarray | None = None  # uint8 [rows, columns]
    muscles: dict[str, float] = field(default_factory=dict)
    events: list[tuple[float, str]] = field(default_factory=list)
    title: str = ""
    afferents: dict[str, float] = field(default_factory=dict)
    points: Points | None = None
    geom_rgba: np.ndarray | None = None  # [G, 4] replaces the model's colours
    geom_tint: np.ndarray | None = None  # [G] in 0..1, reddens active muscles
    raster_bands: list[tuple[str, int, int]] = field(default_factory=list)  # (name, first row, last row + 1)
    raster_span_s: float | None = None  # time the raster's width stands for
    # what the stage draws
    glow: np.ndarray | None = None  # float32 [neurons] 0..1: 1 at a spike, gone with GLOW_MS
    origin: np.ndarray | None = None  # uint8 [neurons]: COMPUTED, INJECTED or HAND_SET
    pulses: np.ndarray | None = None  # uint8 [sources, PULSE_MS]: spikes of each tract source per ms, the newest first
    activation: np.ndarray | None = None  # float32 [muscles] 0..1
    patch_rate: np.ndarray | None = None  # float32 [patches] Hz of the afferents
    hud: object | None = None  # what the panels show


class FrameComposer:
    """Turns frames into pictures of `size` (width, height); holds the camera, the panel's history and its colours.

    `camera` may be set by hand; until then it frames the body of the first frame and follows it (`follow`).
    Belongs to the thread that made it.
    """

    def __init__(
        self, model=None, size: tuple[int, int] = (1280, 720), *, samples: int | None = None, follow: bool = True
    ):
        from engine.errors import UserError
        from systems.view.body_renderer import BodyRenderer
        from systems.view.gl import offscreen_context
        from systems.view.panel import Panel

        width, height = (int(side) for side in size)
        if width < MIN_SIZE[0] or height < MIN_SIZE[1]:
            least = "x".join(map(str, MIN_SIZE))
            raise UserError(f"picture size: expected {least} pixels or more, found {width}x{height}")
        self.size, self.follow, self._samples = (width, height), follow, samples
        self._scene_size = (2 * round(width * BODY_SHARE / 2), height)
        self._ctx = offscreen_context()
        self.body = BodyRenderer(self._ctx, model, self._scene_size, samples) if model is not None else None
        self.panel = Panel((width - self._scene_size[0], height))
        self._points = {}
        self.camera: OrbitCamera | None = None
        self.points_camera: OrbitCamera | None = None
        self.turn_deg_per_s = 6.0  # slow turn of the brain view, per simulated second
        self._last_s = None

    def compose(self, frame: ViewFrame) -> np.ndarray:
        """One picture, uint8 RGB [height, width, 3]; the array is the caller's own."""
        elapsed = 0.0 if self._last_s is None else frame.time_s - self._last_s
        if elapsed < 0:
            self.panel.forget()  # time was rewound: the old lines belong to another past
        picture = np.empty((self.size[1], self.size[0], 3), dtype=np.uint8)
        scene = picture[:, : self._scene_size[0]]
        if self.body is not None and frame.geom_xpos is not None and frame.geom_xmat is not None:
            scene[:] = self._draw_body(frame, elapsed)
            if frame.points is not None:
                self._inset(scene, frame)
            reach = "body"
        else:
            scene[:] = self._draw_points(frame.points, self._scene_size, frame.time_s)
            reach = "points"
        picture[:, self._scene_size[0] :] = self.panel.draw(frame)
        self.panel.label_scene(scene, frame, reach)
        self._last_s = frame.time_s
        return picture

    def _draw_body(self, frame: ViewFrame, elapsed_s: float) -> np.ndarray:
        place = np.nan_to_num(np.asarray(frame.geom_xpos, dtype=float), posinf=0.0, neginf=0.0)
        whole = bool(np.isfinite(frame.geom_xpos).all())  # a body that blew up must not take the camera along
        if self.camera is None:
            self.camera = self.body.camera(place)
        elif self.follow and whole:
            self.camera.follow(self.body.centre(place), elapsed_s if elapsed_s >= 0 else 1e3)
        return self.body.draw(place, frame.geom_xmat, frame.geom_rgba, self.camera, frame.geom_tint)

    def _draw_points(self, points: Points | None, size: tuple[int, int], time_s: float, sky: bool = True):
        from systems.view.points_renderer import PointsRenderer

        if size not in self._points:
            self._points[size] = PointsRenderer(self._ctx, size, self._samples)
        renderer = self._points[size]
        if points is None:
            return renderer.draw(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 3)))
        xyz = np.asarray(points.xyz_mm, dtype=float).reshape(-1, 3)
        value = np.asarray(points.value, dtype=float).reshape(-1) / max(points.full, 1e-9)
        colour = points.colour if points.colour is not None else np.tile(np.array(PALETTE[0]) / 255, (len(xyz), 1))
        if self.points_camera is None:
            self.points_camera = renderer.camera(xyz, azimuth_deg=-35.0)
        turned = self.points_camera.moved(azimuth_deg=self.points_camera.azimuth_deg + self.turn_deg_per_s * time_s)
        return renderer.draw(xyz, value, colour, turned, sky)

    def _inset(self, scene: np.ndarray, frame: ViewFrame) -> None:
        """The brain in a corner of the body's picture, added onto its background."""
        side = 2 * round(0.15 * self.size[0] / 2), 2 * round(0.2 * self.size[1] / 2)
        small = self._draw_points(frame.points, side, frame.time_s, sky=False)
        margin = round(0.02 * self.size[1])
        corner = scene[margin : margin + side[1], scene.shape[1] - margin - side[0] : scene.shape[1] - margin]
        np.maximum(corner, small, out=corner)

    def close(self) -> None:
        """Free the driver's memory; the composer is of no use afterwards."""
        for renderer in (self.body, *self._points.values()):
            if renderer is not None:
                renderer.release()
        self._points.clear()
        self.body = None
        self._ctx.release()

    def __enter__(self) -> FrameComposer:
        return self

    def __exit__(self, *_) -> None:
        self.close()
