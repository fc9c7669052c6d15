"""What the trials of an experiment came to: outcomes by condition, claims with their verdicts, as JSON and as tables.

Several experiments are one family: the false discovery rate is held over the comparisons of all of them.
"""

from __future__ import annotations

import math

import numpy as np

from engine.units import DIMENSIONS
from tools import statistics
from tools.summary import number

Trials = dict[tuple[str, int], dict]  # (condition, seed) -> line of trials.jsonl


def outcomes_of(scene, probes: dict[str, float]) -> dict[str, float]:
    """Every outcome of a trial [base units] from the values of its probes."""
    values = dict(probes)
    for outcome in scene.experiment.outcomes:
        values[outcome.name] = outcome.value(values)
    return values


def values_of(trials: Trials, outcome: str, condition: str, seeds: list[int]) -> np.ndarray:
    """The outcome [seeds] in one condition; NaN where the trial has none or failed."""
    found = (trials.get((condition, seed), {}).get("outcomes", {}).get(outcome) for seed in seeds)
    return np.array([math.nan if value is None else value for value in found], float)


def judged(experiments: dict[str, tuple], smoke: bool = False) -> dict[str, dict]:
    """Scene name -> results, of scene name -> (scene, seeds, trials, failures [{condition, seed, why}], conditions).

    The conditions are those that were run, all of the scene's if left out. A smoke run is not judged.
    """
    found = {name: results(name, *of, smoke=smoke) for name, of in experiments.items()}
    family = [claim for one in found.values() for claim in one["claims"] if "p" in claim]
    for claim, q in zip(family, statistics.false_discovery_q([claim["p"] for claim in family]), strict=True):
        claim["q"] = q
        enough = claim["pairs"] >= claim["share"] * claim["seeds"] - 1e-9
        claim["pass"] = bool(enough and q <= statistics.ALPHA and ("greater" not in claim or claim["value"] > 0.0))
        if not enough:
            claim["note"] = f"{claim['none']} of {claim['seeds']} seeds without a value"
        elif "greater" in claim and statistics.smallest_p(claim["pairs"]) > statistics.ALPHA:
            claim["note"] = f"too few seeds: p cannot be below {statistics.smallest_p(claim['pairs']):.2g}"
    for one in found.values():
        for claim in one["claims"] if smoke else ():
            claim["pass"] = claim["note"] = None
        one["family"] = {"comparisons": len(family), "false_discovery_rate": statistics.ALPHA}
        one["pass"] = not one["failed"] and all(claim["pass"] is not False for claim in one["claims"])
    return {name: finite(one) for name, one in found.items()}


def results(name: str, scene, seeds: list[int], trials: Trials, failed: list[dict],
            conditions: list[str] | None = None, *, smoke: bool) -> dict:  # fmt: skip
    """One experiment's outcomes and claims; comparisons get their q and verdict from the family."""
    units = {o: DIMENSIONS[d].base if d is not None else "" for o, d in scene.outcome_dimensions.items()}
    conditions = conditions or list(scene.experiment.conditions)
    outcomes = {}
    for outcome, unit in units.items():
        by_condition = {
            condition: statistics.described(values_of(trials, outcome, condition, seeds), f"{name}/{outcome}")
            for condition in conditions
        }
        outcomes[outcome] = {"unit": unit, "conditions": by_condition}
    claims = []
    for claim in scene.experiment.claims:
        if any(condition not in conditions for _, condition in claim.conditions):
            continue
        made = ranged if claim.between is not None else compared
        judgement = made(claim, name, seeds, trials)
        reference = claim.reference and {"value": claim.reference.base, "note": claim.reference.note}
        claims.append({"outcome": claim.outcome, "unit": units[claim.outcome], **judgement, "source": claim.source,
                       "reference": reference})  # fmt: skip
    return {
        "scene": name,
        "title": scene.title,
        "smoke": smoke,
        "seeds": seeds,
        "conditions": conditions,
        "outcomes": outcomes,
        "claims": claims,
        "failed": failed,
    }


