"""Off-screen OpenGL: a context without a window, a multisampled canvas, and programs built from shaders/gl.

OpenGL 3.3 core is all that is asked for, so Mesa's llvmpipe, any GPU of the last decade and macOS will do. A context
belongs to the thread that made it.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import UserError

if TYPE_CHECKING:
    import moderngl

SHADERS = Path(__file__).resolve().parents[2] / "shaders" / "gl"
PACKAGES = "apt-get install --no-install-recommends libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri"
GL_VERSION = 330


def offscreen_context() -> moderngl.Context:
    """A new OpenGL context >= 3.3 core without a window; a `UserError` that names the packages where there is none."""
    import moderngl

    os.environ.setdefault("EGL_LOG_LEVEL", "fatal")  # Mesa's own warnings about what the error below says in one line
    # EGL needs no display; elsewhere (macOS, Windows) the platform's own hidden context is the only one.
    backends = [{"backend": "egl"}, {}] if sys.platform.startswith("linux") else [{}]
    reasons = []
    for backend in backends:
        try:
            return moderngl.create_context(standalone=True, require=GL_VERSION, **backend)
        except Exception as error:  # glcontext raises bare Exception, moderngl ValueError
            reasons.append(str(error) or type(error).__name__)
    too_old = re.search(r"got version (\d+)", reasons[0])
    if too_old or "eglCreateContext failed (0x3009)" in reasons[0]:  # EGL_BAD_MATCH: a driver, but none of this version
        version = f"OpenGL {too_old[1][0]}.{too_old[1][1]}" if too_old else "the OpenGL driver"
        raise UserError(f"{version} is too old: drawing needs 3.3; newer: {PACKAGES}")
    raise UserError(f"no OpenGL driver for off-screen drawing ({reasons[0]}); install one: {PACKAGES}")


@contextmanager
def current(ctx: moderngl.Context):
    """Make the context the thread's own for a while. May be nested, which `with ctx` of an off-screen context may not:
    leaving the inner one would leave the thread without any."""
    ctx.extra = ctx.extra or {}
    depth = ctx.extra.get("depth", 0)
    ctx.extra["depth"] = depth + 1
    try:
        if depth:
            yield ctx
        else:
            with ctx:
                yield ctx
    finally:
        ctx.extra["depth"] = depth


def shader_source(name: str) -> str:
    """Text of shaders/gl/`name` with its #include lines replaced by the files they name."""
    path = SHADERS / name
    if not path.is_file():
        raise UserError(f"shader file is missing: {path}")
    text = path.read_text(encoding="utf-8")
    return re.sub(r'^#include "([\w.]+)"$', lambda found: shader_source(found[1]), text, flags=re.MULTILINE)


def load_program(ctx: moderngl.Context, vertex: str, fragment: str | None = None) -> moderngl.Program:
    """Program from shaders/gl/`vertex`.vert.glsl and `fragment`.frag.glsl (the same stem unless given)."""
    sources = [shader_source(f"{vertex}.vert.glsl"), shader_source(f"{fragment or vertex}.frag.glsl")]
    if is_software(
        ctx
    ):  # newborn at 1280x720: 105 ms of processor time with four looks into the shadow map, 75 with one
        sources = [source.replace("SHADOW_TAPS = 4", "SHADOW_TAPS = 1") for source in sources]
    return ctx.program(vertex_shader=sources[0], fragment_shader=sources[1])


def set_uniforms(program: moderngl.Program, values: dict[str, object]) -> None:
    """Set those of `values` that the program has (compilers drop unused ones); matrices are [row, column] arrays."""
    for name, value in values.items():
        uniform = program.get(name, None)
        if uniform is None:
            continue
        if isinstance(value, np.ndarray):
            data = value.T if value.ndim == 2 else value
            uniform.write(np.ascontiguousarray(data, dtype="f4").tobytes())
        else:
            uniform.value = value


def is_software(ctx: moderngl.Context) -> bool:
    """Whether the processor draws (Mesa's llvmpipe or softpipe, SwiftShader), where multisampling is dear."""
    return any(name in ctx.info["GL_RENDERER"].lower() for name in ("llvmpipe", "softpipe", "swiftshader"))


