"""One scene and seed give the same spikes: in another process, by two threads, strict or not, saved and loaded."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from components.body import BodyState
from encephagen import load
from engine.errors import UserError
from engine.schedule import Parts
from systems.spawn.circuit_model import Circuit
from tests.systems.nets import build_circuits, cell, spikes_of

ROOT = Path(__file__).resolve().parent.parent
FRESH = """
from encephagen import load
sim = load("stimulate")
sim.stimulate("cortex.Calcarine_L.*", "20 mV", last="30 ms")
sim.run("200 ms")
print(sim.spike_hash, sim.spikes.total)
"""


def shaken(scene: str = "stimulate", until: str | None = "200 ms", **options):
    """A simulation with a stimulus that lasts from 0 to 130 ms, run for a while."""
    sim = load(scene, **options)
    if scene == "stimulate":
        sim.stimulate("cortex.Calcarine_L.*", "20 mV", last="130 ms")
    else:
        sim.touch("palm_left", "0.5 N", last="130 ms")
        sim.tap("knee_left_extensor", "0.05 N m", last="30 ms")
    return sim.run(until) if until else sim


@pytest.fixture(scope="module")
def straight():
    """stimulate for 200 ms, one thread, strict."""
    return shaken()


def test_two_fresh_processes_agree():
    runs = [
        subprocess.run([sys.executable, "-c", FRESH], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1] and len(runs[0].split()[0]) == 32 and int(runs[0].split()[1]) > 1000


def test_it_fires_at_all(straight):
    """An empty run would agree with anything."""
    assert straight.spikes.total > 1000 and straight.world.tick == 200


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="this machine has one core")
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_that_share_parts_agree_with_one_and_all_execute(straight, threads):
    several = shaken(until=None, threads=threads)
    several.runner.prepare()
    several.runner.crew.trial.helped, several.runner.crew.trial._judge = True, lambda cost: None  # never left alone
    several.run("200 ms")
    assert several.spike_hash == straight.spike_hash and straight.runner.crew is None
    until = time.monotonic() + 20
    while not all(several.runner.crew.done()) and time.monotonic() < until:  # a busy machine lets a helper wait
        several.run(50)
    assert all(several.runner.crew.done()), "one thread did all the work"


@pytest.mark.parametrize("shared", [True, False])
def test_a_body_that_steps_beside_the_brain_changes_nothing(monkeypatch, shared):
    """With two threads the body steps during the next tick, also beside a brain that is not shared."""
    monkeypatch.setattr("systems.spawn.network.SHARED_FROM", 0 if shared else 10**9)
    one, two = shaken("newborn", until="60 ms"), shaken("newborn", until=None, threads=2)
    for ms in (1, 2, 9, 48):  # also ends between the two ticks of a body step
        two.run(ms)
    assert two.spike_hash == one.spike_hash
    assert np.array_equal(two.physics.snapshot()["state"], one.physics.snapshot()["state"])
    assert np.array_equal(two.world[BodyState.sensors], one.world[BodyState.sensors])
    assert two.runner.crew.hands == 2 and (two.world[Parts.own][1] > 1) is np.bool_(shared)


def test_strict_mode_changes_nothing(straight):
    assert shaken(strict=False).spike_hash == straight.spike_hash


def test_another_seed_gives_other_spikes(straight):
    assert shaken(seed=2).spike_hash != straight.spike_hash


def test_running_in_pieces_and_looking_on_change_nothing(straight):
    sim = shaken(until=None)
    for ms in (1, 9, 10, 33, 147):
        sim.run(ms, on_tick=lambda s: s.tick)
        sim.rate_hz("cortex.*")
        assert len(sim.spike_hash) == 32
    assert sim.spike_hash == straight.spike_hash


def test_a_hash_depends_on_every_spike(straight):
    """The last spike counts although the log was not flushed yet."""
    sim = shaken(until="199 ms")
    assert sim.spike_hash != straight.spike_hash


@pytest.mark.parametrize("at", [100, 137])
def test_saved_loaded_and_run_on_equals_a_straight_run(straight, tmp_path, at):
    """Also in the middle of a block of the spike log."""
    first = shaken(until=f"{at} ms")
    first.save(tmp_path / "a.h5")
    other = load("stimulate")
    other.run("20 ms")
    other.load_state(tmp_path / "a.h5")
    assert other.tick == at and other.spike_hash == first.spike_hash
    other.run(200 - at)
    assert other.spike_hash == straight.spike_hash and other.spikes.total == straight.spikes.total
    assert np.array_equal(other.spike_history()[0], straight.spike_history()[0])


def test_a_body_and_its_nervous_system_continue_from_a_snapshot(tmp_path):
    """newborn, saved while a finger presses the palm and a tap is over: spikes, pose and activations agree."""
    straight = shaken("newborn")
    first = shaken("newborn", until="100 ms")
    first.save(tmp_path / "a.h5")
    other = load("newborn").load_state(tmp_path / "a.h5")
    assert np.array_equal(other.physics.snapshot()["state"], first.physics.snapshot()["state"])
    other.run("100 ms")
    assert other.spike_hash == straight.spike_hash and straight.spikes.total > 1000
    assert np.array_equal(other.physics.snapshot()["state"], straight.physics.snapshot()["state"])
    assert other.activation() == straight.activation()
    assert not np.array_equal(straight.physics.snapshot()["state"], first.physics.snapshot()["state"])


def test_a_snapshot_of_another_seed_is_refused_in_one_line(straight, tmp_path):
    straight.save(tmp_path / "a.h5")
    with pytest.raises(UserError, match="saved with seed 7, this world has seed 2"):
        load("stimulate", seed=2).load_state(tmp_path / "a.h5")


def circuit(name: str, **cells) -> Circuit:
    return Circuit.model_validate({
        "structure": name, "title": "a test", "cells": cells,
        "projections": [{"from": "e", "to": "e", "indegree": 20, "psp": "1 mV", "delay": ["1 ms", "9 ms"]}],
    })  # fmt: skip


def spikes_of_mine(*circuits: Circuit) -> list[np.ndarray]:
    """Neuron, tick and substep of the spikes of structure `mine` in half a second."""
    world, network, runner = build_circuits(circuits)
    ids, ticks, substeps = spikes_of(world, runner, 500)
    own = network.by_name["mine.all.e"]
    kept = (ids >= own.first) & (ids < own.first + own.count)
    return [ids[kept] - own.first, ticks[kept], substeps[kept]]


@pytest.mark.parametrize("place", ["after", "before"])
def test_an_unrelated_structure_changes_nobody_elses_spikes(place):
    """Draws are named: wiring, start and noise stay what they were wherever another structure is added."""
    noisy = {"background": {"psp": "2 mV", "rate": "300 Hz"}}
    mine = circuit("mine", e=cell(count=200, **noisy))
    other = circuit("other", e=cell(count=77, **noisy), a=cell(count=50, adaptation={"tau": "1 s", "step": "1 mV"}))
    alone = spikes_of_mine(mine)
    crowded = spikes_of_mine(mine, other) if place == "after" else spikes_of_mine(other, mine)
    assert alone[0].size > 200
    assert all(np.array_equal(a, b) for a, b in zip(alone, crowded, strict=True))
