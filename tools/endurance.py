"""`python -m tools.endurance SCENE --duration 2h --out DIR`: run a scene for hours, and see that it lasts.

DIR gets a line in `minutes.jsonl` for every simulated minute (wall time, memory of the process, columns that are not
finite, rates), and for every piece of `--checkpoint` a snapshot `state_SECONDS.h5` (the last two are kept) and the
counts of spikes in bins, `counts_SECONDS.npz`: `bin_ms`, `columns` (structure.cell, all its instances together, and
each population that `--apart` selects), `cells` [columns], `counts` [bins, columns]. The same command with a longer
`--duration` goes on from the last snapshot; a run that was cut off goes on from there too.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from engine.errors import UserError
from engine.snapshot import state_arrays
from engine.units import quantity
from systems.simulation import load
from tools import common

BIN_MS = 100
KEEP_MS = 2_000.0  # spikes held in memory: nobody asks for older ones here


class Counter:
    """Spikes of a simulation in bins, by column; a listener of its observer. Holds one piece at a time."""

    def __init__(self, sim, apart: list[str], piece_ms: int):
        populations = sim.network.populations
        self.columns = list(dict.fromkeys(f"{p.structure}.{p.cell_name}" for p in populations))
        self.column_of = np.empty(sim.network.neuron_count, np.int64)
        self.alone_of = np.full(sim.network.neuron_count, -1, np.int64)
        cells = dict.fromkeys(self.columns, 0)
        for p in populations:
            self.column_of[p.neurons] = self.columns.index(f"{p.structure}.{p.cell_name}")
            cells[f"{p.structure}.{p.cell_name}"] += p.count
        for p in populations:
            if any(fnmatch.fnmatchcase(p.name, glob) for glob in apart) and p.name not in cells:
                self.alone_of[p.neurons] = len(self.columns)
                self.columns.append(p.name)
                cells[p.name] = p.count
        self.cells = np.array([cells[name] for name in self.columns])
        self.counts = np.zeros((piece_ms // BIN_MS, len(self.columns)), np.uint32)
        self.first = sim.tick

    def take(self, ids: np.ndarray, ticks: np.ndarray, substeps: np.ndarray) -> None:
        """A block of spikes; those flushed late count in the first bin of the piece."""
        if not ids.size:
            return
        row = np.clip((ticks - self.first) // BIN_MS, 0, len(self.counts) - 1)
        alone = self.alone_of[ids]
        width, kept = len(self.columns), alone >= 0
        flat = np.concatenate([row * width + self.column_of[ids], (row * width + alone)[kept]])
        low, high = int(row.min()), int(row.max()) + 1
        found = np.bincount(flat - low * width, minlength=(high - low) * width)
        self.counts[low:high] += found.reshape(high - low, width).astype(np.uint32)

    def rates(self, since_bin: int, until_bin: int) -> dict[str, float]:
        """Column -> mean rate [Hz] over bins of this piece."""
        seconds = (until_bin - since_bin) * BIN_MS / 1000.0
        hz = self.counts[since_bin:until_bin].sum(axis=0) / self.cells / seconds
        return {name: round(float(x), 3) for name, x in zip(self.columns, hz, strict=True)}

    def write(self, path: Path) -> None:
        """The piece as it is, and an empty one after it."""
        np.savez_compressed(path, bin_ms=BIN_MS, columns=self.columns, cells=self.cells, first_ms=self.first,
                            counts=np.minimum(self.counts, 65535).astype(np.uint16))  # fmt: skip
        self.first += len(self.counts) * BIN_MS
        self.counts[:] = 0


def resident_mb() -> float:
    """Memory of this process that is in use [MB]; NaN where there is no /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return float("nan")


def not_finite(sim) -> list[str]:
    """Names of written columns that hold a NaN or an infinity (thresholds of silenced cells are infinite)."""
    arrays = state_arrays(sim.runner).items()
    return sorted(n for n, a in arrays if a.dtype.kind == "f" and "threshold" not in n and not np.isfinite(a).all())


