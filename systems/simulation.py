"""A running scene: load, run, ask, touch, save. What the front door hands out."""

from __future__ import annotations

import fnmatch
import json
import math
import time
from pathlib import Path

import numpy as np

from components.network import Fanout, SpikeLog, Synapse
from components.neuron import Membrane
from engine import snapshot
from engine.clock import MAX_SPEED, Clock
from engine.device import Device, DeviceRunner
from engine.errors import UserError
from engine.scene import dump, load_scene
from engine.schedule import Runner
from engine.units import quantity
from systems.flush_spikes import BLOCK, SpikeObserver, _chain
from systems.physics_step import Physics
from systems.sample_record import Sampler
from systems.schedule import TICK
from systems.spawn.build import build_world
from systems.spawn.hold_rate import with_held_rate
from systems.spawn.learning import presynaptic
from systems.spawn.network import Network
from systems.spawn.scene_model import SCENES, Scene, check_files
from systems.timeline import GRAVITY, Action, Timeline

MAX_THREADS = 64


class Simulation:
    """One world with its schedule and clock. Time is counted in ticks of 1 ms; brain and body share them."""

    def __init__(self, scene: Scene, source, *, seed: int | None = None, threads: int = 1, strict: bool = True,
                 timed: bool = False, calibrations: dict | None = None, device: Device | None = None):  # fmt: skip
        started = time.perf_counter()
        if not 1 <= threads <= MAX_THREADS:
            raise UserError(f"--threads: expected 1 to {MAX_THREADS}, got {threads}")
        self.scene, self.source = scene, source
        self.seed = scene.seed if seed is None else int(seed)
        self.threads = threads
        self.held_background = 1.0  # factor that holds the rate a scene wants held
        if scene.brain is not None and scene.brain.hold_rate is not None:
            scene, self.held_background = with_held_rate(
                scene, lambda free: Simulation(free, source, seed=self.seed, threads=threads, calibrations=calibrations)
            )
        self.world = build_world(scene, source, self.seed, threads, strict, calibrations)
        objects = self.world.objects
        self.network: Network | None = objects.get(Network)
        self.physics: Physics | None = objects.get(Physics)
        self.body = self.physics.body if self.physics else None
        self.spikes: SpikeObserver = objects[SpikeObserver]
        self.timeline: Timeline = objects[Timeline]
        self.sampler: Sampler = objects[Sampler]
        body_step = self.body.step_ms if self.body else 1
        every = max(1, round(scene.record.every))
        periods = {"tick": 1, "body step": body_step, "block": BLOCK, "sample": every}
        self.device = device.name if device else "cpu"
        if device is None:
            self.runner = Runner(self.world, TICK, periods, timed=timed)
        else:
            self.runner = DeviceRunner(self.world, TICK, periods, device)
        self.clock = Clock(1.0, speed=MAX_SPEED)
        self.runner.bind()
        self.wall_s = 0.0
        self.load_s = time.perf_counter() - started

    # time -------------------------------------------------------------------------------------------------------
    @property
    def tick(self) -> int:
        return self.world.tick

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return self.world.tick / 1000.0

    @property
    def realtime_x(self) -> float:
        """Simulated seconds per wall second of all runs since load."""
        return self._ticks_run / 1000.0 / self.wall_s if self.wall_s else 0.0

    _ticks_run = 0

    def run(self, duration: str | float, on_tick=None) -> Simulation:
        """Advance by a duration ("100 ms", or a number of ms), in whole ticks. `on_tick(simulation)` may look on."""
        ms = quantity(duration, "time") if isinstance(duration, str) else float(duration)
        ticks = round(ms) if math.isfinite(ms) else -1
        if ticks < 0 or abs(ticks - ms) > 1e-9:
            raise UserError(f"run: expected a whole number of ticks of 1 ms, got {duration}")
        started, first = time.perf_counter(), self.world.tick
        try:
            if on_tick is None:
                self.runner.run(ticks)
            else:
                for _ in range(ticks):
                    self.runner.step()
                    self.runner.catch_up()
                    on_tick(self)
        finally:
            self.wall_s += time.perf_counter() - started
            self._ticks_run += self.world.tick - first
        return self

    # questions --------------------------------------------------------------------------------------------------
    @property
    def spike_hash(self) -> str:
        """Hash of all spikes so far (neuron, tick, substep), the log not yet flushed included."""
        if self.network is None:
            return self.spikes.digest.hex()
        found = int(self.world[SpikeLog.count][0])
        return _chain(
            self.spikes.digest, *(self.world[c][:found] for c in (SpikeLog.ids, SpikeLog.ticks, SpikeLog.substeps))
        ).hex()

    def spike_history(self, since: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """(neuron, tick) of the spikes still in memory, the newest included; those before `since` may be left out."""
        ids, ticks, _ = self.spikes.history(since)
        found = int(self.world[SpikeLog.count][0]) if self.network else 0
        if not found:
            return ids, ticks
        return (np.concatenate([ids, self.world[SpikeLog.ids][:found]]),
                np.concatenate([ticks, self.world[SpikeLog.ticks][:found]]))  # fmt: skip

    def rate_hz(self, selector: str, window: str | float | None = None) -> float:
        """Mean rate of the selected neurons over the last `window` (all of the run if left out, at most 60 s)."""
        neurons = self._neurons(selector)
        ids, ticks = self.spike_history()
        span = min(self.tick, int(self.spikes.keep_ms)) if window is None else round(_ms(window))
        span = min(max(span, 1), max(self.tick, 1))
        mask = np.zeros(self.network.neuron_count, bool)
        mask[neurons] = True
        recent = ticks >= self.tick - span
        return float(mask[ids[recent]].sum()) / neurons.size / (span / 1000.0)

    def spike_count(self, selector: str, start: str | float, stop: str | float) -> int:
        """Spikes of the selected neurons in [start, stop) of simulated time."""
        ids, ticks = self.spike_history()
        chosen = np.isin(ids, self._neurons(selector))
        return int((chosen & (ticks >= _ms(start)) & (ticks < _ms(stop))).sum())

    def _neurons(self, selector: str) -> np.ndarray:
        if self.network is None:
            raise UserError(f"{selector}: this scene has no brain")
        return self.timeline.targets.neurons(selector)

    def column(self, column, selector: str) -> np.ndarray:
        """A copy of a neuron column for the selected neurons, e.g. `sim.column(Membrane.v, "cortex.*.pv")`."""
        wanted = self._neurons(selector)
        whole = np.zeros(self.network.neuron_count, column.dtype)
        at = 0
        for table in self.world.tables_with([Membrane]):
            if column.owner in table:
                whole[at : at + table.row_count] = table[column]
            at += table.row_count
        return whole[wanted]

    def weights(self, glob: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pre, post, weight [mV]) of all synapses of the projections a glob over `structure:name` selects."""
        projections = self.network.projections if self.network else []
        wanted = [k for k, p in enumerate(projections) if fnmatch.fnmatchcase(p.name, glob)]
        if not wanted:
            known = ", ".join(dict.fromkeys(p.name for p in projections))
            raise UserError(f"no projection matches {glob!r} (there are: {known or 'none'})")
        found = [(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))]
        for name, numbers in self.network.projection_of.items():
            table, rows = self.world.tables[name], np.flatnonzero(np.isin(numbers, wanted))
            if rows.size and (Fanout not in table or table[Synapse.weight].any()):  # else one row that stands for none
                found.append((presynaptic(table)[rows], table[Synapse.post][rows], table[Synapse.weight][rows]))
        return tuple(np.concatenate(column) for column in zip(*found, strict=True))

    def activation(self, glob: str = "*") -> dict[str, float]:
        """Muscle -> activation 0..1."""
        from components.body import Muscle

        table = self.world.tables.get("muscles")
        if table is None:
            return {}
        found = zip(self.physics.muscle_names, table[Muscle.activation], strict=True)
        return {name: float(a) for name, a in found if fnmatch.fnmatchcase(name, glob)}

    # hands ------------------------------------------------------------------------------------------------------
    def _act(self, verb: str, of: str, last: str | float | None, value: float = 0.0, **more) -> None:
        ms = math.inf if last is None else _ms(last)
        if not ms > 0:
            raise UserError(f"{verb} {of}: last: expected a time above 0 ms, got {last!r}")
        if not math.isfinite(value) or (verb not in ("stimulate", "turn", "tilt", "hold") and value < 0):
            raise UserError(f"{verb} {of}: expected a strength of 0 or more, got {value}")
        if not any(more.get("direction", (1.0,))):
            raise UserError(f"{verb} {of}: direction: expected three numbers that are not all 0")
        end = -1 if last is None else self.tick + max(1, round(ms))
        self.timeline.add(Action(self.tick, end, verb, of, value, **more))

    def touch(self, patch: str, force: str = "0.5 N", last: str = "1 s") -> None:
        """Press a patch of skin with the examiner's fingertip."""
        self._act("touch", patch, last, quantity(force, "force"))

    def pinch(self, patch: str, force: str = "3 N", last: str = "500 ms") -> None:
        """Pinch a patch of skin between two fingers."""
        self._act("pinch", patch, last, quantity(force, "force"))

    def prick(self, patch: str, force: str = "5 N", last: str = "50 ms") -> None:
        """Prick a patch of skin."""
        self._act("prick", patch, last, quantity(force, "force"))

    def stroke(self, patches, force: str = "1 N", last: str = "600 ms") -> None:
        """Stroke patches of skin, one after another; they share the time evenly."""
        ms, patches = _ms(last), list(patches)
        if not patches:
            raise UserError("stroke: expected at least one patch, got none")
        path = tuple((self.tick + round(k * ms / len(patches)), patch) for k, patch in enumerate(patches))
        self._act("stroke", patches[0], last, quantity(force, "force"), path=path)

    def tap(self, muscle: str, torque: str = "0.2 N m", last: str = "20 ms") -> None:
        """Stretch a muscle by a short torque about its joint."""
        self._act("tap", muscle, last, quantity(torque, "torque"))

    def push(self, part: str, force: str, direction=(1.0, 0.0, 0.0), last: str = "100 ms") -> None:
        """Push a part of the body."""
        self._act("push", part, last, quantity(force, "force"), direction=tuple(direction))

    def grab(self, part: str, to, at=(0.0, 0.0, 0.0), force: str = "10 N", last: str | None = "1 s") -> None:
        """Hold a part at a point [m, its own frame] and pull it to a place [m, world] like a damped spring."""
        path = ((self.tick, *(float(x) for x in to)),)
        self._act("grab", part, last, quantity(force, "force"), point=tuple(float(x) for x in at), path=path)

    def drop(self, height: str = "10 cm") -> None:
        """Let the body fall, and catch it."""
        metres = quantity(height, "length") / 1000.0
        if not 0 < metres <= 2:
            raise UserError(f"drop: height: expected a length above 0 mm and at most 2 m, got {height}")
        self._act("drop", "", round(math.sqrt(2.0 * metres / GRAVITY) * 1000.0) or 1, metres)

    def tilt(self, angle: str, axis=(0.0, 1.0, 0.0), last: str | None = "1 s") -> None:
        """Tilt the ground about an axis of the world."""
        self._act("tilt", "", last, quantity(angle, "angle"), direction=tuple(axis))

    def hold(self, pose: str = "upright", lift: str = "0 mm", last: str | None = "5 s", speed: str = "0 m/s",
             direction=(1.0, 0.0, 0.0)) -> None:  # fmt: skip
        """Take the body, hold it as one of its held poses does, and move on with it."""
        length = math.hypot(*direction)
        if not length:
            raise UserError(f"hold {pose}: direction: expected three numbers that are not all 0")
        drift = tuple(quantity(speed, "speed") * x / length for x in direction)
        self._act("hold", pose, last, quantity(lift, "length") / 1000.0, drift=drift)

    def turn(self, joint: str, torque: str, last: str | None = "1 s") -> None:
        """Turn a joint by a torque; the sign is the direction."""
        self._act("turn", joint, last, quantity(torque, "torque"))

    def brighten(self, level: float, last: str | None = "100 ms") -> None:
        """Change the light of the room to a multiple of the usual: a flash, darkness."""
        self._act("brighten", "", last, float(level))

    def show(self, pattern: str = "face", start: str = "0 deg", to: str | None = None, takes: str = "2 s",
             last: str | None = "5 s") -> None:  # fmt: skip
        """Hold a panel before the eyes (face, scrambled or blank), still or to and fro; azimuths count to the left."""
        where = quantity(start, "angle"), quantity(to or start, "angle"), 0.0
        end = -1 if last is None else self.tick + max(1, round(_ms(last)))
        self.timeline.add(Action(self.tick, end, "show", pattern, 1.0 / _ms(takes) if to is not None else 0.0, where))

    def feed(self, draws: str = "0.2 mL", last: str | None = "10 s", force: str = "0.5 N") -> None:
        """Put a nipple into the mouth; a jaw that opens by 10 degrees draws a volume of milk."""
        end = -1 if last is None else self.tick + max(1, round(_ms(last)))
        drawn = quantity(draws, "volume"), 0.0, 0.0
        nipple = self.timeline.targets.nipple()
        self.timeline.add(Action(self.tick, end, "feed", nipple, quantity(force, "force"), drawn))

    def inhibit(self, selector: str, drive: str, last: str | None = "50 ms") -> None:
        """Hold the selected neurons down by a constant drive."""
        self._act("inhibit", selector, last, quantity(drive, "potential"))

    def stimulate(self, selector: str, drive: str, last: str = "50 ms") -> None:
        """Add a constant drive to the selected neurons."""
        self._act("stimulate", selector, last, quantity(drive, "potential"))

    def silence(self, selector: str, last: str | None = None) -> None:
        """Lesion: the selected neurons never fire, until restored or for `last`."""
        self._act("silence", selector, last)

    def restore(self, selector: str) -> None:
        """Undo a lesion."""
        self._act("restore", selector, None)

    # state ------------------------------------------------------------------------------------------------------
    def save(self, path, **more: str) -> None:
        """Write a snapshot; `load_state` continues from it bit for bit. `more` is kept as attributes of the file."""
        kept = {"scene": snapshot.dump_scene(dump(self.scene)), "title": self.scene.title}
        snapshot.save(self.runner, path, kept | more)

    def load_state(self, path) -> Simulation:
        """Continue from a snapshot of the same scene and seed; `brain.learning` may differ."""
        saved, here = json.loads(snapshot.attributes(path).get("scene", "{}")), dump(self.scene)
        for scene in (saved, here):
            if isinstance(scene.get("brain"), dict):
                scene["brain"] = {key: value for key, value in scene["brain"].items() if key != "learning"}
        for part in ("brain", "body", "clock"):
            if saved.get(part) != here.get(part):
                raise UserError(f"{path}: was saved from another scene: its {part} differs")
        snapshot.load(self.runner, path)
        return self

    def view(self, **options):
        """Open the window of `encephagen play` on this simulation."""
        from systems.view.play import play

        return play(self, **options)


def _ms(value: str | float) -> float:
    return quantity(value, "time") if isinstance(value, str) else float(value)


def load(scene="newborn", *, seed: int | None = None, overrides=(), threads: int = 1, strict: bool = True,
         timed: bool = False, device: Device | None = None) -> Simulation:  # fmt: skip
    """A simulation of a shipped scene (bare name) or a scene file; `overrides` as in `--set a.b=c`."""
    model, source = load_scene(scene, Scene, [SCENES, Path.cwd()], overrides)
    check_files(model, source)
    return Simulation(model, source, seed=seed, threads=threads, strict=strict, timed=timed, device=device)
