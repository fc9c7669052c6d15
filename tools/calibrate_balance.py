"""Tune a body's reflex gains until it stands, walks or does what a scene expects: evolution stands for phylogeny.

    python -m tools.calibrate_balance walker [--generations 20] [--population 14] [--method cma|es] [--resume]

Which projections may change, within which bounds, is written in assets/circuits/calibration/search_<name>.yaml. A
candidate's fitness is the mean of its survival (a fraction of gymnasium's cap; where the goal is to walk, also of the
way it came) over training seeds and pushes, less `spread` (1) times the standard deviation over seeds. For the goal
`expect`, it is how far inside their bands the expectations of the scene lie in each of the `variants` (changes to it),
and whether the probes named under `rises` rise from one variant to the next. With `fresh:
true` each generation is judged on seeds of its own, so that no candidate can live off the luck of a few. The result,
the centre of the search, is judged on seeds that neither search nor tests use and written with its provenance to
assets/circuits/calibration/body_<body>.json, from which scenes with that body take it; gains that the search does not
touch stay. The search itself is kept in out/balance_<name>.json after every generation (--resume).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np

from engine.errors import UserError
from tools.evolve import METHODS, Evolution, Parameter
from tools.judge import Arena, simulated, stand

INSIDE = 0.2  # of half a band's width from its edge is well inside
RISE = 0.15  # of the mean from one variant to the next is a clear rise
LOOK = "100 ms"

CALIBRATION = Path(__file__).resolve().parent.parent / "assets" / "circuits" / "calibration"
CHECK_SEED = 501  # first of the validation seeds: the search uses 1 and up, tests 1001 and up
CHECKS = 10


class Balance:
    """Fitness of candidates (projection -> factor) in one search."""

    def __init__(self, name: str):
        import yaml

        path = CALIBRATION / f"search_{name}.yaml"
        if not path.is_file():
            known = sorted(p.stem.removeprefix("search_") for p in CALIBRATION.glob("search_*.yaml"))
            raise UserError(f"calibrate_balance: expected one of {', '.join(known)}, got {name}")
        self.text = path.read_text(encoding="utf-8")
        self.plan = yaml.safe_load(self.text)
        self.expects = self.plan.get("goal") == "expect"
        self.arena = None if self.expects else Arena(self.plan["body"])
        self.path = CALIBRATION / f"body_{self.plan['body']}.json"
        self.stored = json.loads(self.path.read_text()) if self.path.is_file() else {"provenance": {}, "gains": {}}
        self.kept = {k: v for k, v in self.stored["gains"].items() if k not in self.plan["gains"]}
        self.parameters = [Parameter(name, *map(float, bounds)) for name, bounds in self.plan["gains"].items()]
        self.generation = 0  # how many were judged

    @property
    def seeds(self) -> list[int]:
        """Of the generation that is next."""
        count = self.plan["seeds"]
        first = 1 + self.generation * count % (CHECK_SEED - count) if self.plan.get("fresh") else 1
        return list(range(first, first + count))

    def values(self, gains: dict[str, float], seed: int, changes: list[str]):
        """The scene's expectations, and what its probes read with these gains on top of the body's own."""
        from systems.probes import Probes

        sim = simulated(self.plan["scene"], seed, {"body": {"gains": self.kept | gains}}, changes)
        probes = Probes(sim)
        while sim.tick < sim.scene.duration:
            sim.run(LOOK)
            probes.look()
        return sim.scene.expect, probes.values()

    def expected(self, gains: dict[str, float], seed: int) -> tuple[float, dict[str, dict[str, float]]]:
        """Mean score over expectations and rises, each -1 .. 1, and the readings of every variant."""
        scores, readings = [], {}
        for name, changes in self.plan["variants"].items():
            lines, readings[name] = self.values(gains, seed, [*self.plan.get("set", ()), *(changes or ())])
            scores += [inside(readings[name][line.probe], line.bounds) for line in lines]
        for probe in self.plan.get("rises", ()):
            seen = [readings[name][probe] for name in self.plan["variants"]]
            scores += [rise(a, b) for a, b in itertools.pairwise(seen)]
        return float(np.mean(scores)), readings

    def episode(self, gains: dict[str, float], seed: int, push: float = 0.0):
        """What happens with these gains on top of the body's own."""
        sim = simulated(self.plan["scene"], seed, {"body": {"gains": self.kept | gains}})
        return stand(sim, self.arena, seed, push)

    def worth(self, episode) -> float:
        """Survival as a fraction of the cap; where the goal is to walk, also metres (up to 4) and even steps."""
        survived = episode.survived / self.arena.cap
        if self.plan.get("goal", "stand") == "stand":
            return survived
        even = 2.0 * min(episode.stance) / max(1, sum(episode.stance)) * min(1.0, episode.steps / 10.0)
        return survived * (1.0 + 0.5 * min(max(episode.travelled_m, -1.0), 4.0) + 0.5 * even)

    def validation(self, gains: dict[str, float]) -> dict:
        """What these gains do on seeds that the search does not use; a scene of expectations whole, without `set`."""
        seeds = range(CHECK_SEED, CHECK_SEED + CHECKS)
        if self.expects:
            self.plan.pop("set", None)
            found = [self.expected(gains, seed) for seed in seeds]
            probes = [line.probe for line in self.values(gains, CHECK_SEED, ["duration=100 ms"])[0]]
            read = {name: {p: [round(float(r[name][p]), 3) for _, r in found] for p in probes} for name in found[0][1]}
            return {"validation_score": [round(score, 3) for score, _ in found], "validation": read}
        runs = [self.episode(gains, seed) for seed in seeds]
        return {"validation_survived": [e.survived for e in runs],
                "validation_travelled_m": [round(e.travelled_m, 2) for e in runs]}  # fmt: skip

    def __call__(self, candidates: list[dict[str, float]]) -> list[float]:
        found = []
        for gains in candidates:
            lasted = (
                [self.expected(gains, seed)[0] for seed in self.seeds]
                if self.expects
                else [
                    np.mean([self.worth(self.episode(gains, seed, push)) for push in self.plan["pushes"]])
                    for seed in self.seeds
                ]
            )
            found.append(float(np.mean(lasted) - self.plan.get("spread", 1.0) * np.std(lasted)))
        self.generation += 1
        return found


