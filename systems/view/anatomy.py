"""Where every neuron stands, in MNI millimetres: regions on the surface of the brain, nuclei in place, cells of the
cord along the spine. What is where is data (assets/anatomy/places.yaml); no structure is named here.
"""

from __future__ import annotations

import fnmatch
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.errors import UserError
from engine.scene import load_scene

ASSETS = Path(__file__).resolve().parents[2] / "assets"
Triple = Annotated[list[float], Field(min_length=3, max_length=3)]
SIDES = {"left": -1.0, "right": 1.0}
UNKNOWN_MM = (0.0, -20.0, -70.0)  # where cells stand that no entry places
CENTRE_MM = np.array([0.0, -18.0, 12.0])  # middle of the brain's bounding box


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(_Strict):
    """An entry of places.yaml: which cells, and a patch of surface, a nucleus, or a column of the cord."""

    of: str
    surface: bool = False
    cord: bool = False
    depth_mm: float = 1.5
    mni_mm: Triple | None = None
    spread_mm: Triple = [1.0, 1.0, 1.0]
    across_mm: Annotated[list[float], Field(min_length=2, max_length=2)] = [0.0, 0.0]
    levels: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _one_kind(self):
        if self.surface + self.cord + (self.mni_mm is not None) != 1:
            raise ValueError("expected exactly one of surface, cord and mni_mm")
        return self


class Cord(_Strict):
    """The cord as a straight line down from `top_mm`, its segments in order and of one length."""

    top_mm: Triple
    length_mm: float = Field(gt=0)
    segments: list[str]
    levels: dict[str, Annotated[list[str], Field(min_length=2, max_length=2)]]

    @model_validator(mode="after")
    def _known(self):
        for glob, ends in self.levels.items():
            if unknown := [end for end in ends if end not in self.segments]:
                raise ValueError(f"{glob}: expected segments of the list, got {unknown[0]}")
        return self

    def heights_mm(self, ends: list[str]) -> tuple[float, float]:
        """z of the upper end of the first and the lower end of the last segment."""
        share = self.length_mm / len(self.segments)
        first, last = (self.segments.index(end) for end in ends)
        return self.top_mm[2] - share * first, self.top_mm[2] - share * (last + 1)


class Hull(_Strict):
    """An ellipsoid of glass."""

    mni_mm: Triple
    half_mm: Triple
    both: bool = False


class Places(_Strict):
    """assets/anatomy/places.yaml."""

    cord: Cord
    hulls: list[Hull] = []
    places: list[Place]

    def find(self, name: str) -> Place | None:
        """The first entry that places the population `structure.instance.cell`."""
        return next((p for p in self.places if fnmatch.fnmatchcase(name, p.of)), None)


def read_places(name: str = "places") -> Places:
    """The shipped places, or those of another file."""
    return load_scene(name, Places, [ASSETS / "anatomy"])[0]


