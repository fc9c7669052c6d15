"""Find the strengths at which assemblies rest when nothing was shown, and hold one item or four when it was.

    python -m tools.calibrate_memory [--seeds 1 2] [--within 1 1.1] [--lateral 1 1.1] [--background 1.02]

The cortex runs with the assemblies; the other circuits stand in. First the factor on the background of excitatory cells
that keeps their rate, then a grid of gains of the two projections. A candidate is as good as its worst margin over the
seeds: of every held item's rate over 10 Hz, of 10 Hz over every other item's, of the rate at rest within its band.
Writes assets/circuits/calibration/working_memory_adult.json with provenance and the whole grid.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
from pathlib import Path

import numpy as np

from components.network import Inputs

CIRCUITS = Path(__file__).resolve().parent.parent / "assets" / "circuits"
CIRCUIT, ITEM, CLEAR = "working_memory", "item", "working_memory.all.clear"
CELLS, RATE_HZ = "cortex.*.l*", 5.0  # whose rate the background keeps
REST_HZ, HELD_HZ = (0.3, 3.0), 10.0  # issue: baseline; an item above is held
OTHERS = ["thalamus", "basal_ganglia", "cerebellum", "superior_colliculus", "neuromodulators", "hippocampus",
          "amygdala", "hypothalamus", "brainstem"]  # fmt: skip


def simulation(seed: int, within: float, lateral: float, background: float):
    """The cortex with its assemblies, all at rest for a second after they were cleared."""
    from engine.scene import load_scene
    from systems.simulation import Simulation
    from systems.spawn.scene_model import SCENES, Scene

    sets = ["timeline=[]", "probes=[]", "expect=[]", "actions=[]", "shell={}", f"brain.circuits=[cortex, {CIRCUIT}]",
            f"brain.stand_ins=[{', '.join(OTHERS)}]", f'brain.background."{CELLS}"={background}',
            f'brain.gains."{CIRCUIT}:within"={within}', f'brain.gains."{CIRCUIT}:lateral"={lateral}']  # fmt: skip
    scene, source = load_scene("stimulate", Scene, [SCENES], sets)
    sim = Simulation(scene, source, seed=seed, calibrations={CIRCUIT: {"background_hz": {}}})
    driven(sim, [CLEAR], 30.0, 600)
    sim.run("1 s")
    return sim


def driven(sim, selectors: list[str], mv: float, ms: int) -> None:
    """Run with a drive onto the selected neurons."""
    rows = np.concatenate([sim.network.neurons(s) for s in selectors])
    sim.world[Inputs.stimulus][rows] += np.float32(mv)
    sim.run(ms)
    sim.world[Inputs.stimulus][rows] -= np.float32(mv)


def rates(sim, ms: int) -> np.ndarray:
    """Mean rate of each item over the next `ms`."""
    from systems.recall import rates_of

    start = sim.tick
    sim.run(ms)
    ids, ticks = sim.spike_history(start)
    return rates_of(ids[ticks >= start], list(sim.network.named(f"{CIRCUIT}.*.{ITEM}").values()), ms)


def margins(sim) -> tuple[float, dict]:
    """(worst margin in octaves, what was found) at rest, at load one and at load four."""
    names = list(sim.network.named(f"{CIRCUIT}.*.{ITEM}"))
    rest = rates(sim, 6000)
    found = {"rest_hz": [round(float(r), 2) for r in rest]}
    worst = [math.log2(HELD_HZ / max(rest.max(), 0.1)), math.log2(max(rest.mean(), 0.01) / REST_HZ[0]),
             math.log2(REST_HZ[1] / max(rest.mean(), 0.01))]  # fmt: skip
    for label, shown in (("one", [0]), ("four", [1, 2, 4, 6])):
        for number in shown:
            driven(sim, [f"{CIRCUIT}.{names[number]}.{ITEM}"], 15.0, 300)
            sim.run(500)
        sim.run("3 s")
        now = rates(sim, 2000)
        held = np.isin(np.arange(len(names)), shown)
        worst += [math.log2(max(now[held].min(), 0.01) / HELD_HZ), math.log2(HELD_HZ / max(now[~held].max(), 0.1))]
        found[f"{label}_hz"] = [round(float(r), 1) for r in now]
        driven(sim, [CLEAR], 30.0, 600)
        sim.run("1 s")
    return min(worst), found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="calibrate_memory", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    for name, values in (("within", [1.1, 1.2]), ("lateral", [1.0, 1.1, 1.2]), ("background", [1.02])):
        parser.add_argument(f"--{name}", type=float, nargs="+", default=values)
    options = parser.parse_args(arguments)
    middle = [sorted(v)[len(v) // 2] for v in (options.within, options.lateral)]
    kept = {}
    for factor in options.background:
        sim = simulation(options.seeds[0], *middle, factor)
        sim.run("4 s")
        kept[factor] = sim.rate_hz(CELLS, "4 s")
        print(f"background x {factor:g}: E {kept[factor]:.2f} Hz", flush=True)
    background = min(kept, key=lambda f: abs(math.log(kept[f] / RATE_HZ)))
    grid = []
    for within in options.within:
        for lateral in options.lateral:
            made = [margins(simulation(seed, within, lateral, background)) for seed in options.seeds]
            worst = min(m for m, _ in made)
            grid.append({"within": within, "lateral": lateral, "margin_octaves": round(worst, 2),
                         "seeds": dict(zip(map(str, options.seeds), (f for _, f in made), strict=True))})  # fmt: skip
            print(f"within {within:g} lateral {lateral:g}: {worst:+.2f} octaves; {made[0][1]}", flush=True)
    best = max(grid, key=lambda g: g["margin_octaves"])
    result = {
        "provenance": {
            "tool": "tools/calibrate_memory.py", "profile": "adult", "seeds": options.seeds,
            "yaml_sha256": hashlib.sha256((CIRCUITS / f"{CIRCUIT}.yaml").read_bytes()).hexdigest(),
            "background_factor": background, "excitatory_hz": {f"{k:g}": round(v, 2) for k, v in kept.items()},
            "margin_octaves": best["margin_octaves"], "grid": grid,
        },
        "background_hz": {},
        "gains": {f"{CIRCUIT}:within": best["within"], f"{CIRCUIT}:lateral": best["lateral"]},
    }  # fmt: skip
    path = CIRCUITS / "calibration" / f"{CIRCUIT}_adult.json"
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(temporary, path)
    print(f"wrote {path.name}: {result['gains']}, background x {background:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
