"""Does the identified wiring tolerate changed parameters better than random wiring? (experiment 38, done soundly)

    python -m tools.basin_cpg [SEARCH.yaml] [--circuits 20] [--generations 25] [--samples 64] [--radius 0.1] [--out F]

Every circuit of either kind is optimised by itself with the same budget, from a random start, for a clear rhythm
that alternates left-right and flexor-extensor at the main drive. Then a Latin hypercube of +-radius of each
parameter's range around its optimum is run on fresh noise: the volume is the part of it that still steps. `rewired`
circuits have the same cells, drives, signs (Dale) and numbers of synapses in and out of every cell, but who is joined
with whom is shuffled.
The unit is the circuit; volumes are compared by the Wilcoxon rank-sum test.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from engine.errors import UserError
from tools.calibrate_cpg import CALIBRATION, Judge, Search, inside, optimizer, reach

KINDS = ("structured", "rewired")
ALIVE = 0.8  # phase vectors at or below minus this, and the frequency in range


def rewire(judge: Judge, seed: int) -> None:
    """Shuffle the targets of the circuit's own synapses; degrees and signs stay."""
    it = judge.lattice
    own = np.flatnonzero((it.pre < judge.live) & (it.post < judge.live))
    rng = np.random.default_rng([seed, 91])
    it.post[own] = it.post[rng.permutation(own)]
    for _ in range(100):  # no cell may reach itself
        loops = own[it.pre[own] == it.post[own]]
        if not loops.size:
            break
        other = rng.choice(own, loops.size, replace=False)
        it.post[loops], it.post[other] = it.post[other].copy(), it.post[loops].copy()


def score(judge: Judge, m: dict) -> np.ndarray:
    """How near a rhythm that alternates both ways; 3.5 is all of it."""
    band = inside(m["hz"], *judge.search.targets["frequency"], np.log(3.0))
    regular = reach(-np.nan_to_num(m["cv"], nan=1.0), -0.1, 0.5)
    return band + reach(-m["lr"], 0.97) + reach(-m["fe"], 0.97) + 0.5 * regular


def alive(m: dict) -> np.ndarray:
    return (m["hz"] >= 0.4) & (m["hz"] <= 1.5) & (m["lr"] <= -ALIVE) & (m["fe"] <= -ALIVE)


def one(search: Search, kind: str, number: int, args) -> dict:
    """Optimise a circuit and measure the volume around its optimum."""
    from scipy.stats import qmc

    judge = Judge(search, wiring=args.first_wiring + number)
    if kind == "rewired":
        rewire(judge, number)
    ms = round(args.seconds * 1000)
    rng = np.random.default_rng([number, KINDS.index(kind), 92])
    o = optimizer("cma", rng.uniform(0.25, 0.75, len(search.names)), 0.2, args.population, int(rng.integers(1, 2**31)))
    best, reached = o.mean, -np.inf
    for _ in range(args.generations):
        points = np.stack([o.ask() for _ in range(o.population_size)])
        found = score(judge, judge.measure(search.values(points), [(k, 0, 1) for k in range(len(points))], ms))
        o.tell([(x, -f) for x, f in zip(points, found, strict=True)])
        if found.max() > reached:
            best, reached = points[found.argmax()], found.max()
    points = np.stack([best, np.clip(o.mean, 0.0, 1.0)])
    again = [(k, 0, seed) for k in (0, 1) for seed in range(11, 19)]
    found = score(judge, judge.measure(search.values(points), again, ms)).reshape(2, -1).mean(axis=1)
    center, fitness = points[found.argmax()], float(found.max())
    cube = qmc.LatinHypercube(len(search.names), rng=rng).random(args.samples)
    ball = np.clip(center + (2.0 * cube - 1.0) * args.radius, 0.0, 1.0)
    m = judge.measure(search.values(ball), [(k, 0, 21 + k) for k in range(args.samples)], ms)
    return {"kind": kind, "wiring": args.first_wiring + number, "fitness": round(fitness, 4),
            "volume": round(float(alive(m).mean()), 4)}  # fmt: skip


def compared(found: list[dict]) -> dict:
    """Means and the rank-sum test of volumes and of fitness."""
    from scipy.stats import mannwhitneyu

    out = {}
    for key in ("fitness", "volume"):
        a, b = ([f[key] for f in found if f["kind"] == kind] for kind in KINDS)
        p = float(mannwhitneyu(a, b).pvalue) if min(len(a), len(b)) > 1 else None
        means = [float(np.mean(x)) if x else None for x in (a, b)]
        out[key] = {KINDS[0]: means[0], KINDS[1]: means[1], "n": len(a), "p": p}
    return out


def main(given=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("search", nargs="?", help="search file; the only shipped one if left out")
    add("--circuits", type=int, default=20, help="of either kind")
    add("--generations", type=int, default=25)
    add("--population", type=int, default=16)
    add("--seconds", type=float, default=6.0)
    add("--samples", type=int, default=64)
    add("--radius", type=float, default=0.1, help="of each parameter's range (logarithmic for PSPs)")
    add("--first-wiring", type=int, default=101)
    add("--out", default="out/basin.json")
    args = parser.parse_args(given)
    try:
        path = Path(args.search) if args.search else sorted(CALIBRATION.glob("*_search.yaml"))[0]
        search = Search(path, "step")
        search.conditions = [c for c in search.conditions if c[1] == search.main]
        out = Path(args.out)
        found = json.loads(out.read_text())["circuits"] if out.exists() else []
        done = {(f["kind"], f["wiring"]) for f in found}
        for number in range(args.circuits):
            for kind in KINDS:
                if (kind, args.first_wiring + number) in done:
                    continue
                began = time.perf_counter()
                found.append(one(search, kind, number, args))
                out.parent.mkdir(parents=True, exist_ok=True)
                result = {"options": vars(args), "circuits": found, "result": compared(found)}
                out.write_text(json.dumps(result, indent=1) + "\n")
                print(f"{kind:10s} {number + 1:3d}/{args.circuits}  fitness {found[-1]['fitness']:.2f}  "
                      f"volume {found[-1]['volume']:.2f}  {time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip
        print(json.dumps(compared(found)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
