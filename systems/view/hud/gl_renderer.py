"""Draw imgui's triangles with moderngl, in the context that everything else is drawn in.

imgui-bundle brings a renderer on PyOpenGL, which must be told GLX or EGL before it is imported, checks every call for
errors and knows nothing of the state that moderngl believes in. Sharing moderngl's context does away with all three.
"""

from __future__ import annotations

import ctypes

import numpy as np
from imgui_bundle import imgui

VERTEX = """
#version 330
uniform vec4 u_view;  // scale, shift
in vec2 in_position;
in vec2 in_uv;
in vec4 in_colour;
out vec2 v_uv;
out vec4 v_colour;
void main() {
    v_uv = in_uv;
    v_colour = in_colour;
    gl_Position = vec4(in_position * u_view.xy + u_view.zw, 0.0, 1.0);
}
"""
FRAGMENT = """
#version 330
uniform sampler2D u_texture;
in vec2 v_uv;
in vec4 v_colour;
out vec4 colour;
void main() {
    colour = v_colour * texture(u_texture, v_uv);
}
"""
COPY_VERTEX = """
#version 330
uniform vec4 u_part;  // of the texture: corner, size
in vec2 in_position;
out vec2 v_uv;
void main() {
    v_uv = u_part.xy + u_part.zw * (0.5 * in_position + 0.5);
    gl_Position = vec4(in_position, 0.0, 1.0);
}
"""
COPY_FRAGMENT = """
#version 330
uniform sampler2D u_texture;
in vec2 v_uv;
out vec4 colour;
void main() {
    colour = vec4(texture(u_texture, v_uv).rgb, 1.0);  // a stage may be drawn smaller than it is shown
}
"""


