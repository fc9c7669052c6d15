"""One network in a process of its own, for `encephagen bench`: `python -m tools.bench_worker WHAT JSON-OPTIONS`.

It builds, says how long that took, and then answers one order a line on standard input with one line of JSON: `run MS`,
`statistics MS`, `profile MS`, `hands MS`, `rss`. So that runs can be interleaved, many such processes stand side by
side, and all but one wait. Time is told as wall time and as processor time of the process, which a busy machine
stretches less.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time

import numpy as np

BLOCK_MS = 1000  # statistics are taken over blocks this long, so that their scatter is known
BIN_MS = 5  # spikes are counted in bins this long for correlations
SHORTEST = 3  # intervals that a cell needs in a block to count for the CV


class Network:
    """A network of ours behind the orders. `sim` is there for a scene."""

    def __init__(self, what: str, options: dict):
        from tools import bench_networks as nets

        threads = options.get("threads", 1)
        if "shared_from" in options:
            from systems.spawn import network as spawn

            spawn.SHARED_FROM = options["shared_from"]
        self.sim = None
        self.film = None
        if what == "scene":
            from encephagen import load
            from tools import common

            self.sim = load(options["scene"], seed=options.get("seed"), threads=threads,
                            overrides=options.get("set", []))  # fmt: skip
            self.world, self.network, self.runner = self.sim.world, self.sim.network, self.sim.runner
            if options.get("video"):
                from systems.view.play import Film

                self.film = Film(self.sim, options["video"])
            common.compile_kernels(self.sim, quiet=True)
        elif what == "batch":
            from tools import run_copies

            copies = run_copies.locomotor(options["copies"])
            self.world, self.network, self.runner = copies.world, copies.network, copies.runner
        elif what == "cortex":
            self.world, self.network, self.runner = nets.cortex(threads=threads, seed=options.get("seed", 1))
        else:
            self.world, self.network, self.runner = nets.columns(options["neurons"], threads=threads,
                                                                 seed=options.get("seed", 1))  # fmt: skip
        from systems.flush_spikes import SpikeObserver

        self.observer = self.world.object(SpikeObserver)

    def facts(self) -> dict:
        """Size, and memory of synapses."""
        from components.network import Branch, Fanout

        synapses = 0
        for name, numbers in self.network.projection_of.items():
            table = self.world.tables[name]
            ring = table[Fanout.ring if Fanout in table else Branch.ring].nbytes
            synapses += table.bytes - ring + numbers.nbytes - (table[Fanout.arrived].nbytes if Fanout in table else 0)
        return {"neurons": self.network.neuron_count, "synapses": self.network.synapse_count, "synapse_bytes": synapses}

    def advance(self, ms: int) -> None:
        if self.sim is not None:
            if self.film is None:
                self.sim.run(ms)
                return
            end = self.sim.tick + ms
            while self.sim.tick < end:
                if self.sim.tick >= self.film.next_tick:
                    self.film.shoot()
                self.sim.run(min(end, self.film.next_tick) - self.sim.tick)
            return
        self.runner.run(ms)

    def run(self, ms: int) -> dict:
        """Wall and processor seconds of a stretch of simulated time."""
        spikes = self.spikes_so_far()
        wall, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
        self.advance(ms)
        own, cpu, wall = time.thread_time() - own, time.process_time() - cpu, time.perf_counter() - wall
        return {"simulated_s": ms / 1000, "wall_s": wall, "cpu_s": cpu, "main_thread_s": own,
                "spikes": self.spikes_so_far() - spikes}  # fmt: skip

    def spikes_so_far(self) -> int:
        from components.network import SpikeLog

        return self.observer.total + int(self.world[SpikeLog.count][0])

    def spike_hash(self, ms: int) -> dict:
        from components.network import SpikeLog
        from systems.flush_spikes import _chain

        found = int(self.world[SpikeLog.count][0])
        columns = (self.world[c][:found] for c in (SpikeLog.ids, SpikeLog.ticks, SpikeLog.substeps))
        return {"hash": _chain(self.observer.digest, *columns).hex(), "tick": self.world.tick}

    def statistics(self, ms: int) -> dict:
        """Statistics of the next `ms`, one entry per block."""
        first = self.world.tick
        self.advance(ms + 20)  # the log reaches the observer within ten ticks
        ids, ticks, _ = self.observer.history(first)
        here = (ticks >= first) & (ticks < first + ms)
        return statistics(ids[here], ticks[here] - first, ms, excites(self.network))

    def profile(self, ms: int) -> dict:
        """Where the time of a tick goes, by system."""
        from tools.bench_profile import profile

        return profile(self.world, self.runner, ms)

    def hands(self, ms: int) -> dict | None:
        """What two hands share of a tick; None for one thread."""
        from tools.bench_profile import by_hands

        return by_hands(self.world, self.runner, ms)

    def rss(self, ms: int) -> dict:
        return {"rss_bytes": resident(), "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def resident() -> int:
    """Memory of this process now [bytes]."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def excites(network) -> np.ndarray:
    """Whether each neuron excites others; shape [neuron_count]."""
    out = np.zeros(network.neuron_count, bool)
    for p in network.populations:
        out[p.neurons] = p.cell.acts_on == "ampa"
    return out


