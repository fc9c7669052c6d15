"""`encephagen bench`: how fast, beside other simulators on the same network, by size, by system (docs/bench.md).

Every network runs in a process of its own (tools/bench_worker.py). Repeats are interleaved: each round asks every
process once, so a busy minute of the machine falls on all alike; ratios are taken within rounds.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.errors import UserError
from tools import common

CASES = ("cortex16k", "newborn", "newborn+view", "100k", "1M", "build", "startup", "batch32", "memory", "threads")
SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000, "1M": 1_000_000}
GROWTH_FROM = 10_000  # neurons from which on the growth of cost is fitted
SHARED = (500, 1_000, 2_000, 5_000, 10_000, 20_000)  # neurons at which two threads are compared with one
LEAST_BLOCKS = 5  # seconds of statistics without which nothing is said about them
MEMORY_MS, HOUR_MS = 400_000, 3_600_000


def arguments(parser) -> None:
    parser.add_argument("--cases", metavar="A,B", default="cortex16k,newborn,100k,build,startup,batch32",
                        help=f"which of {', '.join(CASES)}; `all` is every one")  # fmt: skip
    parser.add_argument("--repeats", type=common.whole(1, 100), default=5, metavar="N", help="interleaved rounds")
    parser.add_argument("--threads", metavar="1,2", default="1,2", help="numbers of threads to measure")
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes: does it run, not how fast")
    parser.add_argument("--peers", metavar="A,B", default="brian2,nest", help="other simulators to run, or none")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON; - is standard output")
    parser.add_argument("--out", metavar="DIR", help="folder for bench.json and bench.png (cost against size)")
    common.add_quiet(parser)


def run(args) -> int:
    wanted = list(CASES) if args.cases == "all" else [name.strip() for name in args.cases.split(",")]
    for name in wanted:
        if name not in CASES:
            raise UserError(f"--cases: expected some of {', '.join(CASES)}, got {name[:60]!r}")
    try:
        threads = sorted({int(number) for number in args.threads.split(",")})
    except ValueError:
        threads = []
    if not threads or threads[0] < 1 or threads[-1] > 64:
        raise UserError(f"--threads: expected numbers from 1 to 64 parted by commas, got {args.threads[:60]!r}")
    if args.out is not None:
        try:
            Path(args.out).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {args.out}: cannot be made ({error.strerror})") from None
    common.check_outputs({"--json": None if args.json == "-" else args.json}, {})
    peers = [] if args.peers == "none" else [name.strip() for name in args.peers.split(",")]
    if unknown := [name for name in peers if name not in ("brian2", "nest")]:
        raise UserError(f"--peers: expected brian2, nest or none, got {unknown[0][:60]!r}")
    settings = Settings(1 if args.smoke else args.repeats, threads, args.smoke, peers, args.quiet)
    results: dict = {"machine": machine(), "settings": vars(settings) | {"cases": wanted}, "cases": {}}
    for name in wanted:
        common.say(f"bench: {name}", args.quiet)
        started = time.perf_counter()
        found = MEASURES[name](settings)
        found["bench_s"] = time.perf_counter() - started
        results["cases"][name] = found
        if args.out is not None:  # what was reached stays if the rest is interrupted
            common.write_json(str(Path(args.out) / "bench.json"), results)
    growth = growth_of(results["cases"])
    if growth is not None:
        results["growth"] = growth
    if args.out is not None:
        common.write_json(str(Path(args.out) / "bench.json"), results)
        if growth is not None:
            draw(growth, Path(args.out) / "bench.png")
    if args.json is not None:
        common.write_json(args.json, results)
    if not args.quiet and args.json != "-":
        show(results)
    return 0


class Settings:
    """What the measures need to know of the command line."""

    def __init__(self, repeats: int, threads: list[int], smoke: bool, peers: list[str], quiet: bool = True):
        self.repeats, self.threads, self.smoke, self.peers, self.quiet = repeats, threads, smoke, peers, quiet

    def ms(self, usual: int, smoke: int) -> int:
        return smoke if self.smoke else usual


# processes ------------------------------------------------------------------------------------------------------


class Worker:
    """A process with one network; `ask("run 500")` returns its answer."""

    def __init__(self, program: str, **options):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(common.ROOT)}
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in close)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.bench_worker", program, json.dumps(options)], cwd=common.ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment,
        )  # fmt: skip
        self.facts = self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            said = [line for line in self.errors.read().splitlines() if line.strip()]
            raise UserError(f"bench: a process ended: {said[-1][:200] if said else 'it said nothing'}")
        return json.loads(line)

    def ask(self, order: str) -> dict:
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.errors.close()


class Workers(dict):
    """Label -> worker; all are closed at the end."""

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_) -> None:
        for worker in self.values():
            worker.close()


def rounds(workers: dict[str, Worker], ms: dict[str, int], repeats: int) -> dict[str, list[dict]]:
    """`repeats` rounds in which every worker runs once, in turns."""
    found: dict[str, list[dict]] = {label: [] for label in workers}
    for number in range(repeats):
        order = list(workers)[:: 1 if number % 2 == 0 else -1]
        for label in order:
            found[label].append(workers[label].ask(f"run {ms[label]}"))
    return found


def spread(values) -> dict[str, float]:
    """Median, lowest and highest."""
    ordered = sorted(float(v) for v in values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {"median": median, "min": ordered[0], "max": ordered[-1]}


def summed_up(runs: list[dict]) -> dict:
    """Wall and processor seconds per simulated second, and how many times real time that is."""
    return {
        "wall_s_per_s": spread(r["wall_s"] / r["simulated_s"] for r in runs),
        "cpu_s_per_s": spread(r["cpu_s"] / r["simulated_s"] for r in runs),
        "realtime_x": spread(r["simulated_s"] / r["wall_s"] for r in runs),
        "repeats": len(runs),
    }


def ratios(runs: dict[str, list[dict]], base: str, measure: str) -> dict[str, dict]:
    """How many times as long as `base` the others took, round by round."""
    return {
        label: spread((r[measure] / r["simulated_s"]) / (b[measure] / b["simulated_s"])
                      for r, b in zip(found, runs[base], strict=True))
        for label, found in runs.items() if label != base
    }  # fmt: skip


def machine() -> dict:
    """Where this was measured."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": name, "cores": os.cpu_count(), "python": platform.python_version(), "load_1min": load}


