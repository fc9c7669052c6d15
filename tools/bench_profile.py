"""Where the time of a tick goes, and how near it comes to what the memory of the machine allows."""

from __future__ import annotations

import time
from types import BuiltinFunctionType

import numpy as np

from systems.physics_step import physics_step


def profile(world, runner, ms: int) -> dict:
    """Microseconds a tick: by system, physics, calling from Python; bytes and operations counted, and a roofline.

    Every call of the plan is timed for itself (`timed` of the runner), so threads do not overlap systems here.
    """
    calls = [call for _, call in runner.calls()]
    timed, runner.timed = runner.timed, True
    runner.prepare()  # one by one, kernels are compiled for themselves
    runner.run(WARM)
    for call in calls:
        call.wall_ns = call.count = 0
    spikes = 0
    from components.network import Spikes

    started = time.perf_counter_ns()
    for _ in range(ms):
        runner.step()
        spikes += int(world[Spikes.count][0]) if Spikes.count in world.arrays else 0
    total = time.perf_counter_ns() - started
    runner.timed = timed
    system: dict[str, float] = {}
    for call in calls:
        system[call.system.name] = system.get(call.system.name, 0.0) + call.wall_ns / 1e3 / ms
    counted = traffic(world, calls, spikes / ms)
    inside = sum(system.values())
    return {
        "us_per_tick": total / 1e3 / ms, "system_us": system, "between_us": total / 1e3 / ms - inside,
        "spikes_per_tick": spikes / ms, **counted, **roofline(counted, system), "as_run": as_run(world, runner, ms),
    }  # fmt: skip


def as_run(world, runner, ms: int) -> dict:
    """The tick as it really runs, in drivers: microseconds in compiled code, in the body's step, and in Python."""
    from engine.schedule import Now

    runner.run(1)  # binds
    clock, compiled, body, started = time.perf_counter_ns, 0, 0, time.perf_counter_ns()
    for _ in range(ms):
        tick = world.tick
        world.arrays[Now.tick][0] = tick
        steps = runner._steps[0]
        for period, calls in steps[tick % len(steps)]:
            if tick % period == 0:
                for function, arguments in calls:
                    before = clock()
                    function(*arguments)
                    took = clock() - before
                    if isinstance(function, BuiltinFunctionType):
                        compiled += took
                    elif function in BODY:
                        body += took
        world.settle()
        world.tick = tick + 1
    runner.run(0)
    total = clock() - started
    python = total - compiled - body
    return {"us_per_tick": total / 1e3 / ms, "compiled_us": compiled / 1e3 / ms, "body_us": body / 1e3 / ms,
            "python_us": python / 1e3 / ms, "body_share": body / total, "python_share": python / total}  # fmt: skip


def by_hands(world, runner, ms: int) -> dict | None:
    """What of a tick a second hand can take off the first: microseconds of each, the way through a tick for two hands.

    One hand does it all here, and tells how long parts, body and the rest took; medians, which what else the machine
    does moves little. Then parts and body are dealt out as a crew would claim them. What two hands gain by caches of
    their own, or lose by waiting for memory and each other, does not show.
    """
    from engine.crew import STOP, X86, now
    from engine.schedule import Parts

    crew, parts = runner.crew, int(world.arrays[Parts.own][1]) if Parts.own in world.arrays else 1
    if crew is None or not X86:
        return None
    attend, crew.attend = crew.attend, lambda: True
    crew.block[STOP] = 1
    clock = time.perf_counter_ns
    now()  # compiled
    began = clock(), now()
    seen = []
    for _ in range(ms):
        (before_parts, before_body), started = crew.took()[0], clock()
        runner._tick()
        took = clock() - started
        after_parts, after_body = crew.took()[0]
        seen.append((took, after_parts - before_parts, after_body - before_body))
    runner.run(0)
    crew.attend = attend
    ns = (clock() - began[0]) / (now() - began[1])
    ticks = np.array(seen, float)
    ticks[:, 1:] *= ns
    rest = np.median(ticks[:, 0] - ticks[:, 1] - ticks[:, 2])
    shared = np.median(ticks[:, 1])
    steps = ticks[ticks[:, 2] > 0, 2]
    body, every = (np.median(steps), round(ms / steps.size)) if steps.size else (0.0, 1)
    ways = [way(shared / parts, parts, busy) for busy in (body, *[0.0] * (every - 1))]
    us = {"rest": rest, "parts": shared, "body": body / every, "one_hand": rest + shared + body / every,
          "two_hands": rest + np.mean(ways)}  # fmt: skip
    return {"parts": parts, **{f"{name}_us": float(value) / 1e3 for name, value in us.items()}}


