"""`encephagen run --batch B`: copies of a brain with other seeds, side by side in one world."""

from __future__ import annotations

import tempfile
from pathlib import Path

from engine.errors import UserError
from tools import common

LOCOMOTOR = """title: The locomotor circuit alone, driven
seed: 1
duration: 3600 s
brain:
  profile: newborn
  circuits: [spinal_cpg]
timeline:
  - {at: 0 s, last: 3600 s, stimulate: {population: "spinal_cpg.*.rg_*", drive: 6 mV}}
probes: []
expect: []
"""


def run(args) -> int:
    for option in ("video", "record", "save", "load"):
        if getattr(args, option) is not None:
            raise UserError(f"--batch: expected a run without --{option}: copies share one world")
    from systems.spawn.copies import Copies

    sim, end = common.open_simulation(args)
    sims = [sim]
    for k in range(1, args.batch):
        args.seed = sim.seed + k
        sims.append(common.open_simulation(args)[0])
    copies = Copies(sims, threads=args.threads)
    with common.Interrupt() as interrupt:
        while copies.world.tick < end:
            if interrupt.asked:
                common.say(f"encephagen: interrupted at {copies.time_s:g} s of {end / 1000:g} s")
                return common.INTERRUPTED
            copies.run(min(common.CHUNK * 50, end - copies.world.tick))
    structures = [s for s in copies.network.structures if any(p.structure == s for p in copies.network.populations)]
    rates = {structure: copies.rate_hz(structure) for structure in structures}
    all_s = copies.time_s * args.batch
    results = {
        "scene": sim.source.name, "batch": args.batch, "threads": args.threads, "simulated_s": all_s,
        "wall_s": copies.wall_s, "realtime_x": all_s / max(copies.wall_s, 1e-9), "ticks": copies.world.tick,
        "neurons": {"total": copies.network.neuron_count}, "synapses": copies.network.synapse_count,
        "copies": [{"seed": seed, "spike_hash": text, "rate_hz": {s: float(hz[b]) for s, hz in rates.items()}}
                   for b, (seed, text) in enumerate(zip(copies.seeds, copies.spike_hashes, strict=True))],
    }  # fmt: skip
    if args.json is not None:
        common.write_json(args.json, results)
    if not args.quiet and args.json != "-":
        show(results, structures)
    return 0


def show(results: dict, structures: list[str]) -> None:
    """A line per copy."""
    out = common.console()
    made = common.table(f"{results['scene']}, {results['batch']} copies", "seed", *structures, "spike hash",
                        right=("seed", *structures))  # fmt: skip
    for copy in results["copies"]:
        made.add_row(str(copy["seed"]), *(f"{copy['rate_hz'][s]:.2f} Hz" for s in structures), copy["spike_hash"][:12])
    out.print(made)
    out.print(f"{results['simulated_s']:g} s in {results['wall_s']:.2f} s: {results['realtime_x']:.0f} simulated "
              "seconds per wall second in all")  # fmt: skip


def locomotor(copies: int):
    """Copies of the locomotor circuit, driven, with the seeds from 1 on: what `encephagen bench` measures."""
    from encephagen import load
    from systems.spawn.copies import Copies

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "locomotor.yaml"
        path.write_text(LOCOMOTOR)
        return Copies([load(str(path), seed=1 + k) for k in range(copies)])