# cases ----------------------------------------------------------------------------------------------------------


def measure(settings: Settings, what: str, ms: int, warm_ms: int, *, profile: bool = True, **options) -> dict:
    """One network of ours at every number of threads."""
    with Workers() as workers:
        for number in settings.threads:
            label = f"{number}_thread" + ("s" if number > 1 else "")
            workers[label] = Worker(what, threads=number, **options)
        for worker in workers.values():
            worker.ask(f"run {warm_ms}")
        runs = rounds(workers, dict.fromkeys(workers, ms), settings.repeats)
        first = next(iter(workers.values()))
        out = {**first.facts, **{label: summed_up(found) for label, found in runs.items()}}
        spikes = sum(r["spikes"] for r in next(iter(runs.values())))
        seconds = sum(r["simulated_s"] for r in next(iter(runs.values())))
        out["rate_hz"] = spikes / seconds / first.facts["neurons"]
        hashes = {worker.ask("spike_hash")["hash"] for worker in workers.values()}
        out["same_spikes"] = len(hashes) == 1
        base = next(iter(runs))
        out["time_relative_to_" + base] = ratios(runs, base, "wall_s")
        out["synapse_bytes_each"] = first.facts["synapse_bytes"] / max(first.facts["synapses"], 1)
        if profile:
            out["profile"] = first.ask(f"profile {ms}")
            out["hands"] = list(workers.values())[-1].ask(f"hands {ms}")
        out |= first.ask("rss")
    return out


def newborn(settings: Settings) -> dict:
    """Brain, cord and body, no view."""
    return measure(settings, "scene", settings.ms(1000, 50), settings.ms(300, 20), scene="newborn",
                   set=["duration=3600 s"])  # fmt: skip


def newborn_view(settings: Settings) -> dict:
    """... drawn off-screen, 30 pictures a simulated second; in its own process beside one without a view."""
    ms = settings.ms(1000, 100)
    with tempfile.TemporaryDirectory() as folder, Workers() as workers:
        options = {"scene": "newborn", "set": ["duration=3600 s"]}
        try:
            workers["without"] = Worker("scene", **options)
            workers["with"] = Worker("scene", video=str(Path(folder) / "bench.mp4"), **options)
        except UserError as error:
            return {"skipped": str(error)}
        for worker in workers.values():
            worker.ask(f"run {settings.ms(300, 40)}")
        runs = rounds(workers, dict.fromkeys(workers, ms), settings.repeats)
        return {"realtime_x": summed_up(runs["with"])["realtime_x"], **{k: summed_up(v) for k, v in runs.items()},
                "time_relative_to_without": ratios(runs, "without", "wall_s")}  # fmt: skip


