"""Play a simulation: in a window, or as a film drawn off-screen, 30 pictures per simulated second, into a file."""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

FPS = 30
SIZE = (1280, 720)


class Film:
    """Draws a simulation into a video while it runs. Call `shoot` whenever `sim.tick` reaches `next_tick`.

    The pictures are those of the window: stage and panels. The file appears when `close` is called; `abort` leaves
    nothing. `wall_s` is the time spent drawing and encoding.
    """

    def __init__(self, sim, path: str | Path, *, size: tuple[int, int] = SIZE, fps: int = FPS):
        from systems.view.video import VideoWriter

        self.sim, self.path, self.fps, self.wall_s = sim, Path(path), fps, 0.0
        self.size = size
        self._resources = ExitStack()
        self.writer = VideoWriter(path, size, fps)
        try:
            self._make(sim)
        except BaseException:
            self.abort()
            raise
        self._number = math.ceil(sim.tick * fps / 1000)

    def _make(self, sim) -> None:
        from systems.view.capture import Capture
        from systems.view.gl import offscreen_context
        from systems.view.hud import Hud, UiState
        from systems.view.monitor import Monitor
        from systems.view.stage import Stage, StageOptions

        keep = self._resources
        self.ctx = offscreen_context()
        keep.callback(self.ctx.release)
        self.stage, self.options = Stage(self.ctx, sim, self.size), StageOptions()
        keep.callback(self.stage.release)
        with self.ctx:
            self.target = self.ctx.simple_framebuffer(self.size)
        self.hud = Hud(sim, self.size, window=False, ctx=self.ctx)
        keep.callback(self._free_panels)
        self.ui = UiState(legend=self.stage.legend(), speed=math.inf)
        self.capture, self.monitor = Capture(sim), Monitor(sim)
        keep.callback(self.capture.detach)
        keep.callback(self.monitor.detach)
        self._rect = (0, 0, *self.size)
        self.camera = None

    def _free_panels(self) -> None:
        self.hud.release()
        with self.ctx:
            self.target.release()

    @property
    def next_tick(self) -> int:
        """First tick at which the next picture is due."""
        return math.ceil(self._number * 1000 / self.fps)

    def picture(self) -> np.ndarray:
        """The simulation as it is now, uint8 RGB [height, width, 3]."""
        from systems.view.window import compose, home

        frame = self.capture.frame(self.sim.realtime_x or None)
        frame.hud = self.monitor.data()
        if self.camera is None:  # a picture first: it tells the room that the panels leave, which the camera fills
            self.camera = self.stage.camera(frame, self.options)
            compose(self, frame, None, self.target)
            self.stage.resize(self._rect[2:])
            self.camera = home(self.stage, frame, self.options, self.sim.scene.view)
            self._offset = None
        self._follow(frame)
        compose(self, frame, None, self.target)
        width, height = self.size
        with self.ctx:
            raw = self.target.read(components=3, alignment=1)
        return np.frombuffer(raw, np.uint8).reshape(height, width, 3)[::-1]

    def _follow(self, frame) -> None:
        """The camera keeps the body where it is in the picture."""
        if self.stage.body is None or frame.geom_xpos is None or not np.isfinite(frame.geom_xpos).all():
            return
        centre = self.stage.body.centre(frame.geom_xpos)
        if self._offset is None:
            self._offset = self.camera.target - centre
        self.camera.follow(centre + self._offset, 1.0 / self.fps)

    def shoot(self) -> None:
        """Draw and encode one picture."""
        started = time.perf_counter()
        self.writer.write(self.picture())
        self._number += 1
        self.wall_s += time.perf_counter() - started

    def close(self) -> None:
        """Finish the file; a film shorter than a frame has one picture."""
        if not self.writer.closed and not self.writer.frame_count:
            self.shoot()
        self._resources.close()
        self.writer.close()

    def abort(self) -> None:
        """Leave nothing."""
        self._resources.close()
        self.writer.abort()

    def __enter__(self) -> Film:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def has_display() -> bool:
    """Whether a window could be opened."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def play(sim, video: str | Path | None = None, duration: str | float | None = None) -> Path | None:
    """Open a window on a simulation, for a duration or until it is closed; or run it into a video, off-screen.

    A video it is where a name for one is given, or where there is no display. Returns the video's path.
    """
    from engine.units import quantity

    span = None if duration is None else quantity(duration, "time") if isinstance(duration, str) else duration
    if video is None and has_display():
        from systems.view.window import Window

        Window(sim, until=None if span is None else sim.tick + round(span)).run()
        return None
    path = Path(video) if video is not None else Path.cwd() / f"{Path(sim.source.name).name}.mp4"
    end = sim.tick + round(sim.scene.duration - sim.tick if span is None else span)
    with Film(sim, path) as film:
        while sim.tick < end:
            if sim.tick >= film.next_tick:
                film.shoot()
            sim.run(min(end, film.next_tick) - sim.tick)
    return path
