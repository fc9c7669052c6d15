"""Where the brain stands in the scene: beside the body and larger than life, inside its head and back, or alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from systems.view.anatomy import CENTRE_MM

NODES = 8  # of the chain that the cord hangs on
HALF_MM = np.array([70.0, 88.0, 66.0])  # half sizes of the brain about CENTRE_MM


@dataclass(eq=False)
class Placement:
    """mm -> m: `brain` [4, 4] for what is above the cord; a chain of nodes [NODES, 3] with the directions of 1 mm."""

    brain: np.ndarray
    chain: np.ndarray
    right: np.ndarray
    forward: np.ndarray
    cord: tuple[float, float, float]  # y and z of the top, length [mm]

    @property
    def scale(self) -> float:
        """Metres per millimetre."""
        return float(np.linalg.norm(self.brain[:3, 0]))

    def world(self, mm: np.ndarray) -> np.ndarray:
        """Positions [n, 3] m of places [n, 3] mm; the same as shaders/gl/place.glsl."""
        y, top, length = self.cord
        out = mm @ self.brain[:3, :3].T + self.brain[:3, 3]
        below = np.flatnonzero(mm[:, 2] < top)
        if below.size:
            q = mm[below]
            t = np.clip((top - q[:, 2]) / length, 0.0, 1.0) * (NODES - 1)
            k = np.minimum(t.astype(int), NODES - 2)
            f = (t - k)[:, None]
            base, right, forward = ((1 - f) * x[k] + f * x[k + 1] for x in (self.chain, self.right, self.forward))
            out[below] = base + right * q[:, :1] + forward * (q[:, 1:2] - y)
        return out

    def uniforms(self) -> dict[str, object]:
        return {
            "u_brain": self.brain, "u_turn": self.brain[:3, :3] / self.scale, "u_cord": self.cord,
            "u_chain": [tuple(map(float, x)) for x in self.chain],
            "u_chain_right": [tuple(map(float, x)) for x in self.right],
            "u_chain_forward": [tuple(map(float, x)) for x in self.forward],
        }  # fmt: skip


def _rigid(axes: np.ndarray, scale: float, centre: np.ndarray, about_mm: np.ndarray) -> np.ndarray:
    """Columns of `axes` are the world directions of right, forward and up; `about_mm` comes to lie at `centre`."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes * scale
    matrix[:3, 3] = centre - matrix[:3, :3] @ about_mm
    return matrix


def standing(cord, centre: np.ndarray, scale: float, yaw_rad: float, length_mm: float | None = None) -> Placement:
    """The brain upright with its middle at `centre` [m], looking along `yaw_rad` over the floor; the cord straight."""
    forward = np.array([np.cos(yaw_rad), np.sin(yaw_rad), 0.0])
    axes = np.stack([np.cross(forward, [0, 0, 1.0]), forward, [0, 0, 1.0]], axis=1)
    brain = _rigid(axes, scale, np.asarray(centre, float), CENTRE_MM)
    top = np.array(cord.top_mm)
    down = np.linspace(0.0, 1.0, NODES)[:, None] * (length_mm or cord.length_mm)
    nodes = top + down * [0, 0, -1.0]
    return Placement(
        brain, nodes @ brain[:3, :3].T + brain[:3, 3], np.tile(axes[:, 0] * scale, (NODES, 1)),
        np.tile(axes[:, 1] * scale, (NODES, 1)), (top[1], top[2], cord.length_mm),
    )  # fmt: skip


def within(cord, head: np.ndarray, head_turn: np.ndarray, size: np.ndarray, spine: np.ndarray) -> Placement:
    """The brain fitted into a head (its axes: forward, left, up; half sizes [3] m), the cord along `spine` [n, 3] m."""
    axes = np.stack([-head_turn[:, 1], head_turn[:, 0], head_turn[:, 2]], axis=1)
    scale = 0.94 * float(np.min(size[[1, 0, 2]] / HALF_MM))
    brain = _rigid(axes, scale, head, CENTRE_MM)
    top = np.array(cord.top_mm) @ brain[:3, :3].T + brain[:3, 3]
    path = np.concatenate([top[None], spine])
    run = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0.0, run[-1], NODES)
    chain = np.stack([np.interp(even, run + 1e-12 * np.arange(len(run)), path[:, k]) for k in range(3)], axis=1)
    along = np.gradient(chain, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    right = axes[:, 0] - along * (along @ axes[:, 0])[:, None]
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
    forward = np.cross(right, along)  # along points down, so this is the front of the body
    forward *= np.sign(np.einsum("ij,j->i", forward, axes[:, 1]))[:1] or 1.0
    return Placement(brain, chain, right * scale, forward * scale, (cord.top_mm[1], cord.top_mm[2], cord.length_mm))
