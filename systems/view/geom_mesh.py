"""Unit meshes of MuJoCo's geom types as flat triangle lists: float32 [vertices, 7] = position, normal, cap."""

from __future__ import annotations

import numpy as np

# mujoco.mjtGeom, written out so that drawing needs arrays only
PLANE, HFIELD, SPHERE, CAPSULE, ELLIPSOID, CYLINDER, BOX, MESH = range(8)


def _grid_triangles(points: np.ndarray) -> np.ndarray:
    """Two triangles per cell of a [rows, columns, k] grid of points, flattened to [n, k]."""
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]
    return np.stack([a, b, c, a, c, d], axis=2).reshape(-1, points.shape[-1])


RINGS_SECTORS = ((6, 10), (10, 16), (16, 28), (26, 44))  # by level of detail, coarse to fine


def sphere(detail: int = 1) -> np.ndarray:
    """Unit sphere."""
    return _globe(detail, doubled_equator=False)


def capsule(detail: int = 1) -> np.ndarray:
    """Unit sphere whose equator is doubled and whose halves are marked -1 / +1 to be pushed apart along z."""
    return _globe(detail, doubled_equator=True)


def _globe(detail: int, doubled_equator: bool) -> np.ndarray:
    rings, sectors = RINGS_SECTORS[detail]
    polar = np.linspace(0.0, np.pi, rings + 1)
    caps = np.zeros(rings + 1)
    if doubled_equator:
        polar = np.insert(polar, rings // 2, np.pi / 2)
        caps = np.repeat([1.0, -1.0], rings // 2 + 1)
    turn = np.linspace(0.0, 2 * np.pi, sectors + 1)
    turn[-1] = 0.0  # the seam closes exactly
    z, r = np.cos(polar)[:, None], np.sin(polar)[:, None]
    xyz = np.stack([r * np.cos(turn), r * np.sin(turn), np.broadcast_to(z, (len(polar), len(turn)))], axis=-1)
    cap = np.broadcast_to(caps[:, None, None], (*xyz.shape[:2], 1))
    return _outward(_grid_triangles(np.concatenate([xyz, xyz, cap], axis=-1)))


def cylinder(detail: int = 1) -> np.ndarray:
    """Unit cylinder, z from -1 to 1."""
    sectors = 2 * RINGS_SECTORS[detail][1]
    turn = np.linspace(0.0, 2 * np.pi, sectors + 1)
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=-1)
    up = np.array([0.0, 0.0, 1.0])
    side = np.stack([np.concatenate([ring + s * up, ring], axis=-1) for s in (1.0, -1.0)])
    lids = []
    for s in (1.0, -1.0):
        normal = np.broadcast_to(s * up, ring.shape)
        rows = [np.concatenate([radius * ring + s * up, normal], axis=-1) for radius in (0.0, 1.0)]
        lids.append(_grid_triangles(np.stack(rows)))
    return _without_caps(np.concatenate([_grid_triangles(side), *lids]))


def box(_detail: int = 1) -> np.ndarray:
    """Unit box, -1 to 1 along each axis."""
    faces = []
    for axis in range(3):
        for sign in (1.0, -1.0):
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, -1], [1, 1], [-1, 1]], dtype=float)
            face = np.zeros((6, 6))
            face[:, [(axis + 1) % 3, (axis + 2) % 3]] = corners
            face[:, axis] = face[:, 3 + axis] = sign
            faces.append(face)
    return _without_caps(np.concatenate(faces))


def model_mesh(model, mesh: int) -> np.ndarray:
    """Mesh number `mesh` of an MjModel in its geom's frame [m], with the normals the model came with."""
    vertices, normals = model.mesh_vert[model.mesh_vertadr[mesh] :], model.mesh_normal[model.mesh_normaladr[mesh] :]
    rows = slice(model.mesh_faceadr[mesh], model.mesh_faceadr[mesh] + model.mesh_facenum[mesh])
    position, normal = vertices[model.mesh_face[rows].ravel()], normals[model.mesh_facenormal[rows].ravel()]
    return _without_caps(np.concatenate([position, normal], axis=1))


def _without_caps(vertices: np.ndarray) -> np.ndarray:
    return _outward(np.pad(vertices, ((0, 0), (0, 1))))


def _outward(vertices: np.ndarray) -> np.ndarray:
    """Triangles without area dropped, the others turned counter-clockwise as seen from the side of their normals."""
    corners = vertices.reshape(-1, 3, 7)
    at = corners[..., :3] + corners[..., 6:] * np.array([0.0, 0.0, 1.0])
    face = np.cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0])
    side = np.einsum("ij,ij->i", face, corners[..., 3:6].sum(axis=1))
    flipped = corners[:, ::-1]
    turned = np.where((side < 0)[:, None, None], flipped, corners)[np.linalg.norm(face, axis=1) > 1e-12]
    return turned.reshape(-1, 7).astype("f4")
