"""What lies under a pixel: the skin, by MuJoCo's own rays against a private copy of the pose, or the nearest neuron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REACH_PX = 14.0  # a neuron this near the pointer is meant
PATCH_REACH_M = 0.03  # beyond a patch's own size, on bodies of a metre or less


@dataclass
class Pick:
    """`kind` is "skin" (a part with a patch nearby), "part", "neuron" or "ground"; what does not apply is None."""

    kind: str
    part: str | None = None
    geom: int | None = None
    patch: str | None = None
    point: np.ndarray | None = None  # [3] m
    normal: np.ndarray | None = None  # [3]
    population: str | None = None
    region: str | None = None  # instance of the population
    structure: str | None = None
    neuron: int | None = None
    distance: float = np.inf  # from the eye [m]


def ray(camera, size: tuple[int, int], x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Eye [3] m and unit direction [3] through a pixel; x to the right, y down from the top left corner."""
    right, up, back = camera.axes()
    half = np.tan(np.radians(camera.fov_deg) / 2)
    across = (2.0 * x / size[0] - 1.0) * half * size[0] / size[1]
    above = (1.0 - 2.0 * y / size[1]) * half
    direction = -back + across * right + above * up
    return np.asarray(camera.eye, float), direction / np.linalg.norm(direction)


def project(camera, size: tuple[int, int], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n, 2] of points [n, 3] m, and their depths [n] in front of the eye (0 or less: behind it)."""
    matrix = camera.projection(size[0] / size[1]) @ camera.view()
    clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    w = np.where(np.abs(clip[:, 3]) < 1e-9, 1e-9, clip[:, 3])
    pixel = np.stack([0.5 * (clip[:, 0] / w + 1.0) * size[0], 0.5 * (1.0 - clip[:, 1] / w) * size[1]], axis=1)
    return pixel, clip[:, 3]


class BodyPicker:
    """Casts rays at a body; holds its own MjData, which no simulation sees."""

    def __init__(self, model, parts):
        import mujoco

        self._mujoco, self.model, self.parts = mujoco, model, parts
        self._own = mujoco.MjData(model)
        self._groups = np.array([1, 1, 1, 0, 1, 1], np.uint8)

    def cast(self, at: np.ndarray, turn: np.ndarray, eye: np.ndarray, direction: np.ndarray) -> Pick | None:
        """The first geom that a ray meets."""
        self._own.geom_xpos[:], self._own.geom_xmat[:] = at, turn
        hit, normal = np.full(1, -1, np.int32), np.zeros(3)
        distance = self._mujoco.mj_ray(self.model, self._own, eye, direction, self._groups, 1, -1, hit)
        geom = int(hit[0])
        if geom < 0:
            return None
        point = eye + distance * direction
        part = int(self.parts.body_of_geom[geom])
        if part == 0:
            return Pick("ground", self.parts.names[0], geom, None, point, np.array([0, 0, 1.0]), distance=distance)
        normal = self._normal(geom, at, turn, eye, direction, distance)
        patch = self._patch(part, point, at, turn)
        return Pick("skin" if patch else "part", self.parts.names[part], geom, patch, point, normal, distance=distance)

    def _normal(self, geom, at, turn, eye, direction, distance) -> np.ndarray:
        """Outward normal from two more rays beside the first; towards the eye where they miss."""
        side = np.cross(direction, [0.0, 0.0, 1.0] if abs(direction[2]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        step = 1e-3 * distance
        corners = [eye + distance * direction]
        for shift in (side, np.cross(side, direction)):
            hit = np.full(1, -1, np.int32)
            found = self._mujoco.mj_ray(self.model, self._own, eye + step * shift, direction, self._groups, 1, -1, hit)
            if hit[0] != geom:
                return -direction
            corners.append(eye + step * shift + found * direction)
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        length = np.linalg.norm(normal)
        return -direction if length < 1e-12 else normal / length * -np.sign(normal @ direction or 1.0)

    def _patch(self, part: int, point: np.ndarray, at, turn) -> str | None:
        """The nearest patch of this part, or of one joined to it, within a few centimetres."""
        parts = self.parts
        if not parts.patch_names:
            return None
        parent = self.model.body_parentid
        near = [k for k, b in enumerate(parts.patch_body) if b == part or parent[b] == part or parent[part] == b]
        if not near:
            return None
        away = np.linalg.norm(parts.patches_at(at, turn)[near] - point, axis=1) - parts.patch_size[near].max(axis=1)
        best = int(np.argmin(away))
        reach = PATCH_REACH_M * max(1.0, float(self.model.stat.extent))
        return parts.patch_names[near[best]] if away[best] < reach else None
