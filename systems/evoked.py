"""What a repeated stimulus brings about: how strong, and from when on. Counts are [trials, bins].

Onsets come from a cluster permutation test, so that looking at many bins raises no false alarms (Maris & Oostenveld
2007): under no response a trial's deviation from its baseline is as likely of either sign.
"""

from __future__ import annotations

import math

import numpy as np

from engine.random import Streams

FLIPS = 1_000
ALPHA = 0.05
THRESHOLD = 2.0  # t above which bins belong to a cluster


def deviations(counts: np.ndarray, starts: np.ndarray, before: int, after: int) -> np.ndarray:
    """Counts [bins] cut into trials [trials, after], each less the mean of its `before` bins ahead of its start."""
    rows = np.array([counts[start - before : start + after] for start in starts], float)
    return rows[:, before:] - rows[:, :before].mean(axis=1, keepdims=True)


def t_of(rows: np.ndarray) -> np.ndarray:
    """Student's t over trials [bins]; 0 where nothing varies."""
    error = rows.std(axis=0, ddof=1) / math.sqrt(len(rows))
    return np.divide(rows.mean(axis=0), error, out=np.zeros(rows.shape[1]), where=error > 0.0)


def clusters(t: np.ndarray) -> list[tuple[int, int, float]]:
    """(first bin, bin after the last, sum of t) of every run of bins above the threshold."""
    inside = np.concatenate([[False], t > THRESHOLD, [False]])
    edges = np.flatnonzero(np.diff(inside))
    return [(int(a), int(b), float(t[a:b].sum())) for a, b in edges.reshape(-1, 2)]


def onset(rows: np.ndarray) -> float:
    """First bin of the earliest significant increase of trials [trials, bins]; NaN if there is none."""
    found = clusters(t_of(rows))
    if not found or len(rows) < 6:
        return math.nan
    rng = Streams(0).generator("evoked/flips")
    square = (rows**2).sum(axis=0)
    n = len(rows)
    largest = np.zeros(FLIPS)
    for k in range(FLIPS):
        mean = (rng.integers(0, 2, n) * 2.0 - 1.0) @ rows / n
        variance = (square / n - mean**2) * n / (n - 1)
        t = np.divide(mean, np.sqrt(np.maximum(variance, 0.0) / n), out=np.zeros_like(mean), where=variance > 1e-12)
        largest[k] = max((size for _, _, size in clusters(t)), default=0.0)
    limit = np.quantile(largest, 1.0 - ALPHA)
    return next((float(first) for first, _, size in found if size > limit), math.nan)


def strength(rows: np.ndarray) -> float:
    """z of the mean deviation over the whole window: its mean over trials / its standard error."""
    each = rows.mean(axis=1)
    error = each.std(ddof=1) / math.sqrt(len(each)) if len(each) > 1 else 0.0
    return float(each.mean() / error) if error > 0.0 else math.nan
