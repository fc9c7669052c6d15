"""What the panels show, counted in the simulation's thread: rates, an EEG-like trace, gains, reflexes, joints, events.

The monitor listens to spikes and reads columns; it writes nothing. Per tick it costs one append for every flush of the
spike log; the counting is done when a frame is asked for, over the spikes since the frame before. Which reflexes and
drives there are stands in assets/panels.yaml.
"""

from __future__ import annotations

import fnmatch
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from scipy.sparse import csr_matrix

from components.network import Gained, Gains, Modulator, SpikeLog
from engine.scene import load_scene
from engine.units import Rate, positive
from systems.spawn.scene_model import Name, Part, Selector, Text

ASSETS = Path(__file__).resolve().parents[2] / "assets"
KEEP_MS = 4000  # spikes handed to the view
BIN_MS, BINS = 50, 240  # histories of rates: 12 s
WAVE_MS, WAVES = 2, 2000  # EEG-like trace: 4 s
DRIVE_MS = 100  # rates of reflexes, drives and structures are means over this time
TAU_AMPA_MS, TAU_GABA_MS = 3.0, 6.0
LEAD_BINS, GABA_SHARE = 3, 1.65  # Mazzoni et al. 2015, PLoS Comput Biol 11:e1004584: AMPA 6 ms late, 1.65 x GABA
SLOW = 0.5 ** (WAVE_MS / 350.0)  # what is slower than about 0.3 Hz is taken away
HINGE = 3  # mujoco.mjtJoint
WAVE_NOTE = (
    "From spikes: those of excitatory cells through an AMPA kernel (3 ms), 6 ms late, plus 1.65 x those of inhibitory "
    "cells through a GABA kernel (6 ms), per cell of the quarter (after Mazzoni 2015); slow drift removed, no unit."
)


class ReflexSpec(Part):
    """One row of the reflex panel; `{side}` in it makes a row for left and one for right."""

    name: Text
    """What people call it."""
    afferent: Text
    """Where it begins: its drive is their mean rate."""
    through: Text | None = None
    """The interneurons, if there are any."""
    motor: Text
    """What it moves."""
    gate: Text | None = None
    """Projections (`structure:name`) whose modulated gain gates it."""
    fires_at: positive(Rate) = 15.0
    """It counts as fired when the motor cells fire at this mean rate while the afferents are driven."""
    driven_at: positive(Rate) = 15.0
    """The afferents are driven from this mean rate on."""


class DriveSpec(Part):
    """A population whose rate stands for a drive or a state."""

    name: Name
    """What it says."""
    of: Selector
    """Its cells."""
    full: positive(Rate)
    """Rate of a full bar."""


class Panels(Part):
    """What the panels list beside what circuits and bodies say by themselves."""

    reflexes: list[ReflexSpec] = []  # noqa: RUF012
    """In the order in which they are listed; those that the scene lacks are left out."""
    drives: list[DriveSpec] = []  # noqa: RUF012
    """As above."""


@dataclass
class ReflexRow:
    """A reflex now: mean rates [Hz] over the last DRIVE_MS, gain, and the time since it last fired [s], if ever."""

    name: str
    drive_hz: float
    through_hz: float | None
    motor_hz: float
    gate: float | None
    fired_ago_s: float | None


@dataclass
class HudData:
    """One moment's numbers; nothing in it is shared with the simulation. Histories have the newest at the right."""

    tick: int = 0
    structures: list[str] = field(default_factory=list)
    structure_hz: np.ndarray | None = None  # [S] over DRIVE_MS
    structure_history: np.ndarray | None = None  # float32 [S, BINS] Hz
    regions: list[str] = field(default_factory=list)
    region_history: np.ndarray | None = None  # float32 [R, BINS] Hz
    waves: np.ndarray | None = None  # float32 [channels, WAVES], see WAVE_NOTE
    wave_names: list[str] = field(default_factory=list)
    modulators: list[tuple[str, float, float]] = field(default_factory=list)  # name, Hz (filtered), reference Hz
    gains: list[tuple[str, float]] = field(default_factory=list)  # projection, factor on its weights
    drives: list[tuple[str, float, float]] = field(default_factory=list)  # name, Hz, Hz of a full bar
    joints: list[tuple[str, float, float, float]] = field(default_factory=list)  # name, angle, lowest, highest [rad]
    reflexes: list[ReflexRow] = field(default_factory=list)
    spikes: tuple[tuple[np.ndarray, np.ndarray], ...] = ()  # blocks of (neurons, ticks) of the last KEEP_MS
    in_force: list[tuple[str, str]] = field(default_factory=list)  # (verb, of)
    events: list[tuple[float, str]] = field(default_factory=list)  # [s], the newest last
    coming: list[tuple[float, str]] = field(default_factory=list)


