"""`encephagen schedule`: the whole tick, top to bottom; with a scene, on which tables and at what cost."""

from __future__ import annotations

from tools import common

MEASURED_MS = 1000
WIDTH = 160  # where the output is not a terminal


def arguments(parser) -> None:
    parser.add_argument("scene", metavar="SCENE", nargs="?", help="also run this scene for a second and measure")
    common.add_overrides(parser)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu",
                        help="cuda: list the kernels and their twins, and predict what they cost")  # fmt: skip
    parser.add_argument("--threads", type=common.whole(1, 64), default=1, metavar="N", help="threads of the kernels")
    common.add_quiet(parser)


def run(args) -> int:
    if args.device == "cuda":
        return twins(args)
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


def twins(args) -> int:
    """Which kernels of the tick run where on a GPU; with a scene, how often, on what, and what they move."""
    from engine.twin import FOLDER, shipped, twin_of
    from systems.schedule import TICK
    from tools import cuda_model

    made = common.table("the tick on a GPU, top to bottom", "phase", "every", "system", "where", "kernels",
                        "threads", "registers", "spilled", right=("registers", "spilled"))  # fmt: skip
    about = cuda_model.compiled()
    for phase in TICK:
        for number, system in enumerate(phase.systems):
            first = (phase.name, phase.every) if number == 0 else ("", "")
            twin = twin_of(system)
            if twin is None:
                made.add_row(*first, system.name, "host", "-", "", "", "")
            for stage in twin.stages if twin else ():
                found = about.get(stage.name, ())
                spilled = str(sum(c.spilled for c in found)) if found else "?"
                whose = (*first, system.name, f"{twin.name}.cu") if stage is twin.stages[0] else ("",) * 4
                made.add_row(*whose, stage.name, f"{stage.threads} by {stage.block}",
                             " ".join(str(c.registers) for c in found) or "?", spilled)  # fmt: skip
    out = common.console(width=WIDTH)
    if not args.quiet:
        out.print(made)
    stages = sum(len(twin.stages) for twin in shipped())
    compilers = f"registers for {', '.join(cuda_model.cuda_compile.ARCHITECTURES)}" if about else (
        "registers unknown: pip install nvidia-cuda-nvrtc")  # fmt: skip
    out.print(f"{stages} kernels in {len(shipped())} files of {FOLDER.relative_to(FOLDER.parents[1])}, one of them the "
              f"device's clock; {compilers}")  # fmt: skip
    if args.scene is not None:
        sim = cuda_model.measured(args.scene, args.seed, args.set)
        show_cost(sim, out, args.quiet)
    return 0


def show_cost(sim, out, quiet: bool) -> None:
    """Launches of a tick, and the predicted time of all."""
    from tools import cuda_model

    rows = cuda_model.launches(sim)
    if not rows:
        out.print(f"{sim.source.name}: no neurons, nothing to run on a GPU")
        return
    title = f"launches in {sim.source.name}; rows without a number start beside the one above"
    columns = ("", "kernel", "table", "every", "threads", "kB")
    made = common.table(title, *columns, right=("", "every", "threads", "kB"))
    for number, group in enumerate(cuda_model.groups(rows)):
        for row in group:
            made.add_row(str(number + 1) if row is group[0] else "", row.stage.name, row.table, str(row.every),
                         f"{row.threads:,}", f"{row.bytes / 1e3:.1f}")  # fmt: skip
    if not quiet:
        out.print(made)
    for name, scale, low, high, fast, slow in cuda_model.predictions(rows, *cuda_model.physics_us(sim)):
        if scale == 1:
            out.print(f"{sim.source.name} on {name}, a prediction (docs/cuda.md): kernels {low:.0f} to {high:.0f} us a "
                      f"tick, with the body {fast:.0f} to {slow:.0f} us")  # fmt: skip


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
