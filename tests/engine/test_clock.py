"""The clock pays wall time in whole ticks; all of this runs on a false clock."""

import pytest

from engine.clock import MAX_SPEED, Clock

MS = 1_000_000


class Wall:
    """A wall clock that moves when told."""

    def __init__(self):
        self.ns = 123

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def wall():
    return Wall()


def pay(clock, wall, step_ns: int, times: int) -> int:
    total = 0
    for _ in range(times):
        wall.ns += step_ns
        total += clock.due()
    return total


def test_real_time_pays_one_tick_a_millisecond_and_keeps_the_rest(wall):
    clock = Clock(1.0, now_ns=wall)
    wall.ns += 3 * MS + 600_000
    assert clock.due() == 3 and clock.fraction == pytest.approx(0.6)
    wall.ns += 400_000
    assert clock.due() == 1 and clock.fraction == 0.0 and clock.due() == 0


@pytest.mark.parametrize("speed", [0.1, 0.5, 1.0, 3.0, 5.0])
@pytest.mark.parametrize("poll_ns", [12_345, 16_666_667 // 5, 333])
def test_speed_is_kept_however_often_the_clock_is_asked(wall, speed, poll_ns):
    clock = Clock(1.0, speed=speed, now_ns=wall)
    times = 20_000
    paid = pay(clock, wall, poll_ns, times)
    assert clock.dropped_ns == 0 and abs(paid - poll_ns * times * speed / MS) <= 1


def test_maximum_speed_pays_whatever_fits(wall):
    clock = Clock(1.0, speed=MAX_SPEED, now_ns=wall)
    assert clock.due(at_most=7) == 7 and clock.due(at_most=7) == 7


def test_pause_stops_time_and_resume_does_not_catch_up(wall):
    clock = Clock(1.0, now_ns=wall)
    clock.pause()
    wall.ns += 500 * MS
    assert clock.due() == 0
    wall.ns += 500 * MS
    clock.resume()
    wall.ns += 2 * MS
    assert clock.due() == 2 and clock.dropped_ns == 0


def test_single_steps_are_paid_while_paused_and_only_once(wall):
    clock = Clock(1.0, now_ns=wall)
    clock.pause()
    clock.step(), clock.step(3)
    wall.ns += 100 * MS
    assert clock.due() == 4 and clock.due() == 0
    clock.resume()
    clock.step()
    wall.ns += 2 * MS
    assert clock.due() == 3


def test_debt_is_capped_and_what_is_dropped_is_counted(wall):
    clock = Clock(1.0, cap_ms=50.0, now_ns=wall)
    wall.ns += 180 * MS
    assert clock.due() == 50 and clock.dropped_ns == 130 * MS
    wall.ns += 60 * MS
    assert clock.due() == 50 and clock.dropped_ns == 140 * MS


def test_ticks_beyond_the_limit_of_one_call_stay_owed(wall):
    clock = Clock(1.0, now_ns=wall)
    wall.ns += 9 * MS
    assert [clock.due(at_most=4) for _ in range(4)] == [4, 4, 1, 0]
    wall.ns += 40 * MS
    clock.due(at_most=1)
    assert clock.fraction == 1.0, "a view must not interpolate beyond the next tick"


def test_the_tick_may_be_any_length_and_the_cap_holds_at_least_one(wall):
    clock = Clock(80.0, cap_ms=50.0, now_ns=wall)
    wall.ns += 80 * MS
    assert clock.due() == 1
    with pytest.raises(ValueError, match="tick_ms"):
        Clock(0.0)


@pytest.mark.parametrize("speed", [0.0, -1.0, 0.04, float("nan")])
def test_nonsense_speeds_are_refused(wall, speed):
    with pytest.raises(ValueError, match="speed"):
        Clock(speed=speed, now_ns=wall)


def test_changing_speed_changes_only_what_comes_after(wall):
    clock = Clock(1.0, now_ns=wall)
    wall.ns += 10 * MS
    assert clock.due() == 10
    clock.set_speed(2.0)
    wall.ns += 10 * MS
    assert clock.due() == 20
