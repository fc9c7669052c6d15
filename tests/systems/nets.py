"""Small networks for tests: a circuit written as a dict -> a world with the tables a scene would have got."""

from __future__ import annotations

import numpy as np

from components.timing import Substeps
from engine.schedule import Now, Parts, Runner
from engine.world import World
from systems.flush_spikes import SpikeObserver
from systems.schedule import TICK
from systems.spawn import network as net
from systems.spawn.circuit_model import Circuit

PERIODS = {"tick": 1, "body step": 1, "block": 10, "sample": 100}


def cell(**changes) -> dict:
    """A cell of a circuit file; times and potentials carry units."""
    return {"per": "one", "count": 1, "acts_on": "ampa", "tau_m": "20 ms", **changes}


def build(cells: dict, projections=(), *, seed: int = 1, threads: int = 1, strict: bool = True, substeps: int = 10,
          structure: str = "toy", learning: bool = True):  # fmt: skip
    """(world, network, runner) of one structure; populations are called `structure.all.<cell>`."""
    circuit = Circuit.model_validate(
        {"structure": structure, "title": "a test", "cells": cells, "projections": list(projections)}
    )
    return build_circuits([circuit], seed=seed, threads=threads, strict=strict, substeps=substeps, learning=learning)


def build_circuits(circuits, *, seed: int = 1, threads: int = 1, strict: bool = True, substeps: int = 10, rates=None,
                   learning: bool = True):  # fmt: skip
    """(world, network, runner) of several circuits without connectome or body; `rates`: population -> background Hz."""
    world = World(seed, threads=threads, strict=strict)
    world.set_array(Now.tick, np.zeros(1, np.int64))
    world.set_array(Substeps.count, np.array([substeps], np.int64))
    network = net.Network()
    network.populations = net.expand(circuits, None, None)
    net.make_neurons(world, network, circuits, substeps)
    network.background_hz = (
        rates
        if rates is not None
        else {p.name: p.cell.background.rate for p in network.populations if p.cell.background is not None}
    )
    net.make_background(world, network)
    net.share_rows(world, network, threads)  # however small
    network.assemblies = net.assemble(circuits, network.populations, world.streams)
    net.make_synapses(world, network, circuits, None, {}, learning)
    world.add_object(network)
    world.add_object(SpikeObserver(keep_ms=1e9))
    return world, network, Runner(world, TICK, PERIODS)


def part_by_part(system, table, world) -> None:
    """The call with its parts made one by one, the last one first."""
    own = world[Parts.own]
    parts = int(own[1])
    assert parts > 1
    for part in reversed(range(parts)):
        own[:] = part, part + 1
        system(table, world)
    own[:] = 0, parts


def spikes_of(world: World, runner: Runner, ticks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run `ticks` (a multiple of ten) and return (neuron, tick, substep 1..) of all spikes so far."""
    assert ticks % PERIODS["block"] == 0
    for _ in range(ticks + 1):  # the block of ticks 0..9 is flushed in tick 10
        runner.step()
    ids, when, sub = world.object(SpikeObserver).history()
    kept = when < ticks
    return ids[kept], when[kept], sub[kept]
