"""Phases and their runner: one literal list of phases is the whole tick; nothing reorders it."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.component import Resource, column
from engine.kernel import entry
from engine.system import Aside, Call, System
from engine.world import World

LONGEST = 12  # ticks in which kernels may repeat to get a driver for each; beyond, each period has its own


class Now(Resource):
    """Time as kernels see it."""

    tick = column("i8", unit="tick", doc="Number of the tick in progress; shape [1].")


class Parts(Resource):
    """How kernels that read `own` share their work: each of their calls does the parts it is told to do, as one.

    What part p of such a call touches of what another one writes, it touches in that one's part p only. So a part may
    go through a stretch of them at its own pace.
    """

    own = column("i8", unit="part", doc="First part of a call and the one after its last; shape [2].")


@dataclass(frozen=True)
class Phase:
    """Systems that run in order, every tick or every body step (`every` is a key of the runner's `periods`)."""

    name: str
    every: str
    systems: tuple[System, ...]


class Beside:
    """What runs beside the ticks, done by the crew. What it does must not depend on when it is done."""

    def __init__(self, crew):
        self._crew = crew
        self._after: Callable[[], None] | None = None

    def start(self, parts: Aside, arguments: tuple) -> None:
        """`before` now, `work` beside, `after` in `join`; all get the arguments."""
        self.join()
        parts.before(*arguments)
        native = parts.native(*arguments)
        if native is None:
            parts.work(*arguments)
            parts.after(*arguments)
            return
        self._crew.start_aside(*native)
        self._after = functools.partial(parts.after, *arguments)

    def join_for(self, call: Call) -> None:
        """`join`, unless this call would change nothing now."""
        if call.system.rests is None or not call.system.rests(*call.args):
            self.join()

    def join(self) -> None:
        """Wait for what was started, if anything was."""
        if self._after is not None:
            self._crew.finish_aside()
            after, self._after = self._after, None
            after()


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
        self._steps: list[list[list[tuple[int, list[tuple[Callable, tuple]]]]]] | None = None
        self.crew = None  # who shares the work, with more than one thread
        self._beside: Beside | None = None

    def bind(self) -> None:
        """Resolve every system to calls on this world's tables."""
        self._join()
        self.plan = [
            (self.periods[phase.every], [call for system in phase.systems for call in system.bind(self.world)])
            for phase in self.phases
        ]
        self._version = self.world.structure_version
        self._steps = None

    def prepare(self) -> None:
        """Bind and compile everything that `step` calls."""
        if self._version != self.world.structure_version:
            self.bind()
        if self.timed:
            for _, calls in self.plan:
                for call in calls:
                    entry(call.function, call.args)
        elif self._steps is None:
            self._resolve()

    def _resolve(self) -> None:
        """`_steps`: alone and with help, for every tick of the cycle that kernels repeat, what to call.

        Stretches of kernels become one compiled driver. With more than one thread a crew shares out the parts of
        kernels, and a system that can run beside others is started and left alone; whoever needs what it writes, or all
        of it, waits for it first.
        """
        from engine.driver import fits

        if self.world.threads > 1 and self.crew is None:
            from engine.crew import Crew

            self.crew = Crew(self.world.threads)
            self.crew.start()
            self._beside = Beside(self.crew)
        cycle = math.lcm(*(period for period, calls in self.plan if any(map(fits, calls))))
        cycle = cycle if cycle <= LONGEST else 1
        parts = int(self.world.arrays[Parts.own][1]) if Parts.own in self.world.arrays else 1
        ways = (False, True) if self.crew and parts > 1 else (False,)
        self._steps = [[self._steps_of(number, cycle, shared) for number in range(cycle)] for shared in ways]

    def _steps_of(self, number: int, cycle: int, shared: bool) -> list[tuple[int, list[tuple[Callable, tuple]]]]:
        """(period, [(function, arguments)]) of the ticks with this number in the cycle; period 1 is always due.

        `shared`: kernels have their parts shared out; else they are whole, as a network without help is done fastest.
        """
        from engine.driver import LEAST, fits, fuse

        plan: list[tuple[int, list[Call]]] = []
        for period, calls in self.plan:
            if cycle % period == 0:
                calls, period = [] if number % period else calls, 1
            if calls and (not plan or plan[-1][0] != period):
                plan.append((period, []))
            if calls:
                plan[-1][1].extend(calls)
        own = self.world.arrays.get(Parts.own)
        beside = [call for _, calls in self.plan for call in calls if call.system.aside and self.crew]
        steps = []
        for period, calls in plan:
            made: list[tuple[Callable, tuple]] = []
            for fit, stretch in itertools.groupby(calls, fits):
                stretch = list(stretch)
                if fit:
                    if any(call.waits_for(other) for call in stretch for other in beside):
                        made.append((self._beside.join, ()))
                    if len(stretch) >= LEAST or (shared and stretch[0].shares):
                        made.append(fuse(stretch, self.crew if shared else None, own))
                        continue
                for call in stretch:
                    if call in beside:
                        made.append((self._beside.start, (call.system.aside, call.args)))
                        continue
                    if not fit and any(call.waits_for(other) for other in beside):
                        made.append((self._beside.join_for, (call,)))
                    made.append((entry(call.function, call.args), call.args))
            steps.append((period, made))
        return steps

    def _join(self) -> None:
        if self._beside is not None:
            self._beside.join()

    def step(self) -> None:
        """One tick, top to bottom, then settle."""
        self.run(1)

    def run(self, ticks: int) -> None:
        """So many ticks; when it returns, nothing is under way."""
        try:
            for _ in range(ticks):
                self._tick()
        finally:
            self._join()
            if self.crew is not None:
                self.crew.trial.pause()

    def _tick(self) -> None:
        world = self.world
        if self._version != world.structure_version:
            self.bind()
        tick = world.tick
        world.arrays[Now.tick][0] = tick
        if self.timed:
            self._step_timed(tick)
        else:
            if self._steps is None:
                self._resolve()
            helped = self.crew is not None and self.crew.attend()
            steps = self._steps[-1 if helped else 0]
            for period, calls in steps[tick % len(steps)]:
                if period == 1 or tick % period == 0:
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
