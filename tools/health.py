"""`encephagen health`: every population against its declared band, at rest and under its stimulus; coupling shares."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from engine.errors import UserError
from tools import common
from tools.health_measure import (
    CUTS,
    STIMULUS_MS,
    UNTOUCHED,
    WARM_UP_MS,
    Job,
    Measured,
    build,
    cut_overrides,
    expected_of,
    measure,
    present,
    stimuli_of,
    unjoined,
)
from tools.summary import number

HIGHEST = 200.0  # Hz: no population fires faster over any second, in any state (design section 6)
STANDARD_ERRORS = 3.0  # a cut must change rates or correlations by more
OPERATING_POINT = {"rate": (3.0, 8.0), "cv": (0.7, 1.1), "correlation": (0.008, 0.1)}  # of the adult profile
ON_TARGET = 0.2  # relative distance of a region's rate from its target, adult


def arguments(parser) -> None:
    common.add_scene(parser, optional=True)
    parser.add_argument("--seeds", type=common.whole(1, 1000), default=1, metavar="N",
                        help="runs with as many seeds, from the scene's or --seed upwards")  # fmt: skip
    parser.add_argument("--rest", default="20s", metavar="TIME", help="simulated time at rest that is measured")
    parser.add_argument("--cut", action="store_true",
                        help="also without recurrent and without long-range excitation of the regions")  # fmt: skip
    parser.add_argument("--workers", type=common.whole(1, 64), default=1, metavar="N", help="runs at a time")
    parser.add_argument("--json", metavar="FILE", help="write everything measured as JSON; - is standard output")
    parser.add_argument("--figures", metavar="DIR", help="draw rasters and rates of every structure (.png)")
    common.add_quiet(parser)


def run(args) -> int:
    rest_ms = whole_ms("--rest", args.rest)
    common.check_outputs({"--json": None if args.json == "-" else args.json}, {})
    sim = build(args.scene, args.set, args.seed)
    network = sim.network
    if network is None:
        raise UserError(f"{sim.source.name}: this scene has no brain, so nothing to measure")
    common.check_outputs({"--json": None if args.json == "-" else args.json}, common.inputs_of(sim, None))
    if args.figures is not None:
        folder_of(args.figures)
    if args.cut and not any(p.cell.per == "region" for p in present(network)):
        raise UserError(f"--cut: {sim.source.name} has no populations per region")
    scene = str(sim.source.path)
    seeds = [sim.seed + k for k in range(args.seeds)]
    jobs = [Job(scene, tuple(args.set), seed, rest_ms, pictures=args.figures is not None and seed == seeds[0])
            for seed in seeds]  # fmt: skip
    for kind in CUTS if args.cut else ():
        cut = (*args.set, *cut_overrides(network, kind))
        jobs += [Job(scene, cut, seed, rest_ms, kind) for seed in seeds]
    common.say(f"{sim.source.name}: {len(jobs)} run{'s' * (len(jobs) > 1)} of {WARM_UP_MS / 1000:g} s to settle and "
               f"{rest_ms / 1000:g} s at rest; {len(stimuli_of(network))} stimuli of {STIMULUS_MS / 1000:g} s",
               args.quiet)  # fmt: skip
    runs = []
    for done in measured(jobs, sim, min(args.workers, len(jobs))):
        runs.append(done)
        state = f" without {CUTS[done.cut]} excitation" if done.cut else ""
        common.say(f"seed {done.seed}{state}: measured in {done.wall_s:.1f} s", args.quiet)
    runs.sort(key=lambda r: seeds.index(r.seed))
    found = judged(sim, runs, seeds, rest_ms)
    if args.json is not None:
        common.write_json(args.json, found)
    if args.figures is not None:
        from tools.health_figures import draw

        for path in draw(sim, next(r for r in runs if r.pictures), Path(args.figures)):
            common.say(f"drew {path}", args.quiet)
    if not args.quiet and args.json != "-":
        from tools.health_show import show

        show(found)
    return 0 if found["healthy"] else 1


def whole_ms(option: str, text: str) -> int:
    """A duration of at least a tenth of a second, in ticks."""
    from engine.units import quantity

    try:
        ms = quantity(text, "time")
    except UserError as error:
        raise UserError(f"{option}: {error}") from None
    if not 100 <= ms <= 3_600_000 or ms != round(ms):
        raise UserError(f"{option}: expected a whole number of ticks of 1 ms from 100 ms to 1 h, got {text}")
    return round(ms)


def folder_of(text: str) -> Path:
    """The folder, made if it is not there."""
    folder = Path(text)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"--figures {text}: cannot be made ({error.strerror or error})") from error
    return folder


# runs -------------------------------------------------------------------------------------------------------------


def measured(jobs: list[Job], sim, workers: int) -> Iterator[Measured]:
    """Results as they come; the first job may use the simulation that is there."""
    common.compile_kernels(sim)
    if workers == 1:
        for number, job in enumerate(jobs):
            yield measure(job, sim if number == 0 else None)
            sim = None
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=in_background)
    try:
        for future in as_completed([pool.submit(measure, job) for job in jobs]):
            yield future.result()
        pool.shutdown()
    except BaseException:
        children = multiprocessing.active_children()
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            with contextlib.suppress(OSError):
                child.terminate()
        raise


def in_background() -> None:
    """Ctrl-C goes to the parent alone, which ends its workers."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


