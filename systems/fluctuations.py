"""How a rate fluctuates: intrinsic timescale, spectrum, avalanches. Counts are [bins, groups], times in ms."""

from __future__ import annotations

import warnings

import numpy as np

LAGS = 30  # of an autocorrelation
BAND_HZ = (2.0, 100.0)  # in which a rhythm is looked for
SPECTRUM_MS = 4_000.0  # of a piece of a spectrum: four cycles of 1 Hz
LEAST_AVALANCHES = 100


def autocorrelation(counts: np.ndarray, lags: int = LAGS) -> np.ndarray:
    """Autocorrelation [lags, groups] of counts [bins, groups] at 1, 2, ... bins; NaN where a count never changes."""
    x = np.asarray(counts, float)
    x = x - x.mean(axis=0)
    power = (x * x).mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([(x[lag:] * x[:-lag]).mean(axis=0) / power for lag in range(1, lags + 1)])


def timescales(counts: np.ndarray, bin_ms: float, lags: int = LAGS) -> np.ndarray:
    """Intrinsic timescale [ms; groups] of counts [bins, groups]: tau of A exp(-lag / tau) + B (Murray 2014).

    The fit leaves out lag 0, where counting noise is, and where the autocorrelation still rises, the lags before its
    highest (refractoriness). NaN where there is nothing to fit or tau lies beyond the lags.
    """
    lags = min(lags, len(counts) - 2)
    if lags < 5:
        return np.full(counts.shape[1], np.nan)
    found = autocorrelation(counts, lags)
    return np.array([_tau(r, bin_ms) for r in found.T])


def _tau(r: np.ndarray, bin_ms: float) -> float:
    from scipy.optimize import curve_fit

    if not np.isfinite(r).all():
        return np.nan
    first = int(np.argmax(r[: len(r) // 3]))
    lag = np.arange(first + 1, len(r) + 1) * bin_ms
    r = r[first:]
    longest = lag[-1]
    guess = (min(max(r[0] - r[-1], 1e-3), 10.0), longest / 5.0, float(np.clip(r[-1], -0.9, 0.9)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            (size, tau, _), _ = curve_fit(lambda t, a, tau, b: a * np.exp(-t / tau) + b, lag, r, guess,
                                          bounds=([0.0, bin_ms / 10.0, -1.0], [20.0, 2.0 * longest, 1.0]))  # fmt: skip
        except RuntimeError:
            return np.nan
    return float(tau) if size > 1e-6 and tau < longest else np.nan


def rhythm_hz(counts: np.ndarray, bin_ms: float) -> float:
    """Frequency [Hz], from 2 to 100, at which the spectrum of counts [bins] stands out most from 1 / f^a; or NaN.

    a is that of a straight line through the logarithms; what stands out must be at least twice the line.
    """
    from scipy.signal import welch

    window = round(SPECTRUM_MS / bin_ms)
    if len(counts) < 2 * window:
        return np.nan
    hz, power = welch(np.asarray(counts, float), 1000.0 / bin_ms, nperseg=window)
    band = (hz >= BAND_HZ[0]) & (hz <= min(BAND_HZ[1], 500.0 / bin_ms)) & (power > 0.0)
    if band.sum() < 10:
        return np.nan
    x, y = np.log(hz[band]), np.log(power[band])
    above = y - np.polyval(np.polyfit(x, y, 1), x)
    smooth = np.convolve(above, np.ones(3) / 3.0, "same")
    best = int(np.argmax(smooth))
    return float(hz[band][best]) if smooth[best] >= np.log(2.0) else np.nan


def branching_ratio(counts: np.ndarray, bin_ms: float, lags: int = LAGS) -> float:
    """Spikes that a spike brings about in the next bin, from counts [bins] of a part of the cells.

    The slopes of the regression of a count on that k bins before are b m^k whatever the part (Wilting & Priesemann
    2018); m by least squares over k. NaN where they do not decay.
    """
    tau = timescales(np.asarray(counts, float)[:, None], bin_ms, lags)[0]
    return float(np.exp(-bin_ms / tau)) if np.isfinite(tau) else np.nan


def avalanches(counts: np.ndarray) -> np.ndarray:
    """Sizes: spikes between two empty bins of counts [bins]; those cut off at either end are left out."""
    empty = np.flatnonzero(np.asarray(counts) == 0)
    if empty.size < 2:
        return np.zeros(0, int)
    total = np.concatenate([[0], np.cumsum(counts)])
    sizes = np.diff(total[empty])
    return sizes[sizes > 0]


def size_exponent(sizes: np.ndarray, smallest: int = 1, largest: int | None = None) -> float:
    """Exponent a of sizes distributed as size^-a from `smallest` to `largest`, by maximum likelihood (Clauset 2009).

    `largest` is the 99th percentile if left out, for the cut-off of a finite system. NaN of fewer than 100 sizes.
    """
    from scipy.optimize import minimize_scalar

    sizes = np.asarray(sizes)
    top = int(np.quantile(sizes, 0.99)) if largest is None and sizes.size else largest
    sizes = sizes[(sizes >= smallest) & (sizes <= top)] if sizes.size else sizes
    if sizes.size < LEAST_AVALANCHES or top <= smallest:
        return np.nan
    logs = np.log(np.arange(smallest, top + 1))
    mean = np.log(sizes).mean()
    cost = lambda a: a * mean + np.log(np.exp(-a * logs).sum())  # noqa: E731
    return float(minimize_scalar(cost, bounds=(0.5, 6.0), method="bounded").x)


def natural_bin_ms(ticks: np.ndarray) -> float:
    """Mean time between the spikes [ticks] of all cells together: the usual bin of avalanches; whole ticks."""
    if ticks.size < 2:
        return np.nan
    return float(max(1, round((ticks[-1] - ticks[0]) / (ticks.size - 1))))
