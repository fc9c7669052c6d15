"""A crew does every part of every job once, whoever is free, and the poster needs nobody to be."""

import threading
import time

import numba
import numpy as np
import pytest

from engine import crew as crews
from engine.crew import ASIDE, BACK, FRONT, LATE, SECTION, WINDOW, Crew, Trial
from engine.driver import viewer

BYTES = viewer(numba.types.Array(numba.int64, 1, "C"))


@numba.cfunc("void(int64, int64)")
def count(address, part):
    """Add 1 to number `part` of those at an address."""
    BYTES(address, (part + 1,))[part] += 1


@numba.njit
def claims(block, slot, sides):
    """Claim parts from these sides, one after another; how many there were to claim."""
    found = 0
    for side in sides:
        found += crews.take(block, slot, side, 0)
    return found


def test_parts_are_claimed_from_both_ends_until_none_is_left():
    crew, done = Crew(1), np.zeros(5, np.int64)
    for sides, expected in (([FRONT, FRONT], [1, 1, 0, 0, 0]), ([BACK], [1, 1, 0, 0, 1]), ([FRONT], [1, 1, 1, 0, 1]),
                            ([BACK] * 9, [1, 1, 1, 1, 1]), ([FRONT, BACK], [1, 1, 1, 1, 1])):  # fmt: skip
        if not done.any():
            crew._begin(crew.block, SECTION, count.address, done.ctypes.data, 0, 5)
        claims(crew.block, SECTION, np.array(sides))
        assert done.tolist() == expected
    assert crew.done() == [5]


def test_the_poster_alone_does_all_of_a_job():
    """Also a second job after the first, and both slots at once."""
    crew, done = Crew(3), np.zeros(70, np.int64)
    for _ in range(3):
        crew._begin(crew.block, SECTION, count.address, done.ctypes.data, 0, 60)
        crew.start_aside(count.address, done.ctypes.data, 65)
        crew._complete(crew.block, SECTION)
        crew.finish_aside()
    assert done[:60].tolist() == [3] * 60 and done[60:].tolist() == [0] * 5 + [3] + [0] * 4
    assert crew.done() == [183, 0, 0]


@pytest.mark.parametrize("hands", [2, 4])
def test_helpers_help_and_no_part_is_done_twice(hands):
    """Ten thousand short jobs, in which claims of one job meet the beginning of the next."""
    crew, done = Crew(hands), np.zeros(7, np.int64)
    crew.start()
    jobs, until = 0, time.monotonic() + 20
    while jobs < 10_000 or (not all(crew.done()) and time.monotonic() < until):
        crew.wake()
        parts = 1 + jobs % 7
        crew._begin(crew.block, SECTION, count.address, done.ctypes.data, 0, parts)
        crew._complete(crew.block, SECTION)
        jobs += 1
        if parts == 7:
            assert done.tolist() == [jobs - jobs // 7 * k for k in range(7)]
    assert all(crew.done()), "a helper never helped"


def test_a_helper_without_work_sleeps_and_gets_up_again():
    crew, done = Crew(2), np.zeros(1, np.int64)
    crew.start()
    (asleep, _) = crew._helpers[0]
    for _ in range(3):
        assert until(lambda: asleep[0])
        crew.start_aside(count.address, done.ctypes.data, 0)
        time.sleep(0.02)
        assert asleep[0], "nobody woke it"
        before = done[0]
        crew.wake()
        assert until(lambda before=before: done[0] == before + 1), "it did what was posted"
        crew.finish_aside()
    assert crew.done() == [0, 3]


def test_a_crew_that_is_let_go_takes_its_threads_along():
    before = set(threading.enumerate())
    crew = Crew(3)
    crew.start()
    mine = set(threading.enumerate()) - before
    assert len(mine) == 2
    crew.wake()
    del crew
    assert until(lambda: not any(thread.is_alive() for thread in mine))


def until(happened, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.002)
    return False


class Machine:
    """A clock, and what a tick takes [ns] with help and without; `trial` has been asked `ticks` times."""

    def __init__(self, helped: float, alone: float):
        self.now, self.cost = 0, {True: helped, False: alone}
        self.trial = Trial(lambda: self.now)
        self.ways: list[bool] = []

    def run(self, ticks: int) -> float:
        """Share of these ticks with help."""
        for _ in range(ticks):
            self.ways.append(self.trial())
            self.now += self.cost[self.ways[-1]]
        return sum(self.ways[-ticks:]) / ticks


@pytest.mark.parametrize(("helped", "alone", "share"), [(100, 200, 1.0), (200, 100, 0.0)])
def test_the_faster_way_is_kept_to(helped, alone, share):
    machine = Machine(helped, alone)
    machine.run(2 * WINDOW)
    assert machine.ways[:WINDOW] == [True] * WINDOW and not any(machine.ways[WINDOW:])
    assert machine.run(60_000) == pytest.approx(share, abs=0.03)
    assert machine.run(400_000) == pytest.approx(share, abs=0.003), "the way that lost is tried ever less often"


def test_a_change_of_the_machine_is_found_out():
    machine = Machine(100, 200)
    machine.run(20_000)
    machine.cost[True] = 2000
    machine.run(2 * WINDOW * LATE)
    assert machine.run(1000) < 0.1


def test_a_trial_that_loses_badly_ends_at_once():
    """Help that takes a thousand times as long costs a tick or two, not a window."""
    machine = Machine(100, 100)
    machine.run(WINDOW)
    machine.cost[True] = 100_000
    before = machine.now
    machine.run(100_000)
    assert machine.now - before < 1.3 * 100 * 100_000


def test_time_between_runs_does_not_count():
    machine = Machine(100, 200)
    for _ in range(4000):
        machine.run(10)
        machine.trial.pause()
        machine.now += 10**9 if machine.ways[-1] else 0
    assert machine.run(10_000) > 0.9


def test_slots_do_not_share_cache_lines():
    crew = Crew(2)
    assert crew.block.ctypes.data % 64 == 0 and ASIDE - SECTION >= 3 * crews.LINE