@lru_cache(maxsize=1)
def shipped_panels() -> Panels:
    """What assets/panels.yaml lists."""
    return load_scene("panels", Panels, [ASSETS])[0]


def sided(spec: ReflexSpec) -> list[ReflexSpec]:
    """A row, or one for each side."""
    texts = {key: value for key, value in spec if isinstance(value, str)}
    if not any("{side}" in text for text in texts.values()):
        return [spec]
    return [spec.model_copy(update={key: text.replace("{side}", side) for key, text in texts.items()})
            for side in ("left", "right")]  # fmt: skip


class Monitor:
    """Counts for the panels of one simulation; made, and asked, in the simulation's thread."""

    def __init__(self, sim, panels: Panels | None = None):
        self.sim, self.network, self.world = sim, sim.network, sim.world
        self._reflexes: list[tuple[ReflexSpec, int, int | None, int, np.ndarray]] = []
        self._drives: list[tuple[DriveSpec, int]] = []
        if self.network is not None:
            self._groups(panels or shipped_panels())
            self._modulation()
            self._read_network()
            sim.spikes.listeners.append(self._take)
        self._read_body()
        self.forget()

    def detach(self) -> None:
        """Stop listening."""
        if self._take in self.sim.spikes.listeners:
            self.sim.spikes.listeners.remove(self._take)

    # once -------------------------------------------------------------------------------------------------------
    def _groups(self, panels: Panels) -> None:
        """Sets of neurons whose rates are asked for, as rows of one sparse matrix of means."""
        network, sets = self.network, []
        names = [p.name for p in network.populations]

        def group(selector: str | None) -> int | None:
            if selector is None or not (fnmatch.filter(names, selector) or fnmatch.filter(names, selector + ".*")):
                return None
            sets.append(network.neurons(selector))
            return len(sets) - 1

        for name in network.structures:
            group(f"{name}.*")
        projections = {p.name: k for k, p in enumerate(network.projections)}
        for spec in (row for both in panels.reflexes for row in sided(both)):
            afferent, through, motor = group(spec.afferent), group(spec.through), group(spec.motor)
            if afferent is None or motor is None or (spec.through is not None and through is None):
                continue
            gates = fnmatch.filter(projections, spec.gate) if spec.gate else []
            self._reflexes.append((spec, afferent, through, motor, gates))
        for spec in panels.drives:
            row = group(spec.of)
            if row is not None:
                self._drives.append((spec, row))
        sizes = [neurons.size for neurons in sets]
        start = np.concatenate([[0], np.cumsum(sizes)])
        members = np.concatenate(sets)
        share = np.repeat(1.0 / np.maximum(sizes, 1), sizes)
        self._means = csr_matrix((share, members, start), shape=(len(sets), network.neuron_count))
        self._fired_at = np.full(len(self._reflexes), -1)

    def _modulation(self) -> None:
        """Which projection has which gain, and which populations modulate."""
        network, world = self.network, self.world
        group_of: dict[str, int] = {}
        for name, numbers in network.projection_of.items():
            table = world.tables[name]
            if Gained not in table:
                continue
            found, first = np.unique(numbers, return_index=True)
            for number, row in zip(found, first, strict=True):
                if group := int(table[Gained.group][row]):
                    group_of.setdefault(network.projections[int(number)].name, group)
        self._gain_of = group_of
        self._modulators: list[tuple[str, list[int], float]] = []
        table = world.tables.get("modulators")
        if table is not None:
            first_of = {p.first: f"{p.structure}.{p.cell_name}" for p in network.populations}
            seen: dict[str, tuple[str, list[int], float]] = {}
            for row in range(table.row_count):
                name = first_of[int(table[Modulator.first][row])]
                seen.setdefault(name, (name, [row], float(table[Modulator.reference][row])))
            self._modulators = list(seen.values())

    def _read_network(self) -> None:
        """Which structure, region and quarter of the head each neuron counts for."""
        from systems.view.capture import places

        network, total = self.network, self.network.neuron_count
        self._structure = np.zeros(total, np.int64)
        self._region, self._channel = np.full(total, -1), np.full(total, -1)
        labels = list(network.connectome.labels) if network.connectome is not None else []
        self._labels, self._wave_names, quarter = labels, [], None
        if labels:
            x, y, _ = places(network.connectome).T
            back = y < np.median(y)
            quarter = (x >= 0) + 2 * back
            self._wave_names = ["left front", "right front", "left back", "right back"]
        for p in network.populations:
            self._structure[p.neurons] = network.structures.index(p.structure)
            if p.cell.per == "region" and labels:
                self._region[p.neurons] = k = labels.index(p.instance)
                self._channel[p.neurons] = 2 * quarter[k] + (p.cell.acts_on != "ampa")
        self._structure_size = np.bincount(self._structure, minlength=len(network.structures))
        self._region_size = np.bincount(self._region[self._region >= 0], minlength=len(labels))
        self._channel_size = np.bincount(self._channel[self._channel >= 0], minlength=2 * len(self._wave_names))

    def _read_body(self) -> None:
        self._joints: list[tuple[str, int, float, float]] = []
        if self.sim.physics is None:
            return
        model = self.sim.physics.model
        for j in np.flatnonzero(np.asarray(model.jnt_type) == HINGE):
            low, high = model.jnt_range[j] if model.jnt_limited[j] else (-np.pi, np.pi)
            self._joints.append((model.joint(int(j)).name, int(model.jnt_qposadr[j]), float(low), float(high)))

    # as it runs -------------------------------------------------------------------------------------------------
    def _take(self, ids, ticks, substeps) -> None:
        """A block from the log, of which the first `_taken` spikes were counted already."""
        if ids.size > self._taken:
            self._pending.append((ids[self._taken :], ticks[self._taken :]))
        self._taken = 0

    def forget(self) -> None:
        """Time was taken back, or this begins: count the spikes in memory anew."""
        self._pending: deque = deque()
        self._recent: deque = deque()
        self._taken = 0
        self._done = 0
        if self.network is None:
            return
        self._done = max(self.sim.tick - BINS * BIN_MS, 0)
        self._bins = {"structure": np.zeros((len(self.network.structures), BINS), np.float32),
                      "region": np.zeros((len(self._labels), BINS), np.float32)}  # fmt: skip
        self._wave_counts = np.zeros((len(self._channel_size), 0))
        self._wave = np.zeros((len(self._wave_names), WAVES), np.float32)
        self._wave_done = self._done // WAVE_MS
        self._synaptic = np.zeros((2 * len(self._wave_names), 1))
        self._late = np.zeros((len(self._wave_names), LEAD_BINS))
        self._drift: np.ndarray | None = None
        self._fired_at[:] = -1
        ids, ticks = self.sim.spike_history(self._done)
        self._taken = int(self.world[SpikeLog.count][0])
        kept = ticks >= self._done
        if kept.any():
            self._pending.append((ids[kept], ticks[kept]))

    def _count(self) -> None:
        """Everything that happened in the ticks before this one and was not counted yet."""
        now = self.sim.tick
        if now < self._done:
            self.forget()
        found = int(self.world[SpikeLog.count][0])
        if found > self._taken:
            self._pending.append(
                tuple(self.world[c][self._taken : found].copy() for c in (SpikeLog.ids, SpikeLog.ticks))
            )
            self._taken = found
        blocks, self._pending = list(self._pending), deque()
        ids, ticks = (np.concatenate(x) for x in zip(*blocks, strict=True)) if blocks else (np.zeros(0, np.int32),) * 2
        if ids.size:
            self._recent.append((ids, ticks))
        while self._recent and self._recent[0][1][-1] < now - KEEP_MS:
            self._recent.popleft()
        self._histories(ids, ticks, now)
        if self._wave_names:
            self._waves(ids, ticks, now)
        self._done = now

    def _histories(self, ids, ticks, now: int) -> None:
        """Counts per group and bin of BIN_MS; bin k of time is column k % BINS."""
        first, last = self._done // BIN_MS, now // BIN_MS
        for name, group in (("structure", self._structure), ("region", self._region)):
            counts = self._bins[name]
            if not len(counts):
                continue
            for k in range(max(first + 1, last - BINS + 1), last + 1):
                counts[:, k % BINS] = 0.0
            row, bin_ = group[ids], ticks // BIN_MS
            kept = (row >= 0) & (bin_ > last - BINS)
            flat = np.bincount(row[kept] * BINS + bin_[kept] % BINS, minlength=counts.size)
            counts += flat.reshape(counts.shape)

    def _waves(self, ids, ticks, now: int) -> None:
        """Advance the EEG-like trace by whole bins; what is left over waits in `_wave_counts`."""
        start, stop = self._wave_done, now // WAVE_MS
        width = stop - start + 1  # the last one is not complete
        channels = len(self._channel_size)
        counts = np.zeros((channels, width))
        counts[:, : self._wave_counts.shape[1]] = self._wave_counts
        row = self._channel[ids]
        kept = row >= 0
        flat = np.bincount(row[kept] * width + (ticks[kept] // WAVE_MS - start), minlength=counts.size)
        counts += flat.reshape(counts.shape)
        self._wave_counts = counts[:, -1:]
        fresh = counts[:, :-1] / np.maximum(self._channel_size, 1)[:, None] * (1000.0 / WAVE_MS)
        if not fresh.shape[1]:
            return
        synaptic = np.empty_like(fresh)
        for kind, tau in ((0, TAU_AMPA_MS), (1, TAU_GABA_MS)):
            keep = np.exp(-WAVE_MS / tau)
            synaptic[kind::2], self._synaptic[kind::2] = lfilter(
                [1.0 - keep], [1.0, -keep], fresh[kind::2], axis=1, zi=self._synaptic[kind::2]
            )
        late = np.concatenate([self._late, synaptic[0::2]], axis=1)
        self._late = late[:, -LEAD_BINS:]
        raw = late[:, : fresh.shape[1]] + GABA_SHARE * synaptic[1::2]
        if self._drift is None:
            self._drift = (raw[:, :1]) * SLOW
        drift, self._drift = lfilter([1.0 - SLOW], [1.0, -SLOW], raw, axis=1, zi=self._drift)
        raw = (raw - drift)[:, -WAVES:].astype(np.float32)
        self._wave = np.concatenate([self._wave[:, raw.shape[1] :], raw], axis=1)
        self._wave_done = stop

    def _in_order(self, name: str, size: np.ndarray) -> np.ndarray:
        """Rates [Hz] of the complete bins, the oldest at the left."""
        last = self.sim.tick // BIN_MS
        return np.roll(self._bins[name], -(last % BINS), axis=1)[:, 1:] / (
            np.maximum(size, 1)[:, None] * np.float32(BIN_MS / 1000.0)
        ).astype(np.float32)

    def data(self) -> HudData:
        """What the panels show now."""
        sim, plan, now = self.sim, self.sim.timeline, self.sim.tick
        out = HudData(tick=now)
        out.events = [(tick / 1000.0, label.replace("_", " ")) for tick, label in plan.past[-60:]]
        out.coming = [(a.start / 1000.0, a.label.replace("_", " ")) for a in plan.coming[:60]]
        out.in_force = [(a.verb, a.of) for a in plan.active]
        if self._joints:
            pose = sim.physics.data.qpos
            out.joints = [(name, float(pose[at]), low, high) for name, at, low, high in self._joints]
        if self.network is None:
            return out
        self._count()
        out.structures, out.regions, out.wave_names = self.network.structures, self._labels, self._wave_names
        out.spikes = tuple(self._recent)
        out.structure_history = self._in_order("structure", self._structure_size)
        if self._labels:
            out.region_history = self._in_order("region", self._region_size)
            out.waves = self._wave
        rate = self._rates_now(now)
        out.structure_hz = rate[: len(out.structures)].astype(np.float32)
        gain = self.world[Gains.value]
        out.gains = [(name, float(gain[group])) for name, group in self._gain_of.items()]
        if self._modulators:
            hz = self.world.tables["modulators"][Modulator.rate]
            out.modulators = [(name, float(hz[rows[0]]), reference) for name, rows, reference in self._modulators]
        out.drives = [(spec.name, float(rate[row]), spec.full) for spec, row in self._drives]
        out.reflexes = [self._reflex(k, rate, gain, now) for k in range(len(self._reflexes))]
        return out

    def _rates_now(self, now: int) -> np.ndarray:
        """Mean rate [Hz] of every group over the last DRIVE_MS (less at the start)."""
        span = max(min(now, DRIVE_MS), 1)
        recent = []
        for ids, ticks in reversed(self._recent):
            recent.append(ids[np.searchsorted(ticks, now - span) :])
            if ticks[0] < now - span:
                break
        ids = np.concatenate(recent) if recent else np.zeros(0, np.int32)
        counts = np.bincount(ids, minlength=self.network.neuron_count)
        return self._means @ counts * (1000.0 / span)

    def _reflex(self, k: int, rate: np.ndarray, gain: np.ndarray, now: int) -> ReflexRow:
        spec, afferent, through, motor, gates = self._reflexes[k]
        if rate[afferent] >= spec.driven_at and rate[motor] >= spec.fires_at:
            self._fired_at[k] = now
        at = int(self._fired_at[k])
        groups = [self._gain_of[name] for name in gates if name in self._gain_of]
        return ReflexRow(
            spec.name, float(rate[afferent]), None if through is None else float(rate[through]), float(rate[motor]),
            float(np.mean(gain[groups])) if groups else None, (now - at) / 1000.0 if at >= 0 else None,
        )  # fmt: skip
