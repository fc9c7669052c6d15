"""Water as a world: what of a body displaces how much of it, and sensors that tell which patches of skin are under it.

Everything here happens in memory, once, when a body is loaded for a scene that has water: its MJCF file stays as it is,
and a scene without water knows nothing of this file. Drag is MuJoCo's own, of each part's box of equal inertia, in the
whole world (https://mujoco.readthedocs.io/en/stable/computation/fluid.html); buoyancy, which MuJoCo lacks, is
systems/physics_step.py's.
"""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import UserError

if TYPE_CHECKING:
    import mujoco

SLICES = 4  # of a capsule's middle
LOOK = (0.30, 0.60, 0.85, 0.28)  # sRGB and alpha of the surface
LOOK_M = (0.7, 0.0005)  # radius and half thickness of the disc that stands for it
DEPTH = "depth_"  # + patch: sensor whose third value is how far under the surface it is


@dataclass(frozen=True)
class Water:
    """A level surface, what lies below it, and a body's displacement as ellipsoids. A capsule is six of them that have
    the volume and the second moments of its slices and ends."""

    surface_m: float
    density: float  # kg/m3
    viscosity: float  # Pa s
    geom: np.ndarray  # [ellipsoids] the geom each belongs to
    part: np.ndarray  # [ellipsoids] the part of the body
    at: np.ndarray  # [ellipsoids, 3] m: middle, in the geom's frame
    half: np.ndarray  # [ellipsoids, 3] m: half axes, along the geom's
    volume: np.ndarray  # [ellipsoids] m3


def add_water(mjcf: mujoco.MjSpec, patches: list[str], surface_m: float) -> None:
    """Sensors `depth_<patch>`: places of the patches seen from the surface, the third axis down; and the surface."""
    import mujoco

    if mjcf.geom("water") is not None or mjcf.site("water") is not None:
        raise UserError("water: expected a body without a geom or site of the name water")
    mjcf.worldbody.add_site(name="water", pos=(0.0, 0.0, surface_m), quat=(0.0, 1.0, 0.0, 0.0), group=4)
    mjcf.worldbody.add_geom(
        name="water", type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=(*LOOK_M, 0.0), pos=(0.0, 0.0, surface_m - LOOK_M[1]),
        rgba=LOOK, contype=0, conaffinity=0, group=1,
    )  # fmt: skip
    for patch in patches:
        mjcf.add_sensor(
            name=DEPTH + patch, type=mujoco.mjtSensor.mjSENS_FRAMEPOS, objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname=f"touch_{patch}", reftype=mujoco.mjtObj.mjOBJ_SITE, refname="water",
        )  # fmt: skip


def fill(mjcf: mujoco.MjSpec, model: mujoco.MjModel, water, densities: dict[str, float]) -> Water:
    """Let the compiled model's world be water, and find what displaces it.

    `water` is the scene's (mm, kg/m3, Pa s). A geom displaces its own volume; in parts that a glob of `densities`
    matches (the last one counts) it displaces its mass over that density instead, as geoms that make up a part overlap.
    """
    model.opt.density, model.opt.viscosity = water.density, water.viscosity
    rows = []
    for geom in mjcf.geoms:
        number, part = geom.id, int(model.geom_bodyid[geom.id])
        weightless = model.body_mass[part] == 0.0 or geom.mass == 0.0 or (math.isnan(geom.mass) and geom.density == 0.0)
        if part == 0 or weightless:
            continue
        pieces = ellipsoids(int(model.geom_type[number]), model.geom_size[number], model.geom(number).name)
        volume = sum(piece[2] for piece in pieces)
        factor = 1.0
        for glob, density in densities.items():
            if fnmatch.fnmatchcase(model.body(part).name, glob):
                mass = geom.density * volume if math.isnan(geom.mass) else geom.mass
                factor = mass / density / volume
        rows += [(number, part, at, half, size * factor) for at, half, size in pieces]
    if not rows:
        raise UserError("water: expected a body that displaces some of it, found no geom with a mass")
    geom, part, at, half, volume = (np.array(column) for column in zip(*rows, strict=True))
    return Water(water.surface / 1000.0, water.density, water.viscosity, geom.astype(np.int32), part.astype(np.int32),
                 at.astype(float), half.astype(float), volume.astype(float))  # fmt: skip


def ellipsoids(kind: int, size: np.ndarray, name: str = "") -> list[tuple]:
    """(middle [3] m, half axes [3] m, volume m3) of the ellipsoids that stand for a geom, in its frame."""
    import mujoco

    nowhere = (0.0, 0.0, 0.0)
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return [(nowhere, (size[0],) * 3, 4 / 3 * math.pi * size[0] ** 3)]
    if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        return [(nowhere, tuple(size), 4 / 3 * math.pi * float(np.prod(size)))]
    if kind != mujoco.mjtGeom.mjGEOM_CAPSULE:
        what = mujoco.mjtGeom(kind).name.removeprefix("mjGEOM_").lower()
        raise UserError(f"water: geom {name or '(unnamed)'}: expected a sphere, capsule or ellipsoid, got a {what}")
    radius, middle = float(size[0]), float(size[1])
    # variances across and along: of a slice r2/4 and t2/3, of half a ball r2/5 and 19/320 r2, of an ellipsoid a2/5 each
    thick = middle / SLICES  # half of a slice
    across, along = radius * math.sqrt(5 / 4), thick * math.sqrt(5 / 3)
    pieces = [((0.0, 0.0, -middle + (2 * k + 1) * thick), (across, across, along), math.pi * radius**2 * 2 * thick)
              for k in range(SLICES)]  # fmt: skip
    for end in (-1.0, 1.0):
        half = (radius, radius, radius * math.sqrt(19 / 64))
        pieces.append(((0.0, 0.0, end * (middle + 3 / 8 * radius)), half, 2 / 3 * math.pi * radius**3))
    return pieces
