"""The tables of `encephagen health`: a row per cell type, and every population that is outside."""

from __future__ import annotations

import math

import numpy as np

from tools import common

MOST = 60  # groups of problems printed; the JSON has all
SHOWN = 4  # populations of a group that are named


def show(found: dict) -> None:
    """Print what `tools.health.judged` made."""
    out = common.console()
    seeds = found["seeds"]
    named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
    out.print(f"{found['scene']} ({found['profile']}), {named}", style="bold", soft_wrap=True)
    out.print(at_rest(found))
    if any(row["driven"] for row in found["populations"]):
        out.print(under_stimulus(found))
    claims = (found["coupling"] or {}).get("claims", []) + [c for cut in found["cuts"].values() for c in cut["claims"]]
    if found["coupling"]:
        out.print(", ".join(f"{kind.replace('_', '-')} {100 * share:.0f} %" for kind, share in
                            found["coupling"]["mean"].items() if share is not None)
                  + " of the excitatory charge of the regions' excitatory cells")  # fmt: skip
    if claims:
        out.print(claimed(claims))
    if found["cuts"]:
        out.print(cuts(found["cuts"]))
    problems = found["problems"]
    if problems:
        out.print(outside(problems))
    if found["spikes_lost"]:
        out.print(f"{found['spikes_lost']} spikes did not fit in the log", style="bold red")
    fallen = sum(not c["holds"] for c in claims)
    line = "healthy" if found["healthy"] else f"{len(problems)} outside, {fallen} of {len(claims)} claims fall short"
    out.print(f"{len(found['populations'])} populations, {found['rest_s']:g} s at rest: {line}")


def by_cell(found: dict) -> dict[str, list[dict]]:
    cells: dict[str, list[dict]] = {}
    for row in found["populations"]:
        cells.setdefault(f"{row['structure']}.{row['cell']}", []).append(row)
    return cells


def at_rest(found: dict):
    right = ("n", "Hz", "lowest", "highest", "band", "inside", "seeds", "CV", "sync")
    made = common.table("at rest", "cell type", *right, right=right)
    for cell, rows in by_cell(found).items():
        rest = [row["rest"] for row in rows]
        made.add_row(cell, str(len(rows)), *spread(rest), *judged(rest),
                     known([r["isi_cv"] for r in rest], 2), known([r["synchrony"] for r in rest], 3))  # fmt: skip
    return made


def under_stimulus(found: dict):
    right = ("n", "rest Hz", "Hz", "lowest", "highest", "band", "inside", "seeds")
    made = common.table("under its stimulus", "cell type", "stimulus", *right, right=right)
    for cell, rows in by_cell(found).items():
        for number, first in enumerate(rows[0]["driven"]):
            driven = [row["driven"][number] for row in rows]
            rest = np.mean([row["rest"]["rate_hz"] for row in rows])
            made.add_row(cell if not number else "", first["stimulus"].split(".", 1)[1], str(len(rows)), f"{rest:.2f}",
                         *spread(driven), *judged(driven))  # fmt: skip
    return made


def spread(found: list[dict]) -> tuple[str, str, str]:
    rates = [f["rate_hz"] for f in found]
    low, high = ("", "") if len(rates) == 1 else (f"{min(rates):.2f}", f"{max(rates):.2f}")
    return f"{np.mean(rates):.2f}", low, high


def judged(found: list[dict]) -> tuple[str, str, str]:
    """Band, populations inside it, and share of single runs inside it."""
    if found[0]["band_hz"] is None:
        return "none", "", ""
    low, high = found[0]["band_hz"]
    inside = sum(f["inside"] for f in found)
    count = "yes" if inside == len(found) == 1 else "NO" if not inside else f"{inside} of {len(found)}"
    if inside == len(found) > 1:
        count = "all"
    return f"{low:g} .. {high:g}", count, f"{100 * np.mean([f['seeds_inside'] for f in found]):.0f} %"


def known(values: list[float | None], digits: int) -> str:
    have = [v for v in values if v is not None]
    return f"{np.mean(have):.{digits}f}" if have else ""


def claimed(claims: list[dict]):
    made = common.table("coupling and operating point", "claim", "value", "expected", "holds", right=("value",))
    for c in claims:
        factor, unit = (100.0, "%") if c["unit"] == "share" else (1.0, c["unit"])
        low, high = (math.nan if b is None else factor * b for b in c["between"])
        at_least = math.isnan(high) or (c["unit"] == "share" and high == 100.0)
        expected = f"at least {low:g} {unit}" if at_least else f"{low:g} to {high:g} {unit}"
        value = "none" if c["value"] is None else f"{factor * c['value']:.3g} {unit}"
        made.add_row(c["claim"], value, expected, "yes" if c["holds"] else "NO")
    return made


def cuts(found: dict[str, dict]):
    from tools.health_measure import CUTS

    made = common.table("without some of the excitation of the regions", "without", "of excitatory cells", "whole",
                        "cut", "change", "in SE", "over", right=("whole", "cut", "change", "in SE"))  # fmt: skip
    for kind, cut in found.items():
        for what, c in cut["changes"].items():
            z = "" if c["standard_errors"] is None else f"{c['standard_errors']:.1f}"
            made.add_row(CUTS[kind], {"rate": "rate [Hz]"}.get(what, what), f"{c['whole']:.3f}", f"{c['cut']:.3f}",
                         f"{c['change']:+.3f}", z, cut["over"])  # fmt: skip
    return made


def outside(problems: list[dict]):
    """Populations that are outside; those of one cell type that are so in the same way share a row."""
    alike: dict[tuple, list[dict]] = {}
    for p in problems:
        structure, rest = p["population"].split(".", 1)
        alike.setdefault((structure, rest.rsplit(".", 1)[1], p["state"], p["expected"]), []).append(p)
    made = common.table("outside (sources: --json)", "cell type", "of", "state", "Hz", "expected", right=("Hz",))
    for (structure, cell, state, expected), found in list(alike.items())[:MOST]:
        rates = [p["rate_hz"] for p in found if "rate_hz" in p]
        rate = "" if not rates else f"{min(rates):.2f}" + (f" .. {max(rates):.2f}" if len(rates) > 1 else "")
        names = [p["population"].split(".", 1)[1].rsplit(".", 1)[0] for p in found]
        named = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        made.add_row(f"{structure}.{cell}", named, state.split(".", 1)[-1], rate, expected)
    if len(alike) > MOST:
        made.add_row(f"... {len(alike) - MOST} more (--json)", "", "", "", "")
    return made
