"""`encephagen tables`: every table of a scene's world with its rows, columns and bytes."""

from __future__ import annotations

from tools import common


def arguments(parser) -> None:
    common.add_scene(parser, optional=True)
    parser.add_argument("--verbose", "-v", action="store_true", help="every column with type, unit and meaning")
    parser.add_argument("--graph", metavar="FILE", help="draw structures and projections (.svg, .png, .pdf)")
    common.add_quiet(parser)


def run(args) -> int:
    if args.graph is not None:
        from tools import graph

        graph.check(args.graph)
        common.check_outputs({"--graph": args.graph}, {})
    sim, _ = common.open_simulation(args)
    if args.graph is not None:
        common.check_outputs({"--graph": args.graph}, common.inputs_of(sim, None))
        graph.draw(sim, args.graph)
        common.say(f"drew {args.graph}", args.quiet)
    out, world = common.console(), sim.world
    made = common.table(f"tables of {sim.source.name}", "table", "rows", "components", "columns", "bytes",
                        right=("rows", "columns", "bytes"))  # fmt: skip
    for table in world.tables.values():
        components = ", ".join(component.__name__ for component in table.components)
        made.add_row(table.name, f"{table.row_count:,}", components, str(len(table.columns)),
                     common.bytes_text(table.bytes))  # fmt: skip
    shared = sum(array.nbytes for array in world.arrays.values())
    made.add_row("(world)", "", ", ".join(dict.fromkeys(c.owner.__name__ for c in world.arrays)),
                 str(len(world.arrays)), common.bytes_text(shared))  # fmt: skip
    if not args.quiet:
        out.print(made)
        if args.verbose:
            out.print(columns(world))
    out.print(f"{sim.source.name}: {len(world.tables)} tables, {common.bytes_text(unique_bytes(world))}; what tables "
              "share with the world is counted once")  # fmt: skip
    return 0


def unique_bytes(world) -> int:
    """Bytes of all columns, each piece of memory once."""
    pieces = set()
    for array in (a for holder in (*(t.columns for t in world.tables.values()), world.arrays) for a in holder.values()):
        first = array.__array_interface__["data"][0]
        pieces.add((first, first + array.nbytes))
    total, reached = 0, 0
    for first, last in sorted(pieces):
        total += max(0, last - max(first, reached))
        reached = max(reached, last)
    return total


def columns(world):
    made = common.table("columns", "where", "column", "type", "shape", "unit", "meaning")
    places = [(table.name, table.columns) for table in world.tables.values()] + [("(world)", world.arrays)]
    for place, found in places:
        for column, array in found.items():
            made.add_row(place, f"{column.owner.__name__}.{column.name}", str(array.dtype),
                         " x ".join(map(str, array.shape)), column.unit, column.doc)  # fmt: skip
            place = ""
    return made
