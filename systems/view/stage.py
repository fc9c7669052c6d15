"""The 3D stage: a body on its ground, its nervous system beside it, inside it, or alone; drawn into its own texture.

Made once from a simulation, whose meshes, positions and names it copies; pictures are made of ViewFrames alone. A stage
belongs to the thread of its OpenGL context.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import UserError
from systems.view.body_parts import PULL_COLOUR, TOUCH_COLOUR, BodyParts
from systems.view.body_renderer import INSTANCE_FLOATS, BodyRenderer
from systems.view.brain_place import HALF_MM, Placement, standing, within
from systems.view.brain_renderer import COMPUTED_COLOUR, HAND_SET_COLOUR, INJECTED_COLOUR, BrainRenderer
from systems.view.brain_tracts import brain_of
from systems.view.camera import OrbitCamera
from systems.view.frame import HAND_SET, INJECTED, PALETTE, ViewFrame
from systems.view.gl import Canvas, current, is_software, load_program, set_uniforms
from systems.view.pick import REACH_PX, BodyPicker, Pick, project, ray

MIN_SIZE = (64, 36)
BRAIN_SHARE = 0.48  # length of the brain beside a body, in the body's longest extent
ALONE_SCALE = 1.6e-3  # metres per millimetre of a brain without a body
CORD_BESIDE_MM = 105.0  # the cord is drawn shorter where it hangs beside a body
CORD_ALONE_MM = 60.0
GLASS = 0.56  # of the skin over a brain inside
LEASH = 0.30  # of its extent: so far a body may move before the brain beside it follows
REGION_FULL_HZ = 40.0
DIM_TINT = 0.22  # muscles also redden their limb, a little


@dataclass
class StageOptions:
    """What is shown, and how finely. `selected` is a selector of neurons to highlight (`structure.instance.cell`)."""

    surface: float = 0.7  # opacity of the brain's surface, 0: none
    neurons: bool = True
    tracts: bool = True
    muscles: bool = True
    touch: bool = True
    shadows: bool = True
    brain: Literal["beside", "inside", "none"] = "beside"
    selected: str | None = None
    quality: int = 1  # 0 fast, 1 the machine's own balance, 2 fine
    detail: float = 1.0  # of the resolution at quality 1; the window lowers it where a processor draws too slowly


class Stage:
    """Draws one simulation at `size` (width, height). `samples` as for Canvas: None suits the driver."""

    def __init__(self, ctx, sim, size: tuple[int, int] = (1280, 720), samples: int | None = None):
        self.ctx, self.samples = ctx, samples
        self._resources = ExitStack()
        self._canvas: Canvas | None = None
        self._quality, self._detail, self._software = 1, 1.0, is_software(ctx)
        self.size = self._checked(size)
        self.network, self.model = sim.network, sim.physics.model if sim.physics is not None else None
        self.title = sim.scene.title
        with current(ctx):
            self._sky_program = self._keep(load_program(ctx, "sky"))
            self._copy_program = self._keep(load_program(ctx, "screen", "copy"))
            quad = self._keep(ctx.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], dtype="f4").tobytes()))
            self._sky = self._keep(ctx.vertex_array(self._sky_program, [(quad, "2f", "in_position")]))
            self._copy = self._keep(ctx.vertex_array(self._copy_program, [(quad, "2f", "in_position")]))
            self._make_canvas()
        self.body = self.parts = self._picker = None
        if self.model is not None:
            self.body = BodyRenderer(ctx, self.model, self._canvas.size, canvas=self._canvas)
            self.parts = BodyParts(sim.body, getattr(sim.physics, "muscle_names", None) or [])
            self._picker = BodyPicker(self.model, self.parts)
        self.brain = self._brain_renderer = None
        if self.network is not None:
            with current(ctx):
                self._read_network(sim)
        self._anchor: np.ndarray | None = None
        self._options = StageOptions()
        self._selected: tuple[str | None, np.ndarray | None] = (None, None)

    def _keep(self, resource):
        self._resources.callback(resource.release)
        return resource

    @staticmethod
    def _checked(size) -> tuple[int, int]:
        width, height = (int(side) for side in size)
        if width < MIN_SIZE[0] or height < MIN_SIZE[1]:
            raise UserError(f"picture size: expected {MIN_SIZE[0]}x{MIN_SIZE[1]} or more, found {width}x{height}")
        return width, height

    def _read_network(self, sim) -> None:
        network = self.network
        self.brain = brain_of(sim)
        self.structures = list(network.structures)
        palette = np.array(PALETTE, float) / 255
        self.structure_of = np.zeros(network.neuron_count, np.int64)
        self.population_of = np.zeros(network.neuron_count, np.int64)
        labels = list(network.connectome.labels) if network.connectome is not None else []
        self._region_of = np.full(network.neuron_count, -1)
        for k, p in enumerate(network.populations):
            self.structure_of[p.neurons], self.population_of[p.neurons] = self.structures.index(p.structure), k
            if p.cell.per == "region":
                self._region_of[p.neurons] = labels.index(p.instance)
        at = self.brain.anatomy.at
        self._names = [name.replace("_", " ") for name in self.structures]
        self._middles = [
            np.median(np.where((at[mine, :1] < 0), at[mine] * [-1, 1, 1], at[mine]), axis=0)
            for mine in (self.structure_of == k for k in range(len(self.structures)))
        ]  # right side
        self._region_size = np.bincount(self._region_of[self._region_of >= 0], minlength=len(labels))
        self.structure_colour = palette[np.arange(len(self.structures)) % len(palette)]
        names = {p.structure: k for k, p in enumerate({p.structure: p for p in network.populations}.values())}
        order = np.array([self.structures.index(name) for name in names])
        tract_colour = self.structure_colour[order[self.brain.tracts.structure]]
        self._brain_renderer = self._keep(
            BrainRenderer(self.ctx, self.brain, self.structure_colour[self.structure_of], tract_colour)
        )

    # -- size and quality ---------------------------------------------------------------------------------------

    def _make_canvas(self) -> None:
        """Where things are drawn: smaller than the picture where a processor draws, unless quality is 2."""
        dear = self._software and self.model is not None
        scale = {0: 0.6, 1: (0.8 if dear else 1.0) * self._detail, 2: 1.0}[self._quality]
        inner = tuple(max(2 * round(scale * side / 2), 2) for side in self.size)
        samples = self.samples
        if self._quality == 0:
            samples = 0
        elif self._quality == 2 and samples is None:
            samples = 4
        if self._canvas is not None:
            self._canvas.release()
            self._whole.release()
            self._whole_texture.release()
        self._canvas = Canvas(self.ctx, inner, samples)
        self._canvas.texture.repeat_x = self._canvas.texture.repeat_y = False
        self._whole_texture = self.ctx.texture(self.size, 3, alignment=1)
        self._whole = self.ctx.framebuffer([self._whole_texture])

    def resize(self, size: tuple[int, int]) -> None:
        """Draw at another size from now on."""
        self.size = self._checked(size)
        with current(self.ctx):
            self._new_canvas()

    def _new_canvas(self) -> None:
        self._make_canvas()
        if self.body is not None:
            self.body.canvas, self.body.size = self._canvas, self._canvas.size

    def release(self) -> None:
        """Free what the driver holds."""
        if self.body is not None:
            self.body.release()
        with current(self.ctx):
            self._resources.close()
            for thing in (self._canvas, self._whole, self._whole_texture):
                thing.release()

    # -- camera and places --------------------------------------------------------------------------------------

    def camera(self, frame: ViewFrame, options: StageOptions | None = None, **fixed: float) -> OrbitCamera:
        """An orbit that shows everything; `fixed` sets azimuth_deg, elevation_deg or fov_deg by hand."""
        options = options or self._options
        aspect = self.size[0] / self.size[1]
        beside = self.brain is not None and (self.model is None or options.brain == "beside")
        if self.model is None:
            fixed = {"azimuth_deg": -38.0, "elevation_deg": 14.0, **fixed}
            centres, radii = self._brain_balls(self._placement(frame, options))
            camera = OrbitCamera.framing(centres, radii, aspect, **fixed)
            camera.distance *= 0.93
            return camera
        camera = self.body.camera(frame.geom_xpos, **fixed)
        if not beside:
            return camera
        at = np.asarray(frame.geom_xpos, float)[self.body.creature]
        centres, radii = self._brain_balls(self._placement(frame, options))
        centres, radii = np.concatenate([at, centres]), np.concatenate([self.body.bounds[self.body.creature], radii])
        angles = {"azimuth_deg": camera.azimuth_deg, "elevation_deg": camera.elevation_deg, **fixed}
        camera = OrbitCamera.framing(centres, radii, aspect, **angles)
        camera.distance *= 0.9  # the balls are larger than what they hold
        return camera

    def _brain_balls(self, place: Placement) -> tuple[np.ndarray, np.ndarray]:
        corners = self.brain.anatomy.at[:: max(1, self.brain.anatomy.at.shape[0] // 1500)]
        return place.world(corners), np.full(len(corners), 3.0 * place.scale)

    def _placement(self, frame: ViewFrame, options: StageOptions) -> Placement:
        cord = self.brain.anatomy.cord
        if self.model is None:
            return standing(cord, np.zeros(3), ALONE_SCALE, np.pi / 2, CORD_ALONE_MM)
        at, turn = np.asarray(frame.geom_xpos, float), np.asarray(frame.geom_xmat, float)
        if options.brain == "inside":
            skull, size = self.parts.skull
            _, rotation = self.parts.frame_of(self.parts.head, at, turn)
            local = np.abs(rotation.T @ turn[skull].reshape(3, 3)) @ size  # half sizes along the head's own axes
            return within(cord, at[skull], rotation, local, self.parts.spine_at(at, turn)[1:])
        return self._beside(at, turn, cord)

    def _beside(self, at: np.ndarray, turn: np.ndarray, cord) -> Placement:
        """To the side of whoever looks first, at the end where the head is; follows a body that walks away."""
        centre = self.body.centre(at)
        if self._anchor is None or not np.isfinite(self._anchor).all():
            camera = self.body.camera(at)
            right = camera.axes()[0]
            creature = at[self.body.creature]
            along = (creature - centre) @ right
            self._half_width = float(np.max(np.abs(along) + self.body.bounds[self.body.creature]))
            reach = np.ptp(creature, axis=0) + 2 * self.body.bounds[self.body.creature].min()
            self._extent = float(max(reach.max(), 2 * self._half_width))
            head = self.parts.frame_of(self.parts.head, at, turn)[0]
            ahead = float((head - centre) @ right)
            sign = 1.0 if ahead >= -0.05 * self._extent else -1.0
            self._scale = BRAIN_SHARE * self._extent / (2 * HALF_MM[1] / 1000.0) / 1000.0
            self._aside = sign * right * (self._half_width + 0.42 * BRAIN_SHARE * self._extent)
            self._yaw = np.radians(camera.azimuth_deg) + sign * np.radians(52.0)
            self._anchor = centre.copy()
        gap = centre - self._anchor
        gap[2] = 0.0
        length = float(np.linalg.norm(gap))
        if np.isfinite(length) and length > LEASH * self._extent:
            self._anchor = self._anchor + gap * (1.0 - LEASH * self._extent / length)
        below_mm = CORD_BESIDE_MM + 64.0 + 12.0 + 18.0  # from the brain's middle to the cord's end, and a gap
        floor = float(at[self.body.floor, 2]) if self.body.floor is not None else 0.0
        middle = self._anchor + self._aside
        middle[2] = floor + below_mm * self._scale
        return standing(cord, middle, self._scale, self._yaw, CORD_BESIDE_MM)

    # -- one picture --------------------------------------------------------------------------------------------

    def draw(self, frame: ViewFrame, camera: OrbitCamera, options: StageOptions | None = None,
             between: tuple[ViewFrame, float] | None = None) -> None:  # fmt: skip
        """One picture into `texture`. `between` is (the frame before, how far from it to `frame`, 0..1)."""
        options = self._options = options or self._options
        if (options.quality, options.detail) != (self._quality, self._detail):
            self._quality, self._detail = int(np.clip(options.quality, 0, 2)), float(np.clip(options.detail, 0.3, 1.0))
            with current(self.ctx):
                self._new_canvas()
        at, turn, lag_ms = self._between(frame, between)
        shown = self.brain is not None and (self.model is None or options.brain != "none")
        place = None
        if shown:
            moment = frame if at is None else ViewFrame(geom_xpos=at, geom_xmat=turn)
            place = self._placement(moment, options)
        with current(self.ctx):
            if shown:
                self._upload(frame, options)
            if self.body is not None and at is not None:
                self._draw_body(frame, at, turn, camera, options, place, lag_ms)
            else:
                self._draw_sky()
            if shown and (self.model is None or options.brain == "beside"):
                self._draw_brain(camera, place, options, lag_ms)
            self._canvas.resolve()
        self._place = place

    def _between(self, frame: ViewFrame, between):
        """Pose between two frames, and how many ms the picture is behind the newer."""
        if frame.geom_xpos is None:
            lag = 0.0 if between is None else (1.0 - between[1]) * 1000.0 * (frame.time_s - between[0].time_s)
            return None, None, max(lag, 0.0)
        at, turn = np.asarray(frame.geom_xpos, float), np.asarray(frame.geom_xmat, float)
        if between is None or between[0].geom_xpos is None or between[0].geom_xpos.shape != at.shape:
            return at, turn, 0.0
        before, share = between
        share = float(np.clip(share, 0.0, 1.0))
        at = (1.0 - share) * before.geom_xpos + share * at
        mixed = ((1.0 - share) * np.asarray(before.geom_xmat) + share * turn).reshape(-1, 3, 3)
        first = mixed[:, :, 0] / np.maximum(np.linalg.norm(mixed[:, :, 0], axis=1, keepdims=True), 1e-9)
        second = mixed[:, :, 1] - first * np.einsum("ij,ij->i", first, mixed[:, :, 1])[:, None]
        second /= np.maximum(np.linalg.norm(second, axis=1, keepdims=True), 1e-9)
        turn = np.stack([first, second, np.cross(first, second)], axis=2).reshape(-1, 9)
        return at, turn, max((1.0 - share) * 1000.0 * (frame.time_s - before.time_s), 0.0)

    def _upload(self, frame: ViewFrame, options: StageOptions) -> None:
        if options.selected != self._selected[0]:
            self._selected = (options.selected, self._mask(options.selected))
        level = None
        if frame.points is not None:
            level = np.clip(np.asarray(frame.points.value) / REGION_FULL_HZ, 0.0, 1.0) ** 0.8
            level = np.where(level > 0.16, level, 0.0)
        selected = None if self._selected[1] is None else self._selected[1] * np.uint8(255)
        self._brain_renderer.upload(frame.glow, frame.origin, selected, frame.pulses, level)

    def _mask(self, selector: str | None) -> np.ndarray | None:
        if not selector:
            return None
        mask = np.zeros(self.network.neuron_count, bool)
        try:
            mask[self.network.neurons(selector)] = True
        except UserError:
            return None  # a selection that names nothing highlights nothing
        return mask

    def _draw_body(self, frame, at, turn, camera, options: StageOptions, place, lag_ms: float) -> None:
        at = np.nan_to_num(at, posinf=0.0, neginf=0.0)
        inside = options.brain == "inside" and self.brain is not None
        tint = extra = glow = None
        if options.muscles and frame.geom_tint is not None:
            tint = DIM_TINT * np.asarray(frame.geom_tint)
        if options.muscles and frame.activation is not None:
            extra = self.parts.bellies(frame.activation, at, turn, INSTANCE_FLOATS)
        if options.touch and frame.patch_rate is not None:
            glow = self.parts.touched(frame.patch_rate, at, turn, INSTANCE_FLOATS)
        self.body.render(
            at, turn, frame.geom_rgba, camera, tint, extra=extra, glow=glow, shadows=options.shadows,
            skin=GLASS if inside else 1.0, behind=lambda: self._draw_brain(camera, place, options, lag_ms),
        )  # fmt: skip

    def _draw_sky(self) -> None:
        target = self._canvas.framebuffer
        target.use()
        target.clear(0.0, 0.0, 0.0, 1.0, depth=1.0)
        self.ctx.enable_only(self.ctx.NOTHING)
        set_uniforms(self._sky_program, {"u_viewport": self._canvas.size})
        self._sky.render(self.ctx.TRIANGLE_STRIP)

    def _draw_brain(self, camera: OrbitCamera, place: Placement, options: StageOptions, lag_ms: float) -> None:
        width, height = self._canvas.size
        key = np.array([0.35, -0.5, 0.8])
        if self.body is not None:
            key = np.asarray(self.body.shared["u_key_direction"])
        right, up, back = camera.axes()
        if self.body is None:
            key = 0.75 * up - 0.5 * right + 0.6 * back
        view = {
            "u_view_projection": camera.projection(width / height) @ camera.view(), "u_eye": camera.eye,
            "u_key_direction": key / np.linalg.norm(key),
            "u_pixels": 0.5 * height / np.tan(np.radians(camera.fov_deg) / 2),
        }  # fmt: skip
        fine = self._quality == 2 or (self._quality == 1 and (self.model is None or not self._software))
        self._brain_renderer.draw(
            self._canvas.framebuffer, place, view, neurons=options.neurons, tracts=options.tracts,
            surface=options.surface, fine=fine, lag_ms=lag_ms,
        )  # fmt: skip

    @property
    def texture(self):
        """The last picture, a moderngl.Texture with its first row at the bottom; may be smaller than `size`."""
        return self._canvas.texture

    def read(self) -> np.ndarray:
        """The last picture, uint8 RGB [height, width, 3], first row on top."""
        with current(self.ctx):
            if self._canvas.size == self.size:
                return self._canvas.pixels()
            self._whole.use()
            self.ctx.enable_only(self.ctx.NOTHING)
            self._canvas.texture.use(0)
            set_uniforms(self._copy_program, {"u_picture": 0})
            self._copy.render(self.ctx.TRIANGLE_STRIP)
            raw = np.frombuffer(self._whole.read(components=3, alignment=1), np.uint8)
            return np.ascontiguousarray(raw.reshape(self.size[1], self.size[0], 3)[::-1])

    # -- what is where ------------------------------------------------------------------------------------------

    def pick(self, frame: ViewFrame, camera: OrbitCamera, x: float, y: float) -> Pick | None:
        """The nearest thing under a pixel of the picture (x to the right, y down), or None: the sky."""
        found = None
        if self._picker is not None and frame.geom_xpos is not None:
            found = self._picker.cast(frame.geom_xpos, frame.geom_xmat, *ray(camera, self.size, x, y))
        inside = self.model is not None and self._options.brain == "inside"
        if self.brain is None or (self.model is not None and self._options.brain == "none"):
            return found
        if inside and found is not None and found.kind != "ground":
            return found  # skin is over it
        neuron = self._neuron_under(frame, camera, x, y)
        return neuron if neuron is not None and (found is None or neuron.distance < found.distance) else found

    def _neuron_under(self, frame, camera, x: float, y: float) -> Pick | None:
        world = self._placement(frame, self._options).world(self.brain.anatomy.at)
        pixel, depth = project(camera, self.size, world)
        away = np.hypot(pixel[:, 0] - x, pixel[:, 1] - y)
        near = np.flatnonzero((away < REACH_PX * self.size[1] / 720) & (depth > 0))
        if not near.size:
            return None
        k = int(near[np.argmin(depth[near] / self._scale_of(depth) + 0.25 * away[near])])
        p = self.network.populations[int(self.population_of[k])]
        eye = np.asarray(camera.eye)
        distance = float(np.linalg.norm(world[k] - eye))
        return Pick("neuron", point=world[k], normal=(eye - world[k]) / distance, population=p.name, region=p.instance,
                    structure=p.structure, neuron=k, distance=distance)  # fmt: skip

    def _scale_of(self, depth: np.ndarray) -> float:
        return max(float(np.ptp(depth)) / 200.0, 1e-6)

    def labels(
        self, frame: ViewFrame, camera: OrbitCamera
    ) -> list[tuple[str, float, float, tuple[float, float, float]]]:
        """(text, x, y, sRGB) to write over the picture: structures at their middle, stimulated and silenced ones, and
        patches of skin that are touched."""
        out = []
        if self.brain is not None and (self.model is None or self._options.brain != "none"):
            points, texts, colours = list(self._middles), list(self._names), [tuple(c) for c in self.structure_colour]
            if frame.origin is not None and frame.origin.any():
                for origin, colour in ((INJECTED, INJECTED_COLOUR), (HAND_SET, HAND_SET_COLOUR)):
                    for number in np.unique(self.population_of[frame.origin == origin]):
                        p = self.network.populations[number]
                        text = (
                            p.instance.replace("_", " ") if p.instance not in ("all", "left", "right") else p.cell_name
                        )
                        if text not in texts and len(texts) < 40:
                            points.append(self.brain.anatomy.at[p.neurons].mean(axis=0))
                            texts.append(text)
                            colours.append(colour)
            if points:
                world = self._placement(frame, self._options).world(np.array(points))
                pixel, depth = project(camera, self.size, world)
                for text, (x, y), d, colour in zip(texts, pixel, depth, colours, strict=True):
                    if d > 0 and 0 <= x < self.size[0] and 0 <= y < self.size[1]:
                        out.append((text, float(x), float(y), colour))
        if frame.patch_rate is not None and self._options.touch and frame.geom_xpos is not None:
            touched = np.flatnonzero(np.asarray(frame.patch_rate) > 5.0)
            if touched.size:
                pixel, depth = project(
                    camera, self.size, self.parts.patches_at(frame.geom_xpos, frame.geom_xmat)[touched]
                )
                for k, (x, y), d in zip(touched, pixel, depth, strict=True):
                    if d > 0 and 0 <= x < self.size[0] and 0 <= y < self.size[1]:
                        out.append(
                            (self.parts.patch_names[k].replace("_", " "), float(x), float(y), tuple(TOUCH_COLOUR))
                        )
        return _apart(out, self.size[1])

    def legend(self) -> list[tuple[str, tuple[float, float, float]]]:
        """(text, sRGB): the three origins of activity first, then muscles and touch, then the structures."""
        rows = []
        if self.brain is not None:
            rows += [("computed spike", COMPUTED_COLOUR), ("injected (stimulated)", INJECTED_COLOUR),
                     ("hand-set (silenced)", HAND_SET_COLOUR)]  # fmt: skip
        if self.model is not None:
            rows += [("muscle pulls", tuple(PULL_COLOUR)), ("skin is touched", tuple(TOUCH_COLOUR))]
        if self.brain is not None:
            colours = [tuple(float(x) for x in c) for c in self.structure_colour]
            rows += list(zip([name.replace("_", " ") for name in self.structures], colours, strict=True))
        return rows


def _apart(labels: list, height: int) -> list:
    """The labels moved down until none is written over another, for letters of the usual size."""
    line = max(13.0, height / 48)
    placed: list[tuple[str, float, float, tuple]] = []
    for text, x, y, colour in sorted(labels, key=lambda label: label[2]):
        for _ in range(40):
            clash = next((p for p in placed if abs(p[2] - y) < line - 0.01 and p[1] < x + 0.55 * line * len(text)
                          and x < p[1] + 0.55 * line * len(p[0])), None)  # fmt: skip
            if clash is None:
                break
            y = clash[2] + line
        if y < height:
            placed.append((text, x, y, colour))
    return placed
