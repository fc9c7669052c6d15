"""Search for numbers that make a circuit do its job: CMA-ES or a plain evolution strategy, resumable bit for bit.

Parameters are bounded and searched on a log scale, so a step means the same factor for each. The caller judges: `run`
hands a whole generation to `fitness` and keeps what came back in a JSON file after every generation. A search resumed
from that file replays it and goes on exactly as it would have; the file also is the provenance of the result.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import UserError

METHODS = ("cma", "es")
Candidate = dict[str, float]


@dataclass(frozen=True)
class Parameter:
    """A number to find, within physiological bounds."""

    name: str
    low: float
    high: float
    start: float

    def __post_init__(self):
        if not 0.0 < self.low < self.high:
            raise UserError(f"{self.name}: expected bounds 0 < low < high, got {self.low:g} and {self.high:g}")
        if not self.low <= self.start <= self.high:
            raise UserError(f"{self.name}: expected a start in {self.low:g} to {self.high:g}, got {self.start:g}")

    def value(self, unit: float) -> float:
        """0..1 -> low..high, by equal factors."""
        return min(self.low * (self.high / self.low) ** min(max(unit, 0.0), 1.0), self.high)

    @property
    def unit(self) -> float:
        """The start as 0..1."""
        return math.log(self.start / self.low) / math.log(self.high / self.low)


class PlainStrategy:
    """Elitist Gaussian search with the interface of cmaes.CMA (minimises): the best quarter moves mean and spread.

    The mean is 0.3 old + 0.7 of the elite's, the spread 0.7 old + 0.3 of theirs, axis by axis.
    """

    def __init__(self, mean: np.ndarray, sigma: float, population_size: int, seed: int):
        self.mean, self.spread = mean.copy(), np.full(mean.size, sigma)
        self.population_size = population_size
        self.rng = np.random.default_rng(seed)

    def ask(self) -> np.ndarray:
        return np.clip(self.mean + self.spread * self.rng.standard_normal(self.mean.size), 0.0, 1.0)

    def tell(self, solutions: list[tuple[np.ndarray, float]]) -> None:
        ranked = sorted(solutions, key=lambda s: s[1])
        elite = np.array([x for x, _ in ranked[: max(2, len(ranked) // 4)]])
        self.mean = 0.3 * self.mean + 0.7 * elite.mean(axis=0)
        self.spread = np.maximum(0.7 * self.spread + 0.3 * elite.std(axis=0), 0.01)


class Evolution:
    """A search in progress. Fitness is maximised; NaN counts as the worst of its generation."""

    def __init__(self, parameters: list[Parameter], *, population: int = 16, sigma: float = 0.2, seed: int = 1,
                 method: str = "cma", path: Path | None = None, resume: bool = False):  # fmt: skip
        if method not in METHODS:
            raise UserError(f"--method: expected one of {', '.join(METHODS)}, got {method}")
        self.parameters, self.path = parameters, path
        self.setup = {
            "method": method, "population": population, "sigma": sigma, "seed": seed,
            "parameters": {p.name: [p.low, p.high, p.start] for p in parameters},
        }  # fmt: skip
        mean = np.array([p.unit for p in parameters])
        if method == "es":
            self.strategy = PlainStrategy(mean, sigma, population, seed)
        else:
            from cmaes import CMA

            bounds = np.tile((0.0, 1.0), (len(parameters), 1))
            self.strategy = CMA(mean=mean, sigma=sigma, bounds=bounds, population_size=population, seed=seed)
        self.generations: list[dict] = []  # [{points [population, parameters], fitness [population]}]
        if resume and path is not None and path.is_file():
            self._replay(json.loads(path.read_text()))

    def _replay(self, saved: dict) -> None:
        if saved["setup"] != self.setup:
            raise UserError(f"{self.path}: was made by another search (parameters, method or seed); expected the same")
        for generation in saved["generations"]:
            points = self._ask()
            if not np.array_equal(points, np.array(generation["points"])):
                raise UserError(f"{self.path}: cannot go on from there: the sampler of this version draws otherwise")
            self._tell(points, np.array(generation["fitness"], float))

    def _ask(self) -> np.ndarray:
        return np.array([self.strategy.ask() for _ in range(self.setup["population"])])

    def _tell(self, points: np.ndarray, fitness: np.ndarray) -> None:
        known = np.isfinite(fitness)
        worst = fitness[known].min() - 1.0 if known.any() else -1e9
        fitness = np.where(known, fitness, worst)
        self.strategy.tell([(x, -f) for x, f in zip(points, fitness, strict=True)])
        self.generations.append({"points": points.tolist(), "fitness": fitness.tolist()})

    def candidate(self, point) -> Candidate:
        """Parameter values of a point in the unit cube."""
        return {p.name: float(p.value(x)) for p, x in zip(self.parameters, point, strict=True)}

    @property
    def centre(self) -> Candidate:
        """Where the search stands: less a matter of luck than the best candidate of noisy evaluations."""
        mean = self.strategy.mean
        return self.candidate(np.clip(mean, 0.0, 1.0))

    @property
    def best(self) -> tuple[Candidate, float]:
        """The best candidate seen, and its fitness."""
        if not self.generations:
            return self.centre, -math.inf
        rows = [(f, x) for g in self.generations for x, f in zip(g["points"], g["fitness"], strict=True)]
        fitness, point = max(rows, key=lambda row: row[0])
        return self.candidate(point), fitness

    def save(self) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(".part")
            part.write_text(json.dumps({"setup": self.setup, "generations": self.generations}))
            part.replace(self.path)

    def run(self, fitness: Callable[[list[Candidate]], list[float]], generations: int, say=print,
            until_s: float = math.inf) -> Candidate:  # fmt: skip
        """Go on to `generations` in all (or for `until_s`); Ctrl-C keeps the finished ones. Returns the centre."""
        started = time.monotonic()
        while len(self.generations) < generations and time.monotonic() - started < until_s:
            points = self._ask()
            found = np.array(fitness([self.candidate(x) for x in points]), float)
            self._tell(points, found)
            self.save()
            kept = np.array(self.generations[-1]["fitness"])
            say(f"generation {len(self.generations)}/{generations}: best {kept.max():.4g}, mean {kept.mean():.4g}, "
                f"best so far {self.best[1]:.4g}")  # fmt: skip
        return self.centre
