"""Draw a nervous system: the brain's surface as glass, every neuron as a point that lights up, tracts with pulses."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from systems.view import geom_mesh
from systems.view.brain_place import Placement
from systems.view.brain_tracts import STEPS, Brain
from systems.view.frame import PULSE_MS
from systems.view.gl import load_program, set_uniforms

NEURON_MM = 0.72  # radius of a silent neuron
COMPUTED_COLOUR = (1.0, 0.94, 0.78)  # of a spike that the network computed, sRGB
INJECTED_COLOUR = (0.72, 1.0, 0.12)  # of a neuron that is stimulated now
HAND_SET_COLOUR = (1.0, 0.08, 0.62)  # of one that is held silent


def linear(colour) -> tuple[float, ...]:
    return tuple(float(c) ** 2.0 for c in colour)


class BrainRenderer:
    """Static buffers of one brain; `draw` adds it to whatever framebuffer is bound."""

    def __init__(self, ctx, brain: Brain, colour: np.ndarray, tract_colour: np.ndarray):
        """Colours are sRGB 0..1: of every neuron [neurons, 3] and of every tract [tracts, 3]."""
        self.ctx, self.brain = ctx, brain
        self._resources = ExitStack()
        names = {"neuron": "neuron", "tract": "tract", "pulse": "pulse", "pial": "pial"}
        vertex = {"pulse": "tract"}
        self._programs = {k: self._keep(load_program(ctx, vertex.get(k, k), v)) for k, v in names.items()}
        self._make_neurons(colour)
        self._make_tracts(tract_colour)
        self._make_surface()

    def _keep(self, resource):
        self._resources.callback(resource.release)
        return resource

    def _buffer(self, array: np.ndarray):
        return self._keep(self.ctx.buffer(np.ascontiguousarray(array).tobytes()))

    def _make_neurons(self, colour: np.ndarray) -> None:
        at = self.brain.anatomy.at
        self.neuron_count = len(at)
        self._state_bytes = np.zeros((self.neuron_count, 4), np.uint8)
        self._state = self._keep(self.ctx.buffer(reserve=self._state_bytes.nbytes, dynamic=True))
        look = np.concatenate([colour, self._crowding()[:, None]], axis=1)
        self._neurons = self._keep(self.ctx.vertex_array(self._programs["neuron"], [
            (self._buffer(at.astype("f4")), "3f", "in_mm"),
            (self._buffer(np.rint(255 * look).astype("u1")), "4f1", "in_colour"),
            (self._state, "4f1", "in_state"),
        ]))  # fmt: skip

    def _crowding(self) -> np.ndarray:
        """Relative radius [neurons]: cells of crowded nuclei are drawn smaller, by how far their kind is spread."""
        out = np.ones(self.neuron_count)
        for rows in self.brain.populations:
            at = self.brain.anatomy.at[rows]
            spread = np.sort(np.abs(np.abs(at) - np.median(np.abs(at), axis=0)).mean(axis=0))[1:].mean()
            out[rows] = np.clip(0.30 + 0.11 * spread, 0.45, 1.0)
        return out

    def _make_tracts(self, colour: np.ndarray) -> None:
        tracts = self.brain.tracts
        count, rows = tracts.count, max(len(tracts.size), 1)
        self._traces = self._keep(self.ctx.texture((PULSE_MS, rows), 1, dtype="f1", alignment=1))
        self._traces.filter = self.ctx.NEAREST, self.ctx.NEAREST
        self._traces.repeat_x = self._traces.repeat_y = False
        self._lines = self._heads = None
        if not count:
            return
        along = np.tile(np.linspace(0.0, 1.0, STEPS + 1), (count, 1))
        about = np.stack([along, *(np.repeat(x[:, None], STEPS + 1, axis=1) for x in (tracts.delay_ms, tracts.source)),
                          np.zeros_like(along)], axis=2)  # fmt: skip
        vertices = np.concatenate([tracts.curve, about, np.repeat(colour[:, None], STEPS + 1, axis=1)], axis=2)
        first = (np.arange(count) * (STEPS + 1))[:, None] + np.arange(STEPS)
        index = self._buffer(np.stack([first, first + 1], axis=2).astype("i4"))
        layout = [(self._buffer(vertices.astype("f4")), "3f 4f 3f", "in_mm", "in_tract", "in_colour")]
        self._lines = self._keep(self.ctx.vertex_array(self._programs["tract"], layout, index))
        self._heads = self._keep(self.ctx.vertex_array(self._programs["pulse"], layout))

    def _make_surface(self) -> None:
        anatomy = self.brain.anatomy
        surface, region = anatomy.surface, anatomy.region_of_vertex
        self._region_count = int(region.max(initial=-1)) + 1
        self._regions = self._keep(self.ctx.texture((max(self._region_count, 1), 1), 1, dtype="f1", alignment=1))
        self._regions.filter = self.ctx.NEAREST, self.ctx.NEAREST
        rows = [np.concatenate([surface.at, surface.normal, surface.depth[:, None], region[:, None] + 1.0], axis=1)]
        more = []
        ball = geom_mesh.sphere(2)[:, :3].astype(float)
        for hull in anatomy.hulls if self._region_count else ():
            for sign in (1.0, -1.0) if hull.both else (1.0,):
                half = np.array(hull.half_mm)
                normal = ball / half
                normal /= np.linalg.norm(normal, axis=1, keepdims=True)
                about = np.tile([-0.35, 0.0], (len(ball), 1))
                more.append(np.arange(len(ball)).reshape(-1, 3) + sum(len(x) for x in rows))
                rows.append(np.concatenate([np.array(hull.mni_mm) * [sign, 1, 1] + ball * half, normal, about], axis=1))
        layout = [(self._buffer(np.concatenate(rows).astype("f4")), "3f 3f 2f", "in_mm", "in_normal", "in_skin")]
        self._surfaces = [
            self._keep(self.ctx.vertex_array(self._programs["pial"], layout, self._buffer(np.concatenate(index))))
            for index in ([faces.astype("i4"), *(x.astype("i4") for x in more)]
                          for faces in (surface.faces_coarse, surface.faces))
        ]  # fmt: skip

    def release(self) -> None:
        """Free what the driver holds."""
        self._resources.close()

    def upload(self, glow, origin, selected, pulses, region_level) -> None:
        """Hand the dynamic part to the driver: states of the neurons [neurons], traces, levels 0..1 of the regions."""
        state = self._state_bytes
        state[:, 0] = 0 if glow is None else glow * 255.0
        state[:, 1] = 0 if origin is None else origin
        state[:, 2] = 0 if selected is None else selected
        self._state.write(state.tobytes())
        if pulses is not None and len(pulses):
            self._traces.write((self.brain.tracts.traces(pulses) * 255.0).astype(np.uint8).tobytes())
        if region_level is not None and self._region_count == len(region_level):
            self._regions.write((np.clip(region_level, 0.0, 1.0) * 255.0).astype(np.uint8).tobytes())

    def draw(self, target, place: Placement, view: dict, *, neurons=True, tracts=True, surface=0.6, fine=False,
             lag_ms=0.0, dim=1.0) -> None:  # fmt: skip
        """Add to `target`; `view` has u_view_projection, u_eye, u_key_direction and u_pixels. Depth is tested, and
        written by the surface alone."""
        ctx = self.ctx
        values = {
            **view, **place.uniforms(), "u_traces": 0, "u_regions": 1, "u_rows": float(self._traces.height),
            "u_columns": float(PULSE_MS), "u_lag": float(lag_ms), "u_region_count": float(max(self._region_count, 1)),
            "u_radius": NEURON_MM * place.scale, "u_alpha": float(surface), "u_computed": linear(COMPUTED_COLOUR),
            "u_injected": linear(INJECTED_COLOUR), "u_hand_set": linear(HAND_SET_COLOUR),
        }  # fmt: skip
        special = {
            "neuron": {"u_rest": 0.24 * dim},
            "tract": {"u_head": 0.0, "u_rest": 0.085 * dim},
            "pulse": {"u_head": 1.1 * place.scale},
        }
        for name, program in self._programs.items():
            set_uniforms(program, values | special.get(name, {}))
        target.depth_mask = False
        ctx.enable_only(ctx.DEPTH_TEST | ctx.BLEND | ctx.PROGRAM_POINT_SIZE)
        ctx.blend_func = ctx.ONE, ctx.ONE_MINUS_SRC_ALPHA, ctx.ZERO, ctx.ZERO  # alpha 0: not to be smoothed
        self._traces.use(0)
        self._regions.use(1)
        if tracts and self._lines is not None:
            self._lines.render(ctx.LINES)
            self._heads.render(ctx.POINTS)
        if neurons:
            self._neurons.render(ctx.POINTS)
        if surface > 0.0 and self._region_count:
            self._draw_surface(target, self._surfaces[int(fine)])
        target.depth_mask = True
        ctx.enable_only(ctx.NOTHING)

    def _draw_surface(self, target, glass) -> None:
        """Depth first, then colour where it is nearest: one layer of glass, however the folds overlap."""
        ctx = self.ctx
        ctx.enable_only(ctx.DEPTH_TEST | ctx.CULL_FACE | ctx.BLEND)
        target.depth_mask = True
        ctx.blend_func = ctx.ZERO, ctx.ONE
        glass.render(ctx.TRIANGLES)
        target.depth_mask = False
        ctx.depth_func = "<="
        ctx.blend_func = ctx.SRC_ALPHA, ctx.ONE_MINUS_SRC_ALPHA, ctx.ZERO, ctx.ONE
        glass.render(ctx.TRIANGLES)
        ctx.depth_func = "<"
