"""From region rates to what a scanner would see, and how far that is from what it saw (reference/data.md).

Arrays are [samples, regions] and [regions, regions]; times in ms or s as named. Nothing in the tick calls this.
"""

from __future__ import annotations

import numpy as np

from engine.kernel import kernel

# Balloon-Windkessel, the priors of Friston, Harrison & Penny 2003 (NeuroImage 19:1273); rates in 1/s, times in s
EFFICACY, SIGNAL_DECAY, AUTOREGULATION, TRANSIT, STIFFNESS, EXTRACTION = 0.54, 0.65, 0.41, 0.98, 0.32, 0.34
RESTING_VOLUME = 0.02
K1, K2, K3 = 7.0 * EXTRACTION, 2.0, 2.0 * EXTRACTION - 0.2
LEAST = 1e-3  # flow, volume and deoxyhaemoglobin stay above it
TR_MS = 720.0  # of the Human Connectome Project
SETTLE_MS = 20_000.0  # of BOLD thrown away: what the vessels take to follow
WINDOW_S, STEP_S = 60.0, 3.0  # of dynamic functional connectivity (Deco 2018)
QUANTILES = np.linspace(0.0, 1.0, 201)


def bold_of(rates: np.ndarray, bin_ms: float, tr_ms: float = TR_MS, settle_ms: float = SETTLE_MS) -> np.ndarray:
    """BOLD signal change [samples, regions] of rates [bins, regions], a sample every `tr_ms`, the beginning left out.

    What drives the vessels of a region is its rate relative to its mean, less one, so that they rest at flow 1.
    """
    rates = np.asarray(rates, float)
    mean = rates.mean(axis=0)
    drive = np.where(mean > 0.0, rates / np.where(mean > 0.0, mean, 1.0) - 1.0, 0.0)
    return balloon(drive, bin_ms, tr_ms)[int(settle_ms // tr_ms) :]


def balloon(drive: np.ndarray, bin_ms: float, tr_ms: float = TR_MS) -> np.ndarray:
    """BOLD [samples, regions] that neural `drive` [bins, regions] brings about, from rest, at the end of every TR."""
    drive = np.ascontiguousarray(drive, float)
    samples = int(len(drive) * bin_ms // tr_ms)
    state = np.ones((4, drive.shape[1]))
    state[0] = 0.0
    out = np.empty((samples, drive.shape[1]))
    _balloon(drive, bin_ms / 1000.0, tr_ms / 1000.0, state, out)
    return out


@kernel
def _balloon(drive, step_s, tr_s, state, out):
    """Euler steps of signal s, inflow f, volume v, deoxyhaemoglobin q: state [4, regions]; out [samples, regions]."""
    sample = 0
    for k in range(drive.shape[0]):
        for region in range(drive.shape[1]):
            s, f, v, q = state[0, region], state[1, region], state[2, region], state[3, region]
            outflow = v ** (1.0 / STIFFNESS)
            extracted = (1.0 - (1.0 - EXTRACTION) ** (1.0 / f)) / EXTRACTION
            state[0, region] = s + step_s * (
                EFFICACY * drive[k, region] - SIGNAL_DECAY * s - AUTOREGULATION * (f - 1.0)
            )
            state[1, region] = max(LEAST, f + step_s * s)
            state[2, region] = max(LEAST, v + step_s * (f - outflow) / TRANSIT)
            state[3, region] = max(LEAST, q + step_s * (f * extracted - outflow * q / v) / TRANSIT)
        while sample < out.shape[0] and (sample + 1) * tr_s <= (k + 1) * step_s + 1e-9:
            for region in range(drive.shape[1]):
                v, q = state[2, region], state[3, region]
                change = K1 * (1.0 - q) + K2 * (1.0 - q / v) + K3 * (1.0 - v)
                out[sample, region] = RESTING_VOLUME * change
            sample += 1


# functional connectivity ----------------------------------------------------------------------------------------


def connectivity(signal: np.ndarray) -> np.ndarray:
    """Pearson correlation of columns [regions, regions]; NaN for one that does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(signal, rowvar=False)


def pairs(matrix: np.ndarray) -> np.ndarray:
    """The pairs of different regions, each once [n (n - 1) / 2]."""
    return np.asarray(matrix)[np.triu_indices(len(matrix), 1)]


def double_centred(matrix: np.ndarray) -> np.ndarray:
    """A symmetric matrix less the means of rows and columns, the diagonal left out of them and set to 0.

    So that what remains is which pairs, not which regions, are coupled: the fit of matrix = a_i + a_j + rest.
    """
    n = len(matrix)
    off = np.array(matrix, float)
    np.fill_diagonal(off, 0.0)
    total = off.sum() / (n * (n - 1))
    each = (off.sum(axis=1) - (n - 1) * total) / (n - 2)
    out = off - total - each[:, None] - each[None, :]
    np.fill_diagonal(out, 0.0)
    return out


def likeness(a: np.ndarray, b: np.ndarray, centred: bool = False) -> float:
    """Pearson r over the pairs of two matrices."""
    if centred:
        a, b = double_centred(a), double_centred(b)
    return float(np.corrcoef(pairs(a), pairs(b))[0, 1])


def dynamics(signal: np.ndarray, tr_ms: float = TR_MS) -> np.ndarray:
    """Correlations between the connectivities of all pairs of sliding windows: the values of the FCD matrix."""
    width, step = round(WINDOW_S * 1000.0 / tr_ms), round(STEP_S * 1000.0 / tr_ms)
    starts = range(0, len(signal) - width + 1, step)
    windows = [pairs(connectivity(signal[start : start + width])) for start in starts]
    if len(windows) < 2:
        return np.zeros(0)
    return pairs(np.corrcoef(np.nan_to_num(windows)))


def distribution_distance(values: np.ndarray, quantiles: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of values from a distribution given by its quantiles at `QUANTILES`."""
    if not values.size:
        return np.nan
    at = np.sort(values)
    known = np.interp(at, quantiles, QUANTILES, left=0.0, right=1.0)
    above, below = np.arange(1, at.size + 1) / at.size, np.arange(at.size) / at.size
    return float(max(np.abs(above - known).max(), np.abs(below - known).max()))


# simpler models, to stand beside -----------------------------------------------------------------------------------


def autoregressive(coupling: np.ndarray, gain: float) -> np.ndarray:
    """Correlations of x = gain W x + noise, W of spectral radius 1 (simultaneous autoregression)."""
    mixing = np.linalg.inv(np.eye(len(coupling)) - gain * coupling)
    return _correlations(mixing @ mixing.T)


def diffusive(coupling: np.ndarray, gain: float) -> np.ndarray:
    """Correlations of the linear mean field tau x' = -x + gain W x + noise at rest (Ornstein-Uhlenbeck)."""
    from scipy.linalg import solve_continuous_lyapunov

    drift = gain * coupling - np.eye(len(coupling))
    return _correlations(solve_continuous_lyapunov(drift, -np.eye(len(coupling))))


def _correlations(covariance: np.ndarray) -> np.ndarray:
    spread = np.sqrt(np.diag(covariance))
    return covariance / np.outer(spread, spread)
