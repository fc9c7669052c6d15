"""`encephagen experiment`: scenes x conditions x seeds in parallel processes, resumable, judged (docs/experiments.md).

A folder per scene: config.yaml (what was run), trials.jsonl (a line per trial, as they come), results.json, summary.md,
report.html. `--smoke` runs the beginning of the first conditions, to see that everything works.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import UserError
from engine.units import shown
from tools import common

FORMAT = "encephagen experiment 1"
SMOKE_SEEDS, SMOKE_CONDITIONS, SMOKE_MS = 2, 2, 200
SAY_EVERY_S = 15.0  # progress in lines, where there is no terminal
COMPARED = (
    "format",
    "scene",
    "smoke",
    "first_seed",
    "resolved",
    "versions",
    "sources",
)  # what a folder must share to go on
SOURCES = ("engine", "components", "systems", "assets")  # what decides the spikes, beside the scene


def arguments(parser) -> None:
    parser.add_argument(
        "scene", metavar="SCENE", nargs="+", help="scenes with an experiment block: one family of tests"
    )
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="change one key of every scene")
    parser.add_argument("--seeds", type=common.whole(1, 10_000), metavar="N", help="how many (else the scene's)")
    parser.add_argument("--workers", type=common.workers, metavar="N|tcp://...",
                        help="processes (else one per core), or a Dask scheduler")  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="folder for the results (else out/SCENE, or out/experiment)")
    parser.add_argument("--resume", action="store_true", help="go on with the folder: skip the trials it holds")
    parser.add_argument("--smoke", action="store_true", help=f"{SMOKE_SEEDS} seeds of {SMOKE_MS} ms each, not judged")
    common.add_quiet(parser)


def run(args) -> int:
    experiments = opened(args)
    several = len(experiments) > 1
    root = Path(args.out or ("out/experiment" if several else f"out/{experiments[0].name}"))
    for experiment in experiments:
        experiment.folder = root / experiment.name if several else root
    prepare(experiments, root, args.resume)
    pending = in_order(experiments)
    with common.Interrupt() as interrupt:
        if pending:
            warm(experiments, pending, args.quiet)
        finished = interrupt.asked or pursue(experiments, pending, args, interrupt)
    if interrupt.asked or not finished:
        left = sum(len(e.pending()) for e in experiments)
        done = sum(len(e.trials) for e in experiments)
        common.say(f"encephagen: interrupted; {done} trials are in {root}, {left} are left: go on with --resume")
        return common.INTERRUPTED
    return conclude(experiments, root, args)


# what to run ------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """One scene's experiment: what it is, where it is kept, what is there already."""

    name: str
    scene: object
    source: object
    seeds: list[int]
    conditions: dict[str, tuple]  # name -> (scene, source)
    folder: Path = Path()
    ticks: int | None = None  # of a smoke run
    trials: dict[tuple[str, int], dict] = field(default_factory=dict)
    failed: list[dict] = field(default_factory=list)
    until: int | None = None  # tick at which its trials end, if before the scene's end
    traced: tuple[str, ...] = ()  # conditions of whose first seed the time courses are kept

    def pending(self) -> list:
        failed = {(f["condition"], f["seed"]) for f in self.failed}
        return [self.trial(condition, seed) for seed in self.seeds for condition in self.conditions
                if (condition, seed) not in self.trials and (condition, seed) not in failed]  # fmt: skip

    def trial(self, condition: str, seed: int):
        from tools.workers import Trial

        traced = condition in self.traced and seed == self.seeds[0]
        block = self.scene.experiment
        exchange = tuple(block.counterbalance) if block is not None and seed % 2 else ()
        return Trial(self.name, condition, seed, None if traced else self.until, traced, self.ticks, exchange)

    def length(self, trial) -> float:
        """Simulated time of a trial [ms]."""
        return trial.ticks or trial.until or self.conditions[trial.condition][0].duration


