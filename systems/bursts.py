"""Rhythms without a clock: when a population bursts, and how far a movement is from repeating itself."""

from __future__ import annotations

import numpy as np

BIN_MS = 20
SMOOTH = 5  # bins
BAND_HZ = (0.1, 2.0)  # of slow movement
WINDOW_S = 20.0  # of a spectrum: two cycles of the slowest
NEAR = 0.25  # what counts as the same frequency
STEP_MS = 50.0  # of the speeds that coherence is found in
STRETCH = 40  # steps: 2 s, as long as the slowest movement that still tells phases apart
COHERENT_HZ = (0.5, 2.0)
SURROGATES = 199


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


def limb_rank(trace: np.ndarray, limbs: np.ndarray, every_ms: float, what: str) -> float:
    """Share of phase-shuffled surrogates in which limbs have less to do with one another than in the trace.

    `trace` [samples, columns] are joint angles, `limbs` [columns] says which limb a joint is of. What limbs have to do
    with one another is, with `what` "bouts", the mean correlation of their speeds smoothed over a second: whether they
    wax and wane together; with "phases", the mean squared coherence of the phases of their joints' speeds from 0.5 to
    2 Hz, from stretches of 2 s, the livelier half of them: whether they move in step within bouts, however large their
    movements are. In a surrogate every joint keeps its spectrum, and every limb gets phases of its own, so what is left
    is chance: for limbs that have nothing in common the share is uniform from 0 to 1, above 0.95 for one in twenty. NaN
    below 10 s, or where fewer than two limbs move.
    """
    from engine.random import Streams

    width = max(1, round(STEP_MS / every_ms))
    steps = len(trace) // width
    speed = np.diff(np.asarray(trace, float)[: steps * width].reshape(steps, width, -1).mean(axis=1), axis=0)
    speed = speed - speed.mean(axis=0)
    moves = speed.std(axis=0) > 1e-9
    speed, names = speed[:, moves], np.unique(np.asarray(limbs)[moves], return_inverse=True)[1]
    if len(speed) < 5 * STRETCH - 1 or np.unique(names).size < 2:
        return np.nan
    measure = {"bouts": _together, "phases": _in_step}[what]
    spectrum = np.fft.rfft(speed, axis=0)
    rng, found = Streams(0).generator("limb_rank"), []
    for _ in range(SURROGATES):
        turn = np.exp(2j * np.pi * rng.random((len(spectrum), names.max() + 1)))[:, names]
        found.append(measure(np.fft.irfft(spectrum * turn, len(speed), axis=0), names))
    return float(np.mean(np.array(found) < measure(speed, names)))


def _together(speed: np.ndarray, names: np.ndarray) -> float:
    """Mean correlation [-1..1] over pairs of limbs of how fast they move, over a second."""
    size = [np.sqrt((speed[:, names == limb] ** 2).sum(axis=1)) for limb in range(names.max() + 1)]
    smooth = [np.convolve(x, np.ones(STRETCH // 2) / (STRETCH // 2), "valid") for x in size]
    return float(np.corrcoef(smooth)[np.triu_indices(len(smooth), 1)].mean())


def _in_step(speed: np.ndarray, names: np.ndarray) -> float:
    """Mean squared phase coherence [0..1] of all joints of two limbs in the livelier half of overlapping stretches."""
    starts = np.arange(0, len(speed) - STRETCH + 1, STRETCH // 2)
    stretches = (speed / speed.std(axis=0))[starts[:, None] + np.arange(STRETCH)]
    stretches = stretches - stretches.mean(axis=1, keepdims=True)
    lively = (stretches**2).sum(axis=(1, 2))
    chosen = stretches[lively >= np.median(lively)] * np.hanning(STRETCH)[:, None]
    hz = np.fft.rfftfreq(STRETCH, STEP_MS / 1000.0)
    wanted = (hz >= COHERENT_HZ[0] - 1e-9) & (hz <= COHERENT_HZ[1] + 1e-9)
    z = np.fft.rfft(chosen, axis=1)[:, wanted]
    z /= np.maximum(np.abs(z), 1e-30)  # else a few large stretches would do for many, as they do in common bouts
    cross = np.einsum("sfa,sfb->fab", z, z.conj()) / len(z)
    apart = names[:, None] < names
    return float((np.abs(cross[:, apart]) ** 2).mean())
