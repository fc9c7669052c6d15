"""Sample what is kept of a run: pose, activations, sensors, potentials, rates. A probe: it may read the pose."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from components.body import BodyState, Muscle
from components.network import SpikeLog
from components.neuron import Adaptation, Ampa, Gaba, GabaSlow, Membrane, Nmda
from engine.errors import UserError
from engine.record import Record
from engine.schedule import Now
from engine.system import system

FORMAT = "encephagen record 1"
TRACE_BYTES = 64 << 20  # traces kept in memory; the older half is dropped above
CELL_COLUMNS = {
    "v": Membrane.v, "i_ampa": Ampa.i, "i_gaba": Gaba.i, "i_gaba_slow": GabaSlow.i, "i_nmda": Nmda.i,
    "adaptation": Adaptation.w,
}  # fmt: skip


class Sampler:
    """What happens at every sample: watchers look on, traces grow in memory, sources go to the record if there is one.

    Traces and `memory` (arrays that probes keep) are part of a snapshot, so a probe does not notice one.
    """

    def __init__(self):
        self.watchers: list[Callable[[int], None]] = []
        self.sources: dict[str, Callable[[], np.ndarray]] = {}
        self.record: Record | None = None
        self.memory: dict[str, np.ndarray] = {}
        self._traced: dict[str, Callable[[], np.ndarray]] = {}
        self._rows: dict[str, list[np.ndarray]] = {"tick": []}
        self._bytes = 0

    @property
    def rests(self) -> bool:
        """Whether nobody looks."""
        return self.record is None and not self._traced and not self.watchers

    def __call__(self, tick: int) -> None:
        if self._traced:
            self._rows["tick"].append(np.int64(tick))
            for name, source in self._traced.items():
                row = np.array(source(), np.float32)
                self._rows[name].append(row)
                self._bytes += row.nbytes + 100
            if self._bytes > TRACE_BYTES:
                self._forget()
        for watcher in self.watchers:
            watcher(tick)
        if self.record is not None:
            self.record.append("samples/tick", np.int64(tick))
            for name, source in self.sources.items():
                self.record.append(f"samples/{name}", source())

    def trace(self, name: str, source: Callable[[], np.ndarray]) -> None:
        """Keep `source()` of every sample from now on, as float32."""
        self._traced[name] = source
        if len(self._rows.setdefault(name, [])) != len(self._rows["tick"]):
            self._rows = {known: [] for known in self._rows}  # traces that do not belong together

    def traced(self, name: str, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(ticks [samples], rows [samples, ...]) of a trace from tick `start` up to, not including, `stop`."""
        ticks = np.array(self._rows["tick"], np.int64)
        first = int(np.searchsorted(ticks, start))
        last = len(ticks) if stop is None else int(np.searchsorted(ticks, stop))
        rows = self._rows.get(name, [])[first:last]
        return ticks[first:last], np.array(rows, np.float32)

    def _forget(self) -> None:
        half = len(self._rows["tick"]) // 2
        self._rows = {name: rows[half:] for name, rows in self._rows.items()}
        self._bytes //= 2

    def snapshot(self) -> dict[str, np.ndarray]:
        """Traces and memory."""
        saved = {"trace:tick": np.array(self._rows["tick"], np.int64)}
        for name in self._traced:
            saved[f"trace:{name}"] = np.array(self._rows[name], np.float32)
        return saved | {f"memory:{name}": array for name, array in self.memory.items()}

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Take traces and memory from a snapshot; a trace it does not hold begins now."""
        found = {key[6:]: list(np.asarray(rows)) for key, rows in saved.items() if key.startswith("trace:")}
        self._rows = found if all(name in found for name in self._traced) else {name: [] for name in self._rows}
        self._bytes = sum(row.nbytes + 100 for rows in self._rows.values() for row in rows)
        self.memory = {key[7:]: np.array(array) for key, array in saved.items() if key.startswith("memory:")}


@system(reads=[Now.tick], objects=[Sampler], watches=True, rests=lambda n, tick, sampler: sampler.rests)
def sample_record(n, tick, sampler):
    """One sample of everything chosen."""
    sampler(int(tick[0]))


# the record of a simulation (docs/record.md) --------------------------------------------------------------------


class Recording:
    """Writes a simulation to an HDF5 file while it runs; `close` makes the file appear under its name.

    `finished` False marks a run that was interrupted: the file is valid and holds what was simulated.
    """

    def __init__(self, sim, path, **attributes):
        scene = sim.scene
        self.sim, self._meter = sim, None
        self.record = Record(path, {"format": FORMAT, "scene": sim.source.name, "title": scene.title,
                                    "seed": np.int64(sim.seed), "tick_ms": 1.0, "substeps": scene.clock.substeps,
                                    "sample_every_ms": scene.record.every, "first_tick": sim.tick,
                                    "finished": False, **attributes})  # fmt: skip
        try:
            self._describe(sim)
        except BaseException:
            self.abort()
            raise

    def _describe(self, sim) -> None:
        """Names and constants into the file, sources into the sampler."""
        scene, sources = sim.scene, sim.sampler.sources
        if sim.network is not None:
            self._populations(sim.network)
            self._rates(sim, sources)
            self._cells(sim, sources)
        if sim.physics is not None:
            self._body(sim, sources)
        self.record.start("events/tick", np.int64)
        self.record.start("events/label", object)
        self.record.start("samples/tick", np.int64)
        self.record.describe("samples/tick", unit="ms", doc="sampled at the end of this tick")
        self._events_written = len(sim.timeline.past)
        sim.sampler.record = self.record
        if sim.network is not None and scene.record.spikes:
            for name, dtype, doc in (("neuron", np.int32, "row in the global neuron index, see populations"),
                                     ("tick", np.int32, "tick [ms] of the spike"),
                                     ("substep", np.uint8, "1 + substep of the spike inside its tick")):  # fmt: skip
                self.record.start(f"spikes/{name}", dtype)
                self.record.describe(f"spikes/{name}", doc=doc)
            sim.spikes.listeners.append(self._spikes)
        sim.sampler.watchers.append(self._events)

    def _populations(self, network) -> None:
        p = network.populations
        self.record.put("populations/name", [x.name for x in p], doc="structure.instance.cell")
        self.record.put("populations/structure", [x.structure for x in p])
        self.record.put("populations/first", np.array([x.first for x in p], np.int32), doc="first neuron")
        self.record.put("populations/count", np.array([x.count for x in p], np.int32), doc="neurons")
        self.record.put("populations/excitatory", np.array([x.cell.acts_on == "ampa" for x in p], np.uint8))

    def _rates(self, sim, sources) -> None:
        rates = self._meter = RateMeter(sim)
        sources["rate"] = rates
        self.record.describe("samples/rate", unit="Hz", columns=rates.names, doc="mean rate since the sample before")

    def _cells(self, sim, sources) -> None:
        """Potentials and drives of the neurons that `record.voltage_of` selects."""
        chosen = []
        for number, selector in enumerate(sim.scene.record.voltage_of):
            try:
                chosen.append(sim.timeline.targets.neurons(selector))
            except UserError as error:
                raise sim.source.error(str(error), "record", "voltage_of", number) from None
        if not chosen:
            return
        neurons = np.unique(np.concatenate(chosen))
        self.record.put("cells/neuron", neurons.astype(np.int32), doc="columns of samples/v and its companions")
        at, places = 0, []
        for table in sim.world.tables_with([Membrane]):
            inside = (neurons >= at) & (neurons < at + table.row_count)
            places.append((table, np.flatnonzero(inside), neurons[inside] - at))
            at += table.row_count
        for name, column in CELL_COLUMNS.items():
            holders = [(t[column], to, rows) for t, to, rows in places if column.owner in t and to.size]
            if not holders:
                continue

            def take(holders=holders) -> np.ndarray:
                out = np.full(neurons.size, np.nan, np.float32)
                for array, to, rows in holders:
                    out[to] = array[rows]
                return out

            sources[name] = take
            self.record.describe(f"samples/{name}", unit="mV", doc=column.doc)

    def _body(self, sim, sources) -> None:
        model, data, world = sim.physics.model, sim.physics.data, sim.world
        joints = range(model.njnt)
        self.record.put("body/joint", [model.joint(j).name for j in joints])
        self.record.put("body/joint_qpos", model.jnt_qposadr.astype(np.int32), doc="first column in samples/qpos")
        self.record.put("body/sensor", [model.sensor(k).name for k in range(model.nsensor)])
        self.record.put("body/sensor_address", model.sensor_adr.astype(np.int32), doc="first column in samples/sensors")
        self.record.note(body=sim.body.name, pose=sim.body.pose, body_step_ms=sim.body.step_ms)
        sources["qpos"] = lambda: np.array(data.qpos)
        sources["sensors"] = lambda: np.array(world[BodyState.sensors])
        self.record.describe("samples/qpos", unit="m, rad", doc="pose; body/joint says which column is which")
        self.record.describe("samples/sensors", unit="SI", doc="all sensors; body/sensor says which column is which")
        if "muscles" in world.tables:
            activation = world.tables["muscles"][Muscle.activation]
            sources["activation"] = lambda: np.array(activation)
            self.record.describe("samples/activation", unit="1", columns=list(sim.physics.muscle_names),
                                 doc="0 slack .. 1 maximum force")  # fmt: skip

    def _spikes(self, ids, ticks, substeps) -> None:
        if ids.size:
            self.record.extend("spikes/neuron", ids)
            self.record.extend("spikes/tick", ticks)
            self.record.extend("spikes/substep", substeps)

    def _events(self, tick: int = 0) -> None:
        past = self.sim.timeline.past
        for at, label in past[self._events_written :]:
            self.record.append("events/tick", np.int64(at))
            self.record.append("events/label", np.array(label, object))
        self._events_written = len(past)

    def close(self, finished: bool = True) -> None:
        """Detach, add the spikes not yet flushed, and give the file its name."""
        if self.record.closed:
            return
        sim = self.sim
        sim.sampler.watchers.remove(self._events)
        self._events()
        if self._spikes in sim.spikes.listeners:
            sim.spikes.listeners.remove(self._spikes)
            found = int(sim.world[SpikeLog.count][0])
            self._spikes(*(sim.world[c][:found] for c in (SpikeLog.ids, SpikeLog.ticks, SpikeLog.substeps)))
        self._detach()
        self.record.note(finished=finished, last_tick=sim.tick, spike_hash=sim.spike_hash)
        self.record.close()

    def abort(self) -> None:
        """Leave nothing."""
        self._detach()
        self.record.abort()

    def _detach(self) -> None:
        self.sim.sampler.record = None
        self.sim.sampler.sources.clear()
        if self._meter is not None:
            self._meter.detach()
            self._meter = None


class RateMeter:
    """Mean rate of every structure [Hz] between one call and the next, spikes not yet flushed included."""

    def __init__(self, sim):
        network = sim.network
        self.names = list(network.structures)
        self._group = np.zeros(network.neuron_count, np.int64)
        for population in network.populations:
            self._group[population.neurons] = self.names.index(population.structure)
        self._size = np.bincount(self._group, minlength=len(self.names))
        self._world, self._total = sim.world, np.zeros(len(self.names), np.int64)
        self._before, self._tick = np.zeros(len(self.names), np.int64), sim.tick
        self._spikes = sim.spikes
        sim.spikes.listeners.append(self._take)
        self._before = self._now()

    def detach(self) -> None:
        """Stop counting."""
        self._spikes.listeners.remove(self._take)

    def _take(self, ids, ticks, substeps) -> None:
        self._total += np.bincount(self._group[ids], minlength=len(self.names))

    def _now(self) -> np.ndarray:
        found = int(self._world[SpikeLog.count][0])
        return self._total + np.bincount(self._group[self._world[SpikeLog.ids][:found]], minlength=len(self.names))

    def __call__(self) -> np.ndarray:
        now, tick = self._now(), self._world.tick + 1
        rate = (now - self._before) * 1000.0 / self._size / max(tick - self._tick, 1)
        self._before, self._tick = now, tick
        return rate


def config_text(scene: dict) -> str:
    """The resolved scene as JSON text."""
    return json.dumps(scene, sort_keys=True)
