"""An orbiting camera: a target, a distance and two angles; frames a set of balls by itself and can follow them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass
class OrbitCamera:
    """Looks at `target` [m] from `distance` [m]; azimuth 0 is seen from +x, 90 from +y; elevation above the floor."""

    target: np.ndarray = field(default_factory=lambda: np.zeros(3))
    distance: float = 3.0
    azimuth_deg: float = -60.0
    elevation_deg: float = 18.0
    fov_deg: float = 32.0  # vertical; narrow, so that bodies are not distorted

    @classmethod
    def framing(cls, centres: np.ndarray, radii: np.ndarray, aspect: float = 1.0, **fixed: float) -> OrbitCamera:
        """A view in which every ball (centres [N, 3], radii [N]; metres) fits a picture of width / height `aspect`.

        It stands across the longest horizontal direction of the balls and higher above those that lie than above
        those that stand. `fixed` sets angles by hand.
        """
        low, high = (centres - radii[:, None]).min(axis=0), (centres + radii[:, None]).max(axis=0)
        camera = cls(target=0.5 * (low + high), **fixed)
        spread = centres[:, :2] - centres[:, :2].mean(axis=0)
        values, vectors = np.linalg.eigh(spread.T @ spread + np.diag([1e-12, 0.0]))
        lying = np.hypot(*(high - low)[:2]) > 1.3 * (high - low)[2]
        if "azimuth_deg" not in fixed:
            across = vectors[:, 0]  # the shorter horizontal axis; taken towards +x -y
            across = across if across @ np.array([1.0, -1.0]) >= 0 else -across
            turn = 28.0 if values[1] > 1.5 * values[0] else 0.0
            camera.azimuth_deg = float(np.degrees(np.arctan2(across[1], across[0]))) + turn
        if "elevation_deg" not in fixed:
            camera.elevation_deg = 30.0 if lying else 12.0
        right, up, back = camera.axes()
        offset = centres - camera.target
        half_tan = np.tan(np.radians(camera.fov_deg) / 2)
        need_up = (np.abs(offset @ up) + radii) / half_tan
        need_right = (np.abs(offset @ right) + radii) / (half_tan * aspect)
        camera.distance = 1.16 * float(np.max(np.maximum(need_up, need_right) + offset @ back))
        return camera

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors right, up and back (from the target to the eye) of the picture."""
        azimuth, elevation = np.radians(self.azimuth_deg), np.radians(np.clip(self.elevation_deg, -89.0, 89.0))
        back = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
        return right, np.cross(back, right), back

    @property
    def eye(self) -> np.ndarray:
        """Where the camera stands [m]."""
        return np.asarray(self.target) + self.distance * self.axes()[2]

    def view(self) -> np.ndarray:
        """World to eye, [4, 4]."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack(self.axes())
        matrix[:3, 3] = -matrix[:3, :3] @ self.eye
        return matrix

    def projection(self, aspect: float) -> np.ndarray:
        """Eye to clip, [4, 4]; near and far planes scale with the distance."""
        near, far = 0.04 * self.distance, 40.0 * self.distance
        f = 1.0 / np.tan(np.radians(self.fov_deg) / 2)
        matrix = np.zeros((4, 4))
        matrix[0, 0], matrix[1, 1] = f / aspect, f
        matrix[2, 2], matrix[2, 3], matrix[3, 2] = (far + near) / (near - far), 2 * far * near / (near - far), -1.0
        return matrix

    def follow(self, centre: np.ndarray, elapsed_s: float, settle_s: float = 0.35) -> None:
        """Move the target towards `centre` [m] with a time constant; a jump of over two distances is taken at once."""
        gap = np.asarray(centre, dtype=float) - self.target
        share = 1.0 if np.linalg.norm(gap) > 2 * self.distance else 1.0 - np.exp(-max(elapsed_s, 0.0) / settle_s)
        self.target = self.target + share * gap

    def moved(self, **changes: float) -> OrbitCamera:
        """A copy with some fields changed."""
        return replace(self, **changes)
