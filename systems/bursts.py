"""Rhythms without a clock: when a population bursts, and how far a movement is from repeating itself."""

from __future__ import annotations

import numpy as np

BIN_MS = 20
SMOOTH = 5  # bins
BAND_HZ = (0.1, 2.0)  # of slow movement
WINDOW_S = 20.0  # of a spectrum: two cycles of the slowest
NEAR = 0.25  # what counts as the same frequency


def burst_onsets(ticks: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Ticks at which all spikes [ticks] together begin a burst within [start, stop).

    A burst begins where the smoothed count passes half of what it reaches in its fullest hundredth of the time, and is
    over below a quarter of that.
    """
    bins = (stop - start) // BIN_MS
    inside = (ticks >= start) & (ticks < start + bins * BIN_MS)
    count = np.bincount((ticks[inside] - start) // BIN_MS, minlength=bins)
    if bins <= SMOOTH or not count.any():
        return np.zeros(0, np.int64)
    smooth = np.convolve(count, np.ones(SMOOTH) / SMOOTH, "same")
    full = np.quantile(smooth, 0.99)
    onsets, bursting = [], bool(smooth[0] >= full / 2)  # one under way at the start has no onset here
    for k, value in enumerate(smooth):
        if bursting and value < full / 4:
            bursting = False
        elif not bursting and value >= full / 2:
            bursting = True
            onsets.append(start + k * BIN_MS)
    return np.array(onsets, np.int64)


def spectral_peak(trace: np.ndarray, every_ms: float) -> float:
    """Share of the power from 0.1 to 2 Hz that lies within a quarter of its strongest frequency; mean over columns.

    About 1 for a cycle, whatever its frequency; `trace` [samples, columns]. NaN for traces shorter than 20 s or still.
    """
    from scipy.signal import welch

    window = round(WINDOW_S * 1000.0 / every_ms)
    if len(trace) < window:
        return np.nan
    hz, power = welch(trace, 1000.0 / every_ms, nperseg=window, detrend="linear", axis=0)
    slow = (hz >= BAND_HZ[0] - 1e-9) & (hz <= BAND_HZ[1] + 1e-9)
    hz, power = hz[slow], power[slow]
    moves = power.sum(axis=0) > 1e-12
    if not moves.any():
        return np.nan
    power = power[:, moves]
    best = hz[power.argmax(axis=0)]
    near = np.abs(hz[:, None] - best) <= np.maximum(NEAR * best, 1.01 * (hz[1] - hz[0]))
    return float(((power * near).sum(axis=0) / power.sum(axis=0)).mean())
