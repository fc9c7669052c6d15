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
from tools import common, exam_figures, exam_lesions, exam_report, exam_sheet, experiment, statistics
from tools.exam_lesions import ENOUGH, SAME
from tools.verdicts import range_of, text_of, values_of

SEEDS = 5
LESION_SEEDS = 3
SHAM = "sham"
CONTROLS = (exam_lesions.CUT, SHAM)  # the lesion first: its world is that of the function
INTACT = "function"


def arguments(parser) -> None:
    parser.add_argument("body", metavar="BODY", nargs="?", default="newborn", help="whose exam (else newborn)")
    parser.add_argument("--seeds", type=common.whole(1, 10_000), metavar="N", help=f"how many (else {SEEDS})")
    parser.add_argument("--lesions", action="store_true", help="silence each nucleus in turn: nuclei x items")
    parser.add_argument("--nuclei", metavar="GLOB", action="append", default=[],
                        help="with --lesions: silence these alone; may be repeated")  # fmt: skip
    parser.add_argument("--long", action="store_true", help="the long items too, such as sleep")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="this scene alone; may be repeated")
    parser.add_argument("--scenes", metavar="DIR", help="folder with the exam's scenes (else the shipped ones)")
    parser.add_argument("--workers", type=common.workers, metavar="N|tcp://...",
                        help="processes (else one per core), or a Dask scheduler")  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="folder for the results (else out/exam or out/lesions)")
    parser.add_argument("--resume", action="store_true", help="go on with the folder: skip the trials it holds")
    parser.add_argument("--no-pictures", action="store_true", help="no time courses, no contact sheet")
    parser.add_argument("--json", metavar="F", help="write items and controls as JSON")
    common.add_quiet(parser)


def run(args) -> int:
    args.seeds = args.seeds or (LESION_SEEDS if args.lesions else SEEDS)
    if args.nuclei and not args.lesions:
        raise UserError("--nuclei: goes with --lesions")
    runs = opened(args)
    lacking = uncontrolled(runs)
    for line in lacking:
        common.say(f"encephagen: warning: {line}", args.quiet)
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
    about = {"body": args.body, "seeds": runs[0].seeds, "versions": experiment.versions(), **experiment.about()}
    failed = [{"scene": one.name, **f} for one in runs for f in experiment.sorted_failures(one)]
    found = {"about": about, "items": items(runs), "controls": controls(runs), "warnings": lacking, "failed": failed}
    if args.lesions:
        found["lesions"] = exam_lesions.judged(runs, INTACT, pass_fraction)
    experiment.write(root / "results.json", json.dumps(found, indent=2, allow_nan=False) + "\n")
    if args.json:
        common.write_json(args.json, found)
    figures = {} if args.no_pictures else pictures(runs, root, args.quiet)
    exam_report.write(root / "report.html", found, runs, figures, args.body)
    if not args.quiet:
        show(found, common.console())
        common.console().print(f"kept in {root}: report.html, results.json, a folder for each scene", soft_wrap=True)
    judged = [*found["items"], *found["controls"], *(found["lesions"]["verdicts"] if args.lesions else [])]
    return 0 if all(one["pass"] for one in judged) and not found["failed"] else 1


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
        wanted = (exam_lesions.CUT,) if args.lesions else CONTROLS
        conditions |= {c: in_condition(scene, source, c) for c in wanted if c in scene.experiment.conditions}
        if args.lesions:
            conditions |= exam_lesions.conditions(*conditions[INTACT], args.nuclei)
        begin = scene.experiment.first_seed
        runs.append(experiment.Run(file.stem, scene, source, list(range(begin, begin + args.seeds)), conditions,
                                   until=end_of(scene), traced=() if args.no_pictures else (INTACT, SHAM)))  # fmt: skip
    if not runs:
        raise UserError(f"{args.body}: no scene in {folder} examines it; those there are for {', '.join(sorted(seen))}")
    exam_lesions.check(args.nuclei, runs)
    return runs


def end_of(scene) -> int | None:
    """Tick at which the last window of an item has passed; None for the end of the scene."""
    probes = {probe.name: probe for probe in scene.probes}
    ends = [probes[claim.probe].windows[-1][1] for claim in scene.expect]
    return None if None in ends else math.ceil(max(ends))


def uncontrolled(runs: list[experiment.Run]) -> list[str]:
    """A line for each scene that does something to the body, but lacks a condition in which nothing must follow."""
    return [f"{one.name}: has no {c} condition, so nothing shows that the response is one (docs/exam.md)"
            for one in runs if not one.scene.exam.spontaneous for c in CONTROLS
            if c not in one.scene.experiment.conditions]  # fmt: skip


# what came of it --------------------------------------------------------------------------------------------------


def pictures(runs: list[experiment.Run], root: Path, quiet: bool) -> dict[str, dict[str, Path]]:
    """Time courses of every item, scene -> item -> file, and the contact sheet where something can draw it."""
    figures = {one.name: exam_figures.draw(one, INTACT, SHAM) for one in runs}
    try:
        exam_sheet.draw(runs, INTACT, root / "sheet.png")
    except UserError as error:
        common.say(f"encephagen: no contact sheet: {error}", quiet)
    return figures


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
                "pass": share >= ENOUGH - 1e-9, "source": claim.source, "values": [finite(x) for x in values],
            })  # fmt: skip
    return found


def controls(runs: list[experiment.Run]) -> list[dict]:
    """The first item of each scene, the response, in the conditions in which there must be none."""
    found = []
    for one, condition in ((one, c) for one in runs for c in CONTROLS if c in one.conditions):
        claim = one.scene.expect[0]
        values = values_of(one.trials, claim.probe, condition, one.seeds)
        known, share = values[~np.isnan(values)], pass_fraction(one, claim, condition)
        whole = exam_lesions.whole_of(one, condition)
        found.append({
            "scene": one.name, "condition": condition, "item": claim.probe,
            "value": finite(known.mean() if known.size else math.nan), "values": [finite(x) for x in values],
            "pass_fraction": share, "seeds": len(one.seeds), "pass": share <= SAME + 1e-9 and whole,
        })  # fmt: skip
    return found


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
        exam_lesions.show(found["lesions"], out)
    for f in found["failed"]:
        out.print(f"failed: {f['scene']}, {f['condition']}, seed {f['seed']}: {f['why']}", soft_wrap=True)
    held = sum(i["pass"] for i in found["items"])
    out.print(f"{held} of {len(found['items'])} items inside their band in at least {ENOUGH:.0%} of the seeds")
