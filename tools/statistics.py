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
POWER = 0.8  # chance of finding a difference that a power statement is about
SAME_DZ = 0.3  # smallest difference of interest where a scene gives none, over the SD of the differences


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


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p of the signed ranks of paired differences [seeds], exact up to 50 without ties; 1 below two pairs."""
    from scipy import stats

    differences = np.asarray(differences, float)
    if differences.size < 2 or not differences.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ties: scipy says that it approximates
        return float(stats.wilcoxon(differences, zero_method="wilcox", method="auto").pvalue)


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation: (ranks above zero - ranks below) / all; NaN where nothing differs."""
    from scipy import stats

    differences = np.asarray(differences, float)
    differences = differences[differences != 0.0]
    if not differences.size:
        return math.nan
    ranks = stats.rankdata(np.abs(differences))
    return float((ranks * np.sign(differences)).sum() / ranks.sum())


def equivalence_p(differences: np.ndarray, margin: float | None = None) -> float:
    """p of two one-sided t tests: the mean paired difference [seeds] lies within +-margin (else 0.3 of its SD).

    The larger of the two (Schuirmann 1987); 1 below two pairs.
    """
    from scipy import stats

    differences = np.asarray(differences, float)
    if differences.size < 2:
        return 1.0
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    limit = SAME_DZ * spread if margin is None else margin
    if spread == 0.0:
        return 0.0 if abs(mean) < limit or (margin is None and mean == 0.0) else 1.0
    error = spread / math.sqrt(differences.size)
    return float(stats.t.sf((limit - abs(mean)) / error, differences.size - 1))


def power_of(dz: float, pairs: int) -> float:
    """Chance that a two-sided paired t test at 0.05 finds a difference of dz standard deviations."""
    from scipy import stats

    if pairs < 2:
        return 0.0
    critical, shift = stats.t.isf(ALPHA / 2, pairs - 1), dz * math.sqrt(pairs)
    return float(stats.nct.sf(critical, pairs - 1, shift) + stats.nct.cdf(-critical, pairs - 1, shift))


def detectable_dz(pairs: int) -> float:
    """The difference over its SD that so many pairs find with a chance of 80 %; infinite below three."""
    from scipy import optimize

    if pairs < 3:
        return math.inf
    high = 1.0
    while power_of(high, pairs) < POWER:
        high *= 1.5
    return float(optimize.brentq(lambda dz: power_of(dz, pairs) - POWER, 0.0, high))


def equivalence_power(margin_dz: float, pairs: int) -> float:
    """Chance that `equivalence_p` is at most 0.05 where there is no difference; the margin over the SD."""
    from scipy import integrate, stats

    if pairs < 2:
        return 0.0
    critical, root = stats.t.isf(ALPHA, pairs - 1), math.sqrt(pairs)

    def inside(sd: float) -> float:
        """Of means around 0 with error 1 / root, those that pass with this SD, times its density."""
        reach = root * margin_dz - critical * sd
        return max(0.0, 2.0 * stats.norm.cdf(reach) - 1.0) * stats.chi.pdf(sd * scale, pairs - 1) * scale

    scale = math.sqrt(pairs - 1)
    return float(integrate.quad(inside, 0.0, root * margin_dz / critical, limit=200)[0])


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