@dataclass(frozen=True, eq=False)
class Surface:
    """Both halves of the brain's surface: positions, outward normals [V, 3] mm, sulcal depth and side (-1, 1) [V]."""

    at: np.ndarray
    normal: np.ndarray
    depth: np.ndarray
    side: np.ndarray
    faces: np.ndarray  # [F, 3]
    faces_coarse: np.ndarray

    @classmethod
    def load(cls, path: Path = ASSETS / "meshes" / "pial.npz") -> Surface:
        if not path.is_file():
            raise UserError(
                f"{path}: expected the brain's surface, found no file; make it with its tool (README there)"
            )
        with np.load(path) as box:
            at = np.concatenate([box["position_left"], box["position_right"]]) * float(box["step_mm"])
            depth = np.concatenate([box["depth_left"], box["depth_right"]]).astype(np.float32) / 127
            half = len(box["position_left"])
            faces, coarse = (np.concatenate([box[k].astype(int), box[k].astype(int) + half])
                             for k in ("faces", "faces_coarse"))  # fmt: skip
        cross = np.cross(at[faces[:, 1]] - at[faces[:, 0]], at[faces[:, 2]] - at[faces[:, 0]])
        normal = np.stack([np.bincount(faces.ravel(), np.repeat(cross[:, k], 3), len(at)) for k in range(3)], axis=1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        side = np.where(np.arange(len(at)) < half, -1.0, 1.0)
        return cls(at, normal, depth, side, faces, coarse)

    def patches(self, centres: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Region of each vertex [V]: the nearest of `centres` [R, 3] mm on its own side (0: either); -1: none."""
        region = np.full(len(self.at), -1)
        for side in (-1.0, 1.0):
            mine = np.flatnonzero(self.side == side)
            theirs = np.flatnonzero((sides == side) | (sides == 0))
            if theirs.size:
                away = ((self.at[mine, None] - centres[None, theirs]) ** 2).sum(axis=2)
                region[mine] = theirs[away.argmin(axis=1)]
        return region

    def scatter(self, rng, faces: np.ndarray, count: int, depth_mm: float) -> np.ndarray:
        """`count` points spread evenly over the chosen triangles, `depth_mm` below the surface."""
        a, b, c = (self.at[self.faces[faces, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        chosen = rng.choice(len(faces), count, p=area / area.sum())
        u = np.sqrt(rng.random(count))[:, None]
        v = rng.random(count)[:, None]
        weights = np.stack([1 - u, u * (1 - v), u * v])
        corners = self.faces[faces[chosen]]
        at, normal = (sum(weights[k] * x[corners[:, k]] for k in range(3)) for x in (self.at, self.normal))
        return at - depth_mm * normal


@dataclass(eq=False)
class Anatomy:
    """Static places of a network's neurons: `at` [neurons, 3] mm, those of the cord below `cord.top_mm`."""

    at: np.ndarray
    cord: Cord
    surface: Surface
    region_of_vertex: np.ndarray  # [V], -1: none
    hulls: list[Hull] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)  # populations that no entry places
    on_surface: bool = False  # whether any cell stands on the surface


def side_of(instance: str) -> float:
    """-1 for an instance called left, 1 for right, 0 for neither."""
    words = re.split(r"[^a-z]+", instance.lower())
    return next((sign for side, sign in SIDES.items() if side in words), 0.0)


def lay_out(network, places: Places | None = None, surface: Surface | None = None) -> Anatomy:
    """Places of all neurons of a network. Each population draws from a stream of its own, so others do not move it."""
    places, surface = places or read_places(), surface or Surface.load()
    at = np.zeros((network.neuron_count, 3))
    made = Anatomy(at, places.cord, surface, np.full(len(surface.at), -1), list(places.hulls))
    faces_of, centres = _regions(network.connectome, surface, made)
    for p in network.populations:
        place = places.find(p.name)
        rng = np.random.default_rng(zlib.crc32(p.name.encode()))
        if place is None:
            made.unplaced.append(p.name)
            at[p.neurons] = rng.normal(size=(p.count, 3)) * 2.0 + UNKNOWN_MM
        elif place.surface and p.cell.per == "region":
            faces = faces_of.get(p.instance, np.zeros(0, int))
            if faces.size:
                at[p.neurons] = surface.scatter(rng, faces, p.count, place.depth_mm)
                made.on_surface = True
            else:
                at[p.neurons] = centres[p.instance] + rng.normal(size=(p.count, 3)) * 3.0
        else:
            at[p.neurons] = _nucleus(rng, p, place, places.cord)
    return made


def _regions(connectome, surface: Surface, made: Anatomy) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Triangles and centre [mm] by region; no triangles where the connectome does not say where its regions are."""
    from systems.view.capture import places as centres_of

    if connectome is None:
        return {}, {}
    centres = centres_of(connectome)
    by_label = dict(zip(connectome.labels, centres, strict=True))
    if not np.isfinite(np.asarray(connectome.position_mm, float)).all():
        return {}, by_label
    sides = np.array([{"L": -1.0, "R": 1.0}.get(side, 0.0) for side in connectome.hemisphere])
    made.region_of_vertex = surface.patches(centres, sides)
    corner = made.region_of_vertex[surface.faces]
    whole = np.where((corner[:, 0] == corner[:, 1]) | (corner[:, 0] == corner[:, 2]), corner[:, 0], corner[:, 1])
    return {label: np.flatnonzero(whole == k) for k, label in enumerate(connectome.labels)}, by_label


def _nucleus(rng, p, place: Place, cord: Cord) -> np.ndarray:
    """A cloud around a centre, or along the cell's stretch of the cord; clipped so that no cell strays."""
    jitter = np.clip(rng.normal(size=(p.count, 3)), -1.8, 1.8) * place.spread_mm
    own = side_of(p.instance)
    sign = np.full(p.count, own) if own else np.where(np.arange(p.count) % 2, 1.0, -1.0)
    if place.cord:
        ends = place.levels or next((v for k, v in cord.levels.items() if fnmatch.fnmatchcase(p.instance, k)), None)
        high, low = cord.heights_mm(ends or [cord.segments[0], cord.segments[-1]])
        across, forward = place.across_mm
        centre = np.stack([np.full(p.count, across), np.full(p.count, cord.top_mm[1] + forward),
                           rng.uniform(low, high, p.count)], axis=1)  # fmt: skip
        jitter[:, 2] = 0.0
    else:
        centre = np.tile(np.array(place.mni_mm, float), (p.count, 1))
    found = centre + jitter
    found[:, 0] = np.maximum(found[:, 0], 0.3) * sign
    return found
