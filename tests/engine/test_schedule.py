"""Phases run top to bottom with their own period; binding follows the structure."""

import numpy as np
import pytest

from engine.schedule import Now, Phase, Runner
from engine.system import system
from engine.world import World
from tests.engine.toy import TICK, Ball, balls


def recorder(log: list, name: str):
    @system(reads=[Now.tick])
    def note(n, tick):
        log.append((int(tick[0]), name))

    return note


def test_phases_run_in_order_and_in_multiples_of_their_period():
    log = []
    phases = (
        Phase("fast", "tick", (recorder(log, "a"), recorder(log, "b"))),
        Phase("slow", "body step", (recorder(log, "slow"),)),
        Phase("last", "tick", (recorder(log, "z"),)),
    )
    runner = Runner(World(), phases, {"tick": 1, "body step": 3})
    for _ in range(5):
        runner.step()
    expected = [
        (t, name) for t in range(5) for name in ("a", "b", *(("slow",) if t % 3 == 0 else ()), "z")
    ]  # fmt: skip
    assert log == expected and runner.world.tick == 5


def test_the_timed_runner_runs_the_same_and_counts_calls():
    log, quiet = [], []
    timed = Runner(World(), (Phase("p", "slow", (recorder(log, "x"),)),), {"slow": 2}, timed=True)
    plain = Runner(World(), (Phase("p", "slow", (recorder(quiet, "x"),)),), {"slow": 2})
    for _ in range(5):
        timed.step(), plain.step()
    ((phase, call),) = timed.calls()
    assert log == quiet and call.count == 3 and call.wall_ns > 0 and phase.name == "p"


def test_a_phase_without_a_period_is_refused():
    for periods in ({}, {"tick": 0}):
        with pytest.raises(ValueError, match="phase p runs every 'tick', which has no period"):
            Runner(World(), (Phase("p", "tick", ()),), periods)


def test_binding_is_redone_only_when_the_structure_changed():
    runner = balls()
    runner.step()
    plan = runner.plan
    runner.step()
    assert runner.plan is plan
    runner.world.spawn("balls", 1)
    runner.step(), runner.step()
    assert runner.plan is not plan


def test_calls_lists_the_tick_as_it_runs():
    calls = [(phase.name, call.system.name, call.table.name) for phase, call in balls().calls()]
    assert calls == [
        (phase.name, s.name, table) for phase in TICK for s in phase.systems for table in ("balls", "counted")
    ]


def test_a_ball_falls_as_galileo_says():
    """One second without floor or gusts: y = 1 - g t^2 / 2 within a step's error."""
    runner = balls(1, counted=0)
    runner.phases = (Phase("push", "tick", TICK[0].systems[:1]), Phase("move", "tick", TICK[1].systems))
    runner.world.arrays[TICK[1].systems[0].reads[0]][:] = -100.0
    table = runner.world.tables["balls"]
    table[Ball.y][:] = 1.0
    for _ in range(1000):
        runner.step()
    assert table[Ball.y][0] == pytest.approx(1.0 - 9.81 / 2, abs=9.81e-3)
    assert np.isclose(table[Ball.speed][0], -9.81, rtol=1e-4)
