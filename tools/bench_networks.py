"""Networks that `encephagen bench` measures besides the shipped scenes: columns of cells on a connectome of any size.

A region is a column of 160 excitatory and 40 inhibitory cells with 100 synapses each: 40 from excitatory and 20 from
inhibitory cells of the column, 40 along tracts from 30 other regions, 3 to 25 ms away. Everything per neuron is the
same at every size, so that cost may be compared across sizes.
"""

from __future__ import annotations

import numpy as np

REGION = 200  # neurons
TRACTS = 30  # regions that a region hears
E_HZ, I_HZ = (
    417.0,
    634.0,
)  # background events per second; with them all sizes fire at 5 Hz (`encephagen bench` shows it)


def columns_circuit():
    """The circuit of one column and its tracts."""
    from systems.spawn.circuit_model import Circuit

    aim = {"rate": ["2 Hz", "10 Hz"], "target": "5 Hz", "source": "cost is compared at 5 Hz"}
    cells = {
        "e": {"count": 160, "acts_on": "ampa", "tau_m": "20 ms", "background": {"psp": "1 mV", "rate": f"{E_HZ} Hz"}},
        "i": {"count": 40, "acts_on": "gaba", "tau_m": "10 ms", "background": {"psp": "1 mV", "rate": f"{I_HZ} Hz"}},
    }
    cells = {name: {"per": "region", "bands": {"adult": aim}, **cell} for name, cell in cells.items()}
    projections = []
    for to in cells:
        projections += [
            {"from": "e", "to": to, "indegree": 40, "psp": "0.25 mV", "delay": ["1 ms", "4 ms"]},
            {"from": "i", "to": to, "indegree": 20, "psp": "1.2 mV", "delay": ["1 ms", "2 ms"]},
            {"name": f"tracts_{to}", "from": "e", "to": to, "relation": "connectome", "indegree": 40, "psp": "0.25 mV",
             "delay": "tract"},
        ]  # fmt: skip
    return Circuit.model_validate(
        {"structure": "columns", "title": "columns on a connectome of any size", "cells": cells,
         "parameters": {"velocity": "6 m/s"}, "projections": projections}
    )  # fmt: skip


def ring_connectome(regions: int, seed: int = 1):
    """Every region hears the same number of others, at the same distances, at equal weight: the same at any size."""
    from systems.spawn.connectome import Connectome

    rng = np.random.default_rng([seed, regions])
    half = min(TRACTS // 2, (regions - 1) // 2)
    steps = rng.choice(np.arange(1, (regions - 1) // 2 + 1), half, replace=False)
    weights, lengths = np.zeros((regions, regions)), np.zeros((regions, regions))
    rows = np.arange(regions)
    for step, length in zip(steps, np.linspace(20.0, 150.0, half), strict=True):
        for sign in (-1, 1):
            weights[rows, (rows + sign * step) % regions] = 1.0
            lengths[rows, (rows + sign * step) % regions] = length
    nothing = np.full(regions, np.nan)
    labels = [f"r{k:04d}" for k in rows]
    return Connectome(
        "ring", labels, weights, lengths, [""] * regions, np.full((regions, 3), np.nan), nothing, None, ""
    )


def build(circuits, connectome, *, seed: int = 1, threads: int = 1, profile: str = "adult", substeps: int = 10,
          calibrations: dict | None = None, strict: bool = True, warm: bool = True):  # fmt: skip
    """(world, network, runner) of circuits on a connectome, as a scene would have made them, without a body."""
    from components.timing import Substeps
    from engine.schedule import Now, Runner
    from engine.world import World
    from systems.flush_spikes import BLOCK, SpikeObserver
    from systems.schedule import TICK
    from systems.spawn import build as spawn
    from systems.spawn import network as net
    from systems.spawn.connectome import evened, normalised

    world = World(seed, threads=threads, strict=strict)
    world.set_array(Now.tick, np.zeros(1, np.int64))
    world.set_array(Substeps.count, np.array([substeps], np.int64))
    parameters = net.parameters_of(circuits, profile, {}, lambda text, key: ValueError(text))
    network = net.Network(parameters=parameters, circuits=circuits, connectome=connectome)
    coupling = normalised(connectome, parameters.get("homotopic", 0.0))
    network.weights = evened(coupling, parameters.get("even_input", 0.0))
    network.populations = net.expand(circuits, connectome, None, (), profile)
    spawn.make_cells(world, network, circuits, profile, calibrations or {}, substeps)
    net.make_synapses(world, network, circuits, None, {}, True)
    spawn.start(world, network, profile if warm else "", substeps)
    world.add_object(SpikeObserver())
    runner = Runner(world, TICK, {"tick": 1, "body step": 1, "block": BLOCK, "sample": 1 << 30})
    return world, network, runner


def columns(neurons: int, **options):
    """(world, network, runner) of about `neurons` neurons in columns."""
    return build([columns_circuit()], ring_connectome(max(3, round(neurons / REGION))), **options)


def cortex(scale: float = 1.03, **options):
    """(world, network, runner) of the shipped cortex alone, adult, without slow excitation; `scale` its background."""
    from systems.spawn.build import read_calibration
    from systems.spawn.connectome import load_connectome
    from systems.spawn.network import load_circuit

    circuit = load_circuit("cortex")[0]
    cells = {name: cell.model_copy(update={"nmda": None}) for name, cell in circuit.cells.items()}
    circuit = circuit.model_copy(update={"cells": cells})
    found = read_calibration("cortex", "adult")
    rates = {
        region: {cell: hz * scale for cell, hz in cells.items()} for region, cells in found["background_hz"].items()
    }
    calibrations = {"cortex": {**found, "background_hz": rates}}
    return build([circuit], load_connectome("hcp_aal2"), calibrations=calibrations, **options)
