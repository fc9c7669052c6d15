"""A driver does what its calls do one by one; what runs aside is waited for by whoever needs it."""

import numba
import numpy as np
import pytest

from engine.crew import Crew
from engine.driver import fits, fuse, viewer
from engine.schedule import Now, Parts, Phase, Runner
from engine.system import Aside, system
from engine.world import World
from tests.engine.toy import Ball, Room, balls, run, state


def test_a_driver_equals_its_calls_one_by_one():
    """Read-only arrays, an absent optional column, a scalar and a resource are among the arguments."""
    apart, fused = balls(), balls()
    calls = [call for _, call in apart.calls() if fits(call)]
    assert len(calls) == 6 and any(a is None for call in calls for a in call.args)
    function, arguments = fuse([call for _, call in fused.calls() if fits(call)])
    for tick in range(5):
        for runner in (apart, fused):
            runner.world.arrays[Now.tick][0] = tick
        for call in calls:
            call()
        function(*arguments)
        assert state(apart) == state(fused)
    assert state(apart) != state(balls())
    assert np.array_equal(apart.world[Room.ran], fused.world[Room.ran])


def test_a_plain_function_or_a_strided_column_fits_no_driver():
    calls = {call.system.name: call for _, call in balls().calls()}
    assert fits(calls["fall"]) and not fits(calls["tally"])
    calls["fall"].args = (*calls["fall"].args[:-1], np.zeros(600, np.float32)[::2])
    assert not fits(calls["fall"])


NUMBERS = viewer(numba.types.Array(numba.int64, 1, "C"))


class Slow:
    """Something that takes its time: how often it was done, on which thread's behalf; shape [1] each."""

    def __init__(self):
        self.done = np.zeros(1, np.int64)


@numba.cfunc("void(int64, int64)")
def slowly(done, number):
    """A C function that takes about 10 ms and adds 1 to the number at an address."""
    x = number
    for k in range(3_000_000):
        x = x * 1103515245 + k
    NUMBERS(done, (1,))[0] += 1 if x != 1 else 2


def runner_of(log: list, threads: int, native: bool = True):
    def before(n, gravity, slow):
        log.append("hand over")

    def work(n, gravity, slow):
        slow.done += 1

    def after(n, gravity, slow):
        log.append(f"take {slow.done[0]}")

    def compiled(n, gravity, slow):
        return (slowly.address, slow.done.ctypes.data, 0) if native else None

    @system(writes=[Room.gravity], objects=[Slow], aside=Aside(before, work, after, (Room.gravity,), compiled))
    def body(n, gravity, slow):
        for part in (before, work, after):
            part(n, gravity, slow)

    @system(reads=[Now.tick])
    def brain(n, tick):
        log.append("brain")

    @system(reads=[Room.gravity])
    def sense(n, gravity):
        log.append("sense")

    world = World(threads=threads)
    world.set_array(Room.gravity, np.zeros(1, np.float32))
    world.add_object(Slow())
    phases = (Phase("sense", "body step", (sense,)), Phase("think", "tick", (brain,)),
              Phase("body", "body step", (body,)))  # fmt: skip
    return Runner(world, phases, {"tick": 1, "body step": 2}), world.object(Slow)


@pytest.mark.parametrize(("threads", "native"), [(1, True), (2, True), (2, False)])
def test_what_runs_aside_is_done_when_it_is_needed(threads, native):
    """sense reads what body writes: it comes after `take`, and the brain's tick in between need not wait."""
    log: list = []
    runner, slow = runner_of(log, threads, native)
    runner.run(4)
    beside = ["sense", "brain", "hand over", "brain", "take 1", "sense", "brain", "hand over", "brain", "take 2"]
    inline = ["sense", "brain", "hand over", "take 1", "brain", "sense", "brain", "hand over", "take 2", "brain"]
    assert log == (beside if threads == 2 and native else inline) and slow.done[0] == 2


def test_a_run_ends_with_nothing_under_way():
    log: list = []
    runner, slow = runner_of(log, 2)
    runner.run(1)
    assert log == ["sense", "brain", "hand over", "take 1"] and slow.done[0] == 1


@pytest.mark.parametrize("threads", [2, 3])
def test_parts_are_shared_out_and_give_the_same_bits(threads):
    """gust does its parts for whoever claims them; each part is done once a tick."""
    one, several = balls(threads=1), balls(threads=threads)
    several.prepare()
    several.crew.trial._judge = lambda cost: None  # never left alone
    assert run(one, 200) == run(several, 200)
    assert one.world[Room.ran].tolist() == several.world[Room.ran].tolist() == [400, 400]  # two tables of balls
    assert one.crew is None and sum(several.crew.done()) == 400  # a part goes through both of them


def test_a_section_is_a_stretch_of_calls_that_share():
    """Parts of neighbours that share are done together; what does not share stands between two stretches."""
    crew, runner = Crew(1), balls()
    calls = [call for _, call in runner.calls() if fits(call)]
    assert [call.shares for call in calls] == [False, False, True, True, False, False]
    function, arguments = fuse(calls, crew, runner.world[Parts.own])
    function(*arguments)
    assert crew.done() == [2] and runner.world[Room.ran].tolist() == [2, 2]


def test_a_ball_is_not_moved_by_a_driver_of_another_world():
    """Drivers of equal worlds share code, not places."""
    one, other = balls(), balls()
    one.run(3)
    assert (other.world.tables["balls"][Ball.speed] == 0).all()
    other.run(3)
    assert state(one) == state(other)