def statistics(ids: np.ndarray, ms: np.ndarray, length: int, is_e: np.ndarray) -> dict[str, list[float]]:
    """Per block of a second: rates of both kinds [Hz], CV of intervals of both, pairwise correlation of counts in 5 ms.

    The mean correlation of pairs follows from the variance of the summed count: var(sum) = sum of variances x (1 + (n -
    1) r). Neurons and blocks are the same for every simulator, so what bias an estimate has, it has everywhere.
    """
    out: dict[str, list[float]] = {f"{name}_{kind}": [] for name in ("rate", "cv", "corr") for kind in "ei"}
    for start in range(0, length - BLOCK_MS + 1, BLOCK_MS):
        here = (ms >= start) & (ms < start + BLOCK_MS)
        i, t = ids[here], ms[here] - start
        for kind, chosen in (("e", is_e), ("i", ~is_e)):
            mine = chosen[i]
            neuron, when, count = i[mine], t[mine], int(chosen.sum())
            out[f"rate_{kind}"].append(neuron.size / count / (BLOCK_MS / 1000))
            order = np.lexsort((when, neuron))
            neuron, when = neuron[order], when[order]
            same = neuron[1:] == neuron[:-1]
            gap, of = np.diff(when)[same].astype(float), neuron[1:][same]
            n = np.bincount(of, minlength=is_e.size)
            enough = n >= SHORTEST
            mean = np.bincount(of, gap, is_e.size)[enough] / n[enough]
            square = np.bincount(of, gap**2, is_e.size)[enough] / n[enough]
            out[f"cv_{kind}"].append(
                float((np.sqrt(np.maximum(square - mean**2, 0)) / mean).mean()) if enough.any() else 0.0
            )
            bins = BLOCK_MS // BIN_MS
            pair = np.unique(neuron.astype(np.int64) * bins + when // BIN_MS, return_counts=True)
            counts = np.bincount(pair[0] % bins, pair[1], bins)
            each = np.bincount(pair[0] // bins, pair[1].astype(float) ** 2, is_e.size)[chosen] / bins
            each -= (np.bincount(neuron, minlength=is_e.size)[chosen] / bins) ** 2
            own = each.sum()
            out[f"corr_{kind}"].append(float((counts.var() - own) / (own * (count - 1))) if own > 0 else 0.0)
    return out


def main(what: str, options: dict) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    if what in ("brian2", "nest"):
        from tools import bench_peers

        made = bench_peers.PEERS[what](options)
    else:
        made = Network(what, options)
    ready = {"build_wall_s": time.perf_counter() - wall, "build_cpu_s": time.process_time() - cpu, **made.facts(),
             "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}  # fmt: skip
    print(json.dumps(ready), file=answers, flush=True)
    for line in sys.stdin:
        order, _, ms = line.strip().partition(" ")
        print(json.dumps(getattr(made, order)(int(ms or 0))), file=answers, flush=True)
    film = getattr(made, "film", None)
    if film is not None:
        film.close()


if __name__ == "__main__":
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # what libraries print must not be taken for an answer
        main(sys.argv[1], json.loads(sys.argv[2]))
