"""Other simulators on the identical network: same neurons, weights, delays and rates of background, all at 0.1 ms.

Ours adds up what arrives in a tick and spreads it over the tick (README); the others deliver every spike on its own.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SETTLE_MS = 1500


def missing(name: str) -> str | None:
    """Why a peer cannot run here, or None."""
    import shutil

    if importlib.util.find_spec(name) is None:
        return 'not installed (pip install -e ".[bench]")'
    if name == "brian2" and shutil.which("g++") is None:
        return "needs g++"
    return None


class _Loader(importlib.machinery.SourceFileLoader):
    def get_data(self, path):
        data = super().get_data(path)
        return data.replace(b"np.ndarray.ptp", b"np.ptp") if path.endswith(".py") else data

    def path_stats(self, path):
        raise OSError  # no byte code: neither read nor written


class _Finder(importlib.abc.MetaPathFinder):
    """Brian2 up to 2.9 names `ndarray.ptp`, which numpy 2.4 removed (repaired in brian-team/brian2 pull 1705)."""

    def find_spec(self, name, path=None, target=None):
        if name != "brian2.units.fundamentalunits":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = _Loader(name, spec.origin)
        return spec


def exported(world, network) -> dict[str, np.ndarray]:
    """Everything another simulator needs. Neurons: arrays [neurons]; synapses: arrays [synapses]; drives in mV."""
    from components.network import Synapse
    from components.neuron import Ampa, Gaba, GabaSlow, Membrane
    from systems.spawn.learning import presynaptic

    total, substeps = network.neuron_count, 10
    out = {name: np.zeros(total) for name in ("tau_m", "threshold", "reset", "refractory", "background_hz",
                                              "background", "v", "tau_ampa", "tau_gaba", "tau_gaba_slow")}  # fmt: skip
    jump = {"ampa": np.zeros(total), "gaba": np.zeros(total), "gaba_slow": np.zeros(total)}
    at = 0
    for table in world.tables_with([Membrane]):
        rows = slice(at, at + table.row_count)
        at += table.row_count
        out["v"][rows] = table[Membrane.v]
        for receptor, component in (("ampa", Ampa), ("gaba", Gaba), ("gaba_slow", GabaSlow)):
            if component in table:
                jump[receptor][rows] = table[component.jump].astype(float) * 65536 * substeps
    out["population"] = np.zeros(total, np.int32)
    for number, p in enumerate(network.populations):
        cell = p.cell
        out["population"][p.neurons] = number
        for name in ("threshold", "reset", "refractory", "tau_ampa", "tau_gaba", "tau_gaba_slow"):
            out[name][p.neurons] = getattr(cell, name)
        out["tau_m"][p.neurons] = p.tau_m
        for name in ("tau_ampa", "tau_gaba", "tau_gaba_slow"):  # as in systems/spawn/network.py: fill
            if abs(getattr(cell, name) - p.tau_m) < 1e-3 * p.tau_m:
                out[name][p.neurons] = p.tau_m * 1.001
        out["background_hz"][p.neurons] = network.background_hz.get(p.name, 0.0)
        if cell.background is not None:
            out["background"][p.neurons] = cell.background.psp * jump["ampa"][p.neurons]
    columns = {"pre": [], "post": [], "drive": [], "delay": [], "receptor": []}
    for name, receptor in network.receptor_of.items():
        table = world.tables[name]
        post = table[Synapse.post]
        columns["pre"].append(presynaptic(table))
        columns["post"].append(post)
        columns["drive"].append(table[Synapse.weight] * jump[receptor][post])
        columns["delay"].append(table[Synapse.delay].astype(float))
        columns["receptor"].append(np.full(post.size, ("ampa", "gaba", "gaba_slow").index(receptor), np.int8))
    return {**out, **{name: np.concatenate(parts) for name, parts in columns.items()}}


def _network(options: dict):
    from tools import bench_networks as nets
    from tools.bench_worker import excites

    if options["what"] == "cortex":
        world, network, _ = nets.cortex(warm=False)
    else:
        world, network, _ = nets.columns(options["neurons"], warm=False)
    return exported(world, network), excites(network)


class Brian2:
    """C++ standalone; one compiled program that settles and then runs for as long as statistics need."""

    def __init__(self, options: dict):
        if not hasattr(np.ndarray, "ptp"):
            sys.meta_path.insert(0, _Finder())
        import brian2 as b

        self.b, self.ms = b, options["ms"]
        data, self.is_e = _network(options)
        self.folder = tempfile.TemporaryDirectory()
        b.set_device("cpp_standalone", build_on_run=False, directory=self.folder.name)
        b.prefs.devices.cpp_standalone.openmp_threads = 0 if options.get("threads", 1) == 1 else options["threads"]
        b.defaultclock.dt = 0.1 * b.ms
        b.seed(1)
        slow = bool((data["receptor"] == 2).any())
        taus = {"tau_e": "tau_ampa", "tau_i": "tau_gaba", "tau_s": "tau_gaba_slow"}
        # a time constant that all cells share is a plain number: its exponential is then taken once, not every step
        shared = {name: float(data[key][0]) * b.ms for name, key in taus.items() if np.ptp(data[key]) == 0}
        own = [name for name in taus if name not in shared]
        neurons = b.NeuronGroup(
            data["v"].size,
            f"""dv/dt = (ge - gi {"- gs" if slow else ""} - v) / tau : 1 (unless refractory)
            dge/dt = -ge / tau_e : 1
            dgi/dt = -gi / tau_i : 1
            {"dgs/dt = -gs / tau_s : 1" if slow else ""}
            tau : second (constant)
            {"".join(f"{name} : second (constant){chr(10)}            " for name in own)}
            theta : 1 (constant)
            v_reset : 1 (constant)
            hold : second (constant)
            size : 1 (constant)
            chance : 1 (constant)""",
            threshold="v >= theta", reset="v = v_reset", refractory="hold", method="exact", name="neurons",
            namespace=shared,
        )  # fmt: skip
        for name, key in {"tau": "tau_m", "hold": "refractory", **{name: taus[name] for name in own}}.items():
            setattr(neurons, name, data[key] * b.ms)
        neurons.theta, neurons.v_reset, neurons.v = data["threshold"], data["reset"], data["v"]
        # one draw a step: an event of size a (1 + x) with chance x / (1 + x) has the mean and variance of Poisson
        # events of size a at x a step, and costs this peer less than its Poisson function
        per_step = data["background_hz"] * 1e-4
        neurons.size, neurons.chance = data["background"] * (1 + per_step), per_step / (1 + per_step)
        neurons.run_regularly("ge += size * int(rand() < chance)", dt=0.1 * b.ms, when="synapses", name="background")
        parts = [neurons]
        for number, variable in enumerate(("ge", "gi", "gs")):
            chosen = data["receptor"] == number
            if chosen.any():
                joined = b.Synapses(neurons, neurons, "w : 1 (constant)", on_pre=f"{variable}_post += w",
                                    name=f"to_{variable}")  # fmt: skip
                joined.connect(i=data["pre"][chosen], j=data["post"][chosen])
                joined.w, joined.delay = data["drive"][chosen], data["delay"][chosen] * b.ms
                parts.append(joined)
        self.spikes = b.SpikeMonitor(neurons, name="spikes")
        net = b.Network(*parts, self.spikes)
        net.run(SETTLE_MS * b.ms)
        net.run(self.ms * b.ms)
        b.device.build(directory=self.folder.name, run=False, compile=True, with_output=False)
        self.count = int(data["pre"].size)

    def facts(self) -> dict:
        return {"neurons": int(self.is_e.size), "synapses": self.count, "version": self.b.__version__}

    def run(self, ms: int) -> dict:
        """The whole program; the clock is that of its second run, after it settled."""
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        self.b.device.run(self.folder.name, with_output=False, run_args=[])
        whole, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        info = (Path(self.folder.name) / "results" / "last_run_info.txt").read_text().split()
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        wall = float(info[0])
        return {"simulated_s": self.ms / 1000, "wall_s": wall, "cpu_s": wall * min(cpu / whole, 64.0)}

    def statistics(self, ms: int) -> dict:
        from tools.bench_worker import statistics

        at = np.rint(np.asarray(self.spikes.t / self.b.ms) * 10).astype(np.int64) // 10 - SETTLE_MS
        ids = np.asarray(self.spikes.i)
        here = (at >= 0) & (at < self.ms)
        return statistics(ids[here], at[here], self.ms, self.is_e)


class Nest:
    """NEST with current-based neurons of several receptors; background from its Poisson generators."""

    def __init__(self, options: dict):
        import nest

        self.nest, data_is = nest, _network(options)
        data, self.is_e = data_is
        nest.set_verbosity("M_ERROR")
        nest.ResetKernel()
        nest.resolution = 0.1
        nest.local_num_threads = options.get("threads", 1)
        n = data["v"].size
        cells = nest.Create("iaf_psc_exp_multisynapse", n)
        cells.set(
            [{"E_L": 0.0, "V_m": float(data["v"][k]), "V_th": float(data["threshold"][k]),
              "V_reset": float(data["reset"][k]), "t_ref": float(data["refractory"][k]),
              "tau_m": float(data["tau_m"][k]), "C_m": float(data["tau_m"][k]), "I_e": 0.0,
              "tau_syn": [float(data[t][k]) for t in ("tau_ampa", "tau_gaba", "tau_gaba_slow")]} for k in range(n)]
        )  # fmt: skip
        first = int(cells[0].global_id)
        sign = np.where(data["receptor"] == 0, 1.0, -1.0)
        nest.Connect(
            data["pre"].astype(np.int64) + first, data["post"].astype(np.int64) + first, "one_to_one",
            {"synapse_model": "static_synapse", "weight": data["drive"] * sign, "delay": data["delay"],
             "receptor_type": data["receptor"].astype(np.int64) + 1},
        )  # fmt: skip
        for number in np.unique(data["population"]):
            mine = np.flatnonzero(data["population"] == number)
            hz = float(data["background_hz"][mine[0]])
            if hz > 0:
                source = nest.Create("poisson_generator", params={"rate": hz})
                weight = float(data["background"][mine[0]])
                nest.Connect(source, cells[mine.tolist()], "all_to_all",
                             {"weight": weight, "delay": 0.1, "receptor_type": 1})  # fmt: skip
        self.recorder = nest.Create("spike_recorder")
        nest.Connect(cells, self.recorder)
        self.first, self.count, self.at = first, int(data["pre"].size), 0
        self.advance(SETTLE_MS)

    def advance(self, ms: int) -> None:
        self.nest.Simulate(float(ms))
        self.at += ms

    def facts(self) -> dict:
        return {"neurons": int(self.is_e.size), "synapses": self.count, "version": self.nest.__version__}

    def run(self, ms: int) -> dict:
        wall, cpu = time.perf_counter(), time.process_time()
        self.advance(ms)
        return {"simulated_s": ms / 1000, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}

    def statistics(self, ms: int) -> dict:
        """Of the last `ms` that were run."""
        from tools.bench_worker import statistics

        events = self.recorder.get("events")
        at = np.ceil(np.asarray(events["times"]) - 1e-6).astype(np.int64) - 1 - (self.at - ms)
        ids = np.asarray(events["senders"]) - self.first
        here = (at >= 0) & (at < ms)
        return statistics(ids[here], at[here], ms, self.is_e)


PEERS = {"brian2": Brian2, "nest": Nest}
