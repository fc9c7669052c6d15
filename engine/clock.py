"""Fixed-timestep clock: wall time is owed in integer nanoseconds and paid in whole ticks; dropped debt is counted."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_SPEED = float("inf")


class Clock:
    """Decides how many ticks are due. `speed` 0.1 .. `MAX_SPEED` (as fast as possible); debt is capped at `cap_ms`."""

    def __init__(
        self, tick_ms: float = 1.0, *, speed: float = 1.0, cap_ms: float = 50.0, now_ns: Callable[[], int] | None = None
    ):
        if tick_ms <= 0:
            raise ValueError(f"tick_ms must be positive, got {tick_ms}")
        self.tick_ns = round(tick_ms * 1e6)
        self.cap_ns = max(round(cap_ms * 1e6), self.tick_ns)
        self._now_ns = now_ns or time.perf_counter_ns
        self._last_ns = self._now_ns()
        self._debt_ns = 0
        self._steps_asked = 0
        self.paused = False
        self.dropped_ns = 0
        self.set_speed(speed)

    def set_speed(self, speed: float) -> None:
        """Simulated seconds per wall second; 0.05 to `MAX_SPEED`."""
        if not speed >= 0.05:
            raise ValueError(f"speed must be at least 0.05, got {speed}")
        self.speed = speed

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._last_ns = self._now_ns()

    def step(self, ticks: int = 1) -> None:
        """Ask for `ticks` single ticks, paid even while paused."""
        self._steps_asked += ticks

    def due(self, at_most: int = 1000) -> int:
        """Whole ticks to run now; at maximum speed simply `at_most`."""
        now = self._now_ns()
        elapsed, self._last_ns = now - self._last_ns, now
        asked, self._steps_asked = self._steps_asked, 0
        if self.paused:
            return asked
        if self.speed == MAX_SPEED:
            return at_most + asked
        self._debt_ns += int(elapsed * self.speed)
        if self._debt_ns > self.cap_ns:
            self.dropped_ns += self._debt_ns - self.cap_ns
            self._debt_ns = self.cap_ns
        ticks = min(self._debt_ns // self.tick_ns, at_most)
        self._debt_ns -= ticks * self.tick_ns
        return int(ticks) + asked

    @property
    def fraction(self) -> float:
        """Part of the next tick already owed, 0..1, for a view to interpolate with."""
        return min(self._debt_ns / self.tick_ns, 1.0)