# judgement --------------------------------------------------------------------------------------------------------


def judged(sim, runs: list[Measured], seeds: list[int], rest_ms: int) -> dict:
    """Everything measured beside what is expected; `problems` lists what is outside, `healthy` is that there is none.

    A population is judged by its rate averaged over the seeds.
    """
    from importlib.metadata import version

    from encephagen import __version__

    whole = [r for r in runs if r.cut is None]
    populations, problems = rows(sim, whole)
    for name, lacks in unjoined(sim.world, sim.network):
        problems.append(
            {"population": name, "state": "wiring", "expected": f"an {lacks}, or a reason why there is none"}
        )
    coupled = coupling(sim, whole)
    cuts = {kind: cut_effect(whole, [r for r in runs if r.cut == kind]) for kind in CUTS
            if any(r.cut == kind for r in runs)}  # fmt: skip
    claims = (coupled or {}).get("claims", []) + [claim for cut in cuts.values() for claim in cut["claims"]]
    return {
        "scene": sim.source.name,
        "title": sim.scene.title,
        "versions": {"encephagen": __version__} | {name: version(name) for name in ("numpy", "numba", "mujoco")},
        "profile": sim.scene.brain.profile,
        "overrides": list(sim.source.overrides[: -len(UNTOUCHED)]),
        "seeds": seeds,
        "settle_s": WARM_UP_MS / 1000.0,
        "rest_s": rest_ms / 1000.0,
        "stimulus_s": STIMULUS_MS / 1000.0,
        "neurons": sim.network.neuron_count,
        "synapses": sim.network.synapse_count,
        "spikes_lost": sum(r.lost for r in runs),
        "wall_s": sum(r.wall_s for r in runs),
        "stimuli": [{"name": name, "population": glob, "drive_mv": drive}
                    for name, (glob, drive) in stimuli_of(sim.network).items()],
        "populations": populations,
        "coupling": coupled,
        "cuts": cuts,
        "problems": problems,
        "healthy": not problems and all(claim["holds"] for claim in claims),
    }  # fmt: skip


def rows(sim, runs: list[Measured]) -> tuple[list[dict], list[dict]]:
    """(a row per population, problems)."""
    expected, profile = expected_of(sim.network), sim.scene.brain.profile
    out, problems = [], []
    for k, p in enumerate(present(sim.network)):
        band = p.cell.bands.get(profile)
        rest = {"rate_hz": [float(r.rate[k]) for r in runs]}
        low, high = band.rate if band else (0.0, math.inf)
        row = {
            "name": p.name, "structure": p.structure, "instance": p.instance, "cell": p.cell_name, "neurons": p.count,
            "rest": against(rest["rate_hz"], low, high, band.source if band else None) | {
                "target_hz": band.target if band else None,
                "isi_cv": number(mean([r.cv[k] for r in runs])),
                "synchrony": number(mean([r.synchrony[k] for r in runs])),
            },
            "highest_hz": max(float(max(r.peak[k], *(rates[k] for rates in r.driven.values()))) if r.driven
                              else float(r.peak[k]) for r in runs),
            "driven": [],
        }  # fmt: skip
        if band is None:
            problems.append({"population": p.name, "state": "rest", "rate_hz": row["rest"]["rate_hz"],
                             "expected": f"a band of the {profile} profile"})  # fmt: skip
        elif not row["rest"]["inside"]:
            problems.append(outside(p.name, "rest", row["rest"]))
        for stimulus, low, high, source in expected[p.structure, p.cell_name]:
            driven = {"stimulus": stimulus} | against([float(r.driven[stimulus][k]) for r in runs], low, high, source)
            row["driven"].append(driven)
            if not driven["inside"]:
                problems.append(outside(p.name, stimulus, driven))
        if row["highest_hz"] > HIGHEST:
            problems.append({"population": p.name, "state": "any second", "rate_hz": row["highest_hz"],
                             "expected": f"at most {HIGHEST:g} Hz"})  # fmt: skip
        out.append(row)
    return out, problems


