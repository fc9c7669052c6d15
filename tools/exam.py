"""`encephagen exam`: the neonatal examination, every scene of scenes/exam over seeds, with its negative controls.

An item is a line of a scene's `expect`. With --lesions, every nucleus is silenced in turn (assets/exam/lesions.yaml).
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from engine.errors import UserError
from engine.units import DIMENSIONS
from tools import common, experiment, statistics
from tools.verdicts import range_of, text_of, values_of

SEEDS = 5
LESION_SEEDS = 3
CONTROLS = ("sham", "deafferented")
ENOUGH = 0.8  # of the seeds that must lie in an item's band, and of the items that must keep theirs under a lesion
SAME = 0.2  # change in pass fraction that counts as none
INTACT = "function"


def arguments(parser) -> None:
    parser.add_argument("body", metavar="BODY", nargs="?", default="newborn", help="whose exam (else newborn)")
    parser.add_argument("--seeds", type=common.whole(1, 10_000), metavar="N", help=f"how many (else {SEEDS})")
    parser.add_argument("--lesions", action="store_true", help="silence each nucleus in turn: nuclei x items")
    parser.add_argument("--long", action="store_true", help="the long items too, such as sleep")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="this scene alone; may be repeated")
    parser.add_argument("--scenes", metavar="DIR", help="folder with the exam's scenes (else the shipped ones)")
    parser.add_argument("--workers", type=common.workers, metavar="N|tcp://...",
                        help="processes (else one per core), or a Dask scheduler")  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="folder for the results (else out/exam or out/lesions)")
    parser.add_argument("--resume", action="store_true", help="go on with the folder: skip the trials it holds")
    parser.add_argument("--json", metavar="F", help="write items and controls as JSON")
    common.add_quiet(parser)


def run(args) -> int:
    args.seeds = args.seeds or (LESION_SEEDS if args.lesions else SEEDS)
    runs = opened(args)
    root = Path(args.out or ("out/lesions" if args.lesions else "out/exam"))
    for one in runs:
        one.folder = root / one.name
    experiment.prepare(runs, root, args.resume)
    with common.Interrupt() as interrupt:
        pending = experiment.in_order(runs)
        if pending:
            experiment.warm(runs[:1], pending, args.quiet)
        finished = interrupt.asked or not pending or experiment.pursue(runs, pending, args, interrupt)
    if interrupt.asked or not finished:
        common.say(f"encephagen: interrupted; the trials done are in {root}: go on with --resume")
        return common.INTERRUPTED
    found = {"items": items(runs), "controls": controls(runs),
             "failed": [{"scene": one.name, **f} for one in runs for f in experiment.sorted_failures(one)]}  # fmt: skip
    if args.lesions:
        found["lesions"] = lesions(runs)
    experiment.write(root / "results.json", json.dumps(found, indent=2, allow_nan=False) + "\n")
    if args.json:
        common.write_json(args.json, found)
    if not args.quiet:
        show(found, common.console())
    good = all(i["pass"] for i in found["items"]) and all(c["pass"] for c in found["controls"])
    return 0 if good and not found["failed"] else 1


# what to run ------------------------------------------------------------------------------------------------------


def opened(args) -> list[experiment.Run]:
    """The scenes of the exam that examine this body, each with the conditions that are wanted of it."""
    from engine.scene import load_scene
    from systems.spawn.scene_model import SCENES, Scene, check_files, in_condition

    folder = Path(args.scenes) if args.scenes else SCENES / "exam"
    files = sorted(folder.glob("*.yaml"))
    if unknown := [name for name in args.only if name not in {f.stem for f in files}]:
        raise UserError(f"--only {unknown[0]}: expected one of {', '.join(f.stem for f in files) or 'none'}")
    runs, seen = [], set()
    for file in files:
        if args.only and file.stem not in args.only:
            continue
        scene, source = load_scene(file, Scene, [SCENES, Path.cwd()])
        check_files(scene, source)
        if scene.experiment is None or not scene.expect:
            raise UserError(f"{source.where()}: expected a scene with `expect` and `experiment` (docs/exam.md)")
        model = scene.body.model if scene.body is not None else None
        seen.add(str(model))
        if model not in (None, args.body) or (scene.exam.long and not args.long):
            continue
        first = next(iter(scene.experiment.conditions))
        conditions = {INTACT: in_condition(scene, source, first)}
        if args.lesions:
            conditions |= {nucleus: silenced(file, nucleus, scene) for nucleus in nuclei(scene)}
        else:
            wanted = [c for c in CONTROLS if c in scene.experiment.conditions]
            conditions |= {c: in_condition(scene, source, c) for c in wanted}
        begin = scene.experiment.first_seed
        runs.append(experiment.Run(file.stem, scene, source, list(range(begin, begin + args.seeds)), conditions))
    if not runs:
        raise UserError(f"{args.body}: no scene in {folder} examines it; those there are for {', '.join(sorted(seen))}")
    return runs


def nuclei(scene) -> list[str]:
    """Globs of what is silenced in turn: kinds of cells of some circuits, others as a whole."""
    import yaml

    from systems.spawn.network import load_circuit
    from systems.spawn.scene_model import ASSETS

    if scene.brain is None:
        return []
    wanted = yaml.safe_load((ASSETS / "exam" / "lesions.yaml").read_text(encoding="utf-8"))
    kinds = [f"{name}.*.{cell}" for name in wanted["each"] if name in scene.brain.circuits
             for cell in load_circuit(name)[0].cells]  # fmt: skip
    return kinds + [f"{name}.*" for name in wanted["whole"] if name in scene.brain.circuits]


def silenced(file: Path, nucleus: str, scene) -> tuple:
    """The scene with one nucleus silent."""
    from engine.scene import load_scene
    from systems.spawn.scene_model import SCENES, Scene

    return load_scene(
        file, Scene, [SCENES, Path.cwd()], [f"brain.silence={json.dumps([*scene.brain.silence, nucleus])}"]
    )


# what came of it --------------------------------------------------------------------------------------------------


def pass_fraction(one: experiment.Run, claim, condition: str) -> float:
    """Share of the seeds whose value lies in the item's band; a trial without a value does not."""
    values = values_of(one.trials, claim.probe, condition, one.seeds)
    return sum(claim.passes(value) for value in values.tolist()) / len(one.seeds)