@functools.cache
def _finisher():
    """The driver's glFinish, called without Python's lock; None where it is not found."""
    import ctypes

    try:
        finish = ctypes.CDLL("libGL.so.1").glFinish if sys.platform.startswith("linux") else None
    except (OSError, AttributeError):
        return None
    if finish is not None:
        finish.restype = None
    return finish


def let_others_run(ctx: moderngl.Context) -> None:
    """Where a processor draws, wait for what was asked of it without Python's lock, so that a simulation can go on.

    moderngl keeps the lock while the driver waits, as it does before a pass that reads what another one drew. A GPU
    does not wait there, and nothing is done.
    """
    if _software(ctx) and (finish := _finisher()) is not None:
        finish()


def _software(ctx) -> bool:
    """`is_software`, asked once."""
    extra = ctx.extra if isinstance(ctx.extra, dict) else {}
    if "software" not in extra:
        ctx.extra = extra | {"software": is_software(ctx)}
    return ctx.extra["software"]


class Canvas:
    """An antialiased framebuffer of `size` (width, height) that is read back as uint8 [height, width, 3].

    `samples` 4 multisamples, 1 draws once and smooths edges afterwards, 0 leaves them as they are. None takes 4 on a
    GPU and 1 on a software renderer (newborn at 794x720 on 2 cores of llvmpipe: 125 ms against 40 ms).
    """

    def __init__(self, ctx: moderngl.Context, size: tuple[int, int], samples: int | None = None):
        self.ctx, self.size = ctx, size
        samples = (1 if is_software(ctx) else 4) if samples is None else samples
        self.samples = min(samples, ctx.max_samples) if samples > 1 else samples
        self._resources = ExitStack()
        keep = self._keep
        self.texture = keep(ctx.texture(size, 4))  # what was drawn, after `resolve`; first row at the bottom
        self._plain = keep(ctx.framebuffer([self.texture], keep(ctx.depth_renderbuffer(size))))
        self.framebuffer = self._plain
        if self.samples > 1:
            colour = keep(ctx.renderbuffer(size, 4, samples=self.samples))
            self.framebuffer = keep(ctx.framebuffer([colour], keep(ctx.depth_renderbuffer(size, samples=self.samples))))
        elif self.samples == 1:
            self._rough = keep(ctx.texture(size, 4))
            self._rough.repeat_x = self._rough.repeat_y = False
            self.framebuffer = keep(ctx.framebuffer([self._rough], keep(ctx.depth_renderbuffer(size))))
            program = keep(load_program(ctx, "screen", "smooth"))
            set_uniforms(program, {"u_picture": 0, "u_texel": (1.0 / size[0], 1.0 / size[1])})
            quad = keep(ctx.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], dtype="f4").tobytes()))
            self._smooth = keep(ctx.vertex_array(program, [(quad, "2f", "in_position")]))
        self._bytes = np.empty((size[1], size[0], 4), dtype=np.uint8)

    def _keep(self, resource):
        self._resources.callback(resource.release)
        return resource

    def resolve(self) -> None:
        """Bring what was drawn, antialiased, into `texture`."""
        let_others_run(self.ctx)
        if self.samples > 1:
            self.ctx.copy_framebuffer(self._plain, self.framebuffer)
        elif self.samples == 1:
            self._plain.use()
            self.ctx.enable_only(self.ctx.NOTHING)
            self._rough.use(0)
            self._smooth.render(self.ctx.TRIANGLE_STRIP)
        let_others_run(self.ctx)

    def read(self) -> np.ndarray:
        """What was drawn, uint8 RGB [height, width, 3], first row on top; the array is the caller's own."""
        self.resolve()
        return self.pixels()

    def pixels(self) -> np.ndarray:
        """The resolved picture, uint8 RGB [height, width, 3], first row on top; the array is the caller's own."""
        self._plain.read_into(self._bytes, components=4)
        return np.ascontiguousarray(self._bytes[::-1, :, :3])

    def release(self) -> None:
        """Free what the driver holds."""
        self._resources.close()
