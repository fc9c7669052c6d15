"""Draw named places (brain regions) as balls that glow with their activity, in a soft dark space."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from systems.view.camera import OrbitCamera
from systems.view.gl import Canvas, load_program, set_uniforms

GLOW_REACH = 3.4  # halo radius in ball radii


class PointsRenderer:
    """Draws up to any number of points into its own off-screen canvas of `size` (width, height) pixels."""

    def __init__(self, ctx, size: tuple[int, int] = (794, 720), samples: int | None = None):
        self.ctx, self.size = ctx, (int(size[0]), int(size[1]))
        self._resources = ExitStack()
        with ctx:
            self.canvas = self._keep(Canvas(ctx, self.size, samples))
            self._programs = {
                "ball": self._keep(load_program(ctx, "point", "ball")),
                "glow": self._keep(load_program(ctx, "point", "glow")),
                "sky": self._keep(load_program(ctx, "sky")),
            }
            self._quad = self._keep(ctx.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], dtype="f4").tobytes()))
            self._sky = self._keep(ctx.vertex_array(self._programs["sky"], [(self._quad, "2f", "in_position")]))
        self._count = -1

    def _keep(self, resource):
        self._resources.callback(resource.release)
        return resource

    def release(self) -> None:
        """Free what the driver holds."""
        with self.ctx:
            self._resources.close()

    def _reserve(self, count: int) -> None:
        if count <= self._count:
            return
        self._count = count
        self._instances = self._keep(self.ctx.buffer(reserve=4 * 8 * max(count, 1), dynamic=True))
        layout = [
            (self._quad, "2f", "in_position"),
            (self._instances, "3f 4f 1f/i", "i_position", "i_colour", "i_radius"),
        ]
        self._ball = self._keep(self.ctx.vertex_array(self._programs["ball"], layout))
        self._glow = self._keep(self.ctx.vertex_array(self._programs["glow"], layout))

    def camera(self, xyz: np.ndarray, **fixed: float) -> OrbitCamera:
        """An orbit that shows every point; positions in any one unit."""
        xyz = np.asarray(xyz, dtype=float).reshape(-1, 3)
        if not len(xyz):
            return OrbitCamera(**fixed)
        fixed.setdefault("elevation_deg", 16.0)
        return OrbitCamera.framing(xyz, np.full(len(xyz), 2.0 * ball_radius(xyz)), self.size[0] / self.size[1], **fixed)

    def draw(self, xyz, value, colour, camera: OrbitCamera | None = None, sky: bool = True) -> np.ndarray:
        """Positions [R, 3], brightness [R] in 0..1, sRGB colours [R, 3] in 0..1; returns uint8 [height, width, 3].

        Without `sky` the background stays black.
        """
        xyz = np.asarray(xyz, dtype="f4").reshape(-1, 3)
        camera = camera or self.camera(xyz)
        value = np.clip(np.nan_to_num(np.asarray(value, dtype="f4").reshape(-1)), 0.0, 1.0)
        radius = ball_radius(xyz) * (0.78 + 0.34 * value)
        colour = np.asarray(colour, dtype="f4").reshape(-1, 3)
        rows = np.concatenate([xyz, colour, value[:, None], radius[:, None]], axis=1)
        with self.ctx:
            self._reserve(len(rows))
            self._draw_rows(np.ascontiguousarray(rows, dtype="f4"), camera, sky)
            return self.canvas.read()

    def _draw_rows(self, rows: np.ndarray, camera: OrbitCamera, sky: bool) -> None:
        ctx, target = self.ctx, self.canvas.framebuffer
        back = camera.axes()[2]
        depth = camera.distance - (rows[:, :3] - np.asarray(camera.target)) @ back
        values = {
            "u_view": camera.view(),
            "u_projection": camera.projection(self.size[0] / self.size[1]),
            "u_viewport": self.size,
            "u_depth_range": (float(depth.min(initial=1e9)), float(depth.max(initial=-1e9)) + 1e-6),
        }
        for name, program in self._programs.items():
            set_uniforms(program, {**values, "u_reach": GLOW_REACH if name == "glow" else 1.0})
        target.use()
        target.clear(0.0, 0.0, 0.0, 1.0, depth=1.0)
        ctx.enable_only(ctx.DEPTH_TEST)
        if len(rows):
            self._instances.write(rows.tobytes())
            self._ball.render(ctx.TRIANGLE_STRIP, instances=len(rows))
        target.depth_mask = False
        if sky:
            self._sky.render(ctx.TRIANGLE_STRIP)
        bright = rows[rows[:, 6] > 0.02]
        if len(bright):
            ctx.enable(ctx.BLEND)
            ctx.blend_func = ctx.ONE, ctx.ONE
            self._instances.write(np.ascontiguousarray(bright).tobytes())
            self._glow.render(ctx.TRIANGLE_STRIP, instances=len(bright))
            ctx.disable(ctx.BLEND)
        target.depth_mask = True


def ball_radius(xyz: np.ndarray) -> float:
    """Radius that keeps most balls apart, from the cloud's size and how many share it; in the unit of `xyz`."""
    count = len(xyz)
    if count < 2:
        return 1.0
    extent = float(np.linalg.norm(np.ptp(np.asarray(xyz, dtype=float), axis=0)))
    return max(0.125 * extent / np.cbrt(count), 1e-6)
