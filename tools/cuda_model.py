"""What the CUDA kernels move and how long a tick is predicted to take: a model, nothing here was run on a GPU.

python -m tools.cuda_model newborn --out docs/cuda.md
"""

from __future__ import annotations

import argparse
import functools
import sys
import textwrap
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import twin as twins
from engine.device import side_by_side
from engine.errors import UserError
from engine.schedule import Now
from engine.system import array_of
from tools import common, cuda_compile

RUN_MS = 1000
PHYSICS_STEPS = 300
LAUNCH_US = (2.0, 4.0)  # least time of a kernel inside a graph: start, memory latency, end
GPUS = {"H100": 3350e9, "laptop GPU": 256e9}  # bytes/s at peak
REACHED = 0.7  # of peak bandwidth
TRANSFER_US = 10.0  # a small copy over PCIe and the wait for it
SECTOR = 32  # bytes that one scattered access moves
SCALES = (1, 10, 50)
WRITTEN_ONLY = {"sum_drive": ("drive",), "low_threshold_burst": ("drive",), "lif_integrate": ("fired",),
                "muscle_drive": ("ctrl",), "modulate": ("value",)}  # fmt: skip


@dataclass
class Row:
    """One launch of a tick: what runs, how often, and what it moves."""

    phase: str
    system: str
    table: str
    stage: twins.Stage
    values: list
    every: int  # ticks
    bytes: float

    @property
    def threads(self) -> int:
        """Threads that there is work for."""
        return self.stage.count(self.values)


def load_of(columns: dict, fired: np.ndarray) -> dict[str, float]:
    """Spikes and synaptic events of a tick, from the spikes that each neuron fired per tick, shape [neurons]."""
    found = {"spikes": float(fired.sum()), "sent": 0.0, "heard": 0.0}
    start = columns.get("start", columns.get("outgoing"))
    if start is not None and start.ndim == 2:
        found["sent"] = float((fired * (start[:, -1] - start[:, 0])).sum())
    if "incoming" in columns:
        _, _, first, count = columns["span"]
        fan_in = np.diff(columns["incoming"])
        if "teachers" in columns:  # heard by the pupils of a teacher that fires
            first, count = columns["teachers"]
            fan_in = np.diff(columns["taught"]) * fan_in.mean()
        found["heard"] = float((fired[first : first + count] * fan_in).sum())
    return found


def moved(stage, n: int, columns: dict[str, np.ndarray], load: dict[str, float]) -> float:
    """Bytes that one launch reads and writes; a scattered access counts as a sector each way."""
    name, spikes, sent, heard = stage.name, load["spikes"], load["sent"], load["heard"]
    read_and_written = 2 * SECTOR
    by_event = {
        "deliver_spikes": sent * (8 + read_and_written),
        "deliver_modulated": sent * (4 + 4 + 1 + 1 + read_and_written),
        "depression": sent * (4 + 4),
        "depression_spend": spikes * 4,
        "stdp": sent * (4 + 4 + 4 + SECTOR),
        "stdp_grow": heard * (4 + SECTOR + read_and_written),
        "stdp_trace": spikes * 4,
        "taught_depression": sent * (4 + 4),
        "taught_depression_arrive": heard * (4 + SECTOR + read_and_written),
    }
    if name in by_event:
        return spikes * (4 + 8) + by_event[name]
    if name == "deliver_spikes_take":
        return 3.0 * columns["arrived"].nbytes
    if name == "collect_spikes":
        return columns["fired"].nbytes + spikes * (4 + 4 + 4 + 1)
    if name == twins.CLOCK:
        return 16.0
    total = 0.0
    for p in stage.parameters:
        array = columns.get(p.name)
        if p.pointer and array is not None and n and array.shape[:1] == (n,):
            total += array.nbytes * (1 if p.const or p.name in WRITTEN_ONLY.get(name, ()) else 2)
    if name.startswith("sense_"):
        total += 8.0 * columns["count"].sum()
    elif name == "background_noise":
        total += n * 64 + 8.0 * columns["count"].sum()  # the table of probabilities; what it adds to
    elif name == "lif_integrate":
        total += columns["constants"].nbytes + columns["run"].nbytes
    elif name in ("modulate", "reflex_gate"):
        total += columns["count"].sum() + columns["value"].nbytes
    elif name == "swallow":
        total += columns["count"].sum()
    elif name == "muscle_drive":
        total += columns["pool_count"].sum() + columns["more_count"].sum() + columns["ctrl"].nbytes
    return total


