"""A driver does what its calls do one by one; what runs aside is waited for by whoever needs it."""

import threading
import time

import numpy as np
import pytest

from engine.driver import fits, fuse
from engine.schedule import Now, Phase, Runner
from engine.system import Beside, system
from engine.world import World
from tests.engine.toy import Ball, Room, balls, state


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


class Slow:
    """Something that takes its time, in its own thread."""

    def __init__(self):
        self.done, self.threads = 0, set()


def slowly(n, gravity, slow):
    time.sleep(0.01)
    slow.threads.add(threading.current_thread().name)
    slow.done += 1


def runner_of(log: list, threads: int, fail: bool = False):
    def before(n, gravity, slow):
        log.append("hand over")

    def work(n, gravity, slow):
        slowly(n, gravity, slow)
        if fail:
            raise ValueError("broke")

    def after(n, gravity, slow):
        log.append("take")

    @system(writes=[Room.gravity], objects=[Slow], aside=Beside(before, work, after, (Room.gravity,)))
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
    world.kernel_threads = 1
    world.set_array(Room.gravity, np.zeros(1, np.float32))
    world.add_object(Slow())
    phases = (Phase("sense", "body step", (sense,)), Phase("think", "tick", (brain,)),
              Phase("body", "body step", (body,)))  # fmt: skip
    return Runner(world, phases, {"tick": 1, "body step": 2}), world.object(Slow)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_runs_aside_is_done_when_it_is_needed(threads):
    """sense reads what body writes: it comes after `take`, and the brain's tick in between need not wait."""
    log: list = []
    runner, slow = runner_of(log, threads)
    runner.run(4)
    beside = ["sense", "brain", "hand over", "brain", "take", "sense", "brain", "hand over", "brain", "take"]
    inline = ["sense", "brain", "hand over", "take", "brain", "sense", "brain", "hand over", "take", "brain"]
    assert log == (beside if threads == 2 else inline) and slow.done == 2
    assert slow.threads == ({"aside"} if threads == 2 else {threading.main_thread().name})


def test_a_run_ends_with_nothing_under_way_and_an_error_aside_is_raised():
    log: list = []
    runner, slow = runner_of(log, 2)
    runner.run(1)
    assert log == ["sense", "brain", "hand over", "take"] and slow.done == 1
    broken, _ = runner_of([], 2, fail=True)
    with pytest.raises(ValueError, match="broke"):
        broken.run(1)


def test_a_ball_is_not_moved_by_a_driver_of_another_world():
    """Drivers of equal worlds share code, not places."""
    one, other = balls(), balls()
    one.run(3)
    assert (other.world.tables["balls"][Ball.speed] == 0).all()
    other.run(3)
    assert state(one) == state(other)
