"""Components: named groups of typed columns, with unit and meaning. They hold no behaviour and no data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(eq=False)
class Column:
    """One column: `dtype`, `unit` (for the reader and the inspector), initial value, meaning.

    A column of a `Component` has one entry per row of the tables that carry it; a column of a `Resource` has any shape.
    """

    dtype: np.dtype
    unit: str
    init: float | int
    doc: str
    name: str = field(default="")
    owner: type | None = field(default=None)

    def __repr__(self) -> str:
        return f"{self.owner.__name__ if self.owner else '?'}.{self.name}"


def column(dtype: str, *, unit: str, doc: str, init: float | int = 0) -> Column:
    """Declare a column of numpy type `dtype`, filled with `init` when rows are made."""
    return Column(np.dtype(dtype), unit, init, doc)


class Component:
    """Base of all components. Subclass it and assign `column(...)` to names; the columns are found in `columns`."""

    columns: tuple[Column, ...] = ()

    def __init_subclass__(cls) -> None:
        own = []
        for name, value in vars(cls).items():
            if isinstance(value, Column):
                value.name, value.owner = name, cls
                own.append(value)
        cls.columns = (*cls.columns, *own)


class Resource(Component):
    """A component that exists once per world: its columns are arrays of any shape, set when the world is built."""


class Side(Component):
    """A component whose columns hold one array of any shape per table (an index into the table's rows, say)."""
