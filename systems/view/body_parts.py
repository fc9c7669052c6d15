"""What the view knows of a body beside its geoms, from the model alone: frames of its parts, muscle bellies, patches of
skin, the head and the way from there down the spine. Everything follows the geoms of a frame, which is all it copies.
"""

from __future__ import annotations

import numpy as np

HIDDEN_GROUP = 3
BELLY_COLOUR = np.array([0.62, 0.20, 0.17])  # sRGB, of a muscle that pulls a little
PULL_COLOUR = np.array([1.0, 0.13, 0.07])  # at full activation
TOUCH_COLOUR = np.array([0.25, 0.80, 1.0])
FULL_TOUCH_HZ = 80.0
LEAST_PULL = 0.03  # activation below which a belly lies under the skin


def matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix [3, 3] of a unit quaternion (w, x, y, z)."""
    w, x, y, z = quaternion
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


class BodyParts:
    """Static description of one body; methods take the positions [G, 3] and rotations [G, 9] of a frame's geoms."""

    def __init__(self, body, muscle_names):
        self.model = model = body.model
        self.body_of_geom = np.array(model.geom_bodyid)
        self._geom_pos, self._geom_turn = np.array(model.geom_pos), [matrix(q) for q in model.geom_quat]
        self._geoms = {b: np.flatnonzero(self.body_of_geom == b) for b in range(model.nbody)}
        self.names = [model.body(k).name for k in range(model.nbody)]
        self.geom_names = [model.geom(k).name for k in range(model.ngeom)]
        self.muscle_names = list(muscle_names)
        self._bellies = [self._belly(body.muscle(name)) for name in self.muscle_names]
        self._shown = np.array([k for k, belly in enumerate(self._bellies) if belly is not None], int)
        self.patch_names = [patch.name for patch in body.patches]
        self._sites = [int(model.sensor_objid[model.sensor(patch.sensor).id]) for patch in body.patches]
        self.patch_body = np.array([model.site_bodyid[s] for s in self._sites], int)
        self.patch_size = np.array([self._site_size(s) for s in self._sites]).reshape(-1, 3)
        self.head = int(model.site_bodyid[int(model.sensor_objid[model.sensor(body.gyro).id])])
        self.spine = [self.head]
        while model.body_parentid[self.spine[-1]] != 0:
            self.spine.append(int(model.body_parentid[self.spine[-1]]))
        while middle := [
            k
            for k in range(model.nbody)
            if model.body_parentid[k] == self.spine[-1]
            and k not in self.spine
            and abs(model.body_pos[k][1]) < 0.02 * model.stat.extent
        ]:
            self.spine.append(max(middle, key=lambda k: model.body_subtreemass[k]))  # on down the middle of the trunk
        self.skull = self._skull()

    def _site_size(self, site: int) -> np.ndarray:
        size = np.array(self.model.site_size[site])
        return np.full(3, size[0]) if self.model.site_type[site] == 2 else np.maximum(size, 0.3 * size.max())

    def _skull(self) -> tuple[int, np.ndarray]:
        """The head's largest geom and half sizes [3] m of the ellipsoid in it."""
        geoms = self._geoms[self.head]
        sizes = np.array([self._half(g) for g in geoms])
        k = int(np.argmax(sizes.prod(axis=1)))
        return int(geoms[k]), sizes[k]

    def _half(self, geom: int) -> np.ndarray:
        """Half sizes [3] m of a geom along its own axes."""
        size, kind = np.array(self.model.geom_size[geom]), int(self.model.geom_type[geom])
        if kind == 2:
            return np.full(3, size[0])
        if kind in (3, 5):
            return np.array([size[0], size[0], size[1] + (size[0] if kind == 3 else 0.0)])
        return size if kind in (4, 6) else np.full(3, 0.5 * self.model.geom_rbound[geom])

    def frame_of(self, part: int, at: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Origin [3] m and rotation [3, 3] of a part, from the first of its geoms (or of its parents')."""
        while not self._geoms[part].size and part:
            part = int(self.model.body_parentid[part])
        geom = int(self._geoms[part][0]) if self._geoms[part].size else 0
        rotation = np.asarray(turn[geom], float).reshape(3, 3) @ self._geom_turn[geom].T
        return np.asarray(at[geom], float) - rotation @ self._geom_pos[geom], rotation

    def frames(self, at: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Origins [parts, 3] and rotations [parts, 3, 3] of all parts."""
        found = [self.frame_of(k, at, turn) for k in range(self.model.nbody)]
        return np.stack([f[0] for f in found]), np.stack([f[1] for f in found])

    # -- muscles ------------------------------------------------------------------------------------------------

    def _core(self, part: int) -> tuple[np.ndarray, float]:
        """Middle [3] of a part's visible geoms in its frame, and the radius of its thickest."""
        geoms = [g for g in self._geoms[part] if self.model.geom_group[g] != HIDDEN_GROUP]
        if not geoms:
            return np.zeros(3), 0.0
        half = np.array([self._half(g) for g in geoms])
        volume = half.prod(axis=1)
        return (volume[:, None] * self._geom_pos[geoms]).sum(axis=0) / volume.sum(), float(
            np.sort(half, axis=1)[:, 1].max()
        )

    def _belly(self, muscle):
        """(part, middle [3], axes [3, 3], half length, radius, limb's radius) of a muscle's belly, or None.

        It lies along the part above its joint, or along the moved part where that hangs on the trunk, on the side
        towards which it pulls. A part that turns in place, as an eyeball does, shows none.
        """
        model = self.model
        tendon = int(model.tendon_adr[model.tendon(muscle.name).id])
        joint, pull = int(model.wrap_objid[tendon]), -np.sign(model.wrap_prm[tendon])
        part = int(model.jnt_bodyid[joint])
        above = int(model.body_parentid[part])
        turn = matrix(model.body_quat[part])
        core, radius = self._core(part)
        away = core - model.jnt_pos[joint]
        if np.linalg.norm(away) < 0.5 * radius or above == 0:
            return None
        axis = np.array(model.jnt_axis[joint])
        upper_core, upper_radius = self._core(above)
        anchor = model.body_pos[part] + turn @ model.jnt_pos[joint]
        on_trunk = upper_radius > 1.55 * radius or not upper_radius
        side = np.cross(axis, away / np.linalg.norm(away))
        if on_trunk:
            place, start, middle, thick = part, np.array(model.jnt_pos[joint]), core, radius
        else:
            place, start, middle, thick = above, anchor, upper_core, upper_radius
            side, axis = turn @ side, turn @ axis
        along = middle - start
        length = max(float(np.linalg.norm(along)), 1e-4)
        along = along / length
        side = side - along * (side @ along)
        if np.linalg.norm(side) < 0.3:  # a rotator: beside the axis
            side = np.cross(along, [0.31, 0.95, 0.05])
        side = pull * side / np.linalg.norm(side)
        half = min(max(0.75 * length, 1.3 * 0.42 * thick), 2.4 * thick)
        axes = np.stack([np.cross(side, along), side, along], axis=1)
        return place, start + along * min(length, 1.4 * half), axes, half, 0.42 * thick, thick

    def bellies(self, activation: np.ndarray, at: np.ndarray, turn: np.ndarray, floats: int) -> np.ndarray:
        """Instances [shown, floats] of the muscles that pull: redder and thicker with activation."""
        pulling = [k for k in self._shown if activation[k] > LEAST_PULL]
        rows = np.zeros((len(pulling), floats), "f4")
        for row, k in zip(rows, pulling, strict=True):
            part, middle, axes, half, radius, thick = self._bellies[k]
            origin, rotation = self.frame_of(part, at, turn)
            share = float(np.clip(np.sqrt(activation[k]), 0.0, 1.0))
            wide = radius * (0.8 + 0.45 * share)
            out = thick - wide * (0.92 - 0.55 * share)
            row[:3] = origin + rotation @ (middle + axes[:, 1] * out)
            row[3:12] = (rotation @ axes).ravel()
            row[12:15] = BELLY_COLOUR + share * (PULL_COLOUR - BELLY_COLOUR)
            row[15], row[16:19] = 1.0, (wide, wide * 0.85, half)
        return rows

    # -- skin ---------------------------------------------------------------------------------------------------

    def patches_at(self, at: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Middle of every patch [patches, 3] m."""
        out = np.zeros((len(self._sites), 3))
        for k, site in enumerate(self._sites):
            origin, rotation = self.frame_of(int(self.patch_body[k]), at, turn)
            out[k] = origin + rotation @ self.model.site_pos[site]
        return out

    def touched(self, rate: np.ndarray, at: np.ndarray, turn: np.ndarray, floats: int) -> np.ndarray:
        """Instances of the patches whose afferents fire, brighter with their rate [patches] Hz."""
        found = np.flatnonzero(rate > 1.0)
        rows = np.zeros((len(found), floats), "f4")
        for row, k in zip(rows, found, strict=True):
            origin, rotation = self.frame_of(int(self.patch_body[k]), at, turn)
            site = self._sites[k]
            row[:3] = origin + rotation @ self.model.site_pos[site]
            row[3:12] = (rotation @ matrix(self.model.site_quat[site])).ravel()
            row[12:15], row[15] = TOUCH_COLOUR, np.clip((rate[k] / FULL_TOUCH_HZ) ** 0.6, 0.1, 0.75)
            row[16:19] = 1.02 * self.patch_size[k]
        return rows

    def spine_at(self, at: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Origins of the parts from the head down the trunk [n, 3] m, and the end of the last."""
        points = [self.frame_of(part, at, turn)[0] for part in self.spine[: len(self.spine)]]
        if len(points) == 1:
            points.append(points[0] + [0, 0, -0.25 * float(self.model.stat.extent)])
        return np.array(points)