def launches(sim) -> list[Row]:
    """Every launch of a tick in order, after the scene has run for a while."""
    neurons = sim.network.neuron_count if sim.network else 0
    fired = np.bincount(sim.spike_history()[0], minlength=neurons) / max(sim.tick, 1)
    periods, rows = sim.runner.periods, []
    for phase, call in sim.runner.calls():
        twin, system = twins.twin_of(call.system), call.system
        for stage in twin.stages if twin else ():
            declared = (*system.reads, *system.optional_reads, *system.writes, *system.optional_writes)
            arrays = [array_of(sim.world, call.table, c) for c in declared]
            columns = {p.name: a for p, a in zip(stage.parameters[1:], arrays, strict=False) if a is not None}
            n = call.args[0]
            size = moved(stage, n, columns, load_of(columns, fired))
            table = call.table.name if call.table is not None else "(world)"
            values = stage.values((n, *arrays))
            rows.append(Row(phase.name, system.name, table, stage, values, periods[phase.every], size))
    if rows:
        clock = twins.read(twins.CLOCK).stages[0]
        rows.append(Row("", twins.CLOCK, "(world)", clock, [0, sim.world[Now.tick]], 1, 16.0))
    return rows


def groups(rows: list[Row]) -> list[list[Row]]:
    """Launches that run side by side, in order."""
    return [[rows[k] for k in group] for group in side_by_side([(r.stage, r.values) for r in rows])]


def device_us(rows: list[Row], bandwidth: float, launch_us: float, scale: float = 1.0) -> float:
    """Predicted mean time of a tick's kernels: launches side by side start together and share the bandwidth."""
    step, total = max(r.every for r in rows), 0.0
    for tick in range(step):
        for group in groups([r for r in rows if tick % r.every == 0]):
            total += launch_us + 1e6 * scale * sum(r.bytes for r in group) / (REACHED * bandwidth)
    return total / step


def tick_us(device: float, physics: float, step: int) -> float:
    """Predicted time of a tick with a body: the physics runs beside the device, but for the first tick of its step."""
    if not physics:
        return device
    return (device + max((step - 1) * device, physics * step) + TRANSFER_US) / step


def physics_us(sim) -> tuple[float, int]:
    """(processor us per tick, ticks of a body step) of the physics here, which goes on alone; (0, 1) without a body."""
    if sim.physics is None:
        return 0.0, 1
    started = time.thread_time()
    for _ in range(PHYSICS_STEPS):
        sim.physics.step()
    return (time.thread_time() - started) * 1e6 / PHYSICS_STEPS / sim.body.step_ms, sim.body.step_ms


def predictions(rows: list[Row], physics: float, step: int) -> list[tuple[str, float, float, float, float, float]]:
    """(GPU, times the size, device us low, high, tick us low, high); bytes grow with the size, launches do not."""
    found = []
    for name, bandwidth in GPUS.items():
        for scale in SCALES:
            low, high = (device_us(rows, bandwidth, us, scale) for us in LAUNCH_US)
            found.append((name, scale, low, high, tick_us(low, physics, step), tick_us(high, physics, step)))
    return found


@functools.cache
def compiled() -> dict[str, list[cuda_compile.Compiled]]:
    """Kernel -> what NVRTC says for every architecture; empty where it is not installed."""
    try:
        cuda_compile.nvrtc()
    except UserError:
        return {}
    found = defaultdict(list)
    for twin in twins.shipped():
        for architecture in cuda_compile.ARCHITECTURES:
            for one in cuda_compile.compile_twin(twin, architecture):
                found[one.name].append(one)
    return dict(found)


def measured(scene: str, seed: int | None = None, changes=()):
    """The scene after a second on the CPU."""
    options = argparse.Namespace(
        scene=scene, set=list(changes), seed=seed, threads=1, strict=True, duration=None, device="cpu"
    )
    sim, _ = common.open_simulation(options)
    common.compile_kernels(sim, True)
    sim.run(RUN_MS)
    return sim


# as a page -------------------------------------------------------------------------------------------------------

PAGE = """# The tick on a GPU

`encephagen run SCENE --device cuda` keeps all neural state on the GPU: each kernel of the CPU has a twin in
`shaders/cuda/`, and the kernels between two systems that stay on the CPU (the timeline before them, the physics and the
records after them) are captured once and launched as one CUDA graph, in which kernels that do not touch each other's
columns stand side by side. Nothing is copied inside a tick. After it:

- **control down, sensors up**: the control of the muscles is copied to pinned memory; the physics is put off until the
  next `sense` needs the sensors, and runs while the GPU computes the ticks of the same body step.
- **records**: spikes are fetched every 10 ticks, other columns when a sample is due (`record.every`) and when `run`
  returns.
- **stimuli and lesions**: sent in ticks in which the timeline changes something.

`--device auto` takes a GPU if CuPy finds one (`pip install -e ".[cuda]"`), else the CPU. `encephagen schedule --device
cuda` lists the kernels.

**No number on this page was measured on a GPU: no machine of this project has one.** What is tested without one: every
kernel compiles for {architectures}; run on the host through `shaders/cuda/host_shim.h`, every kernel gives
the bits of its numba twin on random inputs, and the whole newborn, driven by the same runner, has the same spikes and
the same state after 1,000 ticks (`tests/test_parity.py`). The calls of CuPy itself (`engine/cuda.py`) are untested.

This page is made by `python -m tools.cuda_model {scene} --out docs/cuda.md`.

## Kernels

Registers of a thread{spills}, by NVRTC {version}.

| kernel | threads per block | {heads} | shared memory, bytes |
|---|---|{rules}---|
{kernels}

## What a tick moves

Counted from the tables of `{scene}` ({neurons:,} neurons, {synapses:,} synapses) and the {spikes:.0f} spikes a tick of
a second of it. Columns are counted once per read and once per write; a scattered access counts as a sector of {sector}
bytes. "Threads" have work, all launches of a tick together.

| kernel | launches per tick | threads | kB per launch | kB per tick |
|---|---|---|---|---|
{bytes}
| all | {count:.1f} | | | {total:.0f} |

## Predicted time of a tick

{prediction}

| GPU | size | kernels, us | tick, us | times real time |
|---|---|---|---|---|
{times}

{crossing}
"""