def against(rates: list[float], low: float, high: float, source: str | None) -> dict:
    """Rates of single seeds and their mean, beside a band (None if there is no source for one)."""
    value = float(np.mean(rates))
    return {
        "rate_hz": value, "seeds_hz": rates, "band_hz": None if source is None else [low, high],
        "inside": None if source is None else low <= value <= high,
        "seeds_inside": None if source is None else float(np.mean([low <= rate <= high for rate in rates])),
        "source": source,
    }  # fmt: skip


def outside(population: str, state: str, found: dict) -> dict:
    low, high = found["band_hz"]
    return {"population": population, "state": state, "rate_hz": found["rate_hz"],
            "expected": f"{low:g} to {high:g} Hz", "source": found["source"]}  # fmt: skip


def mean(values) -> float:
    """Mean of what is known."""
    known = [v for v in values if not math.isnan(v)]
    return float(np.mean(known)) if known else math.nan


# regions ----------------------------------------------------------------------------------------------------------


def claim(text: str, value: float, low: float, high: float, unit: str = "") -> dict:
    """A number beside what it must be."""
    return {"claim": text, "value": number(value), "between": [number(low), number(high)], "unit": unit,
            "holds": bool(low <= value <= high)}  # fmt: skip


def coupling(sim, runs: list[Measured]) -> dict | None:
    """Shares of excitatory charge of the regions' excitatory cells (design rule 5), and the adult's operating point."""
    found = [r.regional for r in runs if r.regional is not None and r.regional["regions"]]
    if not found:
        return None
    shares = {kind: np.mean([f["shares"][kind] for f in found], axis=0) for kind in found[0]["shares"]}
    rate = np.mean([f["rate"] for f in found], axis=0)
    cv, correlation = mean([f["cv"] for f in found]), mean([mean(f["correlation"]) for f in found])
    inside = (shares["long_range"] >= 0.20) & (shares["long_range"] <= 0.60)
    claims = [
        claim("recurrent and long-range share", (shares["local"] + shares["long_range"]).mean(), 0.55, 1.0, "share"),
        claim("long-range share", shares["long_range"].mean(), 0.25, 0.45, "share"),
        claim("regions with 20 to 60 % long-range", inside.mean(), 0.95, 1.0, "share"),
        claim("background share where it is least", shares["background"].min(), 0.15, 1.0, "share"),
    ]
    target = found[0]["target"]
    if sim.scene.brain.profile == "adult":
        claims.append(claim("excitatory cells, mean", rate.mean(), *OPERATING_POINT["rate"], "Hz"))
        if not np.isnan(target).any():
            on_target = np.mean(np.abs(rate / target - 1) <= ON_TARGET)
            claims.append(claim("regions within 20 % of their target", on_target, 1.0, 1.0, "share"))
        claims.append(claim("ISI CV", cv, *OPERATING_POINT["cv"]))
        claims.append(claim("correlation within a region, 1 s", correlation, *OPERATING_POINT["correlation"]))
    return {
        "mean": {kind: number(share.mean()) for kind, share in shares.items()},
        "rate_hz": float(rate.mean()), "isi_cv": number(cv), "correlation": number(correlation),
        "regions": {region: {"rate_hz": float(rate[k]), "target_hz": number(target[k])}
                    | {kind: number(share[k]) for kind, share in shares.items()}
                    for k, region in enumerate(found[0]["regions"])},
        "claims": claims,
    }  # fmt: skip


def cut_effect(whole: list[Measured], cut: list[Measured]) -> dict:
    """Change of mean rate and correlation of the regions' excitatory cells by a lesion, in standard errors.

    Errors are over seeds (pairs of runs) where there are three or more, else over regions.
    """
    over = "seeds" if len(whole) >= 3 else "regions"
    out = {"over": over, "changes": {}, "claims": []}
    for what in ("rate", "correlation"):
        before, after = (np.array([r.regional[what] for r in runs]) for runs in (whole, cut))
        if what == "correlation":  # a silent region has none
            before, after = np.nan_to_num(before), np.nan_to_num(after)
        change = (after - before).mean(axis=1 if over == "seeds" else 0)
        error = change.std(ddof=1) / math.sqrt(change.size) if change.size > 1 else math.nan
        out["changes"][what] = {
            "whole": float(before.mean()), "cut": float(after.mean()), "change": float(change.mean()),
            "standard_error": number(error),
            "standard_errors": number(abs(change.mean()) / error if error > 0 else math.nan),
        }  # fmt: skip
    largest = max((c["standard_errors"] or 0.0) for c in out["changes"].values())
    kind = CUTS[cut[0].cut]
    out["claims"].append(claim(f"without {kind} excitation: change of rate or correlation", largest, STANDARD_ERRORS,
                               math.inf, "SE"))  # fmt: skip
    return out
