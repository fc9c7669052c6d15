"""Pictures of a body in poses that were kept of a run: no brain is built, nothing moves."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from engine.errors import UserError
from systems.view.camera import OrbitCamera
from systems.view.frame import ViewFrame

PRESSED_HZ = 100.0  # how brightly skin under a finger shows


class Stills:
    """Draws the body of a scene at `size` (width, height); release it, or use it as a context manager.

    `muscles` [muscles] are names, in the order of the activations that pictures are made with.
    """

    def __init__(self, scene, source, muscles=(), size: tuple[int, int] = (480, 360)):
        import mujoco

        from systems.simulation import Simulation
        from systems.timeline import PRESSING, actions_of
        from systems.view.gl import offscreen_context
        from systems.view.stage import Stage, StageOptions

        bare = {"brain": None, "timeline": [], "actions": [], "probes": [], "expect": [], "experiment": None}
        self.sim = Simulation(scene.model_copy(update=bare), source)
        self.sim.physics.muscle_names = [str(name) for name in muscles]
        self._presses = [action for event in scene.timeline if event.verb in PRESSING
                         for action in actions_of(event, self.sim.timeline.targets)]  # fmt: skip
        self.model = self.sim.physics.model
        self._data = mujoco.MjData(self.model)
        self._move = mujoco.mj_kinematics
        self._keep = ExitStack()
        try:
            context = offscreen_context()
            self._keep.callback(context.release)
            self.stage = Stage(context, self.sim, size)
            self._keep.callback(self.stage.release)
        except BaseException:
            self._keep.close()
            raise
        self.options = StageOptions(brain="none", quality=2)

    def frame(self, pose: np.ndarray, activation: np.ndarray | None, tick: int) -> ViewFrame:
        """The body in a pose [coordinates], with its muscles' pull [muscles] and the skin pressed at that tick."""
        self._data.qpos[:] = pose
        self._move(self.model, self._data)
        found = ViewFrame(time_s=tick / 1000.0)
        found.geom_xpos, found.geom_xmat = np.array(self._data.geom_xpos), np.array(self._data.geom_xmat)
        if activation is not None:
            found.activation = np.asarray(activation, np.float32)
        patches = [patch.name for patch in self.sim.body.patches]
        found.patch_rate = np.zeros(len(patches), np.float32)
        for action in self._presses:
            if action.start <= tick and (tick < action.end or action.end < 0):
                found.patch_rate[patches.index(action.step(tick)[1] if action.path else action.of)] = PRESSED_HZ
        return found

    def cameras(self, frames: list[ViewFrame], part: int | None, view) -> list[OrbitCamera]:
        """One for each frame, with the same angles and distance: all see the whole body from the same place, or each a
        part (its row) with all that hangs on it, wherever that is. `view` sets angles, and the distance from the whole
        body, if it likes."""
        body = self.stage.body
        fixed = {key: float(np.degrees(angle)) for key, angle in
                 (("azimuth_deg", view.azimuth), ("elevation_deg", view.elevation)) if angle is not None}  # fmt: skip
        whole = body.camera(frames[0].geom_xpos, **fixed)
        fixed = {"azimuth_deg": whole.azimuth_deg, "elevation_deg": whole.elevation_deg}
        geoms = body.creature if part is None else self._below(part)
        groups = [frames] * len(frames) if part is None else [[frame] for frame in frames]
        made = []
        for group in groups:
            centres = np.concatenate([frame.geom_xpos[geoms] for frame in group])
            radii = np.tile(body.bounds[geoms], len(group))
            made.append(OrbitCamera.framing(centres, radii, self.stage.size[0] / self.stage.size[1], **fixed))
        distance = max(camera.distance for camera in made) * (0.9 if part is None else 0.95)  # balls hold less
        if part is None and view.distance is not None:
            distance = view.distance / 1000.0
        return [camera.moved(distance=distance) for camera in made]

    def part_of(self, joints: list[str]) -> int | None:
        """The part that the joints' parts hang on in common; None where that is the root of the body."""
        parts = [int(self.model.body_parentid[self.model.jnt_bodyid[self.model.joint(name).id]]) for name in joints]
        if not parts:
            return None
        chains = [self._chain(part) for part in parts]
        common = next((part for part in chains[0] if all(part in chain for chain in chains)), 0)
        return common if common and self.model.body_parentid[common] else None

    def row(self, name: str) -> int | None:
        """A part by its name; None for the root, which stands for the whole body."""
        row = next((k for k in range(1, self.model.nbody) if self.model.body(k).name == name), 0)
        if not row:
            raise UserError(f"exam: close_up: no part of the body is called {name}")
        return row if self.model.body_parentid[row] else None

    def _chain(self, part: int) -> list[int]:
        chain = [part]
        while chain[-1]:
            chain.append(int(self.model.body_parentid[chain[-1]]))
        return chain

    def _below(self, part: int) -> np.ndarray:
        inside = [k for k in range(self.model.nbody) if part in self._chain(k)]
        shown = np.isin(self.stage.body.creature, np.flatnonzero(np.isin(self.model.geom_bodyid, inside)))
        return self.stage.body.creature[shown] if shown.any() else self.stage.body.creature

    def draw(self, frame: ViewFrame, camera: OrbitCamera) -> np.ndarray:
        """uint8 RGB [height, width, 3]."""
        self.stage.draw(frame, camera, self.options)
        return self.stage.read()

    def release(self) -> None:
        self._keep.close()

    def __enter__(self) -> Stills:
        return self

    def __exit__(self, *_) -> None:
        self.release()
