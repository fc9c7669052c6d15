"""Find the background drive of every cortical population so that each meets its target rate.

    python -m tools.calibrate_cortex --profile adult [--iterations 40] [--seconds 3] [--resume]

Closed loop: the whole cortex runs, each population's background rate moves by a damped step in log rate error (steps
shrink as errors do), and the last third of the iterations is averaged. Writes assets/circuits/calibration/
cortex_<profile>.json with provenance; `--resume` starts from the file that is there. Ctrl-C keeps what was reached.
With `--set` (gains, stand_ins, null) and `--out` it makes a calibration for a scene's `brain.calibrations`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np

from components.network import Spikes
from engine.errors import UserError

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "circuits"
START_MV = {"ampa": 6.0, "gaba": 7.0, "gaba_slow": 7.0}  # mean depolarisation by background to start from


def set_background(world, populations, hz: np.ndarray) -> None:
    """Change the Poisson thresholds of populations that already have background, in place."""
    from components.neuron import BackgroundRates
    from systems.background_noise import event_thresholds

    world.tables["background"][BackgroundRates.threshold][:] = event_thresholds(hz)


def calibrate(profile: str, iterations: int, seconds: float, resume: bool, seed: int, gain: float, say=print,
              open_iterations: int = 14, overrides=()) -> dict:  # fmt: skip
    """The calibration as it is stored: provenance, background_hz[instance][cell], reached rates."""
    import systems.spawn.build as build
    from engine.scene import load_scene
    from systems.simulation import Simulation
    from systems.spawn.scene_model import SCENES, Scene

    path = build.CALIBRATION / f"cortex_{profile}.json"
    stored = json.loads(path.read_text())["background_hz"] if resume and path.exists() else {}
    scene, source = load_scene(
        "stimulate", Scene, [SCENES], [f"brain.profile={profile}", "timeline=[]", "probes=[]", "expect=[]", *overrides]
    )

    here = set(scene.brain.circuits)  # what stands in for others keeps the rates it stands in with

    def start(network, profile, calibrations):
        rates = original(network, profile, calibrations)
        for p in network.populations:
            spec = p.cell.background
            if spec is not None and p.structure in here:
                known = stored.get(p.instance, stored.get("*", {})).get(p.cell_name)
                charge = spec.psp * p.psp_to_charge(p.cell.tau_ampa)
                rates[p.name] = known or min(START_MV[p.cell.acts_on] / (charge * p.tau_m / 1000.0), 1500.0)
        return rates

    original = build.background_rates
    build.background_rates = start
    try:
        sim = Simulation(scene, source, seed=seed)
    finally:
        build.background_rates = original
    network = sim.network
    members = [p for p in network.populations if network.background_hz.get(p.name, 0.0) > 0]
    mine = np.array([p.structure in here for p in members])
    chosen = [p for p in members if p.structure in here]
    others = np.array([network.background_hz[p.name] for p in members])
    hz = np.array([network.background_hz[p.name] for p in chosen])
    target = np.array([p.cell.bands[profile].target for p in chosen])
    edges = np.array([p.first for p in network.populations])
    order = np.argsort(edges)
    row = {network.populations[k].name: at for at, k in enumerate(order)}
    bins = np.append(edges[order], network.neuron_count)
    count = np.array([p.count for p in chosen])
    place = np.array([row[p.name] for p in chosen])
    excitatory = np.array([p.cell.acts_on == "ampa" for p in chosen])
    kept, rates_kept = [], []

    def measure(duration_s: float, on_tick=None) -> np.ndarray:
        before = sim.tick
        sim.run(round(duration_s * 1000), on_tick)
        ids, ticks = sim.spike_history()
        return np.histogram(ids[ticks >= before], bins)[0][place] / count / duration_s

    kinds = [np.array([p.cell_name == name for p in chosen]) for name in dict.fromkeys(p.cell_name for p in chosen)]

    def mean_by_kind(x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        for of in kinds:
            out[of] = x[of].mean()
        return out

    region = np.unique([p.instance for p in chosen], return_inverse=True)[1]

    def regional_excitation(x: np.ndarray) -> np.ndarray:
        weight = np.where(excitatory, count, 0)
        return (np.bincount(region, x * weight) / np.bincount(region, weight))[region]

    def drive(hz: np.ndarray) -> None:
        others[mine] = hz
        set_background(sim.world, members, others)

    def report(stage: str, rate: np.ndarray, error: np.ndarray) -> None:
        say(
            f"{stage}  E {rate[excitatory].mean():6.2f} Hz  I {rate[~excitatory].mean():6.2f} Hz  "
            f"log error {np.abs(error).mean():.3f} max {np.abs(error).max():.2f}"
        )

    # open loop: every neuron receives Poisson surrogates of its sources at target rates, so nothing can run away
    chance = np.zeros(network.neuron_count)
    for p in network.populations:
        chance[p.neurons] = p.cell.bands[profile].target / 1000.0
    rng = np.random.default_rng(seed)

    def surrogate(simulation) -> None:
        ids = np.flatnonzero(rng.random(chance.size) < chance)
        simulation.world[Spikes.ids][: ids.size] = ids
        simulation.world[Spikes.count][0] = ids.size

    try:
        for k in range(0 if stored else open_iterations):
            drive(hz)
            sim.run("150 ms", surrogate)
            rate = measure(seconds / 2, surrogate)
            error = np.log((target + 0.3) / (rate + 0.3))
            hz = np.clip(hz * np.exp(np.clip((0.2 if k < 8 else 0.12) * error, -0.3, 0.3)), 1.0, 1900.0)
            report(f"open   {k + 1:3d}/{open_iterations}", rate, error)
        for k in range(iterations):
            drive(hz)
            sim.run("300 ms")
            rate = measure(seconds)
            if rate[excitatory].mean() > 60.0:
                raise UserError(f"the cortex runs away ({rate[excitatory].mean():.0f} Hz): lower excitation, no result")
            error = np.log((target + 0.1) / (rate + 0.1))
            # An inhibition-stabilised network answers more drive to inhibition with less inhibition (Tsodyks 1997): so
            # excitation corrects the rates, and inhibition the ratio of its rate to that of its region's excitation.
            signal = np.where(excitatory, error, error - regional_excitation(error))
            shared = mean_by_kind(signal)  # recurrence amplifies what all populations of a kind do together
            g = gain * min(1.0, 2.0 * (1.0 - k / iterations) + 0.2)
            step = g * (signal - shared) + 0.9 * g * shared
            hz = np.clip(hz * np.exp(np.clip(step, -0.08, 0.08)), 1.0, 1900.0)
            if k >= iterations * 2 // 3:
                kept.append(np.log(hz))
                rates_kept.append(rate)
            report(f"closed {k + 1:3d}/{iterations}", rate, error)
    except KeyboardInterrupt:
        say("interrupted: keeping what was reached")
    if not kept:
        kept, rates_kept = [np.log(hz)], [target * 0]
    hz, rate = np.exp(np.mean(kept, axis=0)), np.mean(rates_kept, axis=0)
    table: dict[str, dict[str, float]] = {}
    for p, value in zip(chosen, hz, strict=True):
        table.setdefault(p.instance, {})[p.cell_name] = round(float(value), 2)
    cells = dict.fromkeys(p.cell_name for p in chosen)
    table["*"] = {c: round(float(np.mean([t[c] for t in table.values() if c in t])), 2) for c in cells}
    digest = hashlib.sha256((ASSETS / "cortex.yaml").read_bytes()).hexdigest()
    return {
        "provenance": {
            "tool": "tools/calibrate_cortex.py", "profile": profile, "seed": seed, "iterations": iterations,
            "seconds_per_iteration": seconds, "cortex_yaml_sha256": digest,
            "connectome_sha256": network.connectome.sha256,
            "reached_hz": {c: round(float(rate[[p.cell_name == c for p in chosen]].mean()), 3) for c in cells},
        },
        "background_hz": table,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="calibrate_cortex", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=["adult", "newborn"], default="adult")
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gain", type=float, default=0.06)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--out", type=Path, metavar="FILE", help="else the shipped calibration of the profile")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c")
    options = parser.parse_args(arguments)
    try:
        result = calibrate(options.profile, options.iterations, options.seconds, options.resume, options.seed,
                           options.gain, overrides=options.set)  # fmt: skip
    except UserError as error:
        print(f"calibrate_cortex: error: {error}", file=sys.stderr)
        return 2
    path = options.out or ASSETS / "calibration" / f"cortex_{options.profile}.json"
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(temporary, path)
    print(f"wrote {path.name}: {result['provenance']['reached_hz']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
