"""Rhythm of groups of neurons: cycle frequency, its variability, and how two groups stand in phase.

Everything works on spike counts in equal bins, shape [bins, ...]: further axes are independent copies.
"""

from __future__ import annotations

import numpy as np

SMOOTH_MS = 40.0  # Gaussian over spike counts
SLOWEST_MS, FASTEST_MS = 4000.0, 250.0  # cycles looked for: 0.25 to 4 Hz
CLEAR = 0.3  # autocorrelation at the cycle's lag below which there is no rhythm
TURN = 0.25  # part of its standard deviation a signal must pass on either side of its mean for a new cycle


def smooth(counts: np.ndarray, bin_ms: float, ms: float = SMOOTH_MS) -> np.ndarray:
    """Gaussian filter along the first axis; the ends are mirrored."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.asarray(counts, float), ms / bin_ms, axis=0, mode="reflect")


def cycle_ms(signal: np.ndarray, bin_ms: float) -> np.ndarray:
    """Lag of the autocorrelation's first clear peak [ms], NaN without a rhythm; `signal` [bins, copies] smoothed."""
    x = signal - signal.mean(axis=0)
    bins = x.shape[0]
    size = 1 << (2 * bins - 1).bit_length()
    power = np.abs(np.fft.rfft(x, size, axis=0)) ** 2
    r = np.fft.irfft(power, size, axis=0)[:bins]
    r = r / np.maximum(r[0], 1e-12) * bins / np.arange(bins, 0, -1)[:, None]  # unbiased
    low, high = round(FASTEST_MS / bin_ms), min(round(SLOWEST_MS / bin_ms), bins // 2)
    mid = r[low - 1 : high + 1]
    peak = (mid[1:-1] > mid[:-2]) & (mid[1:-1] >= mid[2:])
    # the lag must lie beyond the first dip, or the flank of the centre would pass for a peak
    beyond = np.minimum.accumulate(r, axis=0)[low:high] < 0.0
    height = np.where(peak & beyond, mid[1:-1], -1.0)
    best = height.max(axis=0)
    first = np.argmax(height >= 0.8 * best, axis=0)
    return np.where(best > CLEAR, (first + low) * bin_ms, np.nan)


def fundamental(signal: np.ndarray, bin_ms: float, cycle: np.ndarray) -> np.ndarray:
    """Analytic signal of what lies within half the cycle's frequency either way (0.25..2.5 Hz where there is none)."""
    x = signal - signal.mean(axis=0)
    hz = np.fft.fftfreq(x.shape[0], bin_ms / 1000.0)[:, None]
    f = np.where(np.isnan(cycle), 1.375, 1000.0 / np.where(np.isnan(cycle), 1.0, cycle))
    half = np.where(np.isnan(cycle), 1.125, 0.5 * f)
    return np.fft.ifft(np.where(np.abs(hz - f) <= half, 2.0, 0.0) * np.fft.fft(x, axis=0), axis=0)


def phase_vector(first: np.ndarray, second: np.ndarray, bin_ms: float, cycle: np.ndarray) -> np.ndarray:
    """Mean cosine of the phase difference, weighted by both amplitudes: -1 antiphase, +1 synchrony, 0 no relation.

    `first` and `second` [bins, copies] are smoothed; 0 where one of them is silent.
    """
    a, b = fundamental(first, bin_ms, cycle), fundamental(second, bin_ms, cycle)
    weight = (np.abs(a) * np.abs(b)).sum(axis=0)
    return np.where(weight > 1e-9, (a * b.conj()).real.sum(axis=0) / np.maximum(weight, 1e-9), 0.0)


def cycle_cv(signal: np.ndarray, bin_ms: float) -> float:
    """SD / mean of the cycles of one signal [bins], from one upward crossing of its mean to the next.

    A crossing counts when the signal was below mean - TURN SD since the last one and goes above mean + TURN SD; NaN
    with fewer than four cycles.
    """
    x = signal - signal.mean()
    limit = TURN * x.std()
    state = np.where(x > limit, 1, np.where(x < -limit, -1, 0))
    known = np.flatnonzero(state)
    rises = known[1:][(state[known[1:]] == 1) & (state[known[:-1]] == -1)]
    cycles = np.diff(rises) * bin_ms
    return float(cycles.std(ddof=1) / cycles.mean()) if cycles.size >= 4 else np.nan
