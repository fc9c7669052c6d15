"""Run a network in Brian2 with everything on a 0.1 ms grid: `python brian2_worker.py IN.npz OUT.npz`.

A program of its own, so that Brian2's import, its generated code and its warnings stay out of the test process.

IN: neurons in groups with `first, count, tau_m [ms], tau_ampa, tau_gaba, threshold, reset [mV], refractory [ms],
background_hz, background [drive, mV]` (one entry per group), synapses `pre, post, delay [ms], drive [mV], excites`,
start potentials `v` of shape [copies, neurons], `ms` to run and `seed`. OUT: `copy, ids, steps` of every spike.
The copies are the same network without synapses between them: as many independent runs in one.
"""

import importlib.abc
import importlib.machinery
import shutil
import sys

import numpy as np


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


def main(source: str, result: str) -> None:
    if not hasattr(np.ndarray, "ptp"):
        sys.meta_path.insert(0, _Finder())
    import brian2 as b

    data = np.load(source)
    copies, n = data["v"].shape
    b.prefs.codegen.target = "cython" if shutil.which("g++") or shutil.which("cl") else "numpy"
    b.defaultclock.dt = 0.1 * b.ms
    b.seed(int(data["seed"]))
    neurons = b.NeuronGroup(
        copies * n,
        """dv/dt = (ge - gi - v) / tau : 1 (unless refractory)
        dge/dt = -ge / tau_e : 1
        dgi/dt = -gi / tau_i : 1
        tau : second (constant)
        tau_e : second (constant)
        tau_i : second (constant)
        theta : 1 (constant)
        v_reset : 1 (constant)
        hold : second (constant)
        noise : 1 (constant)
        arriving : 1 (constant)""",
        threshold="v >= theta", reset="v = v_reset", refractory="hold", method="exact", name="neurons",
    )  # fmt: skip
    group = np.repeat(np.arange(data["count"].size), data["count"])
    assert group.size == n

    def each(name):
        return np.tile(data[name][group], copies)

    neurons.tau, neurons.tau_e, neurons.tau_i = (each(k) * b.ms for k in ("tau_m", "tau_ampa", "tau_gaba"))
    neurons.theta, neurons.v_reset, neurons.hold = each("threshold"), each("reset"), each("refractory") * b.ms
    neurons.noise, neurons.arriving = each("background"), each("background_hz") * 1e-4  # events per 0.1 ms
    neurons.v = data["v"].ravel()
    neurons.run_regularly("ge += noise * poisson(arriving)", dt=0.1 * b.ms, when="synapses", name="background")
    parts = [neurons]
    for excites, on_pre in ((1, "ge_post += w"), (0, "gi_post += w")):
        chosen = data["excites"] == excites
        if not chosen.any():
            continue
        shift = np.repeat(np.arange(copies) * n, chosen.sum())
        name = "excite" if excites else "inhibit"
        joined = b.Synapses(neurons, neurons, "w : 1 (constant)", on_pre=on_pre, name=name)
        joined.connect(i=np.tile(data["pre"][chosen], copies) + shift, j=np.tile(data["post"][chosen], copies) + shift)
        joined.w = np.tile(data["drive"][chosen], copies)
        joined.delay = np.tile(data["delay"][chosen], copies) * b.ms
        parts.append(joined)
    spikes = b.SpikeMonitor(neurons, name="spikes")
    b.Network(*parts, spikes).run(float(data["ms"]) * b.ms)
    index, steps = np.asarray(spikes.i), np.rint(np.asarray(spikes.t / b.ms) * 10).astype(np.int64)
    np.savez(result, copy=index // n, ids=index % n, steps=steps)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
