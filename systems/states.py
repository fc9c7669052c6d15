"""States that last minutes, and what happens while they do: from counts of spikes, in epochs as sleep is scored.

A course is the spikes of some populations together in bins of 20 ms, shape [bins]; a state is a mask over epochs, 30 s
each as sleep is scored (Iber 2007; Grigg-Damberger 2007), shape [epochs].
"""

from __future__ import annotations

import numpy as np

from systems.bursts import BIN_MS, SMOOTH

EPOCH_MS = 30_000
SLOW_MS = 500  # smoothing of what is up or down for seconds
SHORT_MS = 1_000  # stretches up to this long do not end what they interrupt
BRIEF = 2  # epochs: what is as short does not end an episode either


def epoch_rates(course: np.ndarray, cells: int, epoch_ms: int = EPOCH_MS) -> np.ndarray:
    """Mean rate per cell [Hz] of each whole epoch; shape [epochs]."""
    per = epoch_ms // BIN_MS
    whole = course[: len(course) // per * per].reshape(-1, per)
    return whole.sum(axis=1, dtype=float) * 1000.0 / epoch_ms / cells


def stretches(mask: np.ndarray) -> np.ndarray:
    """(first, end) of every run of True, shape [runs, 2]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(mask, np.int8), [0]])))
    return edges.reshape(-1, 2)


def bridged(mask: np.ndarray, longest: int) -> np.ndarray:
    """The mask without runs of False, then without runs of True, of at most `longest` that lie within."""
    out = np.array(mask, bool)
    for value in (False, True):
        for first, end in stretches(out == value):
            if end - first <= longest and first > 0 and end < len(out):
                out[first:end] = not value
    return out


def cycle_ms(state: np.ndarray, epoch_ms: int = EPOCH_MS) -> float:
    """Mean time [ms] from one onset of a state to the next, and from end to end; NaN with fewer than two of either."""
    runs = stretches(bridged(state, BRIEF))
    onsets, ends = runs[runs[:, 0] > 0, 0], runs[runs[:, 1] < len(state), 1]
    steps = np.concatenate([np.diff(onsets), np.diff(ends)])
    return float(steps.mean()) * epoch_ms if steps.size else np.nan


def bursts_of(course: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bins in which all bursts begin and end, as in bursts.burst_onsets; one under way at either end is left out."""
    if len(course) <= SMOOTH or not course.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    smooth = np.convolve(course, np.ones(SMOOTH) / SMOOTH, "same")
    full = np.quantile(smooth, 0.99)
    level = np.where(smooth >= full / 2, 1, np.where(smooth < full / 4, -1, 0))
    known = np.flatnonzero(level)  # between the two levels it stays what it was
    turns = known[1:][level[known][1:] != level[known][:-1]]
    onsets, ends = turns[level[turns] > 0], turns[level[turns] < 0]
    return onsets, ends


def pauses_ms(course: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(bin of the start, length [ms]) of every time between the end of a burst and the next onset."""
    onsets, ends = bursts_of(course)
    after = np.searchsorted(onsets, ends)
    kept = after < len(onsets)
    return ends[kept], (onsets[after[kept]] - ends[kept]) * float(BIN_MS)


def within(bins: np.ndarray, state: np.ndarray, epoch_ms: int = EPOCH_MS) -> np.ndarray:
    """Whether each bin lies in an epoch of the state; bins after the last whole epoch do not."""
    epoch = bins // (epoch_ms // BIN_MS)
    return (epoch < len(state)) & state[np.minimum(epoch, len(state) - 1)] if len(state) else np.zeros(len(bins), bool)


def burst_intervals_ms(course: np.ndarray, state: np.ndarray, epoch_ms: int = EPOCH_MS) -> np.ndarray:
    """Times [ms] between bursts that follow one another in the same episode of the state."""
    onsets, _ = bursts_of(course)
    episode = np.repeat(np.cumsum(np.diff(state.astype(np.int8), prepend=0) > 0) * state, epoch_ms // BIN_MS)
    number = episode[np.minimum(onsets, len(episode) - 1)] if len(episode) else np.zeros(len(onsets))
    number = np.where(onsets < len(episode), number, 0)
    same = (number[1:] == number[:-1]) & (number[1:] > 0)
    return np.diff(onsets)[same] * float(BIN_MS)


def up_and_down_ms(course: np.ndarray, state: np.ndarray, epoch_ms: int = EPOCH_MS) -> tuple[float, float]:
    """Mean lengths [ms] of the stretches in which a course is up and down in a state; NaN where it does not alternate.

    Up is above the middle of its 10th and 90th percentile in the state, over half a second. Stretches that a change of
    state cuts do not count. A course whose 90th percentile is less than twice its 10th does not alternate.
    """
    smooth = np.convolve(course, np.ones(SLOW_MS // BIN_MS) / (SLOW_MS // BIN_MS), "same")
    per, found = epoch_ms // BIN_MS, ([], [])
    inside = np.concatenate([smooth[a * per : b * per] for a, b in stretches(state)] or [np.zeros(0)])
    if not inside.size:
        return np.nan, np.nan
    low, high = np.quantile(inside, [0.1, 0.9])
    if high < 2 * low or high <= 0:
        return np.nan, np.nan
    for first, end in stretches(state):
        up = bridged(smooth[first * per : end * per] > (low + high) / 2, SHORT_MS // BIN_MS)
        for value, lengths in zip((True, False), found, strict=True):
            lengths.extend(b - a for a, b in stretches(up == value) if a > 0 and b < len(up))
    return tuple(float(np.mean(x)) * BIN_MS if x else np.nan for x in found)