def items(runs: list[experiment.Run]) -> list[dict]:
    found = []
    for one in runs:
        for claim in one.scene.expect:
            values = values_of(one.trials, claim.probe, INTACT, one.seeds)
            known = values[~np.isnan(values)]
            dimension = one.scene.outcome_dimensions[claim.probe]
            share = pass_fraction(one, claim, INTACT)
            found.append({
                "name": claim.probe, "scene": one.name, "value": finite(known.mean() if known.size else math.nan),
                "interval": [finite(x) for x in statistics.interval(known, f"exam/{one.name}/{claim.probe}")],
                "unit": DIMENSIONS[dimension].base if dimension is not None else "",
                "band": [finite(x) for x in claim.bounds], "pass_fraction": share, "seeds": len(one.seeds),
                "pass": share >= ENOUGH - 1e-9, "source": claim.source,
            })  # fmt: skip
    return found


def controls(runs: list[experiment.Run]) -> list[dict]:
    """The first item of each scene, the response, in the conditions in which there must be none."""
    return [
        {"scene": one.name, "condition": c, "item": one.scene.expect[0].probe, "pass_fraction": share,
         "seeds": len(one.seeds), "pass": share <= SAME + 1e-9}
        for one in runs for c in CONTROLS if c in one.conditions
        for share in [pass_fraction(one, one.scene.expect[0], c)]
    ]  # fmt: skip


def lesions(runs: list[experiment.Run]) -> dict:
    """Pass fractions of each scene's response, by nucleus; which nuclei abolish it, and which spare the rest."""
    names = [one.name for one in runs]
    rows = list(dict.fromkeys(c for one in runs for c in one.conditions))
    matrix = {row: {one.name: pass_fraction(one, one.scene.expect[0], row) for one in runs if row in one.conditions}
              for row in rows}  # fmt: skip
    intact = matrix[INTACT]
    shown = {name for name in names if intact[name] >= ENOUGH - 1e-9}  # only what is there can be abolished
    abolished = {row: [n for n, share in matrix[row].items() if n in shown and share == 0.0] for row in rows[1:]}

    def spares(row: str, name: str) -> bool:
        others = [n for n in matrix[row] if n != name]
        return sum(abs(matrix[row][n] - intact[n]) <= SAME + 1e-9 for n in others) >= ENOUGH * len(others) - 1e-9

    own = {name: [row for row in rows[1:] if name in abolished[row] and spares(row, name)] for name in names}
    return {"matrix": matrix, "abolished": abolished, "own_nuclei": own,
            "shared_nuclei": [row for row in rows[1:] if len(abolished[row]) >= 2]}  # fmt: skip


def finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def show(found: dict, out) -> None:
    """Print the tables on a rich console."""
    made = common.table("items", "item", "mean", "95 % interval", "band", "seeds in it", "verdict", "source",
                        right=("mean",))  # fmt: skip
    for i in found["items"]:
        made.add_row(i["name"], text_of(i["value"], i["unit"]), range_of(i["interval"]), range_of(i["band"], i["unit"]),
                     f"{i['pass_fraction']:.2f} of {i['seeds']}", "holds" if i["pass"] else "FAILS",
                     i["source"] or "")  # fmt: skip
    out.print(made)
    if found["controls"]:
        made = common.table("negative controls", "item", "condition", "seeds that respond", "verdict")
        for c in found["controls"]:
            made.add_row(c["item"], c["condition"], f"{c['pass_fraction']:.2f} of {c['seeds']}",
                         "holds" if c["pass"] else "FAILS")  # fmt: skip
        out.print(made)
    if "lesions" in found:
        made = common.table("lesions", "silenced", "abolishes")
        for row, names in found["lesions"]["abolished"].items():
            made.add_row(row, ", ".join(names))
        out.print(made)
        for name, own in found["lesions"]["own_nuclei"].items():
            out.print(f"{name}: {', '.join(own) or 'no nucleus abolishes it and spares the rest'}", soft_wrap=True)
    for f in found["failed"]:
        out.print(f"failed: {f['scene']}, {f['condition']}, seed {f['seed']}: {f['why']}", soft_wrap=True)
    held = sum(i["pass"] for i in found["items"])
    out.print(f"{held} of {len(found['items'])} items inside their band in at least {ENOUGH:.0%} of the seeds")
