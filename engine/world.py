"""The world: tables, resources, names, event queues. Structure changes only in `settle`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from engine.component import Column, Component, Resource
from engine.events import EventQueue
from engine.random import Streams
from engine.table import Table

T = TypeVar("T")


class World:
    """All state of a simulation. `seed` roots every random stream; `tick` counts whole ticks since the start.

    Column resources (`Resource` subclasses) are arrays set with `set_array`; any other object lives under its type
    (`add_object`). An object that survives a tick must offer `snapshot() -> dict[str, array]` and `restore(dict)`.
    """

    def __init__(self, seed: int = 0, *, threads: int = 1, strict: bool = True):
        self.seed = int(seed)
        self.threads = int(threads)
        self.strict = strict
        self.tick = 0
        self.streams = Streams(self.seed)
        self.tables: dict[str, Table] = {}
        self.arrays: dict[Column, np.ndarray] = {}
        self.objects: dict[type, Any] = {}
        self.queues: dict[str, EventQueue] = {}
        self.structure_version = 0
        self._pending: list[Callable[[], None]] = []

    # tables -----------------------------------------------------------------------------------------------------
    def add_table(self, name: str, components: Iterable[type[Component]], row_count: int = 0) -> Table:
        if name in self.tables:
            raise ValueError(f"table {name} exists already")
        table = self.tables[name] = Table(name, components, row_count)
        self.structure_version += 1
        return table

    def tables_with(self, needed: Iterable[type[Component]]) -> list[Table]:
        """Tables that carry every component in `needed`, in the order they were made."""
        needed = tuple(needed)
        return [t for t in self.tables.values() if all(c in t for c in needed)]

    # resources --------------------------------------------------------------------------------------------------
    def set_array(self, column: Column, array: np.ndarray) -> np.ndarray:
        """Give the resource column its storage; shape is free, dtype must match the declaration."""
        if not issubclass(column.owner, Resource):
            raise TypeError(f"{column!r} belongs to a table component; only Resource columns are set on the world")
        if array.dtype != column.dtype:
            raise TypeError(f"{column!r} is declared {column.dtype}, got {array.dtype}")
        self.arrays[column] = array
        self.structure_version += 1
        return array

    def __getitem__(self, column: Column) -> np.ndarray:
        return self.arrays[column]

    def add_object(self, value: T) -> T:
        self.objects[type(value)] = value
        self.structure_version += 1
        return value

    def object(self, kind: type[T]) -> T:
        try:
            return self.objects[kind]
        except KeyError:
            raise KeyError(f"this world has no {kind.__name__}") from None

    def queue(self, name: str, capacity: int = 1024) -> EventQueue:
        return self.queues.setdefault(name, EventQueue(capacity))

    # structure --------------------------------------------------------------------------------------------------
    def spawn(self, table: str, row_count: int, fill: Callable[[Table, slice], None] | None = None) -> None:
        """Queue new rows; they appear in `settle`, where `fill(table, rows)` sets their columns."""

        def apply() -> None:
            rows = self.tables[table].append(row_count)
            if fill:
                fill(self.tables[table], rows)

        self._pending.append(apply)

    def despawn(self, table: str, rows: Iterable[int], moved: Callable[[np.ndarray], None] | None = None) -> None:
        """Queue removal; `moved(old_to_new)` lets holders of row numbers follow (-1 where the row is gone)."""
        wanted = np.asarray(list(rows), dtype=np.int64)

        def apply() -> None:
            old_to_new = self.tables[table].remove(wanted)
            if moved:
                moved(old_to_new)

        self._pending.append(apply)

    def settle(self) -> None:
        """Apply queued structural changes in the order recorded and clear the event queues."""
        if self._pending:
            pending, self._pending = self._pending, []
            for apply in pending:
                apply()
            self.structure_version += 1
        for queue in self.queues.values():
            queue.clear()

    @property
    def pending(self) -> int:
        return len(self._pending)