def page(sim, scene: str) -> str:
    """docs/cuda.md."""
    rows, about = launches(sim), compiled()
    if not about:
        raise UserError("NVRTC: not found; pip install nvidia-cuda-nvrtc")
    kernels = []
    for twin in twins.shipped():
        for stage in twin.stages:
            one = about[stage.name]
            registers = " | ".join(str(c.registers) for c in one)
            kernels.append(f"| `{stage.name}` | {stage.block} | {registers} | {one[0].shared or '-'} |")
    by_kernel: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_kernel[row.stage.name].append(row)
    moving = []
    for name, found in by_kernel.items():
        each = sum(r.bytes for r in found) / len(found) / 1e3
        whole = sum(r.bytes / r.every for r in found) / 1e3
        threads = sum(r.threads for r in found)
        moving.append(f"| `{name}` | {sum(1 / r.every for r in found):g} | {threads:,} | {each:.1f} | {whole:.1f} |")
    physics, step = physics_us(sim)
    times = []
    for name, scale, low, high, fast, slow in predictions(rows, physics, step):
        if scale > 1:  # a larger brain has no larger body
            fast, slow = low, high
        body = ", no body" if scale > 1 and physics else ""
        times.append(f"| {name}, {GPUS[name] / 1e9:,.0f} GB/s | {scale} x{body} | {low:.0f} to {high:.0f} | "
                     f"{fast:.0f} to {slow:.0f} | {1e3 / slow:.1f} to {1e3 / fast:.1f} |")  # fmt: skip
    depth, others = len(groups(rows)), len(groups([r for r in rows if r.every == 1]))
    text = (f"**A prediction.** Launches that stand side by side start together: {depth} one after the other in a tick "
            f"with a body step, {others} in the others. Each takes {LAUNCH_US[0]:g} to {LAUNCH_US[1]:g} us, and "
            f"bytes move at {100 * REACHED:.0f} % of peak bandwidth. Size multiplies neurons and synapses: bytes grow "
            "with it, launches do not.")  # fmt: skip
    if physics:
        text += (f" The physics stays on the CPU ({physics * step:.0f} us a body step on the machine that wrote this "
                 f"page) and runs beside the kernels of {step - 1} of {step} ticks; {TRANSFER_US:g} us are added for "
                 "the copies.")  # fmt: skip
    meet = []
    for name, bandwidth in GPUS.items():
        launch, whole = (device_us(rows, bandwidth, us) for us in (0.0, np.mean(LAUNCH_US)))
        meet.append(f"{(whole - launch) / launch:.0f} times this size on the {name}")
    what = "launches and for the physics" if physics else "launches"
    crossing = (f"At this size a GPU waits for {what}, not for memory: moving the bytes takes as long as the launches "
                f"at {' and '.join(meet)}. What the model leaves out: a single block that takes longer than a launch "
                "(`collect_spikes`, or a gain with many modulators), and the cost of forks in a graph.")  # fmt: skip
    spilled = sum(c.spilled for found in about.values() for c in found)
    return PAGE.format(
        scene=scene, architectures=", ".join(cuda_compile.ARCHITECTURES), version=cuda_compile.version(),
        spills=f", {spilled} bytes spilled" if spilled else ", none spilled",
        heads=" | ".join(cuda_compile.ARCHITECTURES), rules="---|" * len(cuda_compile.ARCHITECTURES),
        kernels="\n".join(kernels), neurons=sim.network.neuron_count, synapses=sim.network.synapse_count,
        spikes=sim.spikes.total / sim.tick, sector=SECTOR, bytes="\n".join(moving),
        count=sum(1 / r.every for r in rows), total=sum(r.bytes / r.every for r in rows) / 1e3,
        times="\n".join(times), prediction=textwrap.fill(text, 120),
        crossing=textwrap.fill(crossing, 120),
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Write or print the page."""
    parser = common.Parser(prog="python -m tools.cuda_model", description=__doc__)
    parser.add_argument("scene", nargs="?", default="newborn")
    parser.add_argument("--out", metavar="FILE")
    try:
        args = parser.parse_args(arguments)
        text = page(measured(args.scene), args.scene)
        if args.out is None:
            print(text, end="")
        else:
            Path(args.out).write_text(text)
    except UserError as error:
        common.say(f"cuda_model: error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