def cortex16k(settings: Settings) -> dict:
    """The shipped cortex alone at 5 Hz and 0.1 ms, beside Brian2 and NEST; statistics compared in standard errors."""
    from tools import bench_peers

    ms = settings.ms(1000, 100)
    blocks = {
        "ours": settings.ms(12_000, 2_000),
        "brian2": settings.ms(12_000, 2_000),
        "nest": settings.ms(6_000, 1_000),
    }
    what = {"what": "columns", "neurons": 1_000} if settings.smoke else {"what": "cortex"}
    out: dict = {"peers": {}}
    with Workers() as workers:
        for number in settings.threads:
            label = "ours" if number == settings.threads[0] else f"ours_{number}_threads"
            workers[label] = Worker(what["what"], threads=number, neurons=what.get("neurons"))
        for peer in bench_peers.PEERS:
            why = bench_peers.missing(peer) if peer in settings.peers else "not asked for"
            if why is None:
                try:
                    workers[peer] = Worker(peer, ms=blocks[peer], **what)
                    continue
                except UserError as error:
                    why = str(error)
            out["peers"][peer] = {"skipped": why}
        for label in workers:
            if label.startswith("ours"):
                workers[label].ask(f"run {bench_peers.SETTLE_MS}")
        length = {label: blocks["brian2"] if label == "brian2" else ms for label in workers}
        repeats = settings.repeats
        runs = rounds(workers, length, repeats)
        out |= {**workers["ours"].facts, "ours": summed_up(runs["ours"])}
        ours = workers["ours"].ask(f"statistics {blocks['ours']}")
        out["statistics"] = {"ours": averaged(ours)}
        for label in workers:
            if label == "ours":
                continue
            found = summed_up(runs[label]) | {
                "time_relative_to_ours": ratios({label: runs[label], "ours": runs["ours"]}, "ours", "wall_s")[label],
                "cpu_relative_to_ours": ratios({label: runs[label], "ours": runs["ours"]}, "ours", "cpu_s")[label],
            }  # fmt: skip
            if label in bench_peers.PEERS:
                if label == "nest" and repeats * ms < blocks["nest"]:
                    workers[label].ask(f"run {blocks['nest']}")
                theirs = workers[label].ask(f"statistics {blocks[label]}")
                apart = standard_errors_apart(ours, theirs)
                found |= {"version": workers[label].facts["version"], "standard_errors_apart": apart,
                          "same_statistics": max(map(abs, apart.values())) < 3.0 if apart else None}  # fmt: skip
                out["statistics"][label] = averaged(theirs)
                out["peers"][label] = found
            else:
                out[label] = found
        out["profile"] = workers["ours"].ask(f"profile {ms}")
    return out


