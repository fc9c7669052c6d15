"""Find the background drive of every population, and the gain of calibrated projections, so that each meets its band.

    python -m tools.calibrate_circuits --profile newborn [--stage alone|together|all] [--only NAME ...] [--resume]

Stage `alone`: each structure by itself, all others standing in at their target rates (brain.stand_ins), so nothing can
run away. Background rates follow the error of the log rate at rest by damped secant steps; between them each stimulus
of the file is applied, and gains of `calibrated` projections follow the cells that miss their driven band.
Stage `together`: the whole scene (the newborn, or the brain without a body for the adult) closes the loop on all
structures at once. Regions are calibrated one by one, other structures by cell type (all instances share one rate).
Writes assets/circuits/calibration/<structure>_<profile>.json with provenance after every structure and every stage, so
an interrupted run (Ctrl-C) goes on with --resume.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np

from components.network import Fanout, Synapse
from engine.errors import UserError
from systems.deliver_spikes import parcels
from tools.calibrate_cortex import set_background

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "circuits"
SCENES_OF = {"newborn": "newborn", "adult": "stimulate"}
START_MV = 11.0  # mean depolarisation by background and tonic drive to start from
LIMITS_HZ = (0.5, 1900.0)
GAIN_LIMITS = (0.25, 4.0)


class Knobs:
    """The background rates of a running simulation by group of populations, and the gains of its projections."""

    def __init__(self, sim, profile: str):
        self.sim, self.profile = sim, profile
        network = sim.network
        self.populations = [p for p in network.populations if network.background_hz.get(p.name, 0.0) > 0]
        tuned = [p for p in self.populations if not p.stand_in and p.cell.background.rate == "calibrated"]
        names = [(p.structure, p.instance if p.cell.per == "region" else "*", p.cell_name) for p in tuned]
        self.groups = list(dict.fromkeys(names))
        self.members = {g: [p for p, n in zip(tuned, names, strict=True) if n == g] for g in self.groups}
        self.hz = np.array([network.background_hz[self.members[g][0].name] for g in self.groups])
        self.target = np.array([self.members[g][0].cell.bands[profile].aim for g in self.groups])
        self.slope = np.full(len(self.groups), 5.0)  # d log rate / d log background, learned on the way
        self.before: tuple[np.ndarray, np.ndarray] | None = None
        self.gains = dict(network.calibrated_gains)

    def apply(self) -> None:
        """Put the rates in force."""
        hz_of = {p.name: hz for g, hz in zip(self.groups, self.hz, strict=True) for p in self.members[g]}
        network = self.sim.network
        network.background_hz.update(hz_of)
        set_background(self.sim.world, self.populations, np.array([network.background_hz[p.name]
                                                                   for p in self.populations]))  # fmt: skip

    def rates(self, seconds: float) -> dict[str, float]:
        """Run on; mean rate of every population [Hz]."""
        first = self.sim.tick
        self.sim.run(round(seconds * 1000))
        ids, ticks = self.sim.spike_history()
        counts = np.bincount(ids[ticks >= first], minlength=self.sim.network.neuron_count)
        return {p.name: counts[p.neurons].sum() / p.count / seconds for p in self.sim.network.populations}

    def grouped(self, rates: dict[str, float]) -> np.ndarray:
        """Mean rate of each group; populations count by their size."""
        sizes = [[p.count for p in self.members[g]] for g in self.groups]
        found = [[rates[p.name] for p in self.members[g]] for g in self.groups]
        return np.array([np.average(r, weights=n) for r, n in zip(found, sizes, strict=True)])

    def step(self, rate: np.ndarray, strength: float) -> np.ndarray:
        """One damped secant step of all groups; returns the errors (log of target over rate)."""
        log_hz, log_rate = np.log(self.hz), np.log(rate + 0.1)
        error = np.log(self.target + 0.1) - log_rate
        if self.before is not None:
            moved = log_hz - self.before[0]
            seen = np.abs(moved) > 0.01
            slope = np.clip((log_rate - self.before[1])[seen] / moved[seen], 1.0, 15.0)
            self.slope[seen] += 0.3 * (slope - self.slope[seen])
        self.before = log_hz, log_rate
        self.hz = np.clip(np.exp(log_hz + np.clip(strength * error / self.slope, -0.35, 0.35)), *LIMITS_HZ)
        return error

    def scale(self, number: int, factor: float) -> None:
        """Multiply a projection's weights."""
        network = self.sim.network
        name = network.projections[number].name
        new = float(np.clip(self.gains.get(name, 1.0) * factor, *GAIN_LIMITS))
        ratio, self.gains[name] = new / self.gains.get(name, 1.0), new
        for table, numbers in network.projection_of.items():
            columns = self.sim.world.tables[table]
            columns[Synapse.weight][numbers == number] *= np.float32(ratio)
            if Fanout in columns:
                packed = parcels(columns[Synapse.post], columns[Synapse.weight], columns[Synapse.delay])
                columns[Fanout.parcel][:] = packed


