"""Search the parameters of a rhythm-generating circuit: frequency, phases, lesions and rest, judged over noise seeds.

    python -m tools.calibrate_cpg [SEARCH.yaml] [--method cma|es] [--generations N] [--resume] [--workers N] [--out DIR]
    python -m tools.calibrate_cpg --validate [ASSET.json] [--seeds 20] [--seconds 60]

The search file (assets/circuits/calibration/*_search.yaml) names the circuit, its parameters with bounds, what drives
it and what each lesion must do. Every candidate runs in every condition with every seed, all of them lanes of one batch
(tools/batch.py). Fitness is the mean over seeds of the summed scores, minus their SD. Each generation is kept, so that
an interrupted search (Ctrl-C) goes on with --resume. Writes assets/circuits/calibration/<structure>_any.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from engine.errors import UserError
from engine.units import quantity
from systems import rhythm
from tools.batch import WIDTH, Lanes, Lattice, upstream

CALIBRATION = Path(__file__).resolve().parent.parent / "assets" / "circuits" / "calibration"
BIN_MS = 10
SETTLE_MS = 2000
KINDS = ("psp", "tonic", "adaptation_tau", "adaptation_step")


class Search:
    """A search file: parameters in a unit box, conditions, targets."""

    def __init__(self, path: Path, focus: str = ""):
        try:
            data = yaml.safe_load(path.read_text())
            self.structure, self.scene, self.targets = data["structure"], data["scene"], data["targets"]
            self.pools, self.classes = data["pools"], data["classes"]
            self.random_phase = data["random_phase"]
            drive = data["drive"]
            self.driven = drive["population"]
            self.levels = [quantity(x, "potential") for x in drive["levels"]]
            self.main = quantity(drive["main"], "potential")
            self.parameters = data["parameters"]
            lesions = data["lesions"]
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a search file ({' '.join(str(error).split())})") from None
        self.path, self.focus, self.names = path, focus, list(self.parameters)
        self.bounds = np.array([self.parameters[n]["between"] for n in self.names], float)
        if (self.bounds[:, 0] >= self.bounds[:, 1]).any():
            raise UserError(f"{path}: between: expected a lowest and a highest value")
        self.log = self.bounds[:, 0] > 0
        # (lesion or "", level, cells silenced, projections cut, what is expected)
        self.conditions = [("", level, [], [], "step") for level in self.levels]
        self.conditions.append(("", quantity(drive["rest"], "potential"), [], [], "rest"))
        for name, spec in lesions.items():
            for level, expected in spec["at"].items():
                self.conditions.append((name, quantity(level, "potential"), spec.get("silence", []),
                                        spec.get("cut", []), expected))  # fmt: skip
        if focus:
            self.conditions = [c for c in self.conditions if c[4] in focus.split(",")]
            if not self.conditions:
                raise UserError(f"--focus: expected some of step, rest, hop, alternate, unrelated, rhythm, got {focus}")

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Parameters of points of the unit box, the last axis; what lies outside is an error."""
        if unit.min() < 0.0 or unit.max() > 1.0:
            raise UserError("a candidate lies outside its bounds")
        low, high = self.bounds.T
        with np.errstate(invalid="ignore", divide="ignore"):
            logarithmic = np.exp(np.log(low) + unit * (np.log(high) - np.log(low)))
        return np.clip(np.where(self.log, logarithmic, low + unit * (high - low)), low, high)

    def unit(self, values: np.ndarray) -> np.ndarray:
        """Points of the unit box of parameters; a value outside its bounds is an error."""
        low, high = self.bounds.T
        for name, value, (a, b) in zip(self.names, values, self.bounds, strict=True):
            if not a * (1 - 1e-9) - 1e-9 <= value <= b * (1 + 1e-9) + 1e-9:
                raise UserError(f"{name}: expected {a:g} to {b:g}, got {value:g}")
        with np.errstate(invalid="ignore", divide="ignore"):
            logarithmic = (np.log(values) - np.log(low)) / (np.log(high) - np.log(low))
        return np.clip(np.where(self.log, logarithmic, (values - low) / (high - low)), 0.0, 1.0)


