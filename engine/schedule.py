"""Phases and their runner: one literal list of phases is the whole tick; nothing reorders it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.component import Resource, column
from engine.kernel import entry
from engine.system import Call, System
from engine.world import World


class Now(Resource):
    """Time as kernels see it."""

    tick = column("i8", unit="tick", doc="Number of the tick in progress; shape [1].")


@dataclass(frozen=True)
class Phase:
    """Systems that run in order, every tick or every body step (`every` is a key of the runner's `periods`)."""

    name: str
    every: str
    systems: tuple[System, ...]


class Runner:
    """Binds the phases to a world and runs ticks. `periods` maps each `every` to a number of ticks, e.g. body step 2.

    A phase with period p runs in the ticks that are multiples of p. Binding is redone when the structure changed.
    """

    def __init__(self, world: World, phases: Sequence[Phase], periods: dict[str, int], *, timed: bool = False):
        self.world, self.phases, self.periods, self.timed = world, tuple(phases), dict(periods), timed
        for phase in self.phases:
            if self.periods.get(phase.every, 0) < 1:
                raise ValueError(f"phase {phase.name} runs every {phase.every!r}, which has no period")
        if Now.tick not in world.arrays:
            import numpy as np

            world.set_array(Now.tick, np.zeros(1, np.int64))
        self._version = -1
        self.plan: list[tuple[int, list[Call]]] = []
        self._steps: list[tuple[int, list[tuple[Callable, tuple]]]] | None = None

    def bind(self) -> None:
        """Resolve every system to calls on this world's tables."""
        self.plan = [
            (self.periods[phase.every], [call for system in phase.systems for call in system.bind(self.world)])
            for phase in self.phases
        ]
        self._version = self.world.structure_version
        self._steps = None

    def _resolve(self) -> list[tuple[int, list[tuple[Callable, tuple]]]]:
        """(period, [(function, arguments)]) of the plan; neighbours with the same period are one."""
        steps = []
        for period, calls in self.plan:
            if not steps or steps[-1][0] != period:
                steps.append((period, []))
            steps[-1][1].extend((entry(call.function, call.args), call.args) for call in calls)
        self._steps = [(period, calls) for period, calls in steps if calls]
        return self._steps

    def step(self) -> None:
        """One tick, top to bottom, then settle."""
        world = self.world
        if self._version != world.structure_version:
            self.bind()
        tick = world.tick
        world.arrays[Now.tick][0] = tick
        if self.timed:
            self._step_timed(tick)
        else:
            for period, calls in self._steps or self._resolve():
                if tick % period == 0:
                    for function, arguments in calls:
                        function(*arguments)
        world.settle()
        world.tick = tick + 1

    def catch_up(self, everything: bool = False) -> None:
        """Bring the world's arrays up to date; where they are the only ones (here) they always are."""

    def push(self) -> None:
        """Take over arrays that were changed from outside between two ticks; here nothing is to be done."""

    def _step_timed(self, tick: int) -> None:
        clock = time.perf_counter_ns
        for period, calls in self.plan:
            if tick % period == 0:
                for call in calls:
                    start = clock()
                    call.function(*call.args)
                    call.wall_ns += clock() - start
                    call.count += 1

    def calls(self) -> list[tuple[Phase, Call]]:
        """(phase, call) in the order they run."""
        if self._version != self.world.structure_version:
            self.bind()
        return [(phase, call) for phase, (_, calls) in zip(self.phases, self.plan, strict=True) for call in calls]
