"""Statistics over seeds: bootstrap intervals, paired permutation tests, false discovery rate. The unit is the seed.

scipy does the work and is imported when it is asked; random numbers come from named streams, so numbers repeat.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from engine.random import Streams

ALPHA = 0.05  # false discovery rate that a comparison is held to
FLIPS = 2**15  # sign patterns drawn; up to 15 pairs all of them are counted instead
BOOTSTRAPS = 9_999
LEVEL = 0.95


def interval(values: np.ndarray, stream: str) -> tuple[float, float]:
    """Bootstrap interval (BCa, 95 %) of the mean of `values` [seeds]; NaN below two values."""
    from scipy import stats

    values = np.asarray(values, float)
    if values.size < 2:
        return math.nan, math.nan
    if np.ptp(values) == 0.0:
        return float(values[0]), float(values[0])
    for method in ("BCa", "percentile"):  # BCa has no answer where the resampled means hardly vary
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = stats.bootstrap(
                (values,), np.mean, n_resamples=BOOTSTRAPS, confidence_level=LEVEL, method=method,
                random_state=Streams(0).generator(f"bootstrap/{stream}"),
            ).confidence_interval  # fmt: skip
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    return float(found.low), float(found.high)


def sign_flip_p(differences: np.ndarray, stream: str) -> float:
    """Two-sided p of a mean paired difference [seeds] of zero, by flipping signs; 1 below two pairs."""
    from scipy import stats

    differences = np.asarray(differences, float)
    if differences.size < 2:
        return 1.0
    found = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", alternative="two-sided", vectorized=True,
        n_resamples=FLIPS, batch=max(1, 2**22 // differences.size),
        random_state=Streams(0).generator(f"sign_flip/{stream}"),
    )  # fmt: skip
    return float(found.pvalue)


def smallest_p(pairs: int) -> float:
    """The smallest two-sided p that the sign-flip test can give with so many pairs."""
    return min(1.0, 2.0 / 2.0**pairs) if pairs <= 15 else 2.0 / (FLIPS + 1)


def false_discovery_q(p: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg adjusted p of a family of comparisons."""
    from scipy import stats

    return [float(q) for q in stats.false_discovery_control(np.asarray(p, float), method="bh")] if len(p) else []


def cohens_dz(differences: np.ndarray) -> float:
    """Mean paired difference over its standard deviation; NaN below two pairs, infinite where all are the same."""
    differences = np.asarray(differences, float)
    if differences.size < 2:
        return math.nan
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread == 0.0:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / spread


def described(values: np.ndarray, stream: str) -> dict[str, float | int]:
    """n, none (how many are NaN), mean, sd and the interval of the mean, of one outcome in one condition [seeds]."""
    values = np.asarray(values, float)
    known = values[~np.isnan(values)]
    low, high = interval(known, stream)
    return {
        "n": int(known.size),
        "none": int(values.size - known.size),
        "mean": float(known.mean()) if known.size else math.nan,
        "sd": float(known.std(ddof=1)) if known.size > 1 else math.nan,
        "interval": [low, high],
    }