def opened(args) -> list[Run]:
    """The experiments that the arguments name."""
    from engine.scene import load_scene
    from systems.spawn.scene_model import SCENES, Scene, check_files, in_condition

    found: list[Run] = []
    for name in args.scene:
        scene, source = load_scene(name, Scene, [SCENES, Path.cwd()], args.set)
        check_files(scene, source)
        experiment = scene.experiment
        if experiment is None:
            raise UserError(f"{source.where()}: expected a scene with an `experiment` block, this has none "
                            "(docs/experiments.md)")  # fmt: skip
        if any(run.name == source.name for run in found):
            raise UserError(f"{name}: expected each scene once, got {shown(source.name)} again")
        count = min(args.seeds or experiment.seeds, SMOKE_SEEDS) if args.smoke else args.seeds or experiment.seeds
        seeds = list(range(experiment.first_seed, experiment.first_seed + count))
        wanted = list(experiment.conditions)[: SMOKE_CONDITIONS if args.smoke else None]
        conditions = {c: in_condition(scene, source, c) for c in wanted}
        run = Run(source.name, scene, source, seeds, conditions, ticks=SMOKE_MS if args.smoke else None)
        found.append(run)
    return found


def in_order(experiments: list[Run]) -> list:
    """Trials to do: the first seed of every condition of every scene first, so that what is wrong shows at once."""
    return sorted(
        (trial for e in experiments for trial in e.pending()), key=lambda trial: first_first(trial, experiments)
    )


def first_first(trial, experiments: list[Run]) -> bool:
    return all(trial.seed != e.seeds[0] for e in experiments if e.name == trial.scene)


# the folder -------------------------------------------------------------------------------------------------------


def prepare(experiments: list[Run], root: Path, resume: bool) -> None:
    """Make the folders and write what is to be run, or read what was run; refuse what does not belong together."""
    try:
        if root.exists() and not root.is_dir():
            raise UserError(f"--out {root}: expected a folder, found a file")
        there = root.is_dir() and any(root.iterdir())
        if there and not resume:
            raise UserError(f"--out {root}: is not empty; give --resume to go on with it, or another --out")
        config = {"versions": versions(), "sources": source_hash(experiments), **about()}
        for experiment in experiments:
            prepare_one(experiment, config, there)
    except OSError as error:
        raise UserError(f"--out {root}: cannot be written ({error.strerror or error})") from error


def prepare_one(experiment: Run, about_program: dict, there: bool) -> None:
    import yaml

    from engine.scene import dump

    resolved = dump(experiment.scene)
    seeds = len(experiment.seeds)
    resolved["experiment"].pop("seeds")  # more of them may follow
    config = {"format": FORMAT, "scene": experiment.name, "files": [str(f) for f in experiment.source.files],
              "smoke": experiment.ticks is not None, "first_seed": experiment.seeds[0],
              "seeds": seeds, "resolved": resolved, **about_program}  # fmt: skip
    path = experiment.folder / "config.yaml"
    if there and path.is_file():
        before = read_config(path)
        for key in COMPARED:
            if text := difference(before.get(key), config[key], key):
                raise UserError(f"{path}: was run with another {text}; give another --out")
        read_trials(experiment)
    elif there and experiment.folder.is_dir() and any(experiment.folder.iterdir()):
        raise UserError(
            f"{experiment.folder}: holds no config.yaml, so no experiment to go on with; give another --out"
        )
    experiment.folder.mkdir(parents=True, exist_ok=True)
    write(path, yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120))


def read_config(path: Path) -> dict:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path}: cannot be read; give another --out")
    return found


def difference(before, now, key: str) -> str:
    """The first key that differs, as `key: was 1 s, is 2 s`; empty where nothing does."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*now, *(k for k in before if k not in now)]
        return next(filter(None, (difference(before.get(k), now.get(k), f"{key}.{k}") for k in keys)), "")
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return next(filter(None, (difference(a, b, f"{key}.{k}") for k, (a, b) in pairs)), "")
    if before == now:
        return ""
    was, is_ = ("a list of " + str(len(x)) if isinstance(x, list) else shown(x) for x in (before, now))
    return f"{key.removeprefix('resolved.')}: was {was}, is {is_}"


def read_trials(experiment: Run) -> None:
    """Trials of an earlier run; a last line that was cut short is taken off the file."""
    path = experiment.folder / "trials.jsonl"
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            trial = json.loads(line)
            key = trial["condition"], trial["seed"]
            trial["outcomes"], trial["probes"] = dict(trial["outcomes"]), dict(trial["probes"])
        except (ValueError, TypeError, KeyError):
            raise UserError(f"{path}:{number}: not a trial; give another --out") from None
        experiment.trials[key] = trial


def append(experiment: Run, trial, answer: dict) -> None:
    """Keep a finished trial: one line, written at once."""
    from tools.summary import number
    from tools.verdicts import outcomes_of

    values = {"probes": answer["probes"], "outcomes": outcomes_of(experiment.scene, answer["probes"])}
    line = {"scene": trial.scene, "condition": trial.condition, "seed": trial.seed,
            **{key: {name: number(value) for name, value in held.items()} for key, held in values.items()},
            **({"held_background": round(held, 6)} if (held := answer["held_background"]) != 1.0 else {}),
            "spike_hash": answer["spike_hash"], "wall_s": round(answer["wall_s"], 3),
            "load_s": round(answer["load_s"], 3)}  # fmt: skip
    if "traces" in answer:
        from tools.exam_traces import keep

        keep(experiment.folder, trial.condition, answer["traces"])  # first, so that a trial kept never lacks them
    with (experiment.folder / "trials.jsonl").open("ab", buffering=0) as file:
        file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
    experiment.trials[trial.condition, trial.seed] = line


def write(path: Path, text: str) -> None:
    """A small file, all or nothing."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def versions() -> dict[str, str]:
    from importlib.metadata import version

    from encephagen import __version__

    return {"encephagen": __version__} | {name: version(name) for name in ("numpy", "numba", "mujoco", "gymnasium")}


