"""`encephagen schedule`: the whole tick, top to bottom; with a scene, on which tables and at what cost."""

from __future__ import annotations

from tools import common

MEASURED_MS = 1000
WIDTH = 160  # where the output is not a terminal


def arguments(parser) -> None:
    parser.add_argument("scene", metavar="SCENE", nargs="?", help="also run this scene for a second and measure")
    common.add_overrides(parser)
    parser.add_argument("--threads", type=common.whole(1, 64), default=1, metavar="N", help="threads of the kernels")
    common.add_quiet(parser)


def run(args) -> int:
    if args.scene is None:
        from systems.schedule import TICK

        rows = [(phase, system, None) for phase in TICK for system in phase.systems]
        common.console(width=WIDTH).print(order(rows, None))
        return 0
    sim, _ = common.open_simulation(args, timed=True)
    common.compile_kernels(sim, args.quiet)
    sim.run(20)  # first calls are slower
    for _, call in sim.runner.calls():
        call.wall_ns = call.count = 0
    first = sim.wall_s
    sim.run(MEASURED_MS)
    out = common.console(width=WIDTH)
    calls = {}
    for phase, call in sim.runner.calls():
        calls.setdefault((phase.name, call.system.name), []).append(call)
    rows = [(phase, system, calls.get((phase.name, system.name), [])) for phase in sim.runner.phases
            for system in phase.systems]  # fmt: skip
    total = sum(call.wall_ns for _, call in sim.runner.calls())
    if not args.quiet:
        out.print(order(rows, total))
    wall = sim.wall_s - first
    speed, between = MEASURED_MS / 1e3 / wall, 100 * (1 - total / 1e9 / wall)
    out.print(f"{sim.source.name}: {wall * 1e6 / MEASURED_MS:.0f} us a tick over {MEASURED_MS} ticks, {speed:.2f} x "
              f"real time with the stopwatch on; {between:.0f} % lies between the systems")  # fmt: skip
    return 0


def order(rows, total_ns: int | None):
    """One line per system in the order they run; `rows` are (phase, system, its calls or None)."""
    timed = total_ns is not None
    columns = ["phase", "every", "system", "reads", "writes", "tables"] + (["us/tick", "share"] if timed else [])
    made = common.table("the tick, top to bottom", *columns, right=("us/tick", "share"))
    for column in made.columns:
        column.no_wrap = column.header not in ("reads", "writes", "tables")
        column.ratio = {"reads": 4, "writes": 3, "tables": 2}.get(column.header)
    made.expand = True
    before = None
    for phase, system, calls in rows:
        reads = names((*system.reads, *system.optional_reads)) or "-"
        writes = names((*system.writes, *system.optional_writes)) or "-"
        objects = ", ".join(kind.__name__ for kind in system.objects)
        cells = [phase.name if phase is not before else "", phase.every if phase is not before else "", system.name,
                 reads, f"{writes}; {objects}" if objects else writes]  # fmt: skip
        if timed:
            ns = sum(call.wall_ns for call in calls)
            tables = ", ".join(call.table.name if call.table is not None else "(world)" for call in calls)
            cells += [tables or "not in this scene", f"{ns / 1e3 / MEASURED_MS:.1f}"]
            cells.append(f"{100 * ns / max(total_ns, 1):.1f} %")
        else:
            cells.append(", ".join(owner.__name__ for owner in system.needed) or "(world)")
        made.add_row(*cells)
        before = phase
    return made


def names(columns) -> str:
    """`Membrane.v, tonic; Inputs.sense`: columns by their component."""
    owners: dict[str, list[str]] = {}
    for column in columns:
        owners.setdefault(column.owner.__name__, []).append(column.name)
    return "; ".join(f"{owner}.{', '.join(found)}" for owner, found in owners.items())
