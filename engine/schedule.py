"""Phases and their runner: one literal list of phases is the whole tick; nothing reorders it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.component import Resource, column
from engine.kernel import entry
from engine.system import Beside, Call, System
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


class Aside:
    """A thread that does one thing at a time, beside the ticks. What it does must not depend on when it is done."""

    def __init__(self):
        self._go, self._done = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        self._thread: threading.Thread | None = None
        self._under_way = False
        self._after: Callable | None = None

    def start(self, parts: Beside, arguments: tuple) -> None:
        """`before` now, `work` in the thread, `after` in `join`; all get the arguments."""
        self.join()
        parts.before(*arguments)
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, daemon=True, name="aside")
            self._thread.start()
        self._work, self._after, self._arguments, self._error = parts.work, parts.after, arguments, None
        self._under_way = True
        self._go.release()

    def join(self) -> None:
        """Wait for what was started, if anything was."""
        if not self._under_way:
            return
        self._done.acquire()
        self._under_way = False
        if self._error is not None:
            raise self._error
        self._after(*self._arguments)

    def _loop(self) -> None:
        while True:
            self._go.acquire()
            try:
                self._work(*self._arguments)
            except BaseException as error:
                self._error = error
            self._done.release()


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
        self._aside = Aside()

    def bind(self) -> None:
        """Resolve every system to calls on this world's tables."""
        self._aside.join()
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

    def _resolve(self) -> list[tuple[int, list[tuple[Callable, tuple]]]]:
        """(period, [(function, arguments)]) of the plan; neighbours with the same period are one.

        Stretches of kernels become one compiled driver. With more than one thread, a system that can run beside others
        is started and left alone; whoever needs what it writes, or all of it, waits for it first.
        """
        from engine.driver import LEAST, fits, fuse

        plan: list[tuple[int, list[Call]]] = []
        for period, calls in self.plan:
            if not plan or plan[-1][0] != period:
                plan.append((period, []))
            plan[-1][1].extend(calls)
        beside = [call for _, calls in plan for call in calls if call.system.aside and self.world.kernel_threads == 1]
        beside = beside if self.world.threads > 1 else []
        steps = []
        for period, calls in plan:
            made: list[tuple[Callable, tuple]] = []
            for fit, stretch in itertools.groupby(calls, fits):
                stretch = list(stretch)
                if any(call.waits_for(other) for call in stretch for other in beside):
                    made.append((self._aside.join, ()))
                if fit and len(stretch) >= LEAST:
                    made.append(fuse(stretch))
                    continue
                for call in stretch:
                    if call in beside:
                        made.append((self._aside.start, (call.system.aside, call.args)))
                    else:
                        made.append((entry(call.function, call.args), call.args))
            if made:
                steps.append((period, made))
        self._steps = steps
        return steps

    def step(self) -> None:
        """One tick, top to bottom, then settle."""
        self.run(1)

    def run(self, ticks: int) -> None:
        """So many ticks; when it returns, nothing is under way."""
        try:
            for _ in range(ticks):
                self._tick()
        finally:
            self._aside.join()

    def _tick(self) -> None:
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