def driven_errors(knobs: Knobs, circuits, seconds: float) -> dict[tuple[str, str], float]:
    """(structure, cell) -> how far its rate under its stimuli lies outside its band (log units; 0 inside)."""
    from systems.spawn.network import target_of

    sim, out = knobs.sim, {}
    for circuit in circuits:
        cells = {p.cell_name: p.cell for p in sim.network.populations
                 if p.structure == circuit.structure and not p.stand_in and p.cell.driven is not None}  # fmt: skip
        aimed = {target_of(p, circuit)[1] for p in circuit.projections if p.calibrated}
        for stimulus, spec in circuit.stimuli.items():
            under = [c for c, cell in cells.items() if stimulus in cell.driven.stimuli and c in aimed]
            if not under:
                continue
            try:
                sim.stimulate(spec.population, f"{spec.drive} mV", f"{round(seconds * 1000)} ms")
            except UserError:
                continue  # the stimulated cells are not in the scene
            sim.run("50 ms")
            rates = knobs.rates(seconds - 0.05)
            sim.run("700 ms")
            for c in under:
                found = np.mean([r for name, r in rates.items() if name.startswith(f"{circuit.structure}.")
                                 and name.endswith(f".{c}")])  # fmt: skip
                low, high = cells[c].driven.rate
                low, high = low * 1.4, high / 1.4  # aim well inside
                error = np.log((low + 0.1) / (found + 0.1)) if found < low else min(0.0, np.log(high / (found + 0.1)))
                key = (circuit.structure, c)
                out[key] = max(out.get(key, 0.0), error, key=abs)
    return out


def adjust_gains(knobs: Knobs, errors: dict[tuple[str, str], float]) -> int:
    """Scale the calibrated projections onto cells that miss their driven band; how many were scaled."""
    moved = 0
    for number, projection in enumerate(knobs.sim.network.projections):
        cell = projection.spec.to.split(".")[-1]
        structure = projection.spec.to.split(".")[0] if "." in projection.spec.to else projection.structure
        error = errors.get((structure, cell), 0.0)
        if projection.spec.calibrated and projection.count and abs(error) > 0.05:
            knobs.scale(number, float(np.exp(np.clip(0.3 * error, -0.2, 0.2))))
            moved += 1
    return moved


def start_asset(circuit) -> dict:
    """A first guess of every calibrated background rate, from the mean depolarisation it makes."""
    cells = {}
    for name, cell in circuit.cells.items():
        if cell.background is not None and cell.background.rate == "calibrated":
            a, b = cell.tau_m, cell.tau_ampa
            charge = np.e if abs(a - b) < 1e-6 else (a / b) ** (b / (a - b))
            mv = max(START_MV * cell.threshold / 15.0 - cell.tonic, 1.0)
            cells[name] = float(np.clip(mv / (cell.background.psp * charge * cell.tau_m / 1000.0), 5.0, 1500.0))
    return {"background_hz": {"*": cells}, "gains": {}}


