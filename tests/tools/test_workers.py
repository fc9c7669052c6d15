"""Trials in processes: what crashes, what is wrong, what is stopped."""

import os
import signal
import time

import pytest

from engine.errors import UserError
from tools.workers import GRACE_S, Trial, Workers

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
