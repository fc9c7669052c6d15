"""`encephagen report`: finished experiments as one HTML page, with their figures inside it (docs/experiments.md).

It reads what `encephagen experiment` left in its folders and nothing else: no simulation, no scene.
"""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path

import numpy as np

from engine.errors import UserError
from tools import common, verdicts

PAGE = "report.html"
MOST_FIGURES = 24  # of one experiment
COLUMNS = ("claim", "control", "n", "effect", "95 % interval", "p", "q", "size", "reference", "verdict")
MARK = {True: "holds", False: "fails", None: "open"}
COLOURS = {True: "#1b7837", False: "#b2182b", None: "#555555"}
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1180px; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 3rem; border-top: 1px solid #ddd; padding-top: 1rem; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .86rem; }
th { text-align: left; color: #555; border-bottom: 1px solid #999; font-weight: 600; }
th, td { padding: .25rem .6rem .25rem 0; vertical-align: top; } tr + tr td { border-top: 1px solid #eee; }
.holds { color: #1b7837; } .fails { color: #b2182b; font-weight: 600; } .open { color: #777; }
.note { color: #777; font-size: .8rem; display: block; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; }
figcaption, footer { color: #777; font-size: .8rem; max-width: 60em; } code { font-size: .85em; }
"""


def arguments(parser) -> None:
    parser.add_argument("dir", metavar="DIR", help="a folder of `encephagen experiment`, or one that holds several")
    parser.add_argument("--html", metavar="F", help=f"the page (else DIR/{PAGE})")
    common.add_quiet(parser)


def run(args) -> int:
    root = Path(args.dir)
    if not root.is_dir():
        raise UserError(f"{root}: expected a folder with experiments, found {'a file' if root.exists() else 'nothing'}")
    found, open_ones = collected(root)
    if not found:
        raise UserError(f"{root}: holds no finished experiment (results.json beside config.yaml)"
                        + (f"; {len(open_ones)} unfinished" if open_ones else ""))  # fmt: skip
    target = Path(args.html) if args.html else root / PAGE
    common.check_outputs({"--html": str(target)}, {})
    try:
        target.write_text(page(found, open_ones, root), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--html {target}: cannot be written ({error.strerror or error})") from error
    if not args.quiet:
        print(f"{len(found)} experiments, {sum(bool(one['results']['pass']) for one in found)} hold: {target}")
    return 0


# what there is ----------------------------------------------------------------------------------------------------


def collected(root: Path) -> tuple[list[dict], list[Path]]:
    """Finished experiments at or below a folder as {folder, results, config, trials}; folders of unfinished ones."""
    found, unfinished = [], []
    for config in sorted([*root.glob("config.yaml"), *root.glob("**/*/config.yaml")]):
        folder = config.parent
        if not (folder / "results.json").is_file():
            unfinished.append(folder)
            continue
        results = _read(folder / "results.json", json.loads)
        if not isinstance(results, dict) or not {"scene", "claims", "outcomes", "conditions"} <= set(results):
            raise UserError(f"{folder / 'results.json'}: expected the results of an experiment, found something else")
        found.append({"folder": folder, "results": results, "config": _read(config, _yaml), "trials": _trials(folder)})
    return found, unfinished


def _yaml(text: str):
    import yaml

    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _read(path: Path, parse):
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]})") from error


def _trials(folder: Path) -> dict[tuple[str, int], dict]:
    path = folder / "trials.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    try:
        return {(t["condition"], t["seed"]): t for t in map(json.loads, lines)}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


# the page ---------------------------------------------------------------------------------------------------------


def text(value) -> str:
    return html.escape(str(value))


def page(found: list[dict], unfinished: list[Path], root: Path) -> str:
    names = [one["results"]["scene"] for one in found]
    parts = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
             f"<title>Experiments: {text(', '.join(names))}</title>", f"<style>{STYLE}</style></head><body>",
             "<h1>Experiments</h1>", contents(found)]  # fmt: skip
    if unfinished:
        left = ", ".join(text(path.relative_to(root)) for path in unfinished)
        parts.append(f'<p class="open">Not finished, so not here: {left}.</p>')
    for number, one in enumerate(found):
        parts.append(section(one, f"experiment-{number}"))
    parts.append(f"<footer><p>{text(METHOD)}</p></footer></body></html>\n")
    return "\n".join(parts)


METHOD = (
    "A claim's verdict is computed from the rule in its scene. The unit is the seed; conditions are paired by it. "
    "A band holds if so many of the seeds lie in it; a comparison if q (p after Benjamini-Hochberg over the family) is "
    "at most 0.05 and its direction is the claimed one; an equivalence if both one-sided tests reject at 0.05. "
    "Intervals are 95 % BCa bootstraps over seeds. Size is the mean paired difference over its standard deviation. "
    "In the figures a dot is a seed, the bar the mean with its interval, the shade a claimed band, the dashed line "
    "the figure of the reference."
)


def contents(found: list[dict]) -> str:
    rows = []
    for number, one in enumerate(found):
        r = one["results"]
        held = sum(c["pass"] is True for c in r["claims"])
        state = None if r.get("smoke") else bool(r["pass"])
        rows.append(
            f'<tr><td><a href="#experiment-{number}">{text(r["scene"])}</a></td><td>{text(r["title"])}</td>'
            f"<td>{held} of {len(r['claims'])}</td><td>{len(r['seeds'])}</td><td>{mark(state)}</td></tr>"
        )
    return table(("scene", "", "claims held", "seeds", "verdict"), rows)


def table(columns, rows: list[str]) -> str:
    head = "".join(f"<th>{text(column)}</th>" for column in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def mark(state: bool | None, note: str | None = None) -> str:
    more = f'<span class="note">{text(note)}</span>' if note else ""
    return f'<span class="{MARK[state]}">{verdicts.VERDICT[state]}</span>{more}'


def section(one: dict, anchor: str) -> str:
    r, config = one["results"], one["config"]
    resolved = config.get("resolved") or {}
    parts = [f'<section id="{anchor}"><h2>{text(r["scene"])}: {text(r["title"])}</h2>',
             f"<p>{text(verdicts.headline(r))}.</p>"]  # fmt: skip
    if resolved.get("description"):
        parts.append(f"<p>{text(resolved['description'])}</p>")
    if r["claims"]:
        parts.append(table(COLUMNS, [claim_row(c, r) for c in r["claims"]]))
    parts.append(f'<div class="figures">{"".join(figures(one))}</div>')
    if r["failed"]:
        lines = (f"<li>{text(f['condition'])}, seed {text(f['seed'])}: {text(f['why'])}</li>" for f in r["failed"])
        parts.append(f"<h3>Failed trials</h3><ul>{''.join(lines)}</ul>")
    parts.append(conditions(resolved))
    versions = ", ".join(f"{text(k)} {text(v)}" for k, v in (config.get("versions") or {}).items())
    seeds = r["seeds"]
    parts.append(
        f"<footer>Seeds {seeds[0]} to {seeds[-1]}; {versions}; program and data <code>{text(config.get('sources'))}"
        f"</code>, commit <code>{text(str(config.get('commit'))[:12])}</code>"
        f"{' with changes' if config.get('changed_since_commit') else ''}; {text(config.get('platform'))}; "
        f"{float(r.get('wall_s') or 0.0):.0f} s of computing; raw values in <code>{text(one['folder'].name)}"
        "/trials.jsonl</code>.</footer></section>"
    )
    return "\n".join(parts)


def claim_row(c: dict, results: dict) -> str:
    """One claim: what, against what, how many seeds, the effect with its interval, the reference's figure, verdict."""
    unit = c["unit"]
    if "between" in c:
        what = f"{'mean ' * c.get('mean', False)}{c['outcome']} in {c['in']}: {verdicts.range_of(c['between'], unit)}"
        control, interval = "a band", results["outcomes"][c["outcome"]]["conditions"][c["in"]]["interval"]
        n = f"{c['holds']} of {c['seeds']} in it"
        statistics = ("", "", "")
    else:
        what = verdicts.comparison(c)
        second = verdicts.text_of(c["near"], unit) if "near" in c else (c.get("greater") or c["same"])[1]
        control, interval, n = second, c["interval"], f"{c['pairs']} pairs"
        statistics = tuple("" if v is None else f"{v:.2g}" for v in (c["p"], c["q"], c["dz"]))
    reference = c.get("reference")
    beside = "" if reference is None else (
        f'{text(verdicts.text_of(reference["value"], unit))}<span class="note">{text(reference["note"] or "")}</span>'
    )  # fmt: skip
    source = f'<span class="note">{text(c["source"])}</span>' if c["source"] else ""
    notes = "; ".join(filter(None, (c["note"], c.get("power"))))
    plain = (control, n, verdicts.text_of(c["value"], unit), verdicts.range_of(interval, unit), *statistics)
    cells = (text(what) + source, *map(text, plain), beside, mark(c["pass"], notes))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def conditions(resolved: dict) -> str:
    """What each condition changes in the scene."""
    given = ((resolved.get("experiment") or {}).get("conditions")) or {}
    rows = []
    for name, change in given.items():
        change = {key: value for key, value in (change or {}).items() if value}
        shown = f"<code>{text(json.dumps(change, ensure_ascii=False))}</code>" if change else "the scene as it stands"
        rows.append(f"<tr><td>{text(name)}</td><td>{shown}</td></tr>")
    return table(("condition", "changes"), rows) if rows else ""


# figures ----------------------------------------------------------------------------------------------------------


def figures(one: dict):
    """An image for each outcome that something is claimed of."""
    outcomes = list(dict.fromkeys(c["outcome"] for c in one["results"]["claims"]))
    for outcome in outcomes[:MOST_FIGURES]:
        svg = base64.b64encode(drawn(one, outcome)).decode()
        yield (f'<figure><img alt="{text(outcome)} by condition" src="data:image/svg+xml;base64,{svg}"></figure>')
    if len(outcomes) > MOST_FIGURES:
        yield f"<figure><figcaption>{len(outcomes) - MOST_FIGURES} more outcomes: results.json</figcaption></figure>"


def drawn(one: dict, outcome: str) -> bytes:
    """An outcome in every condition, seed by seed, with its means and intervals, as SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    results = one["results"]
    about = results["outcomes"][outcome]
    claims = [c for c in results["claims"] if c["outcome"] == outcome]
    named = list(about["conditions"])
    rng = np.random.default_rng(0)
    with matplotlib.rc_context({"svg.hashsalt": "encephagen", "font.size": 9, "svg.fonttype": "path"}):
        figure, axes = plt.subplots(figsize=(max(2.6, 1.1 + 0.52 * len(named)), 3.0), layout="constrained")
        for k, condition in enumerate(named):
            values = verdicts.values_of(one["trials"], outcome, condition, results["seeds"])
            values = values[np.isfinite(values)]
            axes.plot(
                k + rng.uniform(-0.16, 0.16, values.size), values, "o", ms=3.2, color="#4393c3", alpha=0.55, mew=0
            )
            mean, (low, high) = about["conditions"][condition]["mean"], about["conditions"][condition]["interval"]
            if mean is not None:
                axes.plot([k - 0.26, k + 0.26], [mean, mean], color="#222222", lw=1.6, solid_capstyle="butt")
                if low is not None and high is not None:
                    axes.plot([k, k], [low, high], color="#222222", lw=1.1)
        bottom, top = axes.get_ylim()
        for c in claims:
            if "between" not in c or c["in"] not in named:
                continue
            k = named.index(c["in"])
            low, high = (
                otherwise if b is None else b for b, otherwise in zip(c["between"], (bottom, top), strict=True)
            )
            axes.fill_between([k - 0.42, k + 0.42], max(low, bottom - (top - bottom)), min(high, top + (top - bottom)),
                              color=COLOURS[c["pass"]], alpha=0.13, lw=0)  # fmt: skip
        for value in dict.fromkeys(c["reference"]["value"] for c in claims if c.get("reference")):
            axes.axhline(value, color="#e08214", ls="--", lw=1.2, label="reference")
        if any(c.get("reference") for c in claims):
            axes.legend(frameon=False, fontsize=8, handlelength=1.6)
        axes.set_xticks(range(len(named)), named, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.6, len(named) - 0.4)
        axes.set_ylabel(f"{outcome} [{about['unit']}]" if about["unit"] else outcome)
        axes.spines[["top", "right"]].set_visible(False)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
        plt.close(figure)
    return out.getvalue()