def as_list(x) -> list:
    return x if isinstance(x, list) else [x]


def circuit_psps(search: Search) -> dict[str, float]:
    """Projection -> PSP in the circuit's file, by the name it has in a network."""
    from systems.spawn.network import load_circuit, sources_of

    out = {}
    circuit, _ = load_circuit(search.structure)
    for spec in circuit.projections:
        names = sources_of(spec, circuit)
        label = spec.name or "+".join(".".join(n) if n[0] != circuit.structure else n[1] for n in names) + f">{spec.to}"
        out[label] = spec.psp
    return out


def asset_of(search: Search, values: np.ndarray) -> dict:
    """What the engine loads: gains of projections, changes of cells, and the bounds of both."""
    psps = circuit_psps(search)
    gains, cells, bounds = {}, {}, {}
    for name, value in zip(search.names, values, strict=True):
        spec = search.parameters[name]
        for kind in KINDS:
            for target in as_list(spec.get(kind, [])):
                if kind == "psp":
                    key = f"{search.structure}:{target}"
                    gains[key] = round(float(value) / psps[target], 6)
                    bounds[key] = [round(b / psps[target], 6) for b in spec["between"]]
                else:
                    cells.setdefault(target, {})[kind] = round(float(value), 6)
                    bounds[f"{target}.{kind}"] = list(spec["between"])
    return {"background_hz": {}, "gains": gains, "cells": cells, "bounds": bounds}


