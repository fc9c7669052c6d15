"""Make assets/meshes/pial.npz, the brain's surface that the view draws, from one PyPI package.

    python -m tools.make_cortex_mesh            download, convert, write the asset
    python -m tools.make_cortex_mesh --check    rebuild and compare with the committed asset

The package is read as an archive, never installed. Source: the pial surface of fsaverage5 (Fischl 1999, Human
Brain Mapping 8:272) as the nilearn wheel carries it, moved from MNI305 to MNI152 space.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.errors import UserError
from tools.build_connectome import Package, check, fetch, npz_bytes, write_atomic

ASSET = Path(__file__).resolve().parents[1] / "assets" / "meshes" / "pial.npz"
PACKAGE = Package(
    "nilearn",
    "0.14.1",
    "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
    r"nilearn/datasets/data/fsaverage5/(pial|sulc)_(left|right)\.gii\.gz",
    "f1f62ea802887d8c2e83e355f0d3676916216f5bb743838bd325e9f6ecabdf3c",
)
COARSE_VERTICES = 2562
"""fsaverage5 is a subdivided icosahedron: its first 2,562 vertices are those of fsaverage4."""
MNI305_TO_MNI152 = np.array([
    [0.9975, -0.0073, 0.0176, -0.0429],
    [0.0146, 1.0009, -0.0024, 1.5496],
    [-0.0130, -0.0093, 0.9971, 1.1840],
])  # fmt: skip
"""Affine in mm, published with FreeSurfer (its wiki, CoordinateSystems, 8)."""
STEP_MM = 0.01
"""Positions are whole multiples of this, in int16."""
KINDS = {"NIFTI_TYPE_FLOAT32": "<f4", "NIFTI_TYPE_INT32": "<i4"}


def read_arrays(data: bytes) -> list[np.ndarray]:
    """Every array of a gzipped GIFTI file (base64, zlib, little-endian), in its order."""
    arrays = []
    for found in ElementTree.fromstring(gzip.decompress(data)).iter("DataArray"):
        kind = KINDS.get(found.get("DataType", ""))
        if kind is None or found.get("Encoding") != "GZipBase64Binary":
            raise UserError(f"surface: expected zipped float32 or int32, found {found.get('DataType')}")
        raw = zlib.decompress(base64.b64decode(found.findtext("Data", "")))
        arrays.append(np.frombuffer(raw, kind).reshape(int(found.get("Dim0")), -1))
    return arrays


def coarser(faces: np.ndarray, keep: int) -> np.ndarray:
    """Undo one subdivision: triangles [n, 3] of the first `keep` vertices, in the order of their middle triangles."""
    parents: dict[int, list[int]] = {}
    for face in faces:
        old = [int(v) for v in face if v < keep]
        for vertex in face:
            if vertex >= keep and old:
                known = parents.setdefault(int(vertex), [])
                known += [v for v in old if v not in known]
    middles = faces[(faces >= keep).all(axis=1)]
    if any(len(found) != 2 for found in parents.values()):
        raise UserError("surface: expected each new vertex between two old ones")
    out = []
    for a, b, c in middles.tolist():
        ab, bc, ca = set(parents[a]), set(parents[b]), set(parents[c])
        out.append([(ca & ab).pop(), (ab & bc).pop(), (bc & ca).pop()])
    return np.array(out)


def build(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    """Arrays of the asset; both hemispheres share their triangles."""
    made: dict[str, np.ndarray] = {"step_mm": np.array(STEP_MM, "f4")}
    for side in ("left", "right"):
        surface = f"nilearn/datasets/data/fsaverage5/pial_{side}.gii.gz"
        points, faces = read_arrays(files[surface])
        (depth,) = read_arrays(files[surface.replace("pial", "sulc")])
        moved = points.astype(float) @ MNI305_TO_MNI152[:, :3].T + MNI305_TO_MNI152[:, 3]
        made[f"position_{side}"] = np.rint(moved / STEP_MM).astype("i2")
        made[f"depth_{side}"] = np.clip(np.rint(depth[:, 0] * 6), -127, 127).astype("i1")
        made["faces"] = faces.astype("u2")
    made["faces_coarse"] = coarser(faces, COARSE_VERTICES).astype("u2")
    provenance = {
        "package": f"{PACKAGE.name} {PACKAGE.version}", "files_sha256": PACKAGE.contents, "space": "MNI152 mm",
        "surface": "fsaverage5 pial (Fischl et al. 1999, Human Brain Mapping 8:272)",
    }  # fmt: skip
    made["provenance"] = np.array(json.dumps(provenance, sort_keys=True))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=Path(__file__).stem, description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="rebuild and compare with the file instead of writing it")
    parser.add_argument("--out", type=Path, default=ASSET, metavar="FILE", help="the asset; default: the committed")
    parser.add_argument("--archives", type=Path, metavar="DIR", help="read this wheel, do not download")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="surface-") as folder:
            data = npz_bytes(build(fetch(Path(folder), print, [PACKAGE], options.archives)))
        if options.check:
            check(options.out, data)
        else:
            write_atomic(options.out, data)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    verb = "same" if options.check else "wrote"
    print(f"{verb}: {options.out} ({len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
