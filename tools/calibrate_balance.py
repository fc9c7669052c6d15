"""Tune a body's reflex gains until it stands: evolution stands for phylogeny.

    python -m tools.calibrate_balance walker [--generations 20] [--population 14] [--method cma|es] [--resume]

Which projections may change, within which bounds, is written in assets/circuits/calibration/search_<body>.yaml. A
candidate's fitness is the mean of its survival (a fraction of gymnasium's cap) over training seeds and pushes, less
the standard deviation over seeds. The result, the centre of the search, is judged on seeds that neither search nor
tests use and written to assets/circuits/calibration/body_<body>.json with its provenance; scenes with that body take
it from there. The search itself is kept in out/balance_<body>.json after every generation (--resume).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np

from engine.errors import UserError
from tools.evolve import METHODS, Evolution, Parameter
from tools.judge import Arena, simulated, stand

CALIBRATION = Path(__file__).resolve().parent.parent / "assets" / "circuits" / "calibration"
CHECK_SEED = 501  # first of the validation seeds: the search uses 1 and up, tests 1001 and up
CHECKS = 10


class Balance:
    """Fitness of candidates (projection -> factor) for one body."""

    def __init__(self, body: str):
        import yaml

        path = CALIBRATION / f"search_{body}.yaml"
        if not path.is_file():
            raise UserError(f"calibrate_balance: expected a body with {CALIBRATION.name}/search_BODY.yaml, got {body}")
        self.text = path.read_text(encoding="utf-8")
        self.plan = yaml.safe_load(self.text)
        self.body, self.arena = body, Arena(body)
        self.parameters = [Parameter(name, *map(float, bounds)) for name, bounds in self.plan["gains"].items()]

    def survived(self, gains: dict[str, float], seed: int, push: float) -> float:
        """Fraction of the cap."""
        sim = simulated(self.plan["scene"], seed, {"body": {"gains": gains}})
        return stand(sim, self.arena, seed, push).survived / self.arena.cap

    def __call__(self, candidates: list[dict[str, float]]) -> list[float]:
        found = []
        for gains in candidates:
            lasted = [
                np.mean([self.survived(gains, 1 + k, push) for push in self.plan["pushes"]])
                for k in range(self.plan["seeds"])
            ]
            found.append(float(np.mean(lasted) - np.std(lasted)))
        return found


def main(words=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.calibrate_balance", description=__doc__.split("\n")[0])
    parser.add_argument("body")
    parser.add_argument("--generations", type=int, default=20, metavar="N", help="in all (default 20)")
    parser.add_argument("--population", type=int, default=14, metavar="N", help="candidates per generation")
    parser.add_argument("--sigma", type=float, default=0.12, metavar="X", help="first step, as a part of the log range")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the search")
    parser.add_argument("--minutes", type=float, default=math.inf, metavar="M", help="stop after the generation at M")
    parser.add_argument("--method", choices=METHODS, default="cma")
    parser.add_argument("--resume", action="store_true", help="go on with out/balance_BODY.json")
    args = parser.parse_args(words)
    balance = Balance(args.body)
    search = Evolution(
        balance.parameters, population=args.population, sigma=args.sigma, seed=args.seed, method=args.method,
        path=Path("out") / f"balance_{args.body}.json", resume=args.resume,
    )  # fmt: skip
    try:
        gains = search.run(balance, args.generations, lambda line: print(line, flush=True), 60.0 * args.minutes)
    except KeyboardInterrupt:
        print(f"interrupted after {len(search.generations)} generations: go on with --resume", file=sys.stderr)
        return 130
    gains = {name: float(f"{value:.4g}") for name, value in gains.items()}
    lasted = [balance.survived(gains, CHECK_SEED + k, 0.0) for k in range(CHECKS)]
    print(f"validation, seeds {CHECK_SEED} to {CHECK_SEED + CHECKS - 1}: mean {np.mean(lasted):.3f} of the cap, "
          f"{sum(x >= 1.0 for x in lasted)} of {CHECKS} whole")  # fmt: skip
    path = CALIBRATION / f"body_{args.body}.json"
    path.write_text(json.dumps({"provenance": {
        "tool": "tools/calibrate_balance.py", "scene": balance.plan["scene"], **{k: v for k, v in search.setup.items()
        if k != "parameters"}, "generations": len(search.generations),
        "search_sha256": hashlib.sha256(balance.text.encode()).hexdigest(),
        "training_seeds": [1, balance.plan["seeds"]], "validation_seeds": [CHECK_SEED, CHECK_SEED + CHECKS - 1],
        "validation_survival": [round(x, 3) for x in lasted],
    }, "gains": gains}, indent=1) + "\n")  # fmt: skip
    print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except UserError as error:
        print(f"calibrate_balance: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
