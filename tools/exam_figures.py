"""Figures of `encephagen exam`: an item's signals over time, with the stimulus, its window and its band."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tools import exam_traces
from tools.exam_traces import BIN_MS

LEVELS = ("joint_angle", "muscle_activation", "posture_height", "rate_hz", "peak_hz")  # bands that a signal lies in
PARTS = {"angle": (180.0 / math.pi, "deg"), "length": (1.0, "mm"), "fraction": (1.0, ""), "rate": (1.0, "Hz")}
SMOOTH_MS = 30.0  # of drawn rates, Gaussian
MOST = 6  # signals with a colour and a name of their own
COLOURS = ("#1f4e9c", "#c1440e", "#1b7f5c", "#8a3ea8", "#b8860b", "#4a4a4a")
NOTHING = 0.01  # mV: a drive that stands for none in a sham


def marks(scene) -> list[tuple[float, float, str]]:
    """(start, end [ms], what) of all that is done to the body, what lasts to the end included."""
    found = []
    for event in scene.timeline:
        if event.verb in ("stimulate", "inhibit") and abs(event.action.drive) < NOTHING:
            continue
        keys = ("patch", "part", "muscle", "joint", "pose", "population")
        of = next((str(value) for key in keys if (value := getattr(event.action, key, None)) is not None), "")
        last = event.last if event.last is not None else {"tap": 20.0, "prick": 50.0, "drop": 150.0}.get(event.verb)
        for start in event.starts:
            end = scene.duration if last is None else min(start + last, scene.duration)
            found.append((start, end, f"{event.verb} {of}".replace("_", " ").strip()))
    return found


def text_in_units(value: float | None, dimension: str | None, digits: int = 3) -> str:
    """A value of base units as people write it: degrees for angles, seconds for long times."""
    if value is None or not math.isfinite(value):
        return "none" if value is None or math.isnan(value) else "..."
    factor, unit = PARTS.get(dimension, (1.0, "")) if dimension is not None else (1.0, "")
    if dimension == "time":
        factor, unit = (0.001, "s") if abs(value) >= 1000.0 else (1.0, "ms")
    return f"{value * factor:.{digits}g} {unit}".strip()


def band_text(bounds, dimension: str | None) -> str:
    low, high = (None if b is None or not math.isfinite(b) else b for b in bounds)
    if high is None:
        return f"at least {text_in_units(low, dimension)}"
    if low is None:
        return f"at most {text_in_units(high, dimension)}"
    return f"{text_in_units(low, dimension)} to {text_in_units(high, dimension)}"


def draw(one, intact: str, sham: str) -> dict[str, Path]:
    """A figure for each item of a scene whose time courses were kept; item -> file."""
    whole, without = (exam_traces.kept(one.folder, condition) for condition in (intact, sham))
    if whole is None:
        return {}
    import matplotlib

    matplotlib.use("Agg")
    found = {}
    for claim in one.scene.expect:
        path = one.folder / f"{claim.probe}.png"
        values = one.trials.get((intact, one.seeds[0]), {}).get("probes", {})
        item(path, one.scene, claim, whole, without, values.get(claim.probe), one.seeds[0])
        found[claim.probe] = path
    return found


def item(path: Path, scene, claim, whole: dict, without: dict | None, value: float | None, seed: int) -> None:
    """One figure: the signals of the item's probe, and in grey what they are without the stimulus."""
    from matplotlib import pyplot as plt

    from systems.spawn.scene_model import DIMENSION_OF

    probe = next(p for p in scene.probes if p.name == claim.probe)
    dimension = DIMENSION_OF[probe.measure]
    figure, axes = plt.subplots(figsize=(8.4, 3.0), layout="constrained")
    signals, names = whole[f"of/{probe.name}"], list(whole[f"names/{probe.name}"])
    factor, unit, quantity = axis_of(probe.measure)
    if without is not None:
        times, old = course(without, probe.name, unit)
        axes.plot(times, factor * old[:, :MOST], color="#b0b0b0", linewidth=0.8, zorder=2)
        axes.plot([], [], color="#b0b0b0", linewidth=0.8, label="sham")
    times, signals = course(whole, probe.name, unit)
    for k in range(signals.shape[1]):
        few = k < MOST
        axes.plot(times, factor * signals[:, k], linewidth=1.3 if few else 0.5, zorder=3 if few else 1,
                  color=COLOURS[k] if few else "#d8c9b0", label=names[k] if few else None)  # fmt: skip
    if signals.shape[1] > MOST:
        axes.plot([], [], color="#d8c9b0", linewidth=0.8, label=f"{signals.shape[1] - MOST} more")
    windows = [(a / 1000.0, (scene.duration if b is None else b) / 1000.0) for a, b in probe.windows]
    low, high = claim.bounds
    for start, stop in windows[:20]:
        axes.axvspan(start, stop, ymax=0.02, color="#1f4e9c", alpha=0.9, linewidth=0)
        if probe.measure == "latency":
            axes.axvspan(start + max(low, 0.0) / 1000.0, min(start + high / 1000.0, stop),
                         color="#2e9e5b", alpha=0.18, linewidth=0, zorder=0)  # fmt: skip
    if probe.measure in LEVELS:
        bottom, top = axes.get_ylim()
        spread = 0.05 * (top - bottom)
        edges = (low * factor if math.isfinite(low) else bottom, high * factor if math.isfinite(high) else top)
        bottom, top = min(bottom, edges[0] - spread), max(top, min(edges[1] + spread, 3 * max(top, 1e-9)))
        for start, stop in windows[:20]:
            axes.fill_between([start, stop], *edges, color="#2e9e5b", alpha=0.18, linewidth=0, zorder=0)
        axes.set_ylim(bottom, top)
    stimulus(axes, scene, times[-1] if len(times) else scene.duration / 1000.0)
    axes.set_xlabel("time [s]", fontsize=8, loc="left")
    axes.set_ylabel(f"{quantity} [{unit}]" if unit else quantity, fontsize=8)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=7, loc="upper right", bbox_to_anchor=(1.0, -0.14), ncol=4, frameon=False)
    verdict = "" if value is None else "in the band" if claim.passes(value) else "OUTSIDE the band"
    axes.set_title(f"{probe.name} ({probe.measure.replace('_', ' ')}): {text_in_units(value, dimension)}, {verdict} "
                   f"{band_text(claim.bounds, dimension)}; seed {seed}", fontsize=9, loc="left", pad=22)  # fmt: skip
    figure.savefig(path, dpi=100)
    plt.close(figure)