class Judge:
    """Runs candidates through all conditions and scores them."""

    def __init__(self, search: Search, seed: int = 1, wiring: int = 1):
        from engine.scene import load_scene
        from systems.simulation import Simulation
        from systems.spawn.scene_model import SCENES, Scene

        bare = {"background_hz": {}, "gains": {}, "cells": {}}
        still = ["timeline=[]", "probes=[]", "expect=[]", "experiment=null"]
        scene, source = load_scene(search.scene, Scene, [SCENES], still)
        sim = Simulation(scene, source, seed=wiring, calibrations={search.structure: bare})
        self.search, self.lattice = search, Lattice(sim, upstream(sim.network, search.structure))
        it, s = self.lattice, search.structure
        self.driven = it.rows_of(search.driven)
        self.rows = {c: it.rows_of(f"{s}.*.{c}") for c in search.classes}
        places = {p.name: k for k, p in enumerate(it.populations)}
        self.pools = [places[f"{s}.{name}"] for side in search.pools.values() for name in side]
        self.members = [[k for k, p in enumerate(it.populations) if p.structure == s and p.cell_name == c]
                        for c in search.classes]  # fmt: skip
        self.cells = np.array([sum(it.populations[k].count for k in m) for m in self.members])
        self.psps = circuit_psps(search)
        self.live = int(sum(it.populations[k].structure == s for k in it.of_population))  # rows of the circuit itself
        self._played: dict[tuple[float, int], tuple[np.ndarray, np.ndarray]] = {}

    def played(self, wanted: list[tuple[float, int]], ms: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Spikes (ticks, places) of the cells outside the circuit for each (drive, seed); no candidate changes them."""
        new = [key for key in dict.fromkeys(wanted) if (*key, ms) not in self._played]
        unit = np.maximum(np.arange(self.lattice.neurons.size) - self.live, -1)
        for first in range(0, len(new), 16):
            some = new[first : first + 16]
            padded = some + [some[-1]] * (16 - len(some))
            lanes = Lanes(self.lattice, 16, seeds=[seed for _, seed in padded], unit=unit, units=unit.max() + 1)
            lanes.drive[self.driven] += np.array([level for level, _ in padded], np.float32)
            counts = lanes.run(ms, every=1)
            for lane, key in enumerate(some):
                self._played[*key, ms] = np.nonzero(counts[:, :, lane])
        return [self._played[*key, ms] for key in wanted]

    def lanes(self, values: np.ndarray, jobs: list[tuple[int, int, int]], jitter: float = 0.0) -> Lanes:
        """`jobs`: (candidate, condition, seed) of each lane; `values` [candidates, parameters]."""
        it, search, s = self.lattice, self.search, self.search.structure
        padded = jobs + [jobs[-1]] * (-len(jobs) % 16)
        lanes = Lanes(it, len(padded), seeds=[job[2] for job in padded])
        of = np.array([job[0] for job in padded])
        for k, name in enumerate(search.names):
            spec, mine = search.parameters[name], values[of, k].astype(np.float32)
            for target in as_list(spec.get("psp", [])):
                lanes.gain[it.projections_of(f"{s}:{target}")] = mine / np.float32(self.psps[target])
            for target in as_list(spec.get("tonic", [])):
                lanes.drive[it.rows_of(f"{s}.*.{target}")] = mine
            for target in as_list(spec.get("adaptation_tau", [])):
                lanes.a_decay[it.rows_of(f"{s}.*.{target}")] = np.exp(-1.0 / mine)
            for target in as_list(spec.get("adaptation_step", [])):
                lanes.a_step[it.rows_of(f"{s}.*.{target}")] = mine
        for lane, (_, condition, seed) in enumerate(padded):
            _, level, silenced, cut, _ = search.conditions[condition]
            lanes.drive[self.driven, lane] += level
            for cell in silenced:
                lanes.threshold[it.rows_of(f"{s}.*.{cell}"), lane] = np.inf
            for glob in cut:
                lanes.gain[it.projections_of(f"{s}:{glob}"), lane] = 0.0
            rng = np.random.default_rng([seed, 79])
            for population in it.populations:
                if population.structure == s and population.cell_name in search.random_phase:
                    lanes.w[it.place[population.neurons], lane] = rng.uniform(0.0, 10.0)
        if jitter:
            lanes.jitter = np.stack([np.maximum(np.random.default_rng([job[2], 80]).normal(1.0, jitter, it.weight.size),
                                                0.0) for job in padded], axis=1).astype(np.float32)  # fmt: skip
        return lanes

    def measure(self, values: np.ndarray, jobs: list[tuple[int, int, int]], ms: int, jitter: float = 0.0) -> dict:
        """Frequency [Hz], left-right, flexor-extensor, cycle CV [jobs] and class rates [classes, jobs]."""
        found = []
        for first in range(0, len(jobs), WIDTH):
            some = jobs[first : first + WIDTH]
            lanes = self.lanes(values, some, jitter)
            padded = some + [some[-1]] * (lanes.width - len(some))
            levels = [(self.search.conditions[condition][1], seed) for _, condition, seed in padded]
            lanes.play(self.live, self.played(levels, SETTLE_MS + ms), SETTLE_MS + ms)
            lanes.run(SETTLE_MS, BIN_MS)
            found.append(self.judge(lanes.run(ms, BIN_MS)[:, :, : len(some)], ms))
        return {key: np.concatenate([f[key] for f in found], axis=-1) for key in found[0]}

    def judge(self, counts: np.ndarray, ms: int) -> dict:
        """The same of counts [bins, populations, lanes]."""
        pools = rhythm.smooth(counts[:, self.pools], BIN_MS)  # left flexor, left extensor, right flexor, right extensor
        left, right = pools[:, 0] - pools[:, 1], pools[:, 2] - pools[:, 3]
        cycles = np.stack([rhythm.cycle_ms(x, BIN_MS) for x in (left, right)])
        with np.errstate(invalid="ignore"):
            known = ~np.isnan(cycles)
            mean = np.where(known, cycles, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
            cycle = np.where(known.any(axis=0), mean, np.nan)
        fe = [rhythm.phase_vector(pools[:, a], pools[:, a + 1], BIN_MS, cycle) for a in (0, 2)]
        cv = [[rhythm.cycle_cv(x[:, lane], BIN_MS) for lane in range(x.shape[1])] for x in (left, right)]
        total = np.stack([counts[:, m].sum(axis=(0, 1)) for m in self.members])
        return {
            "hz": 1000.0 / cycle, "lr": rhythm.phase_vector(left, right, BIN_MS, cycle), "fe": np.mean(fe, axis=0),
            "cv": np.mean(cv, axis=0), "rates": total / self.cells[:, None] / (ms / 1000.0),
        }  # fmt: skip

    def scores(self, unit: np.ndarray, seeds: list[int], ms: int) -> tuple[np.ndarray, dict]:
        """Score of each candidate and seed [candidates, seeds], and the measures [candidates, conditions, seeds]."""
        values = self.search.values(unit)
        c, k, s = len(values), len(self.search.conditions), len(seeds)
        jobs = [(a, b, seed) for a in range(c) for b in range(k) for seed in seeds]
        m = self.measure(values, jobs, ms)
        m = {key: x.reshape(*x.shape[:-1], c, k, s) for key, x in m.items()}
        return self.score(m), m

    def score(self, m: dict) -> np.ndarray:
        """Sum of what is reached of each target, weighted; [candidates, seeds]."""
        search, t = self.search, self.search.targets
        total = np.zeros(m["hz"].shape[::2])
        hz_of: dict[str, list] = {}
        for k, (_, level, _, _, expected) in enumerate(search.conditions):
            hz, lr, fe, cv, rates = m["hz"][:, k], m["lr"][:, k], m["fe"][:, k], m["cv"][:, k], m["rates"][:, :, k]
            band = inside(hz, *t["frequency"], np.log(3.0))
            if expected in ("step", "rhythm"):
                weight = 1.0 if expected == "step" else 0.7
                regular = reach(-np.nan_to_num(cv, nan=1.0), -t["cycle_cv"], 0.5)
                total += weight * (band + reach(-fe, 0.97) + 0.7 * regular)
                hz_of.setdefault(expected, []).append(hz)
            if expected == "step":
                total += reach(-lr, 0.97)
                much = 4.0 if level == search.main else 0.3
                total += much * inside(rates, *t["class_hz"], np.log(2.5)).mean(axis=0)
            elif expected == "rest":
                total += 4.0 * inside(rates, *t["rest_hz"], np.log(5.0)).mean(axis=0)
            elif expected == "hop":
                total += 1.5 * reach(lr, 0.96)
            elif expected == "alternate":
                total += 1.5 * reach(-lr, 0.96)
            elif expected == "unrelated":
                total += 1.5 * reach(-np.abs(fe), -0.1)
        for expected, hz in hz_of.items():  # faster with more drive
            weight = 2.0 if expected == "step" else 0.5
            rise = np.diff(np.log(np.nan_to_num(np.stack(hz), nan=0.05)), axis=0)
            step = np.log(t["rise"]) / len(rise)
            total += weight * np.clip(np.clip(rise, None, 1.5 * step).sum(axis=0) / np.log(t["rise"]), 0.0, 1.0)
            total += 0.5 * weight * (rise > 0.02).mean(axis=0)
        return total

    def fitness(self, unit: np.ndarray, seeds: list[int], ms: int) -> np.ndarray:
        scores, _ = self.scores(unit, seeds, ms)
        return scores.mean(axis=1) - scores.std(axis=1)


def reach(x: np.ndarray, aim: float, span: float = 0.0) -> np.ndarray:
    """1 at the aim and above, falling to 0 at a distance of `span` (from the other end of -1..1 if left out)."""
    span = span or 1.0 + aim
    short = np.clip((aim - np.nan_to_num(x, nan=-1.0)) / span, 0.0, 1.0)
    return 1.0 - 0.7 * short - 0.3 * np.minimum(1.0, short * 10.0)  # the last tenth counts as much as half the way


def inside(x: np.ndarray, low: float, high: float, span: float) -> np.ndarray:
    """1 within the band, falling to 0 at a distance of `span` in log units; 0 for NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(np.maximum(np.nan_to_num(x, nan=0.0), 1e-3))
    off = np.maximum(np.log(low) - log, log - np.log(high))
    return np.where(np.isnan(x), 0.0, 1.0 - np.clip(off / span, 0.0, 1.0))


# searching --------------------------------------------------------------------------------------------------------


class Evolution:
    """A plain evolution strategy: the best quarter moves mean and spread (experiments 36); same interface as CMA."""

    def __init__(self, mean: np.ndarray, sigma: float, population: int, seed: int):
        self.mean, self.sigma, self.population_size = mean, np.full(mean.size, sigma), population
        self.rng, self.generation = np.random.default_rng(seed), 0

    def ask(self) -> np.ndarray:
        for _ in range(100):
            x = self.rng.normal(self.mean, self.sigma)
            if x.min() >= 0.0 and x.max() <= 1.0:
                return x
        return np.clip(x, 0.0, 1.0)

    def tell(self, solutions: list[tuple[np.ndarray, float]]) -> None:
        best = np.stack([x for x, _ in sorted(solutions, key=lambda s: s[1])[: max(2, len(solutions) // 4)]])
        self.mean = 0.3 * self.mean + 0.7 * best.mean(axis=0)
        self.sigma = np.maximum(0.3 * self.sigma + 0.7 * best.std(axis=0), 0.01)
        self.generation += 1


def optimizer(method: str, start: np.ndarray, sigma: float, population: int, seed: int):
    """Something that asks and tells in the unit box."""
    if method == "es":
        return Evolution(start, sigma, population, seed)
    from cmaes import CMA

    box = np.stack([np.zeros(start.size), np.ones(start.size)], axis=1)
    return CMA(mean=start, sigma=sigma, bounds=box, seed=seed, population_size=population, n_max_resampling=100)


class Pool:
    """Candidates to whoever computes: this process, or Dask workers that each keep a judge."""

    def __init__(self, judge: Judge, workers: str | None):
        self.judge, self.client = judge, None
        if workers:
            try:
                from distributed import Client, LocalCluster
            except ImportError:
                raise UserError("--workers needs dask's distributed: pip install encephagen[experiments]") from None
            if workers.isdigit():
                self.client = Client(LocalCluster(n_workers=int(workers), threads_per_worker=1, dashboard_address=None))
            else:
                self.client = Client(workers, timeout="10s")

    def fitness(self, unit: np.ndarray, seeds: list[int], ms: int) -> np.ndarray:
        if self.client is None:
            return self.judge.fitness(unit, seeds, ms)
        parts = np.array_split(unit, max(1, len(self.client.ncores())))
        path = str(self.judge.search.path)
        focus = self.judge.search.focus
        jobs = [self.client.submit(_fitness, path, focus, part, seeds, ms, pure=False) for part in parts if len(part)]
        return np.concatenate(self.client.gather(jobs))

    def close(self) -> None:
        if self.client is not None:
            self.client.close()


_judges: dict[tuple[str, str], Judge] = {}


def _fitness(path: str, focus: str, unit: np.ndarray, seeds: list[int], ms: int) -> np.ndarray:
    if (path, focus) not in _judges:
        _judges[path, focus] = Judge(Search(Path(path), focus))
    return _judges[path, focus].fitness(unit, seeds, ms)


def search_for(judge: Judge, args) -> np.ndarray:
    """The best point of the unit box; every generation is kept in --out."""
    search = judge.search
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{search.structure}_{args.method}.pkl"
    if args.resume and kept.exists():
        state = pickle.loads(kept.read_bytes())
        vars(state["optimizer"]).update(state["exactly"])
    else:
        psps = circuit_psps(search)
        start = np.array([start_of(search, n, psps) for n in search.names])
        if args.start:
            if args.start.endswith(".pkl"):
                start = pickle.loads(Path(args.start).read_bytes())["mean"]
            else:
                start = search.unit(values_of(search, json.loads(Path(args.start).read_text())))
            start = np.clip(start, 0.02, 0.98)
        state = {"optimizer": optimizer(args.method, start, args.sigma, args.population, args.seed),
                 "best": start, "fitness": -np.inf, "history": []}  # fmt: skip
    seeds = list(range(args.seed, args.seed + args.seeds))
    pool = Pool(judge, args.workers)
    try:
        while state["optimizer"].generation < args.generations:
            began = time.perf_counter()
            o = state["optimizer"]
            points = np.stack([o.ask() for _ in range(o.population_size)])
            fitness = pool.fitness(points, seeds, round(args.seconds * 1000))
            o.tell([(x, -f) for x, f in zip(points, fitness, strict=True)])
            if fitness.max() > state["fitness"]:
                state["best"], state["fitness"] = points[fitness.argmax()], float(fitness.max())
            state["mean"] = np.clip(o.mean, 0.0, 1.0)
            state["exactly"] = {k: v for k, v in vars(o).items() if k in ("_rng", "_C")}  # CMA's pickle changes them
            state["history"].append((float(fitness.max()), float(fitness.mean())))
            temporary = kept.with_suffix(".part")
            temporary.write_bytes(pickle.dumps(state))
            os.replace(temporary, kept)
            if not args.quiet:
                print(f"generation {o.generation:4d}/{args.generations}  best {state['fitness']:.3f}  "
                      f"now {fitness.max():.3f}  mean {fitness.mean():.3f}  {time.perf_counter() - began:.1f} s",
                      flush=True)  # fmt: skip
    except KeyboardInterrupt:
        print(f"interrupted; go on with --resume (kept in {kept})", file=sys.stderr)
    finally:
        pool.close()
    # the best of a noisy search was lucky: the mean of the search and the best are judged again on seeds of their own
    again = list(range(args.seed + 500, args.seed + 500 + 2 * args.seeds))
    points = np.stack([state["best"], state.get("mean", state["best"])])
    fitness = judge.fitness(points, again, round(args.seconds * 1000))
    return points[int(fitness.argmax())]


def start_of(search: Search, name: str, psps: dict[str, float]) -> float:
    """Where a parameter starts in the unit box: its `start`, or what the circuit's file says, within the bounds."""
    from systems.spawn.network import load_circuit

    spec = search.parameters[name]
    low, high = spec["between"]
    circuit, _ = load_circuit(search.structure)
    if "start" in spec:
        value = spec["start"]
    elif "psp" in spec:
        value = psps[as_list(spec["psp"])[0]]
    elif "tonic" in spec:
        value = circuit.cells[spec["tonic"]].tonic or 0.5 * (low + high)
    else:
        adaptation = circuit.cells[as_list(spec.get("adaptation_tau") or spec.get("adaptation_step"))[0]].adaptation
        value = adaptation.tau if "adaptation_tau" in spec else adaptation.step
    k = search.names.index(name)
    values = search.values(np.full(len(search.names), 0.5))
    values[k] = np.clip(value, low, high)
    return float(np.clip(search.unit(values)[k], 0.05, 0.95))


def values_of(search: Search, asset: dict) -> np.ndarray:
    """Parameters of an asset, bounds checked."""
    psps, values = circuit_psps(search), []
    for name in search.names:
        spec = search.parameters[name]
        kind = next(k for k in KINDS if k in spec)
        target = as_list(spec[kind])[0]
        if kind == "psp":
            values.append(asset["gains"][f"{search.structure}:{target}"] * psps[target])
        else:
            values.append(asset["cells"][target][kind])
    values = np.array(values)
    search.unit(values)
    return values


# results ----------------------------------------------------------------------------------------------------------


def mean_of(x: np.ndarray) -> float:
    return float(np.nanmean(x)) if (~np.isnan(x)).any() else np.nan


def table_of(search: Search, m: dict) -> list[str]:
    """A line per condition: means and extremes over seeds of one candidate's measures [conditions, seeds]."""
    lines = []
    for k, (lesion, level, _, _, expected) in enumerate(search.conditions):
        rates = zip(search.classes, m["rates"][:, k].mean(axis=-1), strict=True)
        phases = "  ".join(f"{n} {x.mean():+.2f} ({x.min():+.2f} to {x.max():+.2f})"
                           for n, x in (("lr", m["lr"][k]), ("fe", m["fe"][k])))  # fmt: skip
        what = f"{lesion or 'intact':9s} {level:5.1f} mV {expected:9s} {mean_of(m['hz'][k]):5.2f} Hz"
        lines.append(f"{what}  {phases}  cv {mean_of(m['cv'][k]):.3f}  " + " ".join(f"{c} {r:.0f}" for c, r in rates))
    return lines


def validate(search: Search, values: np.ndarray, seeds: list[int], ms: int) -> dict:
    """Measures on wirings and noise of these seeds [conditions, seeds]; what 20 % jitter of every weight leaves."""
    main = next(k for k, c in enumerate(search.conditions) if c[1] == search.main and c[4] == "step")
    found, jittered = [], []
    for seed in seeds:
        judge = Judge(search, wiring=seed)
        found.append(judge.measure(values[None], [(0, k, seed) for k in range(len(search.conditions))], ms))
        jittered.append(judge.measure(values[None], [(0, main, seed)], ms, jitter=0.2))
    m = {key: np.stack([f[key] for f in found], axis=-1) for key in found[0]}
    j = {key: np.concatenate([f[key] for f in jittered], axis=-1) for key in jittered[0]}
    alive = (j["hz"] >= 0.5) & (j["hz"] <= 1.2) & (j["lr"] <= -0.8) & (j["fe"] <= -0.8)
    return {"measures": m, "jitter": j, "survived": float(alive.mean())}


def write(search: Search, values: np.ndarray, fitness: float, args, extra: dict) -> Path:
    """The asset, whole or not at all."""
    path = CALIBRATION / f"{search.structure}_any.json"
    provenance = {
        "tool": "tools/calibrate_cpg.py", "search": search.path.name,
        "search_sha256": hashlib.sha256(search.path.read_bytes()).hexdigest(),
        "method": args.method, "seed": args.seed, "seeds": args.seeds, "generations": args.generations,
        "population": args.population, "seconds": args.seconds, "fitness": round(fitness, 4), **extra,
    }  # fmt: skip
    content = {"provenance": provenance, **asset_of(search, values)}
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, path)
    return path


def arguments(given) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("search", nargs="?", help="search file; the only shipped one if left out")
    add("--method", choices=("cma", "es"), default="cma", help="covariance matrix adaptation, or a plain strategy")
    add("--generations", type=int, default=200)
    add("--population", type=int, default=24)
    add("--sigma", type=float, default=0.15, help="first spread in the unit box")
    add("--seed", type=int, default=1)
    add("--seeds", type=int, default=5, help="noise seeds of each candidate (20 for --validate)")
    add("--seconds", type=float, default=10.0, help="simulated seconds judged, after 2 s to settle")
    add("--focus", default="", help="judge only by these: step,rest,hop,alternate,unrelated,rhythm")
    add("--start", help="an asset, or a kept search, to start from")
    add("--resume", action="store_true", help="go on where the last search was interrupted")
    add("--workers", help="Dask: number of processes, or tcp://address of a scheduler")
    add("--out", default="out/calibrate", help="where every generation is kept")
    add("--validate", nargs="?", const="", metavar="ASSET", help="judge an asset instead, on seeds from 1001")
    add("--quiet", action="store_true")
    return parser.parse_args(given)


def main(given=None) -> int:
    args = arguments(given)
    try:
        shipped = sorted(CALIBRATION.glob("*_search.yaml"))
        search = Search(Path(args.search) if args.search else shipped[0], args.focus)
        if args.validate is None:
            judge = Judge(search)
            best = search_for(judge, args)
            values = search.values(best)
            if search.focus:
                print(f"judged by {search.focus} only: nothing written; go on with --start {args.out}/....pkl")
                return 0
            fitness = float(
                judge.fitness(best[None], list(range(501, 501 + args.seeds)), round(args.seconds * 1000))[0]
            )
        else:
            path = Path(args.validate) if args.validate else CALIBRATION / f"{search.structure}_any.json"
            values = values_of(search, json.loads(path.read_text()))
        seeds = list(range(1001, 1001 + (args.seeds if args.validate is not None else 10)))
        found = validate(search, values, seeds, round(args.seconds * 1000))
        print("\n".join(table_of(search, found["measures"])))
        print(f"20 % weight jitter: {found['survived']:.0%} of {len(seeds)} draws keep the rhythm "
              f"({np.nanmin(found['jitter']['hz']):.2f} to {np.nanmax(found['jitter']['hz']):.2f} Hz)")  # fmt: skip
        if args.validate is None:
            lines = [" ".join(line.split()) for line in table_of(search, found["measures"])]
            path = write(search, values, fitness, args, {"validated_on": [seeds[0], seeds[-1]], "validation": lines})
            print(f"kept in {path}")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
