"""What the mouse and the keyboard do to a body: from a place on the skin to a command of the player."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from systems.view import commands as c

TOOLS = ("touch", "pinch", "prick", "stroke", "grab")
FORCE_N = {"touch": 0.5, "pinch": 3.0, "prick": 5.0, "stroke": 1.0}  # on a body of NEWBORN_KG; heavier ones take more
NEWBORN_KG = 3.4
GRAB_WEIGHTS = 0.5  # a hand lifts half the body
PUSH_TIMES = 4.0  # where nothing feels, a finger shoves instead, and harder


@dataclass
class Grasp:
    """A part held by the pointer: the plane it moves in follows the picture."""

    part: str
    target: np.ndarray  # [3] m, in the world
    point: np.ndarray  # [3] m, in the part's frame
    depth: float  # in front of the eye [m]


class Hands:
    """The player's hands: a tool, what they hold, and forces that suit the body."""

    def __init__(self, sim):
        self.body = sim.body
        self.tool = "touch"
        self.grasp: Grasp | None = None
        self.patches: list[str] = []
        self.patch: str | None = None  # the one that the keyboard means
        self._key: str | None = None
        self._stroked: str | None = None
        if sim.body is not None:
            model = sim.body.model
            self._names = [model.body(k).name for k in range(model.nbody)]
            self._geom_body = np.array(model.geom_bodyid)
            self._geom_pos, self._geom_quat = np.array(model.geom_pos), np.array(model.geom_quat)
            self.mass = float(model.body_subtreemass[0])
            self.patches = [p.name for p in sim.body.patches if p.presser_actuator_id >= 0]
            self.patch = self.patches[0] if self.patches else None

    @property
    def busy(self) -> bool:
        """Whether a button holds something."""
        return self._key is not None

    def strength(self, tool: str) -> float:
        """Force [N] of a tool on this body."""
        if tool == "grab":
            return round(GRAB_WEIGHTS * 9.81 * self.mass, 2)
        return round(FORCE_N[tool] * max(1.0, self.mass / NEWBORN_KG), 2)

    def part_frame(self, geom: int, frame) -> tuple[np.ndarray, np.ndarray]:
        """Place [3] and rotation [3, 3] of the part that a geom belongs to, from the geom's own in a frame."""
        w, x, y, z = self._geom_quat[geom]
        own = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        turn = np.asarray(frame.geom_xmat[geom], float).reshape(3, 3) @ own.T
        return np.asarray(frame.geom_xpos[geom], float) - turn @ self._geom_pos[geom], turn

    def press(self, pick, frame, camera, tool: str | None = None, key: str = "mouse") -> list[c.Command]:
        """Begin to touch, or to grab, what was picked; until `release`."""
        tool = tool or self.tool
        if pick is None or pick.part is None or pick.geom is None or self._geom_body[pick.geom] == 0:
            return []
        place, turn = self.part_frame(pick.geom, frame)
        local = turn.T @ (np.asarray(pick.point) - place)
        self._key = key
        if tool == "grab":
            depth = float((np.asarray(pick.point) - camera.eye) @ -camera.axes()[2])
            self.grasp = Grasp(pick.part, np.array(pick.point, float), local, depth)
            return [self._grab()]
        if pick.patch in self.patches:
            return self.touch(pick.patch, tool, key)
        direction = tuple(float(-x) for x in pick.normal)
        force = PUSH_TIMES * self.strength(tool)
        return [c.Act("push", pick.part, force, direction, tuple(float(x) for x in local), key=key)]

    def touch(self, patch: str, tool: str | None = None, key: str = "key") -> list[c.Command]:
        """Begin to touch a patch; until `release`."""
        tool = tool or self.tool
        self._key, self._stroked = key, patch if tool == "stroke" else None
        return [c.Act(tool, patch, self.strength(tool), key=key)]

    def stroke(self, pick) -> list[c.Command]:
        """The finger has come to another place."""
        patch = pick.patch if pick is not None else None
        if self._stroked is None or patch not in self.patches or patch == self._stroked:
            return []
        self._stroked = patch
        return [c.Act("stroke", patch, self.strength("stroke"), key=self._key or "mouse")]

    @property
    def stroking(self) -> bool:
        return self._stroked is not None

    def drag(self, dx: float, dy: float, camera, height: int) -> list[c.Command]:
        """Move what is held by pixels of the picture."""
        if self.grasp is None:
            return []
        metres = 2.0 * self.grasp.depth * np.tan(np.radians(camera.fov_deg) / 2) / height
        right, up, _ = camera.axes()
        return self.carry(metres * (dx * right - dy * up))

    def carry(self, way: np.ndarray) -> list[c.Command]:
        """Move what is held by metres."""
        if self.grasp is None:
            return []
        self.grasp.target = self.grasp.target + way
        return [self._grab()]

    def _grab(self) -> c.Act:
        g = self.grasp
        return c.Act("grab", g.part, self.strength("grab"), point=tuple(float(x) for x in g.point),
                     target=tuple(float(x) for x in g.target), key=self._key or "mouse")  # fmt: skip

    def release(self) -> list[c.Command]:
        """Let go of everything."""
        if self._key is None:
            return []
        key, self._key, self.grasp, self._stroked = self._key, None, None, None
        return [c.Release(key)]

    def next_patch(self, step: int) -> str | None:
        """The keyboard means the next patch."""
        if self.patches:
            self.patch = self.patches[(self.patches.index(self.patch) + step) % len(self.patches)]
        return self.patch
