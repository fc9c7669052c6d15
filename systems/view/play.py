"""Play a simulation as a film: drawn off-screen, 30 pictures per simulated second, into a video file."""

from __future__ import annotations

import math
import time
from pathlib import Path

FPS = 30
SIZE = (1280, 720)


class Film:
    """Draws a simulation into a video while it runs. Call `shoot` whenever `sim.tick` reaches `next_tick`.

    The file appears when `close` is called; `abort` leaves nothing. `wall_s` is the time spent drawing and encoding.
    """

    def __init__(self, sim, path: str | Path, *, size: tuple[int, int] = SIZE, fps: int = FPS):
        from systems.view.capture import Capture
        from systems.view.frame import FrameComposer
        from systems.view.video import VideoWriter

        self.sim, self.path, self.fps, self.wall_s = sim, Path(path), fps, 0.0
        self.writer = VideoWriter(path, size, fps)
        self.composer = None
        try:
            self.composer = FrameComposer(sim.physics.model if sim.physics else None, size)
            self.capture = Capture(sim)
            self._place_camera()
        except BaseException:
            self.abort()
            raise
        self._number = math.ceil(sim.tick * fps / 1000)

    def _place_camera(self) -> None:
        """Where the scene wants it; what the scene leaves out, the composer chooses."""
        view = self.sim.scene.view
        if self.sim.physics is None or (view.distance, view.azimuth, view.elevation) == (None, None, None):
            return
        fixed = {}
        if view.azimuth is not None:
            fixed["azimuth_deg"] = math.degrees(view.azimuth)
        if view.elevation is not None:
            fixed["elevation_deg"] = math.degrees(view.elevation)
        self.composer.camera = self.composer.body.camera(self.sim.physics.data.geom_xpos, **fixed)
        if view.distance is not None:
            self.composer.camera.distance = view.distance / 1000.0

    @property
    def next_tick(self) -> int:
        """First tick at which the next picture is due."""
        return math.ceil(self._number * 1000 / self.fps)

    def shoot(self) -> None:
        """Draw and encode one picture."""
        started = time.perf_counter()
        self.writer.write(self.composer.compose(self.capture.frame(self.sim.realtime_x or None)))
        self._number += 1
        self.wall_s += time.perf_counter() - started

    def close(self) -> None:
        """Finish the file; a film shorter than a frame has one picture."""
        if not self.writer.closed and not self.writer.frame_count:
            self.shoot()
        self._release()
        self.writer.close()

    def abort(self) -> None:
        """Leave nothing."""
        self._release()
        self.writer.abort()

    def _release(self) -> None:
        if getattr(self, "capture", None) is not None:
            self.capture.detach()
        if self.composer is not None:
            self.composer.close()
            self.composer = None

    def __enter__(self) -> Film:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def play(sim, video: str | Path | None = None, duration: str | float | None = None) -> Path:
    """Run the rest of the scene (or a duration) into a video, off-screen; returns where it is."""
    from engine.units import quantity

    path = Path(video) if video is not None else Path.cwd() / f"{sim.source.name}.mp4"
    ms = sim.scene.duration - sim.tick if duration is None else duration
    end = sim.tick + round(quantity(ms, "time") if isinstance(ms, str) else ms)
    with Film(sim, path) as film:
        while sim.tick < end:
            if sim.tick >= film.next_tick:
                film.shoot()
            sim.run(min(end, film.next_tick) - sim.tick)
    return path
