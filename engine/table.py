"""Archetype tables: all entities with the same components, as contiguous columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from engine.component import Column, Component, Side

PAGE, STEP = 4096, 320  # bytes; STEP is a whole number of cache lines and takes 64 columns around a page


def apart(column: np.ndarray, number: int) -> np.ndarray:
    """The column, moved so that columns with other numbers start at other places in their memory pages.

    Loops over many columns of one table meet all of them at the same row. Where they also have the same place in the
    page, processors mistake a load for one that must wait for the store before it (lif_integrate: 1.7 x slower).
    """
    if column.nbytes < PAGE:
        return column
    memory = np.empty(column.nbytes + 2 * PAGE, np.uint8)
    first = -memory.ctypes.data % PAGE + number * STEP % PAGE
    moved = memory[first : first + column.nbytes].view(column.dtype)
    moved[:] = column
    return moved


class Table:
    """Rows that share the same components. `table[Membrane.v]` is the column, an array with one entry per row."""

    def __init__(self, name: str, components: Iterable[type[Component]], row_count: int = 0):
        self.name = name
        self.components = tuple(components)
        self.row_count = 0
        self._columns: dict[Column, np.ndarray] = {
            c: np.empty(0, c.dtype)
            for component in self.components
            if not issubclass(component, Side)
            for c in component.columns
        }
        self._side: dict[Column, np.ndarray] = {}
        self._derived: dict[Column, Callable[[], np.ndarray]] = {}
        self._shared: set[Column] = set()
        if row_count:
            self.append(row_count)

    def __contains__(self, component: type[Component]) -> bool:
        return component in self.components

    def __getitem__(self, column: Column) -> np.ndarray:
        found = self._columns.get(column)
        if found is None:
            found = self._side.get(column)
        if found is None and column in self._derived:
            return self._derived[column]()
        if found is None:
            raise KeyError(f"table {self.name} has no column {column!r}")
        return found

    @property
    def columns(self) -> dict[Column, np.ndarray]:
        """Column -> array, in declaration order, side arrays last."""
        return {**self._columns, **self._side}

    @property
    def bytes(self) -> int:
        return sum(a.nbytes for a in self.columns.values())

    def share(self, column: Column, storage: np.ndarray) -> None:
        """Let `column` be a view into `storage` (e.g. a slice of a vector over all neurons), of one entry per row."""
        if storage.shape[:1] != (self.row_count,) or storage.dtype != column.dtype:
            raise ValueError(f"{self.name}.{column.name}: storage must be {column.dtype} with {self.row_count} rows")
        storage[:] = self._columns[column]
        self._columns[column] = storage
        self._shared.add(column)

    def set_side(self, column: Column, array: np.ndarray) -> np.ndarray:
        """Give a `Side` column its storage for this table, of any shape."""
        if array.dtype != column.dtype:
            raise TypeError(f"{column!r} is declared {column.dtype}, got {array.dtype}")
        self._side[column] = array
        return array

    def derive(self, row_count: int, reads: dict[Column, Callable[[], np.ndarray]]) -> None:
        """Rows of an empty table whose columns hold no memory: asking for one computes it. No system reads them."""
        if self.row_count or set(reads) != set(self._columns):
            raise ValueError(f"table {self.name}: expected an empty table and all of its columns")
        self._columns, self._derived, self.row_count = {}, dict(reads), row_count

    def append(self, row_count: int) -> slice:
        """Add rows filled with each column's initial value; returns where they are. Arrays move: bind again."""
        if self._shared or self._derived:
            raise RuntimeError(f"table {self.name} shares storage and cannot grow")
        first = self.row_count
        for number, (c, old) in enumerate(self._columns.items()):
            self._columns[c] = apart(np.concatenate([old, np.full(row_count, c.init, c.dtype)]), number)
        self.row_count += row_count
        return slice(first, self.row_count)

    def remove(self, rows: np.ndarray) -> np.ndarray:
        """Drop `rows`; returns the map old row -> new row (-1 where dropped), shape [old row count]."""
        if self._shared or self._derived:
            raise RuntimeError(f"table {self.name} shares storage and cannot shrink")
        keep = np.ones(self.row_count, bool)
        keep[rows] = False
        for c, old in self._columns.items():
            self._columns[c] = np.ascontiguousarray(old[keep])
        self.row_count = int(keep.sum())
        return np.where(keep, np.cumsum(keep) - 1, -1)