def program_files() -> list[Path]:
    return [p for folder in SOURCES for p in (common.ROOT / folder).rglob("*") if p.is_file() and p.suffix != ".pyc"]


def program_hash() -> str:
    """Hash of the program and its data alone."""
    return hash_of(program_files())


def hash_of(files: list[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(set(files)):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def source_hash(experiments: list[Run]) -> str:
    """Hash of the program and its data, and of the connectomes that the scenes bring along."""
    files = program_files()
    for experiment in experiments:
        brain = experiment.scene.brain
        own = [Path(), experiment.source.path.parent] if brain is not None else []
        files += [folder / brain.connectome for folder in own if (folder / brain.connectome).is_file()]
    return hash_of(files)


def about() -> dict:
    """Where it ran: not compared, but good to know."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(common.ROOT), *words], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD") if (common.ROOT / ".git").exists() else None
    changed = bool(git("status", "--porcelain", "--untracked-files=no")) if commit else None
    return {"commit": commit, "changed_since_commit": changed, "python": platform.python_version(),
            "platform": platform.platform()}  # fmt: skip


# running ----------------------------------------------------------------------------------------------------------


def warm(experiments: list[Run], pending: list, quiet: bool) -> None:
    """Compile every kernel once, before the workers would each do it; what is wrong with a scene shows here too."""
    from systems.probes import Probes
    from systems.simulation import Simulation

    for experiment in experiments:
        wanted = next((trial for trial in pending if trial.scene == experiment.name), None)
        if wanted is not None:
            sim = Simulation(*experiment.conditions[wanted.condition], seed=wanted.seed)
            Probes(sim)
            common.compile_kernels(sim, quiet)


def pursue(experiments: list[Run], pending: list, args, interrupt) -> bool:
    """Run the trials and keep their results; False if interrupted, UserError if a scene turns out to be wrong."""
    from tools.workers import Cluster, Workers

    by_name = {experiment.name: experiment for experiment in experiments}
    scenes = {(e.name, c): pair for e in experiments for c, pair in e.conditions.items()}
    count = args.workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0] * os.cpu_count())
    if isinstance(count, str):
        made = Cluster(scenes, count, program_hash())
    else:
        made = Workers(scenes, count)
    with made as workers, Progress(experiments, pending, args.quiet) as progress:
        for found in workers.results(pending):
            if interrupt.asked:
                return False
            if found is not None:
                trial, kind, answer = found
                experiment = by_name[trial.scene]
                progress.ms += experiment.length(trial)
                if kind == "wrong":
                    raise UserError(f"{answer} ({trial.condition}, seed {trial.seed})")
                if kind == "done":
                    append(experiment, trial, answer)
                else:
                    experiment.failed.append({"condition": trial.condition, "seed": trial.seed, "why": answer})
                    progress.say(f"{trial.scene}: {trial.condition}, seed {trial.seed}: failed: {answer}")
            progress.show()
    return True


class Progress:
    """A table that lives while the trials run, on a terminal; a line now and then elsewhere."""

    def __init__(self, experiments: list[Run], pending: list, quiet: bool):
        self.experiments, self.total, self.quiet = experiments, len(pending), quiet
        by_name = {experiment.name: experiment for experiment in experiments}
        self.ms, self.all_ms = 0.0, sum(by_name[trial.scene].length(trial) for trial in pending)  # simulated
        self.live = None
        self.before = self.kept()
        self.started = self.said = time.monotonic()

    def kept(self) -> int:
        return sum(len(e.trials) + len(e.failed) for e in self.experiments)

    def __enter__(self) -> Progress:
        if not self.quiet and self.total and sys.stderr.isatty():
            from rich.live import Live

            self.live = Live(self.table(), console=common.console(error=True), transient=True, refresh_per_second=4)
            self.live.start()
        return self

    def __exit__(self, *_) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, text: str) -> None:
        """One line that stays; failures are said even if quiet."""
        if self.live is not None:
            self.live.console.print(text, soft_wrap=True)
        else:
            common.say(text)

    def show(self) -> None:
        if self.live is not None:
            self.live.update(self.table())
        elif not self.quiet and time.monotonic() - self.said > SAY_EVERY_S:
            self.said = time.monotonic()
            common.say(f"{self.kept() - self.before} of {self.total} trials{self.left()}")

    def left(self) -> str:
        if not self.ms:
            return ""
        seconds = (time.monotonic() - self.started) / self.ms * (self.all_ms - self.ms)
        return f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {seconds:.0f} s left"

    def table(self):
        """Trials done, and the means so far of what is claimed."""
        from engine.units import DIMENSIONS
        from tools import verdicts

        made = common.table(f"{self.kept() - self.before} of {self.total} trials{self.left()}",
                            "scene", "condition", "trials", "failed", "so far", right=("trials", "failed"))  # fmt: skip
        for e in self.experiments:
            claimed = dict.fromkeys(claim.outcome for claim in e.scene.experiment.claims)
            dimensions = e.scene.outcome_dimensions
            for condition in e.conditions:
                means = []
                for outcome in list(claimed)[:3]:
                    values = verdicts.values_of(e.trials, outcome, condition, e.seeds)
                    known = values[values == values]
                    unit = DIMENSIONS[dimensions[outcome]].base if dimensions[outcome] else ""
                    means.append(f"{outcome} {verdicts.text_of(known.mean() if known.size else None, unit)}")
                done = sum((condition, seed) in e.trials for seed in e.seeds)
                failed = sum(f["condition"] == condition for f in e.failed)
                made.add_row(e.name, condition, f"{done} of {len(e.seeds)}", str(failed or ""), "; ".join(means))
        return made


def conclude(experiments: list[Run], root: Path, args) -> int:
    """Judge, write, print; the exit code."""
    from tools import report, verdicts

    of = {e.name: (e.scene, e.seeds, e.trials, sorted_failures(e), list(e.conditions)) for e in experiments}
    found = verdicts.judged(of, args.smoke)
    try:
        for e in experiments:
            kept(e.folder, {**found[e.name], "wall_s": wall_s(e)}, verdicts.markdown(found[e.name]))
        if len(experiments) > 1:
            together = {"scenes": found, "wall_s": sum(wall_s(e) for e in experiments)}
            kept(root, together, "\n".join(verdicts.markdown(one) for one in found.values()))
        finished, unfinished = report.collected(root)
        write(root / report.PAGE, report.page(finished, unfinished, root))
    except OSError as error:
        raise UserError(f"--out {root}: cannot be written ({error.strerror or error})") from error
    if not args.quiet:
        out = common.console()
        for one in found.values():
            verdicts.show(one, out)
        out.print(f"kept in {root}", soft_wrap=True)
    return 0 if all(one["pass"] for one in found.values()) else 1


def sorted_failures(experiment: Run) -> list[dict]:
    """Failures in the order of the trials, not in that of their arrival."""
    place = {trial: k for k, trial in enumerate((c, s) for s in experiment.seeds for c in experiment.conditions)}
    return sorted(experiment.failed, key=lambda f: place[f["condition"], f["seed"]])


def kept(folder: Path, results: dict, page: str) -> None:
    write(folder / "results.json", json.dumps(results, indent=2, allow_nan=False) + "\n")
    write(folder / "summary.md", page)


def wall_s(experiment: Run) -> float:
    """Computing time of the trials, the building of their worlds included [s]."""
    wanted = ((c, s) for s in experiment.seeds for c in experiment.conditions)
    return round(sum(t["wall_s"] + t["load_s"] for key in wanted if (t := experiment.trials.get(key))), 3)
