"""Draw a MuJoCo body from its geoms: soft key light with a shadow, sky light, a floor that fades into the background.

Only arrays of the model are read (type, size, colour, mesh), mujoco itself is not imported. Geoms of group 3 and
fully transparent ones are hidden, as in MuJoCo's own viewer. Height fields are not drawn.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from systems.view import geom_mesh
from systems.view.camera import OrbitCamera
from systems.view.gl import Canvas, current, is_software, let_others_run, load_program, set_uniforms

INSTANCE_FLOATS = 20  # position 3, rotation 9, colour 4, size 4
SHADOW_PIXELS = 1024
SHADOW_REACH = 1.5  # half side of the square that shadows may fall on, in the body's reach
FLOOR_COLOUR = (0.235, 0.265, 0.32)  # sRGB
MAT_SHADE = 0.62  # of the mat's own colour, so that the body stays the brightest thing
TINT_COLOUR = (1.0, 0.16, 0.10)  # a fully active muscle, sRGB
HIDDEN_GROUP = 3
EXTRA_LIMIT = 512  # ellipsoids beside the model's own geoms
DETAIL_STEPS = (0.16, 0.45, 0.9)  # radius / that of the thickest geom where the next finer mesh starts
CONTACT_WIDTH = 0.22  # smaller geoms leave no dark patch on the floor
DEFAULT_RGBA = (0.5, 0.5, 0.5, 1.0)  # MuJoCo's "not set": the material's colour counts instead


class BodyRenderer:
    """Draws one model into its own off-screen canvas of `size` (width, height) pixels."""

    def __init__(
        self, ctx, model, size: tuple[int, int] = (794, 720), samples: int | None = None, canvas: Canvas | None = None
    ):
        """`canvas` draws into another's, else the renderer makes its own."""
        self.ctx, self.size = ctx, (int(size[0]), int(size[1]))
        self.key_azimuth_deg: float | None = None
        self._resources = ExitStack()
        self._read_model(model)
        with current(ctx):
            self.canvas = canvas or self._keep(Canvas(ctx, self.size, samples))
            self._programs = {
                name: self._keep(load_program(ctx, name)) for name in ("geom", "shadow", "ground", "contact", "sky")
            }
            self._programs["floor"] = self._keep(load_program(ctx, "ground", "floor"))
            self._make_batches(model)
            self._make_flat_quads()
            self._shadow_pixels = SHADOW_PIXELS // 2 if is_software(ctx) else SHADOW_PIXELS
            self._shadow_map = self._keep(ctx.depth_texture((self._shadow_pixels,) * 2))
            self._shadow_map.compare_func = "<="
            self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
            self._shadow_target = self._keep(ctx.framebuffer(depth_attachment=self._shadow_map))

    # -- what the model says ------------------------------------------------------------------------------------

    def _read_model(self, model) -> None:
        self.geom_type = np.array(model.geom_type)
        self.geom_size = np.array(model.geom_size, dtype=float)
        self.geom_count = len(self.geom_type)
        self.base_rgba = np.array(model.geom_rgba, dtype="f4")
        material = np.array(model.geom_matid)
        plain = (material >= 0) & np.all(np.isclose(self.base_rgba, DEFAULT_RGBA), axis=1)
        self.base_rgba[plain] = model.mat_rgba[material[plain]]
        body = np.array(model.geom_bodyid)
        self.visible = (np.array(model.geom_group) != HIDDEN_GROUP) & (self.geom_type != geom_mesh.HFIELD)
        planes = np.flatnonzero((self.geom_type == geom_mesh.PLANE) & self.visible)
        self.floor = int(planes[0]) if len(planes) else None  # what the body stands or lies on
        self.visible &= self.geom_type != geom_mesh.PLANE
        self.bounds = np.where(self.geom_type == geom_mesh.PLANE, 0.0, np.array(model.geom_rbound))
        # The creature: the moving tree with the most visible geoms; everything visible where nothing moves.
        root = np.array(model.body_rootid)[body]
        moving = self.visible & (body > 0)
        most = np.argmax(np.bincount(root[moving])) if moving.any() else 0
        self.creature = np.flatnonzero(moving & (root == most) if moving.any() else self.visible)
        self._slabs = np.flatnonzero((body == 0) & self.visible & (self.geom_type == geom_mesh.BOX))
        self.stat_centre, self.stat_extent = np.array(model.stat.center, dtype=float), float(model.stat.extent)
        self._scale, self._segment = self._instance_sizes()
        size = self.geom_size[self.floor, :2] if self.floor is not None else np.zeros(2)
        reach = max(float(self.bounds[self.creature].sum() / 2) if len(self.creature) else 0.0, self.stat_extent)
        # A small finite plane is a mat: it keeps its colour, gets a rim and lies on the endless floor.
        self.mat = self.floor if self.floor is not None and np.all(size > 0) and np.all(size < 3 * reach) else None
        self.mat_thickness = 0.05 * float(size.min()) if self.mat is not None else 0.0

    def _instance_sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """Per geom: mesh scale xyz and cap offset [G, 4]; and its axis as (axis number, half length, radius) [G, 3]."""
        kind, size = self.geom_type, self.geom_size
        scale = np.ones((self.geom_count, 4), dtype="f4")
        scale[:, 3] = 0.0
        round_ = np.isin(kind, (geom_mesh.SPHERE, geom_mesh.CAPSULE))
        scale[round_, :3] = size[round_, :1]
        scale[kind == geom_mesh.CAPSULE, 3] = size[kind == geom_mesh.CAPSULE, 1]
        solid = np.isin(kind, (geom_mesh.ELLIPSOID, geom_mesh.BOX))
        scale[solid, :3] = size[solid]
        tube = kind == geom_mesh.CYLINDER
        scale[tube, :3] = size[tube][:, [0, 0, 1]]
        scale[:, :3] = np.maximum(scale[:, :3], 1e-5)  # planes have size zero and must not divide by it
        extent = scale[:, :3].astype(float)
        extent[:, 2] += scale[:, 3]
        mesh = kind == geom_mesh.MESH
        extent[mesh] = 0.5 * self.bounds[mesh, None]
        axis = extent.argmax(axis=1)
        longest, radius = extent.max(axis=1), np.sort(extent, axis=1)[:, 1]
        scale *= 1.0 - 1.5e-3 * (np.arange(self.geom_count)[:, None] % 8)  # coincident surfaces would flicker
        return scale, np.stack([axis, longest - radius, radius], axis=1)

    # -- GPU objects --------------------------------------------------------------------------------------------

    def _keep(self, resource):
        self._resources.callback(resource.release)
        return resource

    def _make_batches(self, model) -> None:
        """One batch per geom type (and per mesh): its geoms, its unit mesh and room for their instances."""
        kinds = {
            geom_mesh.SPHERE: geom_mesh.sphere,
            geom_mesh.ELLIPSOID: geom_mesh.sphere,
            geom_mesh.CAPSULE: geom_mesh.capsule,
            geom_mesh.CYLINDER: geom_mesh.cylinder,
            geom_mesh.BOX: geom_mesh.box,
        }
        # The eye sees facets by their size on the screen: fine meshes for heads, coarse ones for fingertips.
        width = self._segment[:, 2] / max(float(self._segment[self.creature, 2].max(initial=1e-9)), 1e-9)
        detail = np.digitize(width, DETAIL_STEPS)
        self._touching = self.creature[width[self.creature] > CONTACT_WIDTH]
        drawn = self.visible
        batches = [
            (np.flatnonzero(drawn & (self.geom_type == kind) & (detail == level)), shape(level), shape(min(level, 1)))
            for kind, shape in kinds.items()
            for level in range(len(DETAIL_STEPS) + 1)
        ]
        mesh_of = np.where(self.visible & (self.geom_type == geom_mesh.MESH), np.array(model.geom_dataid), -1)
        batches += [
            (np.flatnonzero(mesh_of == mesh), *2 * (geom_mesh.model_mesh(model, mesh),))
            for mesh in np.unique(mesh_of[mesh_of >= 0])
        ]
        if self.mat is not None:
            batches.append((np.array([self.mat]), geom_mesh.box(), geom_mesh.box()))
            self._scale[self.mat] = (*self.geom_size[self.mat, :2], 0.5 * self.mat_thickness, 0.0)
        self._is_creature = np.zeros(self.geom_count, bool)
        self._is_creature[self.creature] = True
        batches = [(mine, *shapes) for geoms, *shapes in batches
                   for mine in (geoms[self._is_creature[geoms]], geoms[~self._is_creature[geoms]])]  # fmt: skip
        shape, index = self._indexed(geom_mesh.sphere(1))
        self._extra_instances = self._keep(self.ctx.buffer(reserve=4 * INSTANCE_FLOATS * EXTRA_LIMIT, dynamic=True))
        self._extra = self._keep(self.ctx.vertex_array(self._programs["geom"], [
            (shape, "3f 3f 1f", "in_position", "in_normal", "in_cap"),
            (self._extra_instances, "3f 9f 4f 4f/i", "i_position", "i_rotation", "i_colour", "i_size"),
        ], index))  # fmt: skip
        self._batches = []
        for geoms, vertices, silhouette in batches:
            if not len(geoms):
                continue
            shape, index = self._indexed(vertices)
            outline, outline_index = self._indexed(silhouette)
            instances = self._keep(self.ctx.buffer(reserve=4 * INSTANCE_FLOATS * len(geoms), dynamic=True))
            lit = self._keep(
                self.ctx.vertex_array(
                    self._programs["geom"],
                    [
                        (shape, "3f 3f 1f", "in_position", "in_normal", "in_cap"),
                        (instances, "3f 9f 4f 4f/i", "i_position", "i_rotation", "i_colour", "i_size"),
                    ],
                    index,
                )
            )
            dark = self._keep(
                self.ctx.vertex_array(
                    self._programs["shadow"],
                    [
                        (outline, "3f 12x 1f", "in_position", "in_cap"),
                        (instances, "3f 9f 16x 4f/i", "i_position", "i_rotation", "i_size"),
                    ],
                    outline_index,
                )
            )
            self._batches.append((geoms, instances, lit, dark))

    def _indexed(self, vertices: np.ndarray) -> tuple:
        """Buffers of the distinct vertices and of the triangles' indices into them."""
        unique, order = np.unique(vertices, axis=0, return_inverse=True)
        buffers = np.ascontiguousarray(unique).tobytes(), order.astype("i4").tobytes()
        return tuple(self._keep(self.ctx.buffer(data)) for data in buffers)

    def _make_flat_quads(self) -> None:
        quad = self._keep(self.ctx.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], dtype="f4").tobytes()))
        self._contacts = self._keep(self.ctx.buffer(reserve=4 * 7 * max(self.geom_count, 1), dynamic=True))
        square = [(quad, "2f", "in_position")]
        decals = [*square, (self._contacts, "3f 3f 1f/i", "i_from", "i_to", "i_radius")]
        self._ground = self._keep(self.ctx.vertex_array(self._programs["ground"], square))
        self._floor = self._keep(self.ctx.vertex_array(self._programs["floor"], square))
        self._sky = self._keep(self.ctx.vertex_array(self._programs["sky"], square))
        self._contact = self._keep(self.ctx.vertex_array(self._programs["contact"], decals))

    def release(self) -> None:
        """Free what the driver holds."""
        with current(self.ctx):
            self._resources.close()

    # -- camera -------------------------------------------------------------------------------------------------

    def centre(self, geom_xpos: np.ndarray) -> np.ndarray:
        """Middle of the creature's bounding box [m]; the model's own centre where it has no visible geom."""
        if not len(self.creature):
            return self.stat_centre
        at, reach = np.asarray(geom_xpos)[self.creature], self.bounds[self.creature, None]
        return 0.5 * ((at - reach).min(axis=0) + (at + reach).max(axis=0))

    def camera(self, geom_xpos: np.ndarray, **fixed: float) -> OrbitCamera:
        """An orbit that shows the whole creature; `fixed` sets azimuth_deg, elevation_deg or fov_deg by hand."""
        aspect = self.size[0] / self.size[1]
        if not len(self.creature):
            ball = np.array([0.5 * max(self.stat_extent, 1e-3)])
            return OrbitCamera.framing(self.stat_centre[None], ball, aspect, **fixed)
        at = np.asarray(geom_xpos, dtype=float)[self.creature]
        return OrbitCamera.framing(at, self.bounds[self.creature], aspect, **fixed)

    # -- one picture --------------------------------------------------------------------------------------------

    def draw(self, geom_xpos, geom_xmat, rgba=None, camera: OrbitCamera | None = None, tint=None) -> np.ndarray:
        """Render positions [G, 3] (metres) and row-major rotations [G, 9]; returns uint8 RGB [height, width, 3].

        `rgba` [G, 4] replaces the model's colours; `tint` [G] in 0..1 (muscle activation) reddens them.
        """
        with current(self.ctx):
            self.render(geom_xpos, geom_xmat, rgba, camera, tint)
            return self.canvas.read()

    def render(self, geom_xpos, geom_xmat, rgba=None, camera=None, tint=None, *, extra=None, glow=None, shadows=True,
               skin=1.0, behind=None) -> None:  # fmt: skip
        """Draw into the canvas and leave it there. `extra` [E, INSTANCE_FLOATS] are more ellipsoids, opaque ones first;
        `glow` more
        that are added to the picture; with `skin` below 1 the creature is glass, and `behind()`
        draws what shows through it."""
        at = np.asarray(geom_xpos, dtype="f4").reshape(self.geom_count, 3)
        turn = np.asarray(geom_xmat, dtype="f4").reshape(self.geom_count, 9)
        colour = np.array(self.base_rgba if rgba is None else rgba, dtype="f4").reshape(self.geom_count, 4)
        if tint is not None:
            share = np.clip(np.nan_to_num(np.asarray(tint, dtype="f4")), 0.0, 1.0)[:, None]
            colour[:, :3] += share * (np.array(TINT_COLOUR, dtype="f4") - colour[:, :3])
        camera = camera or self.camera(at)
        rows = np.concatenate([at, turn, colour, self._scale], axis=1)
        rows = np.nan_to_num(rows, posinf=0.0, neginf=0.0)
        if self.mat is not None:  # its box hangs below the plane, whose upper side is drawn with the quilt's seams
            rows[self.mat, :3] -= (0.502 * self.mat_thickness) * turn[self.mat].reshape(3, 3)[:, 2]
            rows[self.mat, 12:15] *= MAT_SHADE
        self._skin = float(skin)
        self._set_uniforms(at, turn, camera)
        opaque = self._upload(rows, colour[:, 3], np.linalg.norm(at - camera.eye, axis=1) - self.bounds)
        self._draw_shadow(opaque if shadows else [])
        self._draw_scene(rows, opaque, extra, behind)
        if glow is not None and len(glow):
            self._draw_glow(glow)

    def _upload(self, rows: np.ndarray, alpha: np.ndarray, away: np.ndarray) -> list[tuple[int, int]]:
        """Instances into their buffers, opaque ones first; how many of each batch are (opaque, drawn at all)."""
        counts = []
        for geoms, instances, *_ in self._batches:
            geoms = geoms[np.argsort(away[geoms])]  # near ones first: what they hide is not shaded
            solid, glassy = geoms[alpha[geoms] > 0.995], geoms[(alpha[geoms] <= 0.995) & (alpha[geoms] > 0.004)][::-1]
            order = np.concatenate([solid, glassy])
            if len(order):
                instances.write(np.ascontiguousarray(rows[order]).tobytes())
            counts.append((len(solid), len(order)))
        return counts

    def _draw_shadow(self, counts: list[tuple[int, int]]) -> None:
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        self.ctx.enable_only(self.ctx.DEPTH_TEST | self.ctx.CULL_FACE)
        for (geoms, _, _, dark), (solid, _) in zip(self._batches, counts, strict=False):
            if solid and not (self.mat is not None and geoms[0] == self.mat):
                dark.render(instances=solid)
        let_others_run(self.ctx)

    def _draw_scene(self, rows: np.ndarray, counts: list[tuple[int, int]], extra=None, behind=None) -> None:
        ctx = self.ctx
        target = self.canvas.framebuffer
        target.use()
        target.clear(0.0, 0.0, 0.0, 1.0, depth=1.0)
        ctx.enable_only(ctx.DEPTH_TEST | ctx.CULL_FACE)
        self._shadow_map.use(0)
        glass = self._skin < 1.0
        for (geoms, _, lit, _), (solid, _) in zip(self._batches, counts, strict=True):
            if solid and not (glass and self._is_creature[geoms[0]]):
                lit.render(instances=solid)
        if extra is not None and len(extra) and not glass:
            self._draw_extra(extra)
        ctx.enable_only(ctx.DEPTH_TEST)
        for surface, near, far in self._surfaces:
            for program, square, pieces in (("ground", self._ground, near), ("floor", self._floor, far)):
                set_uniforms(self._programs[program], surface)
                for piece in pieces:
                    set_uniforms(self._programs[program], piece)
                    square.render(ctx.TRIANGLE_STRIP)
        target.depth_mask = False
        ctx.depth_func = "<="
        self._sky.render(ctx.TRIANGLE_STRIP)
        ctx.depth_func = "<"
        ctx.enable(ctx.BLEND)
        if self._support is not None and not glass:  # they would show through
            self._draw_contacts(rows)
        if glass:
            self._draw_glass(counts, extra, behind)
        ctx.enable_only(ctx.DEPTH_TEST | ctx.BLEND | ctx.CULL_FACE)
        ctx.blend_func = ctx.SRC_ALPHA, ctx.ONE_MINUS_SRC_ALPHA
        target.depth_mask = False
        for (geoms, instances, lit, _), (solid, drawn) in zip(self._batches, counts, strict=True):
            if drawn > solid:  # the instances after the solid ones: move them to the front of the buffer
                rest = instances.read(size=4 * INSTANCE_FLOATS * (drawn - solid), offset=4 * INSTANCE_FLOATS * solid)
                instances.write(rest)
                lit.render(instances=min(drawn - solid, len(geoms)))
        ctx.disable(ctx.BLEND | ctx.CULL_FACE)
        target.depth_mask = True

    def _draw_glass(self, counts, extra, behind) -> None:
        """What lies inside, then the creature's nearest surface over it: one layer, however its geoms overlap."""
        ctx, target = self.ctx, self.canvas.framebuffer
        if behind is not None:
            behind()
        self._shadow_map.use(0)
        target.depth_mask = True
        ctx.enable_only(ctx.DEPTH_TEST | ctx.CULL_FACE)
        if extra is not None and len(extra):
            self._draw_extra(extra)
        layers = [(lit, solid) for (geoms, _, lit, _), (solid, _) in zip(self._batches, counts, strict=True)
                  if solid and self._is_creature[geoms[0]]]  # fmt: skip
        ctx.enable(ctx.BLEND)
        ctx.blend_func = ctx.ZERO, ctx.ONE
        for lit, solid in layers:
            lit.render(instances=solid)
        target.depth_mask = False
        ctx.blend_func = ctx.SRC_ALPHA, ctx.ONE_MINUS_SRC_ALPHA
        ctx.depth_func = "<="
        set_uniforms(self._programs["geom"], {"u_skin": self._skin})
        for lit, solid in layers:
            lit.render(instances=solid)
        set_uniforms(self._programs["geom"], {"u_skin": 1.0})
        ctx.depth_func = "<"

    def _draw_glow(self, glow: np.ndarray) -> None:
        """Light over the skin, where it is not behind something."""
        ctx = self.ctx
        ctx.enable_only(ctx.DEPTH_TEST | ctx.BLEND | ctx.CULL_FACE)
        ctx.blend_func = ctx.SRC_ALPHA, ctx.ONE_MINUS_SRC_ALPHA
        self.canvas.framebuffer.depth_mask = False
        self._draw_extra(glow)
        self.canvas.framebuffer.depth_mask = True

    def _draw_extra(self, extra: np.ndarray) -> None:
        count = min(len(extra), EXTRA_LIMIT)
        self._extra_instances.write(np.ascontiguousarray(extra[:count], dtype="f4").tobytes())
        self._extra.render(instances=count)

    def _draw_contacts(self, rows: np.ndarray) -> None:
        """Darken what the creature rests on, close to it."""
        geoms = self._touching
        axis, half, radius = self._segment[geoms].T
        turn = rows[geoms, 3:12].reshape(-1, 3, 3)
        along = turn[np.arange(len(geoms)), :, axis.astype(int)] * half[:, None]
        decals = np.concatenate([rows[geoms, :3] - along, rows[geoms, :3] + along, radius[:, None]], axis=1)
        self._contacts.write(decals.astype("f4").tobytes())
        self.ctx.blend_func = self.ctx.DST_COLOR, self.ctx.ZERO
        self._contact.render(self.ctx.TRIANGLE_STRIP, instances=len(geoms))

    def _support_height(self, at: np.ndarray, turn: np.ndarray, under: np.ndarray) -> float | None:
        """Height [m] of what lies under the point: the top of a level slab (a mat), else the floor, else None."""
        heights = []
        for slab in self._slabs:
            flat = np.abs(turn[slab].reshape(3, 3)) @ self.geom_size[slab]
            inside = np.all(np.abs(under[:2] - at[slab, :2]) <= flat[:2])
            if inside and abs(turn[slab, 8]) > 0.999 and at[slab, 2] + flat[2] <= under[2]:
                heights.append(float(at[slab, 2] + flat[2]))
        if self.floor is not None and turn[self.floor, 8] > 0.999:
            heights.append(float(at[self.floor, 2]))
        return max(heights, default=None)

    def _set_uniforms(self, at: np.ndarray, turn: np.ndarray, camera: OrbitCamera) -> None:
        centre = self.centre(at)
        reach = np.linalg.norm(at[self.creature] - centre, axis=1) + self.bounds[self.creature]
        reach = float(reach.max(initial=1e-3))
        self._support = self._support_height(at, turn, centre)
        if self.key_azimuth_deg is None:  # over the left shoulder of whoever looks first, then fixed in the world
            self.key_azimuth_deg = camera.azimuth_deg - 48.0
        key_turn = np.radians(self.key_azimuth_deg)
        key = np.array([np.cos(key_turn), np.sin(key_turn), 1.35])
        key /= np.linalg.norm(key)
        light = _light_matrix(centre, 1.04 * reach, key)
        bias = np.array([[0.5, 0, 0, 0.5], [0, 0.5, 0, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 1.0]])
        fog_end = 4.2 * camera.distance
        shared = {
            "u_view_projection": camera.projection(self.size[0] / self.size[1]) @ camera.view(),
            "u_eye": camera.eye,
            "u_target": np.asarray(camera.target, dtype=float),
            "u_key_direction": key,
            "u_shadow_matrix": bias @ light,
            "u_shadow_map": 0,
            "u_shadow_texel": 1.0 / self._shadow_pixels,
            "u_fog": (0.9 * camera.distance, fog_end),
            "u_viewport": self.size,
            "u_ground_height": -1e3 if self._support is None else self._support,
            "u_body_size": reach,
            "u_skin": 1.0,
        }
        for name, program in self._programs.items():
            set_uniforms(program, {**shared, "u_view_projection": light} if name == "shadow" else shared)
        self.shared = shared
        self._surfaces = list(self._floors(at, turn, camera, fog_end, reach, centre))

    def _floors(self, at, turn, camera: OrbitCamera, fog_end: float, reach: float, body: np.ndarray):
        """Uniforms of each flat surface (the mat, where there is one, and the floor that fades into the distance) and
        of its pieces: those the body's shadow may reach, and the others."""
        if self.floor is None:
            return
        frame = turn[self.floor].reshape(3, 3)
        size = self.geom_size[self.floor, :2]
        surfaces = [(0.0, np.where(size > 0, size, np.inf), FLOOR_COLOUR, grid_cell(reach), 5.0)]
        if self.mat is not None:
            colour = tuple(float(c) * MAT_SHADE for c in self.base_rgba[self.mat, :3])
            surfaces = [
                (0.0, size, colour, float(size.min()) / 4, 1.0),
                (self.mat_thickness, np.full(2, np.inf), FLOOR_COLOUR, grid_cell(reach), 5.0),
            ]
        for depth, limit, colour, cell, coarse in surfaces:
            centre = ((np.asarray(camera.target) - at[self.floor]) @ frame)[:2]
            low, high = np.maximum(centre - 1.05 * fog_end, -limit), np.minimum(centre + 1.05 * fog_end, limit)
            under = ((body - at[self.floor]) @ frame)[:2]
            near_low = np.clip(under - SHADOW_REACH * reach, low, high)
            near_high = np.clip(under + SHADOW_REACH * reach, low, high)
            (left, front), (right, back) = near_low, near_high
            around = [
                (low, (high[0], front)), ((low[0], back), high), ((low[0], front), (left, back)),
                ((right, front), (high[0], back)),
            ]  # fmt: skip
            yield (
                {
                    "u_plane_position": at[self.floor].astype(float) - depth * frame[:, 2],
                    "u_plane_rotation": frame,
                    "u_plane_normal": frame[:, 2],
                    "u_ground_colour": tuple(c**2.2 for c in colour),
                    "u_grid_cell": cell,
                    "u_coarse": coarse,
                },
                list(_pieces([(near_low, near_high)])),
                list(_pieces(around)),
            )


def _pieces(corners):
    """Uniforms of rectangles given by their low and high corners in the plane [m]; empty ones are left out."""
    for low, high in corners:
        low, high = np.asarray(low, float), np.asarray(high, float)
        if np.all(high - low > 1e-6):
            yield {"u_plane_centre": tuple(0.5 * (low + high)), "u_plane_half": tuple(0.5 * (high - low))}


def grid_cell(reach: float) -> float:
    """A round grid spacing [m], 1 or 2 or 5 times a power of ten, about a quarter of the body's reach."""
    aim = 0.25 * max(reach, 1e-6)
    power = 10.0 ** np.floor(np.log10(aim))
    return float(max(step * power for step in (1, 2, 5) if step * power <= aim * 1.0001))


def _light_matrix(centre: np.ndarray, reach: float, key: np.ndarray) -> np.ndarray:
    """World to the key light's clip space, [4, 4]: a box of half width `reach` [m] around `centre`.

    A shadow lies right behind what casts it, so the box is only as wide as the body but three times as deep.
    """
    right = np.cross([0.0, 0.0, 1.0], key)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(key, right), -key / 3.0]) / reach
    matrix[:3, 3] = -matrix[:3, :3] @ centre
    return matrix
