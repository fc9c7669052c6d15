"""Trials in processes: what crashes, what is wrong, what is stopped."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from engine.errors import UserError
from systems.simulation import Simulation, load
from tools.workers import GRACE_S, Bench, Trial, Workers

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Deadly:
    """A scene whose trial kills its process."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        os.kill(os.getpid(), signal.SIGKILL)


class Faulty(Deadly):
    def __getattr__(self, name):
        raise AttributeError(name) if name.startswith("__") else ZeroDivisionError("one\ntwo")


class Wrong(Deadly):
    def __getattr__(self, name):
        raise AttributeError(name) if name.startswith("__") else UserError("no such thing")


class Slow(Deadly):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        time.sleep(600)


def test_a_crash_fails_one_trial_and_the_others_go_on():
    scenes = {("s", "deadly"): (Deadly(), None), ("s", "faulty"): (Faulty(), None), ("s", "wrong"): (Wrong(), None)}
    trials = [Trial("s", condition, seed) for seed in (1, 2) for condition in ("deadly", "faulty", "wrong")]
    with Workers(scenes, 2) as workers:
        answers = {trial: (kind, answer) for trial, kind, answer in filter(None, workers.results(trials))}
    assert set(answers) == set(trials)
    for seed in (1, 2):
        assert answers[Trial("s", "deadly", seed)] == ("fault", "the worker ended (signal 9)")
        assert answers[Trial("s", "faulty", seed)] == ("fault", "ZeroDivisionError: one two")
        assert answers[Trial("s", "wrong", seed)] == ("wrong", "no such thing")


def test_workers_end_when_they_are_told_to_whatever_they_do():
    workers = Workers({("s", "slow"): (Slow(), None)}, 2)
    with workers:
        for found in workers.results([Trial("s", "slow", seed) for seed in range(5)]):
            assert found is None
            break
        processes = list(workers._processes.values())
        started = time.monotonic()
    assert len(processes) == 2 and time.monotonic() - started < 0.9 * GRACE_S
    assert not any(process.is_alive() for process in processes)


def test_a_world_taken_back_to_its_start_is_a_new_one(scenes):
    """Function and lesions, over and over in one world: the spikes and the pose of worlds built for each."""
    sim = load(scenes / "walker.yaml", seed=5)
    glob = "cortex.Calcarine_L.l*"
    brain = sim.scene.brain.model_copy(update={"silence": [glob]})
    conditions = {"function": sim.scene, "lesion": sim.scene.model_copy(update={"brain": brain})}
    fresh = {c: Simulation(scene, sim.source, seed=5).run("150 ms").spike_hash for c, scene in conditions.items()}
    bench, stop = Bench(), SimpleNamespace(asked=False)
    for condition in ("function", "lesion", "lesion", "function"):
        found = bench.run(Trial("s", condition, 5, until=150), conditions[condition], sim.source, stop)
        assert found["spike_hash"] == fresh[condition], condition
        assert found["probes"]["driven"] != found["probes"]["driven"], "its window has not passed: no value"
    assert fresh["function"] != fresh["lesion"]
    assert bench.run(Trial("s", "function", 6), sim.scene, sim.source, stop)["probes"]["driven"] > 10.0


def test_a_lesion_of_nothing_is_wrong(scenes):
    sim = load(scenes / "small.yaml")
    brain = sim.scene.brain.model_copy(update={"silence": ["cortex.nowhere.*"]})
    with pytest.raises(UserError, match=r"brain\.silence"):
        Bench().run(Trial("s", "x", 1), sim.scene.model_copy(update={"brain": brain}), sim.source, None)