class GlRenderer:
    """Textures, one vertex and one index buffer that grow; `draw_data` goes into the bound framebuffer."""

    def __init__(self, ctx):
        self.ctx = ctx
        self._textures: dict[int, object] = {}  # by OpenGL's own number
        self._own: set[int] = set()
        self._program = ctx.program(VERTEX, FRAGMENT)
        self._copy_program = ctx.program(COPY_VERTEX, COPY_FRAGMENT)
        self._quad = ctx.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], "f4").tobytes())
        self._copy = ctx.vertex_array(self._copy_program, [(self._quad, "2f", "in_position")])
        self._vertices = self._indices = self._array = None
        self._room(1 << 17, 1 << 17)
        io = imgui.get_io()
        io.backend_flags |= imgui.BackendFlags_.renderer_has_textures
        limit = ctx.info["GL_MAX_TEXTURE_SIZE"]
        platform = imgui.get_platform_io()
        platform.renderer_texture_max_width = platform.renderer_texture_max_height = limit

    def _room(self, vertex_bytes: int, index_bytes: int) -> None:
        for old in (self._array, self._vertices, self._indices):
            if old is not None:
                old.release()
        self._vertices = self.ctx.buffer(reserve=vertex_bytes, dynamic=True)
        self._indices = self.ctx.buffer(reserve=index_bytes, dynamic=True)
        layout = [(self._vertices, "2f 2f 4f1", "in_position", "in_uv", "in_colour")]
        self._array = self.ctx.vertex_array(self._program, layout, self._indices, index_element_size=4)

    # textures ---------------------------------------------------------------------------------------------------
    def texture(self, size: tuple[int, int], *, smooth: bool = False, repeat: bool = False):
        """An RGBA texture to be filled by `write`; imgui knows it by its `glo`."""
        made = self.ctx.texture(size, 4)
        filter_ = self.ctx.LINEAR if smooth else self.ctx.NEAREST
        made.filter = (filter_, filter_)
        made.repeat_x, made.repeat_y = repeat, False
        self._textures[made.glo] = made
        self._own.add(made.glo)
        return made

    def drop(self, texture) -> None:
        """Free a texture made here."""
        self._textures.pop(texture.glo, None)
        self._own.discard(texture.glo)
        texture.release()

    def _known(self, glo: int, size: tuple[int, int] = (1, 1)):
        if glo not in self._textures:
            self._textures[glo] = self.ctx.external_texture(glo, size, 4, 0, "f1")
        return self._textures[glo]

    def _update_textures(self) -> None:
        """What imgui asks for: font glyphs, as they come to be used."""
        status = imgui.ImTextureStatus
        for data in imgui.get_platform_io().textures:
            if data.status == status.want_create:
                made = self.texture((data.width, data.height), smooth=True)
                made.write(data.get_pixels_array().tobytes())
                data.set_tex_id(made.glo)
                data.set_status(status.ok)
            elif data.status == status.want_updates:
                pixels = data.get_pixels_array().reshape(data.height, data.width, 4)
                for r in data.updates:
                    part = np.ascontiguousarray(pixels[r.y : r.y + r.h, r.x : r.x + r.w])
                    self._textures[data.tex_id].write(part.tobytes(), viewport=(r.x, r.y, r.w, r.h))
                data.set_status(status.ok)
            elif data.status == status.want_destroy:
                self.drop(self._textures[data.tex_id])
                data.set_tex_id(0)
                data.set_status(status.destroyed)

    # pictures ---------------------------------------------------------------------------------------------------
    def copy(self, glo: int, place: tuple[int, int, int, int], height: int, part=(0.0, 0.0, 1.0, 1.0)) -> None:
        """A texture, opaque, at `place` (x, y, width, height; y down) of a picture `height` pixels high."""
        x, y, w, h = place
        ctx = self.ctx
        if w <= 0 or h <= 0:
            return
        viewport = ctx.viewport
        ctx.viewport = (x, height - y - h, w, h)
        ctx.enable_only(ctx.NOTHING)
        self._known(glo).use(0)
        self._copy_program["u_part"].value = part
        self._copy.render(ctx.TRIANGLE_STRIP)
        ctx.viewport = viewport

    def render(self, draw_data) -> None:
        """All of imgui's commands; leaves blending, depth test, culling and scissor off, as moderngl begins."""
        self._update_textures()
        ctx, (width, height) = self.ctx, (int(draw_data.display_size.x), int(draw_data.display_size.y))
        if width <= 0 or height <= 0 or not draw_data.total_vtx_count:
            return
        vertices, indices, runs, at, first = [], [], [], 0, 0
        for commands in draw_data.cmd_lists:
            vertex_count, index_count = commands.vtx_buffer.size(), commands.idx_buffer.size()
            vertices.append(ctypes.string_at(commands.vtx_buffer.data_address(), vertex_count * imgui.VERTEX_SIZE))
            raw = ctypes.string_at(commands.idx_buffer.data_address(), index_count * imgui.INDEX_SIZE)
            index = np.frombuffer(raw, np.uint32 if imgui.INDEX_SIZE == 4 else np.uint16)
            indices.append(index.astype(np.uint32) + np.uint32(at))
            runs += [(command, first) for command in commands.cmd_buffer]
            at, first = at + vertex_count, first + index_count
        vertices, indices = b"".join(vertices), np.concatenate(indices).tobytes()
        if len(vertices) > self._vertices.size or len(indices) > self._indices.size:
            self._room(max(2 * len(vertices), self._vertices.size), max(2 * len(indices), self._indices.size))
        self._vertices.orphan()
        self._indices.orphan()
        self._vertices.write(vertices)
        self._indices.write(indices)
        target = ctx.fbo
        viewport = target.viewport
        target.viewport = (0, 0, width, height)
        ctx.enable_only(ctx.BLEND)
        ctx.blend_func = ctx.SRC_ALPHA, ctx.ONE_MINUS_SRC_ALPHA, ctx.ONE, ctx.ONE_MINUS_SRC_ALPHA
        self._program["u_view"].value = (2.0 / width, -2.0 / height, -1.0, 1.0)
        bound, box = None, None
        try:
            for command, start in runs:
                left, top, right, bottom = command.clip_rect
                left, top = max(int(left), 0), max(int(top), 0)
                right, bottom = min(int(right), width), min(int(bottom), height)
                if right <= left or bottom <= top or not command.elem_count:
                    continue
                if (left, top, right, bottom) != box:
                    box = (left, top, right, bottom)
                    target.scissor = (left, height - bottom, right - left, bottom - top)
                texture = command.get_tex_id()
                if texture != bound:
                    bound = texture
                    self._known(texture).use(0)
                self._array.render(ctx.TRIANGLES, vertices=command.elem_count, first=start + command.idx_offset)
        finally:
            target.scissor = None
            target.viewport = viewport
            ctx.enable_only(ctx.NOTHING)
            ctx.blend_func = ctx.DEFAULT_BLENDING

    def release(self) -> None:
        """Free what the driver holds; textures of others are left alone."""
        for glo in self._own:
            self._textures[glo].release()
        self._textures.clear()
        self._own.clear()
        for thing in (self._array, self._vertices, self._indices, self._copy, self._quad, self._program):
            thing.release()
        self._copy_program.release()