def ranged(claim, name: str, seeds: list[int], trials: Trials) -> dict:
    """An outcome lies in its range in so many of the seeds, or its mean does."""
    values = values_of(trials, claim.outcome, claim.in_, seeds)
    known = values[~np.isnan(values)]
    holds, none = sum(claim.holds(value) for value in values.tolist()), int(values.size - known.size)
    mean = float(known.mean()) if known.size else math.nan
    return {
        "in": claim.in_,
        "between": list(claim.bounds),
        "share": claim.share,
        "seeds": len(seeds),
        "none": none,
        "value": mean,
        "mean": claim.mean,
        "holds": holds,
        "share_held": holds / len(seeds),
        "pass": claim.holds(mean) and known.size >= claim.share * len(seeds) - 1e-9
        if claim.mean
        else (holds >= claim.share * len(seeds) - 1e-9),
        "note": f"{none} of {len(seeds)} seeds without a value" if none else None,
    }


def compared(claim, name: str, seeds: list[int], trials: Trials) -> dict:
    """An outcome in one condition and in another, paired by seed, or beside a value; q and pass are the family's."""
    if claim.near is not None:
        difference = values_of(trials, claim.outcome, claim.in_, seeds) - claim.goal
        stream, what = f"{name}/{claim.outcome}/{claim.in_}", {"in": claim.in_, "near": claim.goal}
    else:
        first, second = (values_of(trials, claim.outcome, condition, seeds) for condition in claim.pair)
        difference = first - second
        stream = f"{name}/{claim.outcome}/{claim.pair[0]}/{claim.pair[1]}"
        what = {"same" if claim.greater is None else "greater": list(claim.pair)}
    known = difference[~np.isnan(difference)]
    found = {
        **what,
        "share": claim.share,
        "seeds": len(seeds),
        "pairs": int(known.size),
        "none": int(difference.size - known.size),
        "value": float(known.mean()) if known.size else math.nan,
        "interval": list(statistics.interval(known, stream)),
        "dz": statistics.cohens_dz(known),
        "rank_biserial": statistics.rank_biserial(known),
    }
    if claim.greater is not None:
        wilcoxon = claim.test == "wilcoxon"
        p = statistics.wilcoxon_p(known) if wilcoxon else statistics.sign_flip_p(known, stream)
        holds = int((known > 0.0).sum())
        least = statistics.detectable_dz(known.size)
        power = f"80 % power for a dz of {least:.2g} or more" if math.isfinite(least) else "no power"
        found |= {"test": claim.test, "holds": holds, "detectable_dz": least}
    else:
        spread = float(known.std(ddof=1)) if known.size > 1 else math.nan
        margin = claim.margin if claim.margin is not None else statistics.SAME_DZ * spread
        ratio = statistics.SAME_DZ if claim.margin is None else margin / spread if spread > 0.0 else math.inf
        p = statistics.equivalence_p(known, claim.margin)
        holds = int((np.abs(known) < margin).sum())
        chance = statistics.equivalence_power(ratio, known.size) if math.isfinite(ratio) else 1.0
        power = f"{chance:.0%} power to confirm it if there is no difference"
        found |= {"test": "equivalence", "within": margin, "holds": holds, "equivalence_power": chance}
    share = holds / len(seeds)
    return found | {"share_held": share, "power": power, "p": p, "q": None, "pass": None, "note": None}


