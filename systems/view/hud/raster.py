"""The scrolling spike raster as one texture: a ring of columns, of which only new ones are drawn."""

from __future__ import annotations

import numpy as np

from systems.view.frame import PALETTE
from systems.view.panel import CARD

BIN_MS, COLUMNS = 5, 400  # 2 s
ROWS = 120  # at most, until the panel says how high it is
GROUND = np.array([*CARD, 255], np.uint8)


class Raster:
    """`pixels` is uint8 [rows, COLUMNS, 4]; the newest column is `column`, time runs to the right and wraps."""

    def __init__(self, network):
        self.network = network
        self._order = np.concatenate(
            [np.arange(p.first, p.first + p.count) for p in sorted(network.populations, key=self._place)]
        )
        self._structure = np.zeros(network.neuron_count, np.int64)
        for p in network.populations:
            self._structure[p.neurons] = network.structures.index(p.structure)
        self.room = ROWS
        self.choose(None)

    @staticmethod
    def _place(population) -> tuple[str, str, str]:
        return population.structure, population.cell_name, population.instance

    def fit(self, pixels: float) -> None:
        """No more rows than the picture has, so that none is lost in drawing."""
        room = int(min(max(pixels, 24), 400))
        if abs(room - self.room) > 3:
            self.room = room
            self.choose(self.selector)

    def choose(self, selector: str | None) -> None:
        """Show cells of all structures, or of one selector; spread evenly where there are more than `room`."""
        room = self.room
        network, names = self.network, self.network.structures
        self.selector, self.bands = selector, []
        if selector is None:
            sizes = np.bincount(self._structure, minlength=len(names))
            weight = np.sqrt(sizes)
            rows = np.minimum(np.maximum(2, np.round(room * weight / weight.sum())).astype(int), sizes)
            groups = [
                (name, k, self._order[self._structure[self._order] == k], rows[k]) for k, name in enumerate(names)
            ]
        else:
            chosen = sorted(network.select(selector), key=self._place)
            by_cell: dict[str, list] = {}
            for p in chosen:
                by_cell.setdefault(f"{p.structure}.{p.cell_name}", []).append(p)
            total = sum(p.count for p in chosen)
            groups = []
            for name, populations in by_cell.items():
                cells = np.concatenate([np.arange(p.first, p.first + p.count) for p in populations])
                rows = cells.size if total <= room else max(2, round(room * cells.size / total))
                label = name.split(".")[1] if len({n.split(".")[0] for n in by_cell}) == 1 else name
                groups.append((label, names.index(populations[0].structure), cells, min(rows, cells.size)))
        self.row_of = np.full(network.neuron_count, -1)
        colours, at = [], 0
        for number, (name, structure, cells, rows) in enumerate(groups):
            self.row_of[cells[np.linspace(0, cells.size - 1, rows).astype(int)]] = np.arange(at, at + rows)
            colour = structure if selector is None else number
            self.bands.append((name, at, at + rows, PALETTE[colour % len(PALETTE)]))
            colours += [PALETTE[colour % len(PALETTE)]] * rows
            at += rows
        self.rows = at
        self._colour = np.concatenate([np.array(colours, np.uint8), np.full((at, 1), 255, np.uint8)], axis=1)
        self.pixels = np.empty((at, COLUMNS, 4), np.uint8)
        self.forget()

    def forget(self) -> None:
        self.pixels[:] = GROUND
        self._done = -1
        self.column = 0

    def update(self, tick: int, blocks) -> None:
        """Draw the spikes of the ticks before `tick` that were not drawn yet; blocks are (neurons, ticks)."""
        if tick < self._done:
            self.forget()
        if tick == self._done:
            return
        begin = max(self._done, tick - BIN_MS * (COLUMNS - 1), 0)
        first, last = begin // BIN_MS, max(tick - 1, 0) // BIN_MS
        if self._done < 0 or first + COLUMNS <= last:
            self.pixels[:] = GROUND
        old = (self._done - 1) // BIN_MS if self._done > 0 else first - 1
        fresh = np.arange(max(old + 1, last - COLUMNS + 1), last + 1) % COLUMNS
        self.pixels[:, fresh] = GROUND
        for ids, ticks in blocks:
            if not ticks.size or ticks[-1] < begin:
                continue
            rows = self.row_of[ids]
            kept = (rows >= 0) & (ticks >= begin) & (ticks < tick)
            rows = rows[kept]
            self.pixels[rows, ticks[kept] // BIN_MS % COLUMNS] = self._colour[rows]
        self._done, self.column = tick, last % COLUMNS