def stimulus(axes, scene, end: float) -> None:
    """Yellow where something is done, a bar and its name above the axes."""
    from matplotlib.transforms import blended_transform_factory

    place = blended_transform_factory(axes.transData, axes.transAxes)
    named: set[str] = set()
    for start, stop, what in sorted(marks(scene))[:60]:
        start, stop = start / 1000.0, min(stop / 1000.0, end)
        if start >= end:
            continue
        if stop - start < 0.7 * end:
            axes.axvspan(start, stop, color="#ffd92f", alpha=0.25, linewidth=0, zorder=0)
        axes.plot([start, max(stop, start + 0.004 * end)], [1.03, 1.03], color="#d09a00", linewidth=3,
                  transform=place, clip_on=False, solid_capstyle="butt")  # fmt: skip
        if what not in named:
            named.add(what)
            axes.text(start, 1.05, what, transform=place, fontsize=7, color="#8a6500", va="bottom")
    axes.set_xlim(0.0, end)


def axis_of(measure: str) -> tuple[float, str, str]:
    """(factor, unit, quantity) of the signals behind a measure; those of a latency depend on what it watches."""
    from systems.probes import KIND_OF

    kind = KIND_OF.get(measure, "population")
    if kind == "angle":
        return 180.0 / math.pi, "deg", "angle"
    if kind == "part":
        return 1000.0, "mm", "height"
    return (1.0, "", "activation") if kind == "muscle" else (1.0, "Hz", "rate")


def course(traces: dict, name: str, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Times [s] and signals [times, signals] of a probe; rates are smoothed."""
    signals = np.asarray(traces[f"of/{name}"], float)
    if "tick" not in traces or len(traces["tick"]) != len(signals) or unit == "Hz":
        from scipy.ndimage import gaussian_filter1d

        times = (np.arange(len(signals)) + 0.5) * BIN_MS / 1000.0
        return times, gaussian_filter1d(signals, SMOOTH_MS / BIN_MS, axis=0) if len(signals) else signals
    return traces["tick"] / 1000.0, signals