def last_state(out: Path) -> tuple[Path | None, int]:
    """(newest snapshot, its second); (None, 0) where there is none."""
    found = sorted((int(p.stem.split("_")[1]), p) for p in out.glob("state_*.h5"))
    return (found[-1][1], found[-1][0]) if found else (None, 0)


def drop_after(lines: Path, second: int) -> None:
    """Forget the minutes after a snapshot: they are run again."""
    if lines.exists():
        kept = [line for line in lines.read_text().splitlines() if json.loads(line)["s"] <= second]
        lines.write_text("".join(f"{line}\n" for line in kept))


def endure(sim, out: Path, until_s: int, piece_s: int, apart: list[str], keep: bool = False, say=print) -> None:
    """Run on to `until_s` seconds, a minute at a time, in pieces that end with a snapshot."""
    sim.spikes.keep_ms = KEEP_MS
    counter = Counter(sim, apart, piece_s * 1000)
    sim.spikes.listeners.append(counter.take)
    lines, started, begun = out / "minutes.jsonl", time.perf_counter(), sim.time_s
    while sim.time_s < until_s:
        first_bin = (sim.tick - counter.first) // BIN_MS
        sim.run(min(60, until_s - round(sim.time_s)) * 1000)
        last_bin = (sim.tick - counter.first) // BIN_MS
        wall = time.perf_counter() - started
        row = {"s": round(sim.time_s), "wall_s": round(wall, 1), "realtime_x": round((sim.time_s - begun) / wall, 2),
               "rss_mb": round(resident_mb(), 1), "not_finite": not_finite(sim), "spikes": int(sim.spikes.total),
               "lost": int(sim.spikes.lost), "rate_hz": counter.rates(first_bin, last_bin)}  # fmt: skip
        with lines.open("a") as file:
            file.write(json.dumps(row) + "\n")
        wrong = ", ".join(row["not_finite"]) or "none"
        say(f"{row['s']} s: {row['realtime_x']} x real time, {row['rss_mb']} MB, not finite: {wrong}")
        if round(sim.time_s) % piece_s == 0:
            second = round(sim.time_s)
            counter.write(out / f"counts_{second:06d}.npz")
            sim.save(out / f"state_{second:06d}.h5", spike_hash=sim.spike_hash)
            for old in [] if keep else sorted(out.glob("state_*.h5"))[:-2]:
                old.unlink()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.endurance", description=__doc__.split("\n")[0])
    parser.add_argument("scene")
    parser.add_argument("--duration", default="2h", help="in all, what was run before included; whole pieces")
    parser.add_argument("--checkpoint", default="10min", help="simulated time between snapshots; whole minutes")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", dest="overrides")
    parser.add_argument("--apart", action="append", default=[], metavar="GLOB", help="populations with own columns")
    parser.add_argument("--keep", action="store_true", help="keep every snapshot, not the last two")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args(argv)
    until, piece = (quantity(getattr(asked, key), "time") / 1000.0 for key in ("duration", "checkpoint"))
    if piece <= 0 or piece % 60 or until <= 0 or until % piece:
        raise UserError("--duration, --checkpoint: expected whole pieces of whole minutes, "
                        f"got {asked.duration} in pieces of {asked.checkpoint}")  # fmt: skip
    asked.out.mkdir(parents=True, exist_ok=True)
    sim = load(asked.scene, seed=asked.seed, overrides=asked.overrides, strict=False)
    if sim.network is None:
        raise UserError(f"{asked.scene}: expected a brain")
    state, second = last_state(asked.out)
    if state is not None:
        sim.load_state(state)
        drop_after(asked.out / "minutes.jsonl", second)
        print(f"goes on from {state}")
    endure(sim, asked.out, round(until), round(piece), asked.apart, asked.keep,
           lambda line: print(line, flush=True))  # fmt: skip
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as problem:
        common.say(f"endurance: error: {problem}")
        sys.exit(2)