def write(structure: str, profile: str, background: dict, gains: dict, reached: dict, options) -> None:
    """The asset, whole or not at all."""
    path = ASSETS / "calibration" / f"{structure}_{profile}.json"
    digest = hashlib.sha256((ASSETS / f"{structure}.yaml").read_bytes()).hexdigest()
    provenance = {
        "tool": "tools/calibrate_circuits.py", "profile": profile, "stage": options.stage_now, "seed": options.seed,
        "iterations": options.iterations, "seconds_per_iteration": options.seconds, "yaml_sha256": digest,
        "reached_hz": reached,
    }  # fmt: skip
    content = {"provenance": provenance, "background_hz": background, "gains": gains}
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, path)


def save(knobs: Knobs, hz: np.ndarray, rate: np.ndarray, options) -> None:
    """One asset per structure that has calibrated cells."""
    for structure in dict.fromkeys(g[0] for g in knobs.groups):
        background: dict[str, dict[str, float]] = {}
        by_cell: dict[str, list[tuple[float, float]]] = {}
        for g, value, reached in zip(knobs.groups, hz, rate, strict=True):
            if g[0] == structure:
                background.setdefault(g[1], {})[g[2]] = round(float(value), 2)
                by_cell.setdefault(g[2], []).append((float(value), float(reached)))
        background["*"] = {c: round(float(np.mean([v for v, _ in found])), 2) for c, found in by_cell.items()}
        reached = {c: round(float(np.mean([r for _, r in found])), 3) for c, found in by_cell.items()}
        gains = {n: round(g, 4) for n, g in knobs.gains.items() if n.startswith(f"{structure}:") and g != 1.0}
        write(structure, knobs.profile, background, gains, reached, options)


def report(stage: str, knobs: Knobs, rate: np.ndarray, error: np.ndarray) -> None:
    worst = int(np.abs(error).argmax())
    print(f"{stage}  log error {np.abs(error).mean():.3f}, worst {'.'.join(knobs.groups[worst])} "
          f"{rate[worst]:.2f} Hz for {knobs.target[worst]:.2f}", flush=True)  # fmt: skip


def open_scene(name: str, profile: str, seed: int, overrides: list[str], calibrations: dict | None):
    from engine.scene import load_scene
    from systems.simulation import Simulation
    from systems.spawn.scene_model import SCENES, Scene

    still = [f"brain.profile={profile}", "timeline=[]", "probes=[]", "expect=[]"]
    scene, source = load_scene(name, Scene, [SCENES], [*still, *overrides])
    return Simulation(scene, source, seed=seed, calibrations=calibrations)


def calibrate_alone(structure: str, options) -> None:
    """One structure among stand-ins."""
    from systems.spawn.build import read_calibration
    from systems.spawn.network import load_circuit

    circuit, _ = load_circuit(structure)
    known = read_calibration(structure, options.profile)
    start = start_asset(circuit)
    if known and options.resume:
        start["background_hz"]["*"].update(known["background_hz"]["*"])
        start["gains"] = known["gains"]
    others = [p.stem for p in sorted(ASSETS.glob("*.yaml")) if p.stem != structure]
    overrides = [f"brain.circuits=[{structure}]", f"brain.stand_ins=[{', '.join(others)}]", "brain.learning=false"]
    sim = open_scene("stimulate", options.profile, options.seed, overrides, {structure: start})
    knobs = Knobs(sim, options.profile)
    if not knobs.groups:
        return
    kept, rates = [], []
    for k in range(options.iterations):
        knobs.apply()
        sim.run("300 ms")
        rate = knobs.grouped(knobs.rates(options.seconds))
        last = k >= options.iterations * 2 // 3
        if last:
            kept.append(np.log(knobs.hz))
            rates.append(rate)
        error = knobs.step(rate, 0.8 if not last else 0.3)
        if k % 3 == 2 and not last:
            adjust_gains(knobs, driven_errors(knobs, [circuit], 0.6))
        if k % 5 == 4 or k == options.iterations - 1:
            report(f"{structure} alone {k + 1:3d}/{options.iterations}", knobs, rate, error)
    save(knobs, np.exp(np.mean(kept, axis=0)), np.mean(rates, axis=0), options)


