"""Take a picture's worth of a simulation: copies only, so nothing drawn can change what is simulated."""

from __future__ import annotations

from collections import deque

import numpy as np

from components.body import Muscle
from components.network import Inputs, SpikeLog
from systems.timeline import SILENCED
from systems.view.brain_tracts import brain_of
from systems.view.frame import GLOW_MS, HAND_SET, INJECTED, PULSE_MS, Points, ViewFrame

RATE_MS = 50  # rates are means over this time
RASTER_MS = 1000
RASTER_BIN_MS = 4
RASTER_ROWS = 120
SHOWN = 12  # muscles and senses with names
FULL_HZ = 12.0  # a region of this rate is fully bright


def places(connectome) -> np.ndarray:
    """Where the regions are [mm]; on a ring, left and right apart, if the connectome does not say."""
    xyz = np.array(connectome.position_mm, float)
    if np.isfinite(xyz).all():
        return xyz
    angle = 2 * np.pi * np.arange(len(xyz)) / len(xyz)
    return np.stack([60 * np.sin(angle), 80 * np.cos(angle), np.zeros(len(xyz))], axis=1)


class Capture:
    """Makes ViewFrames of a simulation; listens to its spikes from the moment it is made until `detach`."""

    def __init__(self, sim):
        self.sim, self.network = sim, sim.network
        self._recent: deque = deque()
        if self.network is not None:
            self._rows()
            self.forget()
            sim.spikes.listeners.append(self._take)
        self._score: dict[str, float] = {}
        self._patches = self._afferents_of_patches()
        self._tinted = self._geoms_of_muscles() if "muscles" in sim.world.tables else None

    def forget(self) -> None:
        """Time was taken back: what was heard since has not happened."""
        self._recent.clear()
        if self.network is not None:
            ids, ticks, _ = self.sim.spikes.history(self.sim.tick - RASTER_MS)
            new = ticks >= self.sim.tick - RASTER_MS
            self._recent.append((int(self.sim.tick), ids[new], ticks[new]))

    def detach(self) -> None:
        """Stop listening."""
        if self._take in self.sim.spikes.listeners:
            self.sim.spikes.listeners.remove(self._take)

    def _take(self, ids, ticks, substeps) -> None:
        if ids.size:
            self._recent.append((int(ticks[-1]), ids, ticks))

    def _rows(self) -> None:
        """Which group each neuron counts for, and which neurons have a row in the raster."""
        network = self.network
        total, names = network.neuron_count, network.structures
        self._structure = np.zeros(total, np.int64)
        self._region = np.full(total, -1)
        self._sense = np.full(total, -1)
        labels = list(network.connectome.labels) if network.connectome is not None else []
        senses: dict[str, int] = {}
        for p in network.populations:
            self._structure[p.neurons] = names.index(p.structure)
            if p.cell.per == "region":
                self._region[p.neurons] = labels.index(p.instance)
            if p.cell.sense is not None:
                name = p.instance if p.cell.per == "patch" else p.cell_name
                self._sense[p.neurons] = senses.setdefault(name, len(senses))
        self._labels, self._sense_names = labels, list(senses)
        self._sizes = [np.bincount(g[g >= 0], minlength=n) for g, n in (
            (self._structure, len(names)), (self._region, len(labels)), (self._sense, len(senses)))]  # fmt: skip
        self._places = places(network.connectome) if labels else None
        weight = np.sqrt(self._sizes[0])
        share = np.maximum(8, np.round(RASTER_ROWS * weight / weight.sum())).astype(int)
        self._raster_row = np.full(total, -1)
        self.bands, at = [], 0
        for k, name in enumerate(names):
            members = np.flatnonzero(self._structure == k)
            rows = int(min(share[k], members.size))
            self._raster_row[members[np.linspace(0, members.size - 1, rows).astype(int)]] = np.arange(at, at + rows)
            self.bands.append((name, at, at + rows))
            at += rows
        self._raster_rows = at

    def _afferents_of_patches(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Patch of each neuron [neurons] (-1: no skin afferent) and afferents by patch [patches]."""
        if self.sim.body is None or self.network is None:
            return None
        names = [patch.name for patch in self.sim.body.patches]
        patch_of = np.full(self.network.neuron_count, -1)
        for p in self.network.populations:
            if p.cell.per == "patch" and p.cell.sense is not None:
                patch_of[p.neurons] = names.index(p.instance)
        return patch_of, np.bincount(patch_of[patch_of >= 0], minlength=len(names))

    def _geoms_of_muscles(self) -> tuple[np.ndarray, np.ndarray]:
        """(row of the muscle, geom) for every geom of the part that the muscle's joint moves."""
        model, pairs = self.sim.physics.model, []
        for row, name in enumerate(self.sim.physics.muscle_names):
            part = model.jnt_bodyid[model.joint(self.sim.body.muscle(name).joint).id]
            pairs += [(row, geom) for geom in np.flatnonzero(model.geom_bodyid == part)]
        return tuple(np.array(pairs, int).reshape(-1, 2).T)

    def _spikes(self) -> tuple[np.ndarray, np.ndarray]:
        """(neuron, tick) of the last second, ticks ascending."""
        oldest = self.sim.tick - RASTER_MS
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()
        if len(self._recent) > 1:  # one block from now on: a frame has few new ones
            joined = tuple(np.concatenate([block[k] for block in self._recent]) for k in (1, 2))
            first = np.searchsorted(joined[1], oldest)
            last = self._recent[-1][0]
            self._recent.clear()
            self._recent.append((last, joined[0][first:], joined[1][first:]))
        found = int(self.sim.world[SpikeLog.count][0])
        newest = (self.sim.world[c][:found] for c in (SpikeLog.ids, SpikeLog.ticks))  # not yet handed to listeners
        blocks = [block[1:] for block in self._recent] + [tuple(newest)]
        ids, ticks = (np.concatenate([block[k] for block in blocks]) for k in (0, 1))
        first = np.searchsorted(ticks, oldest)
        return ids[first:], ticks[first:]

    def frame(self, realtime_x: float | None = None) -> ViewFrame:
        """What the view shows now."""
        sim = self.sim
        frame = ViewFrame(time_s=sim.time_s, realtime_x=realtime_x, title=sim.scene.title)
        frame.events = [(tick / 1000.0, label.replace("_", " ")) for tick, label in sim.timeline.past[-40:]]
        if self.network is not None:
            self._fill_brain(frame)
        if sim.physics is not None:
            frame.geom_xpos = np.array(sim.physics.data.geom_xpos)
            frame.geom_xmat = np.array(sim.physics.data.geom_xmat)
            activation = sim.activation()
            if activation:
                frame.muscles = self._strongest(activation, 1.0)
                frame.activation = np.array(sim.world.tables["muscles"][Muscle.activation], np.float32)
                tint = np.zeros(sim.physics.model.ngeom, np.float32)
                rows, geoms = self._tinted
                np.maximum.at(tint, geoms, np.array(list(activation.values()), np.float32)[rows])
                frame.geom_tint = tint
        return frame

    def _fill_brain(self, frame: ViewFrame) -> None:
        sim = self.sim
        ids, ticks = self._spikes()
        now = slice(int(np.searchsorted(ticks, sim.tick - RATE_MS)), None)
        span = max(min(sim.tick, RATE_MS), 1) / 1000.0

        def rates(group: np.ndarray, size: np.ndarray) -> np.ndarray:
            members = group[ids[now]]
            return np.bincount(members[members >= 0], minlength=size.size) / np.maximum(size, 1) / span

        self._fill_stage(frame, ids, ticks, now, span)
        groups = (self._structure, self._region, self._sense)
        structure, region, sense = (rates(g, s) for g, s in zip(groups, self._sizes, strict=True))
        frame.rates = dict(zip(self.network.structures, map(float, structure), strict=True))
        if self._sense_names:
            frame.afferents = self._strongest(dict(zip(self._sense_names, map(float, sense), strict=True)), 100.0)
        if self._labels:
            frame.points = Points(self._places, region, full=FULL_HZ)
        columns = RASTER_MS // RASTER_BIN_MS
        frame.raster = np.zeros((self._raster_rows, columns), np.uint8)
        rows = self._raster_row[ids]
        column = columns - 1 - (sim.tick - 1 - ticks) // RASTER_BIN_MS
        shown = (rows >= 0) & (column >= 0)
        frame.raster[rows[shown], column[shown]] = 255
        frame.raster_bands, frame.raster_span_s = self.bands, RASTER_MS / 1000.0

    def _fill_stage(self, frame: ViewFrame, ids, ticks, now, span: float) -> None:
        """Glow and origin of every neuron, pulses of the tracts, rates of the patches."""
        sim, world, total = self.sim, self.sim.world, self.network.neuron_count
        first = np.searchsorted(ticks, sim.tick - 5 * GLOW_MS)  # ticks ascend, so the last spike of a neuron counts
        frame.glow = np.zeros(total, np.float32)
        frame.glow[ids[first:]] = self._fading[np.minimum(sim.tick - 1 - ticks[first:], len(self._fading) - 1)]
        frame.origin = np.zeros(total, np.uint8)
        frame.origin[world[Inputs.stimulus] > 0] = INJECTED
        frame.origin[(world[Inputs.stimulus] < 0) | (world[Inputs.threshold] >= SILENCED)] = HAND_SET
        tracts = brain_of(sim).tracts
        first = np.searchsorted(ticks, sim.tick - PULSE_MS)
        row, age = tracts.source_of[ids[first:]], sim.tick - 1 - ticks[first:]
        counts = np.bincount((row * PULSE_MS + age)[row >= 0], minlength=len(tracts.size) * PULSE_MS)
        frame.pulses = np.minimum(counts, 255).astype(np.uint8).reshape(-1, PULSE_MS)
        if self._patches is not None:
            patch_of, size = self._patches
            patch = patch_of[ids[now]]
            frame.patch_rate = (
                np.bincount(patch[patch >= 0], minlength=size.size) / np.maximum(size, 1) / span
            ).astype(np.float32)

    _fading = np.exp(-np.arange(5 * int(GLOW_MS) + 1) / GLOW_MS).astype(np.float32)

    def _strongest(self, values: dict[str, float], full: float) -> dict[str, float]:
        """The `SHOWN` that were strongest lately, in their own order, so that the list does not flicker."""
        if len(values) <= SHOWN:
            return values
        for name, value in values.items():
            self._score[name] = max(0.97 * self._score.get(name, 0.0), value / full)
        chosen = set(sorted(values, key=lambda n: -self._score[n])[:SHOWN])
        return {name: value for name, value in values.items() if name in chosen}