def inside(value: float, bounds: tuple[float, float]) -> float:
    """-1 (half a band's width or more outside) .. 1 (well inside); NaN is -1. An open band is twice its edge wide."""
    half = (bounds[1] - bounds[0]) / 2.0
    half = half if math.isfinite(half) else next(abs(b) or 1.0 for b in bounds if math.isfinite(b))
    away = min(value - bounds[0], bounds[1] - value) / half
    if math.isnan(away):
        return -1.0
    return max(away, -1.0) if away < 0 else min(away / INSIDE, 1.0)


def rise(before: float, after: float) -> float:
    """-1 .. 1: 1 is a clear rise; NaN is -1."""
    share = (after - before) / (RISE * (abs(after) + abs(before)) / 2.0 + 1e-12)
    return -1.0 if math.isnan(share) else min(max(share, -1.0), 1.0)


def main(words=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.calibrate_balance", description=__doc__.split("\n")[0])
    parser.add_argument("search", help="BODY of a file search_BODY.yaml, or another name there")
    parser.add_argument("--generations", type=int, default=20, metavar="N", help="in all (default 20)")
    parser.add_argument("--population", type=int, default=14, metavar="N", help="candidates per generation")
    parser.add_argument("--sigma", type=float, default=0.12, metavar="X", help="first step, as a part of the log range")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the search")
    parser.add_argument("--minutes", type=float, default=math.inf, metavar="M", help="stop after the generation at M")
    parser.add_argument("--method", choices=METHODS, default="cma")
    parser.add_argument("--resume", action="store_true", help="go on with out/balance_SEARCH.json")
    args = parser.parse_args(words)
    balance = Balance(args.search)
    search = Evolution(
        balance.parameters, population=args.population, sigma=args.sigma, seed=args.seed, method=args.method,
        path=Path("out") / f"balance_{args.search}.json", resume=args.resume,
    )  # fmt: skip
    balance.generation = len(search.generations)
    try:
        gains = search.run(balance, args.generations, lambda line: print(line, flush=True), 60.0 * args.minutes)
    except KeyboardInterrupt:
        print(f"interrupted after {len(search.generations)} generations: go on with --resume", file=sys.stderr)
        return 130
    gains = {name: float(f"{value:.4g}") for name, value in gains.items()}
    validation = balance.validation(gains)
    print(f"validation, seeds {CHECK_SEED} to {CHECK_SEED + CHECKS - 1}: {validation}")
    provenance = {
        "tool": "tools/calibrate_balance.py", "scene": balance.plan["scene"],
        **{k: v for k, v in search.setup.items() if k != "parameters"}, "generations": len(search.generations),
        "search_sha256": hashlib.sha256(balance.text.encode()).hexdigest(),
        "training_seeds": [1, max(balance.plan["seeds"], balance.seeds[0] - 1)],
        "validation_seeds": [CHECK_SEED, CHECK_SEED + CHECKS - 1],
        **validation,
    }  # fmt: skip
    stored = {"provenance": balance.stored["provenance"] | {args.search: provenance}, "gains": balance.kept | gains}
    balance.path.write_text(json.dumps(stored, indent=1) + "\n")
    print(f"wrote {balance.path.name}")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except UserError as error:
        print(f"calibrate_balance: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
