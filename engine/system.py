"""Systems: functions that say what they read and write, and run once per matching table (or once per world)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.component import Column, Resource
from engine.kernel import Kernel
from engine.table import Table
from engine.world import World


@dataclass(frozen=True)
class Aside:
    """A system in three parts, of which the middle one can run while the next ticks begin; all get its arguments."""

    before: Callable
    work: Callable
    after: Callable
    late: tuple[Column, ...]
    """What only `after` writes: whoever touches these columns waits."""
    native: Callable[..., tuple[int, int, int] | None]
    """`work` as a C function of two whole numbers: its address and the numbers; None if there is none now."""


@dataclass(frozen=True)
class System:
    """A declared system. Called with `(row_count, *reads, *optional_reads, *writes, *optional_writes, *objects)`.

    A column of an absent optional component arrives as None, which compiled kernels prune away at compile time.
    """

    function: Callable | Kernel
    reads: tuple[Column, ...]
    writes: tuple[Column, ...]
    optional_reads: tuple[Column, ...]
    optional_writes: tuple[Column, ...]
    objects: tuple[type, ...]
    watches: bool = False
    """Whether it may look at every column, whatever it declares (a probe), so that nothing may run beside it."""
    rests: Callable[..., bool] | None = None
    """Whether a call with these arguments would change nothing, where that is known without making it."""
    aside: Aside | None = None
    """Its parts, if one of them can run beside others."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def shares(self) -> bool:
        """Whether its calls do the parts they are told to (engine/schedule.py: Parts)."""
        return any(c.owner.__name__ == "Parts" for c in self.reads)

    def __call__(self, table: Table | None, world: World, **kwargs: Any) -> Any:
        """Run once by hand on `table` (tests, tools): columns are looked up exactly as in the schedule."""
        return self.bind_table(world, table)()

    @property
    def needed(self) -> tuple[type, ...]:
        """Table components a table must carry for this system to run on it."""
        owners = dict.fromkeys(c.owner for c in (*self.reads, *self.writes) if not issubclass(c.owner, Resource))
        return tuple(owners)

    def bind(self, world: World) -> list[Call]:
        """One call per matching table; none when a needed resource, object or table is absent from this world."""
        if any(kind not in world.objects for kind in self.objects):
            return []
        if any(issubclass(c.owner, Resource) and c not in world.arrays for c in (*self.reads, *self.writes)):
            return []
        if not self.needed:
            return [self.bind_table(world, None)]
        return [self.bind_table(world, t) for t in world.tables_with(self.needed) if t.row_count]

    def bind_table(self, world: World, table: Table | None) -> Call:
        def find(column: Column, writable: bool) -> np.ndarray | None:
            array = array_of(world, table, column)
            if array is not None and world.strict and not writable:
                array = array.view()
                array.flags.writeable = False
            return array

        read_only = [find(c, False) for c in (*self.reads, *self.optional_reads)]
        writable = [find(c, True) for c in (*self.writes, *self.optional_writes)]
        objects = [world.object(kind) for kind in self.objects]
        function = self.function.compiled if isinstance(self.function, Kernel) else self.function
        row_count = table.row_count if table is not None else 0
        return Call(self, table, function, (row_count, *read_only, *writable, *objects))


def array_of(world: World, table: Table | None, column: Column) -> np.ndarray | None:
    """Storage of a column as a system on this table sees it; None if it is absent."""
    if issubclass(column.owner, Resource):
        return world.arrays.get(column)
    return table[column] if table is not None and column.owner in table else None


@dataclass
class Call:
    """A system bound to one table: `call()` runs it; `wall_ns` and `count` are kept by the scheduler."""

    system: System
    table: Table | None
    function: Callable
    args: tuple
    wall_ns: int = 0
    count: int = 0

    def __call__(self) -> Any:
        return self.function(*self.args)

    @property
    def shares(self) -> bool:
        """Whether it does the parts it is told to (engine/schedule.py: Parts)."""
        return self.system.shares

    def waits_for(self, other: Call) -> bool:
        """Whether this call must not begin before the part of `other` that runs aside is done."""
        mine, theirs = self.system, other.system
        touched = {*mine.reads, *mine.optional_reads, *mine.writes, *mine.optional_writes}
        shared = any(kind in theirs.objects for kind in mine.objects)
        return mine.watches or shared or not touched.isdisjoint(theirs.aside.late)


def system(
    *,
    reads: Iterable[Column] = (),
    writes: Iterable[Column] = (),
    optional_reads: Iterable[Column] = (),
    optional_writes: Iterable[Column] = (),
    objects: Iterable[type] = (),
    watches: bool = False,
    rests: Callable[..., bool] | None = None,
    aside: Aside | None = None,
):
    """Declare the decorated function or kernel as a system."""

    def decorate(function: Callable | Kernel) -> System:
        columns = (tuple(of) for of in (reads, writes, optional_reads, optional_writes))
        return System(function, *columns, tuple(objects), watches=watches, rests=rests, aside=aside)

    return decorate