def calibrate_together(options) -> None:
    """The whole scene; excitation of each region follows its rate, inhibition the ratio of its rate to excitation's."""
    from systems.spawn.network import load_circuit

    overrides = ["brain.learning=false", *options.set]
    sim = open_scene(SCENES_OF[options.profile], options.profile, options.seed, overrides, None)
    knobs = Knobs(sim, options.profile)
    circuits = [load_circuit(name)[0] for name in sim.scene.brain.circuits]
    cells = [knobs.members[g][0] for g in knobs.groups]
    regional = np.array([p.cell.per == "region" for p in cells])
    excitatory = np.array([p.cell.acts_on == "ampa" for p in cells]) & regional
    region = np.unique([p.instance if p.cell.per == "region" else "" for p in cells], return_inverse=True)[1]
    weight = np.where(excitatory, [p.count for p in cells], 0)
    kind_of = [(g[0], g[2]) if r else None for g, r in zip(knobs.groups, regional, strict=True)]
    kinds = [np.array([k == kind for k in kind_of]) for kind in dict.fromkeys(kind_of) if kind]
    kept, rates = [], []
    sim.run("2 s")
    try:
        for k in range(options.iterations):
            knobs.apply()
            sim.run("300 ms")
            rate = knobs.grouped(knobs.rates(options.seconds))
            if rate[excitatory].mean() > 60.0:
                raise UserError(
                    f"the network runs away ({rate[excitatory].mean():.0f} Hz): lower excitation, no result"
                )
            if k >= options.iterations * 2 // 3:
                kept.append(np.log(knobs.hz))
                rates.append(rate)
            before = knobs.hz.copy()
            error = knobs.step(rate, 0.5 if k < options.iterations // 2 else 0.25)
            # An inhibition-stabilised network answers more drive to inhibition with less inhibition (Tsodyks 1997): so
            # regional excitation corrects the rates, and inhibition the ratio of its rate to that of its region.
            with np.errstate(invalid="ignore"):
                of_region = np.nan_to_num(np.bincount(region, error * weight) / np.bincount(region, weight))[region]
            signal = np.where(excitatory, error, error - of_region)
            shared = signal.copy()
            for kind in kinds:  # recurrence amplifies what all populations of a kind do together
                shared[kind] = signal[kind].mean()
            g = 0.06 * min(1.0, 2.0 * (1.0 - k / options.iterations) + 0.2)
            step = np.clip(g * (signal - shared) + 0.9 * g * shared, -0.08, 0.08)
            knobs.hz = np.where(regional, np.clip(before * np.exp(step), *LIMITS_HZ), knobs.hz)
            if k % 5 == 4:
                report(
                    f"together {k + 1:3d}/{options.iterations}  E {rate[excitatory].mean():.2f} Hz", knobs, rate, error
                )
            if k % 8 == 7 and k < options.iterations // 2:
                adjust_gains(knobs, driven_errors(knobs, circuits, 0.6))
    except KeyboardInterrupt:
        print("interrupted: keeping what was reached, --resume goes on", file=sys.stderr)
    if not kept:
        kept, rates = [np.log(knobs.hz)], [knobs.target * 0.0]
    save(knobs, np.exp(np.mean(kept, axis=0)), np.mean(rates, axis=0), options)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="calibrate_circuits", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=["adult", "newborn"], default="newborn")
    parser.add_argument("--stage", choices=["alone", "together", "all"], default="all")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="structures of stage alone")
    parser.add_argument("--iterations", type=int, default=45)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="start from the assets that are there")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c")
    options = parser.parse_args(arguments)
    from systems.spawn.network import load_circuit

    try:
        if options.stage in ("alone", "all"):
            options.stage_now = "alone"
            for path in sorted(ASSETS.glob("*.yaml")):
                circuit, _ = load_circuit(path.stem)
                wanted = path.stem in options.only if options.only else True
                tuned = any(cell.background and cell.background.rate == "calibrated" for cell in circuit.cells.values())
                regional = any(cell.per == "region" for cell in circuit.cells.values())  # tools/calibrate_cortex.py
                if wanted and tuned and not regional:
                    calibrate_alone(path.stem, options)
        if options.stage in ("together", "all"):
            options.stage_now = "together"
            calibrate_together(options)
    except UserError as error:
        print(f"calibrate_circuits: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: finished structures are kept, --resume goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
