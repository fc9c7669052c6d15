"""The lesion matrix of `encephagen exam`: what is silenced (assets/exam/lesions.yaml), and what it does to which item.

A reflex is the first item of a scene in which something is done to the body. A nucleus abolishes an item that is there
when nothing is silent (in its band in 80 % of the seeds) if it is in its band in no seed.
"""

from __future__ import annotations

import fnmatch
from functools import cache

from engine.errors import UserError
from tools import common

ENOUGH = 0.8  # of the seeds that must lie in an item's band, and of the items that must keep theirs under a lesion
SAME = 0.2  # change in pass fraction that counts as none
SHARED = 6  # nuclei that must serve two or more reflexes
CUT = "deafferented"


@cache
def plan() -> dict:
    """What the file says."""
    import yaml

    from systems.spawn.scene_model import ASSETS

    return yaml.safe_load((ASSETS / "exam" / "lesions.yaml").read_text(encoding="utf-8"))


def nuclei(scene, only: list[str]) -> dict[str, list[str]]:
    """Name of what is silenced in turn -> globs over populations; `only` are globs over the names, none for all."""
    from systems.spawn.network import load_circuit

    here = scene.brain.circuits if scene.brain is not None else []
    kinds = [f"{circuit}.*.{kind}" for circuit in plan()["each"] if circuit in here
             for kind, c in load_circuit(circuit)[0].cells.items() if c.sense is None and not c.motor]  # fmt: skip
    found = {kind: [kind] for kind in kinds if kind not in plan()["except"]}
    for name, group in plan()["groups"].items():
        if globs := [glob for glob in group["silence"] if glob.split(".")[0] in here]:
            found[name] = globs
    return {name: globs for name, globs in found.items()
            if not only or any(name == word or fnmatch.fnmatchcase(name, word) for word in only)}  # fmt: skip


def conditions(scene, source, only: list[str]) -> dict[str, tuple]:
    """The scene with each nucleus silent in turn, by the nucleus's name."""
    found = {}
    for name, globs in nuclei(scene, only).items():
        brain = scene.brain.model_copy(update={"silence": [*scene.brain.silence, *globs]})
        found[name] = scene.model_copy(update={"brain": brain}), source
    return found


def check(only: list[str], runs: list) -> None:
    """UserError for a name under --nuclei that names nothing."""
    for word in only:
        if not any(nuclei(one.scene, [word]) for one in runs):
            known = ", ".join(dict.fromkeys(name for one in runs for name in nuclei(one.scene, [])))
            raise UserError(f"--nuclei {word}: expected a name or a glob of {known or 'nothing, the scenes have none'}")


def judged(runs: list, intact: str, share_of) -> dict:
    """matrix {row: {scene: {item: pass fraction}}}, which rows abolish what, and the verdicts.

    `share_of(run, claim, condition)` is the pass fraction of an item; rows are conditions, `intact` the first. A cell
    of which a trial is missing, as it failed, is None: no verdict rests on it.
    """
    rows = list(dict.fromkeys(c for one in runs for c in one.conditions))
    matrix = {row: {one.name: {claim.probe: share_of(one, claim, row) if whole_of(one, row) else None
                               for claim in one.scene.expect}
                    for one in runs if row in one.conditions} for row in rows}  # fmt: skip
    first = {one.name: one.scene.expect[0].probe for one in runs}
    reflexes = [one.name for one in runs if not one.scene.exam.spontaneous]
    whole, lesions = matrix[intact], rows[1:]

    def gone(row: str, scene: str, item: str) -> bool:
        held = (whole[scene][item] or 0.0) >= ENOUGH - 1e-9  # only what is there can be abolished
        return scene in matrix[row] and held and matrix[row][scene][item] == 0.0

    def same(row: str, scene: str, item: str, less: bool = False) -> bool:
        """Whether an item is as it was, or, with `less`, not less often in its band than it was."""
        before, now = whole[scene][item], matrix[row].get(scene, {}).get(item)
        if before is None or now is None:
            return False
        return (before - now if less else abs(now - before)) <= SAME + 1e-9

    def spared(row: str, scene: str) -> float:
        """Share of the items of the other scenes that stay as they are."""
        kept = [same(row, name, item) for name, items in matrix[row].items() if name != scene for item in items]
        return sum(kept) / len(kept) if kept else 1.0

    groups = {name: group for name, group in plan()["groups"].items() if name in lesions}
    single = [row for row in lesions if row not in groups and row != CUT]
    abolished = {row: [scene for scene in matrix[row] if gone(row, scene, first[scene])] for row in lesions}
    spare = {row: {scene: spared(row, scene) for scene in abolished[row]} for row in lesions if row != CUT}
    own = {scene: [row for row in single if scene in abolished[row] and spare[row][scene] >= ENOUGH - 1e-9]
           for scene in reflexes}  # fmt: skip
    serves = {row: [scene for scene in abolished[row] if scene in reflexes] for row in single}
    shared = [row for row in single if len(serves[row]) >= 2]
    verdicts = []

    def verdict(name: str, value: str, lacking: list[str], good: bool) -> None:
        verdicts.append({"name": name, "value": value, "pass": bool(good), "lacking": lacking})

    def each(name: str, has) -> None:
        lacking = [scene for scene in reflexes if not has(scene)]
        verdict(name, f"{len(reflexes) - len(lacking)} of {len(reflexes)} reflexes", lacking, not lacking)

    if single:
        each("a nucleus abolishes it and leaves 80 % of the other items as they are", lambda scene: own[scene])
        found = f"{len(shared)}: {', '.join(shared)}" if shared else "none"
        verdict(f"at least {SHARED} nuclei serve two or more reflexes", found, [], len(shared) >= SHARED)
    each(f"{CUT}: abolished", lambda scene: CUT in matrix and gone(CUT, scene, first[scene]))
    for name, group in groups.items():
        if group["all"] == "abolished":
            each(f"{name} silent: abolished", lambda scene, row=name: gone(row, scene, first[scene]))
        else:
            each(f"{name} silent: remains", lambda scene, row=name: same(row, scene, first[scene], less=True))
    return {"matrix": matrix, "reflexes": reflexes, "abolished": abolished, "spared": spare, "serves": serves,
            "own_nuclei": own, "shared_nuclei": shared, "verdicts": verdicts}  # fmt: skip


def whole_of(one, condition: str) -> bool:
    """Whether every trial of a condition is there."""
    return all((condition, seed) in one.trials for seed in one.seeds)


def show(found: dict, out) -> None:
    """Print what is abolished, and the verdicts, on a rich console."""
    made = common.table("lesions", "silenced", "abolishes", "other items as they were")
    for row, scenes in found["abolished"].items():
        kept = [f"{100 * share:.0f} %" for share in found["spared"].get(row, {}).values()]
        made.add_row(row, ", ".join(scenes), ", ".join(kept))
    out.print(made)
    for scene, own in found["own_nuclei"].items():
        out.print(f"{scene}: {', '.join(own) or 'no nucleus abolishes it and spares the rest'}", soft_wrap=True)
    made = common.table("verdicts of the lesions", "claim", "found", "verdict", "not so")
    for v in found["verdicts"]:
        made.add_row(v["name"], v["value"], "holds" if v["pass"] else "FAILS", ", ".join(v["lacking"]))
    out.print(made)
