"""Pictures of `encephagen health`: each structure at rest and under its stimuli, as rasters with rates below."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROWS = 260  # neurons drawn per structure, about
FEW = 8  # a cell type with at most as many populations is drawn population by population
LEAST, MOST = 5, 40  # neurons drawn of a band
COLUMNS = 3  # stimuli on a page
BIN_MS, SMOOTH_MS = 5, 20.0
EXCITES = ("#b2182b", "#e08214", "#d6604d", "#8c510a", "#c51b7d", "#f4a582", "#7f3b08", "#de77ae", "#bf812d", "#67001f")
INHIBITS = (
    "#2166ac",
    "#35978f",
    "#4393c3",
    "#5e3c99",
    "#01665e",
    "#8073ac",
    "#053061",
    "#80cdc1",
    "#542788",
    "#92c5de",
)
NOTE = ("below: mean rates of the cell types [Hz], one scale per row; grey: healthy at rest; yellow: stimulus; "
        "warm colours excite, cold ones inhibit")  # fmt: skip


@dataclass
class Strip:
    """Neurons drawn next to one another."""

    label: str
    cell: str
    drawn: np.ndarray
    colour: str


def draw(sim, run, folder: Path) -> list[Path]:
    """One page per structure and three stimuli; the paths written."""
    from tools.health_measure import present, stimuli_of

    stimuli, paths = stimuli_of(sim.network), []
    members = present(sim.network)
    for structure in dict.fromkeys(p.structure for p in members):
        own = [p for p in members if p.structure == structure]
        names = [name for name in stimuli if name.split(".", 1)[0] == structure and name in run.pictures]
        pages = [names[k : k + COLUMNS] for k in range(0, len(names), COLUMNS)] or [[]]
        for number, page in enumerate(pages):
            woken = [frozenset(p.name for p in sim.network.select(stimuli[name][0])) for name in page]
            path = folder / f"{structure}{'' if number == 0 else f'_{number + 1}'}.png"
            title = f"{structure}, {sim.source.name} ({sim.scene.brain.profile}), seed {run.seed}"
            states = {"at rest": run.pictures["rest"]}
            for name in page:
                glob, millivolts = stimuli[name]
                states[f"{name.split('.', 1)[1]}: {glob} +{millivolts:g} mV"] = run.pictures[name]
            plot(path, title, own, strips(own, woken, sim.seed), states, sim.scene.brain.profile)
            paths.append(path)
    return paths


def strips(members: list, woken: list[frozenset[str]], seed: int) -> list[Strip]:
    """Bands of neurons, cell type by cell type; those of many populations apart if only some are stimulated."""
    cells: dict[str, list] = {}
    for p in members:
        cells.setdefault(p.cell_name, []).append(p)
    colours = colours_of(cells)
    parts: list[tuple[str, str, list]] = []
    for cell, found in cells.items():
        if len(found) == 1:
            parts.append((cell, cell, found))
        elif len(found) <= FEW:
            parts += [(f"{cell} {p.instance}", cell, [p]) for p in found]
        else:
            hit = [p for p in found if any(p.name in names for names in woken)]
            other = [p for p in found if p not in hit]
            if hit and other:
                parts.append((f"{cell}, stimulated {len(hit)}", cell, hit))
                parts.append((f"{cell}, other {len(other)}", cell, other))
            else:
                parts.append((f"{cell} x {len(found)}", cell, found))
    total = sum(p.count for p in members)
    out = []
    for label, cell, found in parts:
        neurons = np.concatenate([np.arange(p.first, p.first + p.count) for p in found])
        wanted = round(np.clip(ROWS * neurons.size / total, LEAST, MOST))
        rng = np.random.default_rng([seed, zlib.crc32(label.encode())])
        drawn = np.sort(rng.choice(neurons, min(wanted, neurons.size), replace=False))
        out.append(Strip(label, cell, drawn, colours[cell]))
    return out


def colours_of(cells: dict[str, list]) -> dict[str, str]:
    """Warm for excitatory cell types, cold for inhibitory ones."""
    out, used = {}, [0, 0]
    for cell, found in cells.items():
        excites = found[0].cell.acts_on == "ampa"
        palette = EXCITES if excites else INHIBITS
        out[cell] = palette[used[excites] % len(palette)]
        used[excites] += 1
    return out


def plot(path: Path, title: str, members: list, bands: list[Strip], states: dict, profile: str) -> None:
    """One page: a column per state, the raster above, a row of rates per cell type below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    cells: dict[str, list] = {}
    for p in members:
        cells.setdefault(p.cell_name, []).append(p)
    colour = {band.cell: band.colour for band in bands}
    drawn = sum(b.drawn.size for b in bands)
    raster_in = min(9.0, max(2.4, 0.022 * drawn + 0.13 * len(bands)))
    strip_in = 0.42
    figure = plt.figure(
        figsize=(2.2 + 4.4 * len(states), raster_in + strip_in * len(cells) + 1.3), layout="constrained"
    )
    grid = figure.add_gridspec(1 + len(cells), len(states), hspace=0.02, wspace=0.03,
                               height_ratios=[raster_in, *[strip_in] * len(cells)])  # fmt: skip
    figure.suptitle(title, fontsize=11, fontweight="bold")
    traces = {state: {cell: trace(seen, found) for cell, found in cells.items()} for state, seen in states.items()}
    healthy = {cell: found[0].cell.bands[profile].rate if profile in found[0].cell.bands else [0.0, 0.0]
               for cell, found in cells.items()}  # fmt: skip
    top = {cell: max(*(float(t[cell].max()) for t in traces.values()), 1.5 * healthy[cell][0], 1.0) for cell in cells}
    for column, (state, seen) in enumerate(states.items()):
        _, _, length, onset = seen
        begin = 0 if onset < 0 else -onset
        axes = figure.add_subplot(grid[0, column])
        raster(axes, seen, bands, begin, label=column == 0)
        axes.set_title(state, fontsize=9)
        below = [figure.add_subplot(grid[1 + k, column], sharex=axes) for k in range(len(cells))]
        times = begin + BIN_MS * (np.arange(length // BIN_MS) + 0.5)
        for (cell, _), at in zip(cells.items(), below, strict=True):
            at.fill_between(times, traces[state][cell], color=colour[cell], alpha=0.35, linewidth=0)
            at.plot(times, traces[state][cell], color=colour[cell], linewidth=0.8)
            at.set_ylim(0, 1.05 * top[cell])
            if onset < 0:
                at.axhspan(*healthy[cell], color="#999999", alpha=0.2, linewidth=0, zorder=0)
            at.set_yticks([top[cell]], [f"{top[cell]:.3g}"], fontsize=7)
            at.tick_params(axis="y", length=2)
            if column == 0:
                at.set_ylabel(cell, fontsize=7.5, rotation=0, ha="right", va="center", color=colour[cell], labelpad=4)
            else:
                at.set_yticklabels([])
        for at in (axes, *below):
            for side in ("top", "right"):
                at.spines[side].set_visible(False)
            if at is not below[-1]:
                at.tick_params(axis="x", labelbottom=False, length=0)
            if onset >= 0:
                at.axvspan(0, 1000, color="#ffd92f", alpha=0.22, linewidth=0, zorder=0)
        axes.set_xlim(begin, begin + length)
        below[-1].tick_params(axis="x", labelsize=8)
        below[-1].set_xlabel("time [ms]" if onset < 0 else "time from onset of the stimulus [ms]", fontsize=8)
    figure.supxlabel(
        NOTE if len(states) > 1 else NOTE.replace("; yellow", "\nyellow"),
        x=0.004,
        ha="left",
        fontsize=7,
        color="#555555",
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def raster(axes, seen: tuple, bands: list[Strip], begin: int, *, label: bool) -> None:
    """A tick per spike; bands from the top down, with a gap between them."""
    ids, ticks, _, _ = seen
    gap, at, names = 2, 0, []
    for band in bands:
        row = np.full(int(max(ids.max(initial=-1), band.drawn.max())) + 1, -1)
        row[band.drawn] = np.arange(band.drawn.size)
        hit = row[ids] >= 0
        axes.scatter(begin + ticks[hit], at + row[ids[hit]], marker="|", s=5, linewidths=0.6, color=band.colour)
        names.append((at + (band.drawn.size - 1) / 2, band))
        at += band.drawn.size + gap
    axes.set_ylim(at - gap + 0.5, -1.5)
    axes.set_yticks([y for y, _ in names], [b.label for _, b in names] if label else [""] * len(names))
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    for text, (_, band) in zip(axes.get_yticklabels(), names, strict=True):
        text.set_color(band.colour)


def trace(seen: tuple, found: list) -> np.ndarray:
    """Mean rate [Hz] of some populations in bins of 5 ms, smoothed causally over 20 ms."""
    ids, ticks, length, _ = seen
    wanted = np.zeros(int(max(ids.max(initial=-1), *(p.first + p.count - 1 for p in found))) + 1, bool)
    for p in found:
        wanted[p.neurons] = True
    bins = length // BIN_MS
    count = np.bincount(ticks[wanted[ids]] // BIN_MS, minlength=bins)[:bins]
    rate = count * 1000.0 / BIN_MS / sum(p.count for p in found)
    weight = np.exp(-np.arange(0.0, 5 * SMOOTH_MS, BIN_MS) / SMOOTH_MS)
    inside = np.convolve(np.ones(bins), weight)  # less of the window at the start
    return np.convolve(rate, weight)[:bins] / inside[:bins]
