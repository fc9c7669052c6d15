"""Time courses of one trial of the exam: what its probes look at, and the pose. They are drawn, never judged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

BIN_MS = 10  # of rates
MOST = 40  # signals kept of a probe that looks at many


def traces_of(sim, probes) -> dict[str, np.ndarray]:
    """`tick` [samples], `qpos` [samples, coordinates] and `activation` [samples, `muscles`] of the run; of each probe
    `of/NAME` [samples or bins, signals] and `names/NAME` [signals]: joints [rad], heights [m], activations, or the rate
    [Hz] in bins of 10 ms of its populations, and of those it compares them with."""
    found: dict[str, np.ndarray] = {}
    if sim.physics is not None:
        found["tick"], found["qpos"] = sim.sampler.traced("qpos")
        if muscles := getattr(sim.physics, "muscle_names", None):
            found["muscles"], found["activation"] = np.array(muscles), sim.sampler.traced("activation")[1]
    for probe in sim.scene.probes:
        kind, rows = probes.of(probe)
        if kind == "population":
            globs = [probe.of] if probe.with_ is None else [probe.of, probe.with_]
            rates = [rate_of(sim, sim.timeline.targets.neurons(glob)) for glob in globs]
            found[f"of/{probe.name}"], found[f"names/{probe.name}"] = np.stack(rates, axis=1), np.array(globs)
            continue
        trace = {"angle": "qpos", "part": "height", "muscle": "activation"}[kind]
        found[f"of/{probe.name}"] = sim.sampler.traced(trace)[1][:, rows[:MOST]]
        names = np.array(sim.physics.muscle_names) if kind == "muscle" else None
        if names is None:
            by_row = {int(row): name for name, row in getattr(probes.names, kind).items()}
            names = np.array([by_row[int(row)] for row in rows])
            rows = np.arange(rows.size)
        found[f"names/{probe.name}"] = names[rows][:MOST]
    return found


def rate_of(sim, neurons: np.ndarray) -> np.ndarray:
    """Mean rate [bins] Hz of some neurons, in whole bins from the start."""
    ids, ticks = sim.spike_history()
    wanted = np.zeros(sim.network.neuron_count, bool)
    wanted[neurons] = True
    bins = sim.tick // BIN_MS
    count = np.bincount(ticks[wanted[ids]] // BIN_MS, minlength=bins)[:bins]
    return (count * 1000.0 / BIN_MS / neurons.size).astype(np.float32)


def keep(folder: Path, condition: str, traces: dict[str, np.ndarray]) -> None:
    """Into traces_CONDITION.npz, all or nothing."""
    path = file_of(folder, condition)
    temporary = path.with_name(f".{path.stem}.part.npz")
    np.savez_compressed(temporary, **{name.replace("/", "|"): array for name, array in traces.items()})
    os.replace(temporary, path)


def kept(folder: Path, condition: str) -> dict[str, np.ndarray] | None:
    """What `keep` kept, None where there is nothing."""
    path = file_of(folder, condition)
    if not path.is_file():
        return None
    with np.load(path) as file:
        return {name.replace("|", "/"): file[name] for name in file.files}


def file_of(folder: Path, condition: str) -> Path:
    return folder / f"traces_{condition}.npz"