def way(each: float, parts: int, busy: float) -> float:
    """When two hands are done with parts that take `each`, one of them busy with something else at first."""
    hands = [0.0, busy]
    for _ in range(parts):
        hands[hands.index(min(hands))] += each
    return max(hands)


WARM = 10  # ticks before any is timed
BODY = (physics_step.function,)
NEURAL = ("sum_drive", "deliver_spikes", "deliver_modulated", "background_noise", "lif_integrate", "collect_spikes")


def traffic(world, calls, spikes: float) -> dict:
    """Bytes that a tick has to move and operations it has to do, counted from columns and events.

    A column counts once for each system that reads or writes it (twice for both). An event of delivery counts the
    synapse (8 bytes) and a read and a write of its cell of the ring (8 bytes); its cache line is not counted.
    """
    from components.network import Branch, Fanout, Synapse

    moved, events = 0.0, 0.0
    for call in calls:
        name = call.system.name
        if name not in NEURAL:
            continue
        if name in ("deliver_spikes", "deliver_modulated"):
            side = Fanout if Fanout in call.table else Branch
            synapses = call.table.row_count / max(call.table[side.start].shape[0], 1) * spikes
            moved += synapses * (16.0 if side is Fanout else 18.0)
            events += synapses
            if side is Fanout:
                moved += 4 * call.table[Fanout.arrived].nbytes  # due: read and cleared; arrived: written; then spent
            continue
        for columns, times in (((*call.system.reads, *call.system.optional_reads), 1),
                               ((*call.system.writes, *call.system.optional_writes), 2)):  # fmt: skip
            for column in columns:
                if call.table is not None and column.owner in call.table and column.owner is not Synapse:
                    array = call.table[column]
                    if array.ndim == 1 and array.shape[0] == call.table.row_count:
                        moved += times * array.nbytes
    neurons = sum(c.table.row_count for c in calls if c.system.name == "lif_integrate")
    return {"bytes_per_tick": moved, "synapse_events_per_tick": events,
            "operations_per_tick": 45.0 * neurons + 6.0 * events}  # fmt: skip


def copy_bandwidth(size: int) -> float:
    """Bytes a second that a copy moves (read and written) within `size` bytes."""
    source = np.ones(max(size // 16, 1024))
    target = np.empty_like(source)
    best = 0.0
    for _ in range(5):
        repeats = max(1, int(2e8 / source.nbytes))
        started = time.perf_counter()
        for _ in range(repeats):
            np.copyto(target, source)
        best = max(best, 2 * source.nbytes * repeats / (time.perf_counter() - started))
    return best


def roofline(counted: dict, system: dict[str, float]) -> dict:
    """Achieved bandwidth beside that of a copy of as many bytes as a tick moves, and of one far larger than caches."""
    us = sum(system.get(name, 0.0) for name in NEURAL)
    near, far = copy_bandwidth(int(counted["bytes_per_tick"])), copy_bandwidth(1 << 28)
    return {
        "neural_us": us, "achieved_bytes_per_s": counted["bytes_per_tick"] / max(us, 1e-9) * 1e6,
        "copy_bytes_per_s": near, "copy_memory_bytes_per_s": far,
        "bound_us": counted["bytes_per_tick"] / near * 1e6,
        "operations_per_byte": counted["operations_per_tick"] / counted["bytes_per_tick"],
    }  # fmt: skip
