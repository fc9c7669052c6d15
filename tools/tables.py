"""`encephagen tables`: every table of a scene's world with its rows, columns and bytes."""

from __future__ import annotations

from tools import common


def arguments(parser) -> None:
    common.add_scene(parser, optional=True)
    parser.add_argument("--verbose", "-v", action="store_true", help="every column with type, unit and meaning")
    common.add_quiet(parser)


def run(args) -> int:
    sim, _ = common.open_simulation(args)
    out, world = common.console(), sim.world
    made = common.table(f"tables of {sim.source.name}", "table", "rows", "components", "columns", "bytes",
                        right=("rows", "columns", "bytes"))  # fmt: skip
    total = 0
    for table in world.tables.values():
        components = ", ".join(component.__name__ for component in table.components)
        made.add_row(table.name, f"{table.row_count:,}", components, str(len(table.columns)),
                     common.bytes_text(table.bytes))  # fmt: skip
        total += table.bytes
    shared = sum(array.nbytes for array in world.arrays.values())
    made.add_row("(world)", "", ", ".join(dict.fromkeys(c.owner.__name__ for c in world.arrays)),
                 str(len(world.arrays)), common.bytes_text(shared))  # fmt: skip
    out.print(made)
    if args.verbose:
        out.print(columns(world))
    out.print(f"{len(world.tables)} tables, {common.bytes_text(total + shared)} (columns that tables share with the "
              "world count twice)")  # fmt: skip
    return 0


def columns(world):
    made = common.table("columns", "where", "column", "type", "shape", "unit", "meaning")
    places = [(table.name, table.columns) for table in world.tables.values()] + [("(world)", world.arrays)]
    for place, found in places:
        for column, array in found.items():
            made.add_row(place, f"{column.owner.__name__}.{column.name}", str(array.dtype),
                         " x ".join(map(str, array.shape)), column.unit, column.doc)  # fmt: skip
            place = ""
    return made