def finite(data):
    """The same with None for numbers that JSON has no word for."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [finite(value) for value in data]
    return number(data) if isinstance(data, float) else data


# as text ----------------------------------------------------------------------------------------------------------

VERDICT = {True: "holds", False: "FAILS", None: "not judged"}
OUTCOMES = ("outcome", "condition", "mean", "95 % interval", "sd", "n")
CLAIMS = ("claim", "found", "seeds", "p", "q", "dz", "verdict")


def text_of(value: float | None, unit: str = "") -> str:
    return "none" if value is None else f"{value:.4g} {unit}".strip()


def range_of(interval: list, unit: str = "") -> str:
    low, high = ("..." if bound is None else f"{bound:.4g}" for bound in interval)
    return f"{low} to {high} {unit}".strip()


def outcome_rows(found: dict) -> list[tuple[str, ...]]:
    rows = []
    for name, outcome in found["outcomes"].items():
        for condition, d in outcome["conditions"].items():
            n = f"{d['n']}" + (f" ({d['none']} without)" if d["none"] else "")
            rows.append((name, condition, text_of(d["mean"], outcome["unit"]),
                         range_of(d["interval"]), text_of(d["sd"]), n))  # fmt: skip
            name = ""
    return rows


def claim_rows(found: dict) -> list[tuple[str, ...]]:
    rows = []
    for c in found["claims"]:
        verdict = VERDICT[c["pass"]] + (f": {c['note']}" if c["note"] else "")
        if "p" in c:
            held = f"{c['holds']} of {c['seeds']}"
            what = comparison(c)
            effect = f"{text_of(c['value'], c['unit'])} ({range_of(c['interval'])})"
            dz = "" if c["dz"] is None else f"{c['dz']:.2f}"
            rows.append((what, effect, held, f"{c['p']:.2g}", f"{c['q']:.2g}", dz, verdict))
        else:
            need = "needs the mean" if c["mean"] else f"needs {math.ceil(c['share'] * c['seeds'] - 1e-9)}"
            held = f"{c['holds']} of {c['seeds']}, {need}"
            what = f"{'mean ' * c['mean']}{c['outcome']}: in {c['in']} {range_of(c['between'], c['unit'])}"
            rows.append((what, text_of(c["value"], c["unit"]), held, "", "", "", verdict))
    return rows


def comparison(c: dict) -> str:
    """A comparing claim in words."""
    if "greater" in c:
        return f"{c['outcome']}: {c['greater'][0]} > {c['greater'][1]}"
    if "near" in c:
        return f"{c['outcome']}: in {c['in']} {text_of(c['near'])} within {text_of(c['within'], c['unit'])}"
    return f"{c['outcome']}: {c['same'][0]} = {c['same'][1]} within {text_of(c['within'], c['unit'])}"


def headline(found: dict) -> str:
    held = sum(claim["pass"] is True for claim in found["claims"])
    text = f"{held} of {len(found['claims'])} claims hold, {len(found['seeds'])} seeds"
    text += f", {len(found['failed'])} trials failed" if found["failed"] else ""
    return text + (" (smoke run: no verdict)" if found["smoke"] else "")


def markdown(found: dict) -> str:
    """The results as a page to read."""
    lines = [f"# {found['scene']}: {found['title']}", "", headline(found) + ".", ""]
    for title, columns, rows in (("Claims", CLAIMS, claim_rows(found)), ("Outcomes", OUTCOMES, outcome_rows(found))):
        if rows:
            lines += [f"## {title}", "", *(_row(cells) for cells in (columns, ["---"] * len(columns), *rows)), ""]
    family = found["family"]
    if family["comparisons"]:
        lines += [
            "Comparisons: two-sided paired sign-flip test of the mean difference over seeds (signed ranks where the "
            "scene says so); equivalences: two one-sided paired t tests; q is p after "
            f"Benjamini-Hochberg over {family['comparisons']} comparisons, held to {family['false_discovery_rate']:g}. "
            "Intervals: 95 % BCa bootstrap of the mean over seeds. dz: mean difference / its standard deviation.", ""
        ]  # fmt: skip
    sources = [f"- {c['outcome']}: {c['source']}" for c in found["claims"] if c["source"]]
    lines += ["## Sources", "", *sources, ""] if sources else []
    if found["failed"]:
        lines += ["## Failed trials", ""]
        lines += [f"- {f['condition']}, seed {f['seed']}: {f['why']}" for f in found["failed"]] + [""]
    return "\n".join(lines)


def _row(cells) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def show(found: dict, out) -> None:
    """Print the results on a rich console."""
    from tools import common

    out.print(f"{found['scene']}: {found['title']}", style="bold", soft_wrap=True)
    for columns, rows in ((OUTCOMES, outcome_rows(found)), (CLAIMS, claim_rows(found))):
        if rows:
            right = ("mean", "sd", "n", "p", "q", "dz")
            made = common.table(None, *columns, right=right)
            for row in rows:
                made.add_row(*row)
            out.print(made)
    for f in found["failed"]:
        out.print(f"failed: {f['condition']}, seed {f['seed']}: {f['why']}", soft_wrap=True)
    out.print(headline(found))
