"""Does a change make it slower? Two revisions measured in one run: `python -m tools.bench_guard main HEAD`.

Each revision gets a worktree of its own and a process that stays; rounds ask both in turns, so whatever the machine
does besides falls on both alike. The median of the ratios of processor time is judged, beside its range: 1.10 means the
second revision takes 10 % longer. Exit code 1 if a case is slower than `--limit` in its median and in three quarters of
the rounds. It also says whether both fire the same spikes. No other test of the project asserts a time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCENES = {"newborn": "newborn", "stimulate": "stimulate", "walker": "walker"}
WARM_MS, MS = 300, 500

WORKER = """
import json, sys, time
from encephagen import load
started = time.process_time()
sim = load(sys.argv[1], threads=int(sys.argv[2]))
loaded = time.process_time() - started
def answer(**what):
    print(json.dumps(what), flush=True)
sim.run(int(sys.argv[3]))
answer(load_cpu_s=loaded, spike_hash=sim.spike_hash)
for line in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    sim.run(int(line))
    answer(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)
"""


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def judged(base: list[float], new: list[float], limit: float) -> dict:
    """Ratios new / base, round by round, and whether they are too large: the median and three rounds of four."""
    ratio = [n / b for n, b in zip(new, base, strict=True)]
    slow = sum(r > limit for r in ratio)
    return {"ratio": median(ratio), "lowest": min(ratio), "highest": max(ratio), "rounds": len(ratio),
            "slower": median(ratio) > limit and slow >= 0.75 * len(ratio)}  # fmt: skip


@contextlib.contextmanager
def worktree(revision: str):
    """A folder with the files of a revision; gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        done = subprocess.run(["git", "worktree", "add", "--detach", str(tree), revision], cwd=ROOT, text=True,
                              capture_output=True)  # fmt: skip
        if done.returncode:
            raise SystemExit(f"bench_guard: {revision}: {done.stderr.strip().splitlines()[-1]}")
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, capture_output=True)


class Process:
    """A scene of one revision, kept ready."""

    def __init__(self, tree: Path, scene: str, threads: int):
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, scene, str(threads), str(WARM_MS)], cwd=tree, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.facts = self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read().strip().splitlines()
            raise SystemExit(f"bench_guard: {said[-1] if said else 'a process ended'}")
        return json.loads(line)

    def run(self, ms: int) -> dict:
        self.process.stdin.write(f"{ms}\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        self.process.wait()


def compare(trees: list[Path], scene: str, threads: int, rounds: int, limit: float, ms: int = MS) -> dict:
    """One scene of both revisions, in turns."""
    pair = [Process(tree, scene, threads) for tree in trees]
    try:
        found: list[list[dict]] = [[], []]
        for number in range(rounds):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                found[which].append(pair[which].run(ms))
        cpu, wall = ([[r[key] for r in runs] for runs in found] for key in ("cpu_s", "wall_s"))
        return {
            "processor": judged(*cpu, limit), "wall": judged(*wall, limit),
            "us_per_tick": [1e6 * median(runs) / ms for runs in cpu],
            "same_spikes": pair[0].facts["spike_hash"] == pair[1].facts["spike_hash"],
            "load_cpu_s": [p.facts["load_cpu_s"] for p in pair],
        }  # fmt: skip
    finally:
        for process in pair:
            process.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench_guard", description=__doc__.split("\n")[0])
    parser.add_argument("base", help="git revision to compare with, e.g. main")
    parser.add_argument("new", nargs="?", default="HEAD", help="git revision that is judged (HEAD)")
    parser.add_argument("--scenes", default="newborn", help=f"some of {','.join(SCENES)}, parted by commas")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--limit", type=float, default=1.10, help="ratio of processor time that is too much")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args(arguments)
    results: dict = {"base": args.base, "new": args.new, "limit": args.limit, "scenes": {}}
    with worktree(args.base) as base, worktree(args.new) as new:
        for scene in args.scenes.split(","):
            started = time.perf_counter()
            found = compare([base, new], SCENES.get(scene, scene), args.threads, args.rounds, args.limit)
            results["scenes"][scene] = found
            cpu, wall = found["processor"], found["wall"]
            print(f"{scene}: {found['us_per_tick'][0]:.0f} -> {found['us_per_tick'][1]:.0f} us a tick; processor time "
                  f"x {cpu['ratio']:.3f} ({cpu['lowest']:.3f} .. {cpu['highest']:.3f}), wall x {wall['ratio']:.3f}; "
                  f"{'same' if found['same_spikes'] else 'OTHER'} spikes; {'SLOWER' if cpu['slower'] else 'ok'} "
                  f"({time.perf_counter() - started:.0f} s)", flush=True)  # fmt: skip
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n")
    return 1 if any(found["processor"]["slower"] for found in results["scenes"].values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
