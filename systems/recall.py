"""What populations hold: which of several items fire, compared with those that were shown. Rates are arrays [items]."""

from __future__ import annotations

import numpy as np


def rates_of(ids: np.ndarray, groups: list[np.ndarray], ms: float) -> np.ndarray:
    """Mean rate [Hz] of each group of neurons that made the spikes `ids` in `ms`."""
    size = int(max(ids.max(initial=-1), max(int(g.max(initial=-1)) for g in groups))) + 1
    counts = np.bincount(ids, minlength=size)
    return np.array([counts[g].mean() for g in groups]) * 1000.0 / ms


def recalled(rates: np.ndarray, shown: np.ndarray) -> float:
    """Part of the `shown` items (indices) that is among as many items of the highest rates; ties count by chance."""
    return float(np.mean(_chances(rates, shown)))


def _chances(rates: np.ndarray, shown: np.ndarray) -> list[float]:
    """Chance of each shown item to be among the len(shown) of the highest rates, tied ones drawn evenly."""
    edge = np.sort(rates)[::-1][len(shown) - 1]
    above, at = int((rates > edge).sum()), int((rates == edge).sum())
    return [1.0 if rates[k] > edge else (len(shown) - above) / at if rates[k] == edge else 0.0 for k in shown]