def averaged(found: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Mean over blocks and its standard error."""
    import numpy as np

    return {name: {"mean": float(np.mean(v)), "standard_error": float(np.std(v, ddof=1) / len(v) ** 0.5) if len(v) > 1
                   else None, "blocks": len(v)} for name, v in found.items()}  # fmt: skip


def standard_errors_apart(one: dict[str, list[float]], two: dict[str, list[float]]) -> dict[str, float]:
    """Difference of the means over its standard error (Welch), per statistic; {} where there are too few blocks.

    Rates and correlations of a recurrent network drift slowly, so blocks in sequence are not quite independent: the
    errors are a little too small, and a verdict of equality is the stricter for it.
    """
    import numpy as np

    out = {}
    for name in one:
        a, b = np.asarray(one[name]), np.asarray(two[name])
        if min(a.size, b.size) >= LEAST_BLOCKS:
            error = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
            out[name] = float((a.mean() - b.mean()) / error) if error > 0 else 0.0
    return out


def sized(name: str):
    """Columns of one size; smaller sizes come along, for the growth of cost."""

    def case(settings: Settings) -> dict:
        biggest = 2_000 if settings.smoke else SIZES[name]
        sizes = [1_000, biggest] if settings.smoke else [n for n in SIZES.values() if n <= biggest]
        out: dict = {"sizes": {}}
        for neurons in sizes:
            ms = 20 if settings.smoke else max(100, min(1000, 20_000_000 // neurons))
            few = Settings(min(settings.repeats, 3) if neurons > 200_000 else settings.repeats, settings.threads,
                           settings.smoke, [])  # fmt: skip
            out["sizes"][str(neurons)] = measure(few, "columns", ms, settings.ms(100, 10), neurons=neurons,
                                                 profile=neurons == biggest)  # fmt: skip
        return out

    return case


def build(settings: Settings) -> dict:
    """Seconds from nothing to a network that is ready to tick, kernels compiled before."""
    kinds = {"newborn": ("scene", {"scene": "newborn"}), "columns_10k": ("columns", {"neurons": 10_000})}
    if settings.smoke:
        kinds = {"columns_1k": ("columns", {"neurons": 1_000})}
    else:
        kinds["columns_100k"] = ("columns", {"neurons": 100_000})
    found: dict[str, list[dict]] = {name: [] for name in kinds}
    for _ in range(settings.repeats):
        for name, (what, options) in kinds.items():
            worker = Worker(what, **options)
            found[name].append(worker.facts)
            worker.close()
    return {name: {"neurons": facts[0]["neurons"], "synapses": facts[0]["synapses"],
                   "wall_s": spread(f["build_wall_s"] for f in facts),
                   "cpu_s": spread(f["build_cpu_s"] for f in facts),
                   "peak_rss_bytes": max(f["peak_rss_bytes"] for f in facts)}
            for name, facts in found.items()}  # fmt: skip


FIRST_TICK = """
import resource, sys, time
from encephagen import load
from tools import common
sim = load(sys.argv[1])
common.compile_kernels(sim, quiet=True)
sim.run(1)
used = resource.getrusage(resource.RUSAGE_SELF)
print(time.time(), used.ru_utime + used.ru_stime)
"""


def startup(settings: Settings) -> dict:
    """From the start of the process to the end of its first tick: the first time ever, and from then on."""
    scene = "structures/cerebellum" if settings.smoke else "newborn"
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "ENCEPHAGEN_CACHE": cache, "OMP_NUM_THREADS": "1",
                       "PYTHONPATH": str(common.ROOT)}  # fmt: skip
        found = []
        for _ in range(1 + settings.repeats):
            started = time.time()
            done = subprocess.run([sys.executable, "-c", FIRST_TICK, scene], cwd=common.ROOT, env=environment,
                                  capture_output=True, text=True)  # fmt: skip
            if done.returncode:
                raise UserError(f"bench: startup: {done.stderr.strip().splitlines()[-1][:200]}")
            at, cpu = map(float, done.stdout.split())
            found.append({"wall": at - started, "cpu": cpu})
    return {"scene": scene, "first_ever_s": found[0]["wall"], "first_ever_cpu_s": found[0]["cpu"],
            "second_s": spread(f["wall"] for f in found[1:]),
            "second_cpu_s": spread(f["cpu"] for f in found[1:])}  # fmt: skip


def batch32(settings: Settings) -> dict:
    """32 copies of the locomotor circuit side by side in one world (`run --batch 32`)."""
    ms = settings.ms(20_000, 200)
    with Workers() as workers:
        workers["batch"] = Worker("batch", copies=32)
        workers["batch"].ask(f"run {settings.ms(500, 50)}")
        runs = rounds(workers, {"batch": ms}, settings.repeats)["batch"]
    return {**workers["batch"].facts,
            "simulated_s_per_wall_s": spread(32 * r["simulated_s"] / r["wall_s"] for r in runs),
            "simulated_s_per_cpu_s": spread(32 * r["simulated_s"] / r["cpu_s"] for r in runs)}  # fmt: skip


def memory(settings: Settings) -> dict:
    """Memory of the newborn as it runs, from when its spike history is full.

    The allocator settles in the first minutes, so the hour is extrapolated from a line through the second half.
    """
    import numpy as np

    step = settings.ms(10_000, 200)
    with Workers() as workers:
        worker = workers["newborn"] = Worker("scene", scene="newborn", set=["duration=3600 s"])
        worker.ask(f"run {settings.ms(70_000, 200)}")
        seen = [worker.ask("rss")["rss_bytes"]]
        for _ in range(settings.ms(MEMORY_MS, 600) // step):
            worker.ask(f"run {step}")
            seen.append(worker.ask("rss")["rss_bytes"])
    late = seen[len(seen) // 2 :]
    slope = float(np.polyfit(np.arange(len(late)) * step, late, 1)[0]) if len(late) > 1 else 0.0
    return {"rss_bytes": seen, "every_ms": step, "bytes_per_simulated_s": slope * 1000,
            "growth_seen": seen[-1] / seen[0] - 1.0, "growth_in_an_hour": slope * HOUR_MS / seen[0]}  # fmt: skip


def two_threads(settings: Settings) -> dict:
    """From which size on two threads that share kernels are faster than one: columns without a body, in turns."""
    sizes = SHARED[1:2] if settings.smoke else SHARED
    out: dict = {"by_neurons": {}}
    for neurons in sizes:
        with Workers() as workers:
            for number in (1, 2):
                workers[str(number)] = Worker("columns", neurons=neurons, threads=number, shared_from=0)
                workers[str(number)].ask("run 300")
            runs = rounds(workers, dict.fromkeys(workers, settings.ms(1000, 100)), settings.repeats)
            out["by_neurons"][str(neurons)] = {
                "two_to_one": ratios(runs, "1", "wall_s")["2"],
                "one_us": spread(1e3 * r["wall_s"] / r["simulated_s"] for r in runs["1"]),
                "two_us": spread(1e3 * r["wall_s"] / r["simulated_s"] for r in runs["2"]),
                "same_spikes": len({w.ask("spike_hash")["hash"] for w in workers.values()}) == 1,
            }  # fmt: skip
    slower = [n for n in sizes if out["by_neurons"][str(n)]["two_to_one"]["median"] >= 1.0]
    faster = [n for n in sizes if not slower or n > slower[-1]]
    return out | {"faster_from": faster[0] if faster else None}


MEASURES = {"cortex16k": cortex16k, "newborn": newborn, "newborn+view": newborn_view, "100k": sized("100k"),
            "1M": sized("1M"), "build": build, "startup": startup, "batch32": batch32, "memory": memory,
            "threads": two_threads}  # fmt: skip


# growth ---------------------------------------------------------------------------------------------------------


def growth_of(cases: dict) -> dict | None:
    """Cost by size, and the power of size with which it grows (log-log line from 10,000 neurons on)."""
    import numpy as np

    sizes = max((case["sizes"] for name, case in cases.items() if name in SIZES), key=len, default=None)
    if sizes is None:
        return None
    threads = [key for key, value in next(iter(sizes.values())).items()
               if isinstance(value, dict) and "wall_s_per_s" in value]  # fmt: skip
    out: dict = {"neurons": [int(n) for n in sizes]}
    for key in threads:
        for measure in ("wall_s_per_s", "cpu_s_per_s"):
            cost = [found[key][measure]["median"] for found in sizes.values()]
            lowest = [found[key][measure]["min"] for found in sizes.values()]
            large = [k for k, n in enumerate(out["neurons"]) if n >= GROWTH_FROM]
            entry = {"median": cost, "min": lowest}
            if len(large) > 1:
                x = np.log([out["neurons"][k] for k in large])
                entry["power"] = float(np.polyfit(x, np.log([cost[k] for k in large]), 1)[0])
                entry["power_of_min"] = float(np.polyfit(x, np.log([lowest[k] for k in large]), 1)[0])
            out.setdefault(key, {})[measure] = entry
    return out


def draw(growth: dict, path: Path) -> None:
    """Cost against size, with the line of the power that is allowed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    neurons = growth["neurons"]
    for key in (k for k in growth if k != "neurons"):
        for measure, style in (("wall_s_per_s", "o-"), ("cpu_s_per_s", "s--")):
            entry = growth[key][measure]
            power = f", size^{entry['power']:.2f}" if "power" in entry else ""
            what = "wall" if measure.startswith("wall") else "processor"
            axes.loglog(neurons, entry["median"], style, label=f"{key.replace('_', ' ')}, {what} time{power}")
    axes.axhline(1.0, color="grey", linewidth=0.8)
    axes.annotate("real time", (neurons[0], 1.0), xytext=(0, 3), textcoords="offset points", color="grey", fontsize=8)
    base = growth[next(k for k in growth if k != "neurons")]["cpu_s_per_s"]["median"]
    large = [k for k, n in enumerate(neurons) if n >= GROWTH_FROM]
    if len(large) > 1:
        first = large[0]
        axes.loglog([neurons[k] for k in large], [base[first] * (neurons[k] / neurons[first]) ** 1.15 for k in large],
                    ":", color="black", label="size^1.15, the most that is allowed")  # fmt: skip
    axes.set(xlabel="neurons (100 synapses each, 5 Hz)", ylabel="seconds per simulated second",
             title="Cost of columns on a connectome, 0.1 ms")  # fmt: skip
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


# printing -------------------------------------------------------------------------------------------------------


def told(value: dict, digits: int = 3) -> str:
    """median (min .. max)."""
    return f"{value['median']:.{digits}g} ({value['min']:.{digits}g} .. {value['max']:.{digits}g})"


def show(results: dict) -> None:
    """Tables of everything measured."""
    out = common.console()
    where = results["machine"]
    out.print(f"{where['processor']}, {where['cores']} cores, load {where['load_1min']:.1f}; median (min .. max)")
    speed = common.table("speed", "case", "threads", "x real time", "wall s / s", "processor s / s", "neurons")
    for name, case in results["cases"].items():
        rows = {name: case} if "sizes" not in case else {f"{int(n):,}": found for n, found in case["sizes"].items()}
        for label, found in rows.items():
            for key, value in {**found, **found.get("peers", {})}.items():
                if isinstance(value, dict) and "wall_s_per_s" in value:
                    speed.add_row(label, key.replace("_", " "), told(value["realtime_x"]), told(value["wall_s_per_s"]),
                                  told(value["cpu_s_per_s"]), f"{found.get('neurons', 0):,}")  # fmt: skip
    out.print(speed)
    for name, case in results["cases"].items():
        for peer, found in case.get("peers", {}).items():
            if "skipped" in found:
                out.print(f"{name}: {peer} left out: {found['skipped']}")
                continue
            worst = max(found["standard_errors_apart"].items(), key=lambda item: abs(item[1]), default=("none", 0.0))
            verdict = {True: "same statistics", None: "too short a run to compare statistics",
                       False: "OTHER STATISTICS: its time does not count"}[found["same_statistics"]]  # fmt: skip
            out.print(f"{name}: {peer} {found['version']} takes {told(found['cpu_relative_to_ours'])} times "
                      f"the processor time, {told(found['time_relative_to_ours'])} times the wall time; "
                      f"{verdict} (largest difference {worst[1]:+.1f} standard errors, {worst[0]})")  # fmt: skip
        profile = case.get("profile")
        if profile:
            parts = sorted(profile["system_us"].items(), key=lambda item: -item[1])[:8]
            out.print(f"{name}: {profile['us_per_tick']:.0f} us a tick: "
                      + ", ".join(f"{k} {v:.0f}" for k, v in parts) + f", between {profile['between_us']:.0f}; "
                      f"{profile['achieved_bytes_per_s'] / 1e9:.1f} GB/s of {profile['copy_bytes_per_s'] / 1e9:.1f} "
                      "that a copy reaches")  # fmt: skip
            real = profile["as_run"]
            out.print(f"{name}: as it runs {real['us_per_tick']:.0f} us a tick: body {100 * real['body_share']:.0f} %, "
                      f"Python {100 * real['python_share']:.0f} %")  # fmt: skip
        hands = case.get("hands")
        if hands:
            out.print(f"{name}: {hands['parts_us']:.0f} us of a tick in {hands['parts']} parts, body "
                      f"{hands['body_us']:.0f}, rest {hands['rest_us']:.0f}: {hands['one_hand_us']:.0f} by one hand, "
                      f"{hands['two_hands_us']:.0f} by two, if none waits for the other")  # fmt: skip
    for name in ("build", "startup", "batch32", "memory", "threads"):
        if name in results["cases"]:
            out.print(f"{name}: {json.dumps(short(results['cases'][name]))}")
    for key, entry in results.get("growth", {}).items():
        if key != "neurons" and "power" in entry["wall_s_per_s"]:
            out.print(f"growth, {key}: wall size^{entry['wall_s_per_s']['power']:.2f}, "
                      f"processor size^{entry['cpu_s_per_s']['power']:.2f}")  # fmt: skip


def short(value):
    """Numbers with three digits, spreads as text."""
    if isinstance(value, dict):
        return told(value) if set(value) == {"median", "min", "max"} else {k: short(v) for k, v in value.items()}
    if isinstance(value, list):
        return [short(v) for v in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value
