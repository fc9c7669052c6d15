"""Run the tick on a device with memory of its own: kernels there, plain systems here, columns carried between them.

The device holds a copy of every column its kernels touch. What a plain system reads is brought back before it runs and
what it writes is sent after it; nothing else moves. The kernels between two plain systems are captured once and
launched as one graph, in which those that do not touch what another writes stand side by side. A plain system that ends
the tick (the physics) is put off until the device, or anyone else, needs what it writes: meanwhile the device works on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from engine.component import Side
from engine.schedule import Now, Runner
from engine.system import Call, array_of
from engine.twin import CLOCK, Stage, Twin, read, twin_of

ALIGN = 256  # bytes; a column keeps its place within this on the device
STAGED = 1 << 20  # bytes; what is larger is brought back without staging memory


class Device:
    """What a runner asks of a device. Everything it does is done in the order asked for; only `wait` waits."""

    name = ""

    def prepare(self, twin: Twin) -> None:
        """Compile a twin before it is captured."""

    def allocate(self, size: int):
        """Memory of so many bytes."""
        raise NotImplementedError

    def staging(self, size: int) -> np.ndarray:
        """Host memory [bytes] that can be copied to and from while both sides work."""
        return np.zeros(size, np.uint8)

    def address(self, memory) -> int:
        raise NotImplementedError

    def push(self, memory, offset: int, host: np.ndarray) -> None:
        raise NotImplementedError

    def pull(self, memory, offset: int, host: np.ndarray) -> None:
        raise NotImplementedError

    def begin(self) -> None:
        """Launches from here on are captured, not run."""
        raise NotImplementedError

    def launch(self, together: list[Launch]) -> None:
        """Kernels that may run in any order, or at once, after all that was launched before."""
        raise NotImplementedError

    def end(self) -> Callable[[], None]:
        """What was captured, as one function."""
        raise NotImplementedError

    def mark(self):
        """A point in the order of work, to wait for."""
        raise NotImplementedError

    def wait(self, mark=None) -> None:
        """Until the mark, or all work, is done."""
        raise NotImplementedError


@dataclass
class Launch:
    """One kernel with its arguments: numbers and host arrays, and where those lie on the device."""

    stage: Stage
    values: list
    addresses: list[int | None]


@dataclass(frozen=True)
class Region:
    """Bytes of one allocation of the host: which, from, to."""

    root: int
    first: int
    last: int

    def meets(self, others) -> bool:
        return any(o.root == self.root and o.first < self.last and self.first < o.last for o in others)


def root_of(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def region_of(array: np.ndarray) -> Region:
    root = root_of(array)
    first = array.ctypes.data - root.ctypes.data
    return Region(root.ctypes.data, first, first + array.nbytes)


class Mirror:
    """The device's copy of host arrays; arrays that share memory on the host share it there."""

    def __init__(self, device: Device):
        self.device = device
        self._held: dict[int, tuple[np.ndarray, object, int]] = {}
        self.arrays: dict[tuple, np.ndarray] = {}
        self._staging: dict[tuple, np.ndarray] = {}

    def place(self, array: np.ndarray) -> tuple[object, int]:
        """(memory, offset) of an array, which is copied there when it is first seen."""
        if not array.flags.c_contiguous:
            raise ValueError("a column on a device must be contiguous")
        root = root_of(array)
        if root.ctypes.data not in self._held:
            lead = root.ctypes.data % ALIGN
            self._held[root.ctypes.data] = (root, self.device.allocate(root.nbytes + lead), lead)
        _, memory, lead = self._held[root.ctypes.data]
        offset = lead + array.ctypes.data - root.ctypes.data
        key = (root.ctypes.data, offset, array.nbytes)
        if key not in self.arrays:
            self.arrays[key] = array
            self.device.push(memory, offset, array)
        return memory, offset

    def address(self, array: np.ndarray) -> int:
        memory, offset = self.place(array)
        return self.device.address(memory) + offset

    def push(self, array: np.ndarray) -> None:
        self.device.push(*self.place(array), array)

    def pull(self, array: np.ndarray, into: np.ndarray) -> None:
        """Have it copied `into` staging memory of its own size; it is there after a wait."""
        self.device.pull(*self.place(array), into)

    def bring(self, arrays: list[np.ndarray]) -> None:
        """Bring host arrays up to date: small ones through staging memory, all at once, with one wait."""
        if not arrays:
            return
        staged = []
        for array in arrays:
            memory, offset = self.place(array)
            if array.nbytes > STAGED:
                self.device.pull(memory, offset, array)
                continue
            key = (id(memory), offset, array.nbytes)
            if key not in self._staging:
                self._staging[key] = self.device.staging(array.nbytes).view(array.dtype).reshape(array.shape)
            self.device.pull(memory, offset, self._staging[key])
            staged.append((array, self._staging[key]))
        self.device.wait()
        for array, found in staged:
            array[...] = found

    @property
    def bytes(self) -> int:
        return sum(root.nbytes for root, _, _ in self._held.values())


@dataclass
class Graph:
    """Kernels between two plain systems, in order."""

    launches: list[Launch] = field(default_factory=list)
    touched: set[Region] = field(default_factory=set)
    run: Callable[[], None] | None = None


@dataclass
class Plain:
    """A system that runs on the host: what comes back before it and what is sent after it."""

    call: Call
    read: list[np.ndarray | None]  # its read columns, writable
    written: list[np.ndarray | None]
    pulled: list[np.ndarray]
    pushed: list[np.ndarray]
    leads: bool = True  # nothing of the device runs before it in the tick
    deferred: bool = False
    staged: dict[int, np.ndarray] = field(default_factory=dict)  # place among `read` -> where it is brought to

    def rests(self) -> bool:
        """Whether this call would change nothing now."""
        return self.call.system.rests is not None and bool(self.call.system.rests(*self.call.args))

    @property
    def may_wait(self) -> bool:
        """Whether it can run later, on a copy of what the device has of its columns now, and only reads that."""
        changed = any(array is p for array in self.written for p in self.pulled)
        return bool(self.pulled) and not changed and not self.call.system.watches


class DeviceRunner(Runner):
    """A Runner whose kernels with a twin run on `device`; the same bits as on the CPU.

    The host's arrays are behind until `catch_up`; whoever changes them by hand between two ticks calls `push`.
    """

    def __init__(self, world, phases, periods, device: Device):
        self.device = device
        self.mirror = Mirror(device)
        self._programs: dict[tuple[bool, ...], list[Graph | Plain]] = {}
        self._waiting: tuple[Plain, list, object] | None = None
        self._written: list[tuple[bool, np.ndarray]] = []
        super().__init__(world, phases, periods)

    # binding ----------------------------------------------------------------------------------------------------
    def bind(self) -> None:
        """Copy what the kernels touch to the device anew; what was there is brought back first."""
        if self._version >= 0:
            self.catch_up(everything=True)
        super().bind()
        world = self.world
        world.arrays[Now.tick][0] = world.tick
        self.mirror, self._programs = Mirror(self.device), {}
        self.device.prepare(read(CLOCK))
        touched, written = set(), {}
        for _, calls in self.plan:
            for call in calls:
                if (twin := twin_of(call.system)) is None:
                    continue
                self.device.prepare(twin)
                for _, array in columns_of(world, call, reads=True, writes=True):
                    self.mirror.place(array)
                    touched.add(region_of(array))
                for column, array in columns_of(world, call, writes=True):
                    written[region_of(array)] = (issubclass(column.owner, Side), array)
        self._touched, self._written = touched, list(written.values())
        self._regions = set(written)

    def launches_of(self, call: Call) -> list[Launch]:
        """The kernels of a call with their arguments; none if its system has no twin."""
        twin = twin_of(call.system)
        if twin is None:
            return []
        found = []
        system = call.system
        columns = (*system.reads, *system.optional_reads, *system.writes, *system.optional_writes)
        arrays = [array_of(self.world, call.table, c) for c in columns]
        for stage in twin.stages:
            values = stage.values((call.args[0], *arrays))
            found.append(self._launch(stage, values))
        return found

    def _launch(self, stage: Stage, values: list) -> Launch:
        addresses = [self.mirror.address(v) if isinstance(v, np.ndarray) else None for v in values]
        return Launch(stage, values, addresses)

    def _program(self, due: tuple[bool, ...]) -> list[Graph | Plain]:
        """What a tick with these phases does: graphs and plain systems in order."""
        items: list[Graph | Plain] = []
        for is_due, (_, calls) in zip(due, self.plan, strict=True):
            for call in calls if is_due else ():
                launches = self.launches_of(call)
                if launches:
                    if not items or not isinstance(items[-1], Graph):
                        items.append(Graph())
                    items[-1].launches += launches
                    items[-1].touched |= {region_of(a) for _, a in columns_of(self.world, call, True, True)}
                else:
                    items.append(self._plain(call, any(isinstance(item, Graph) for item in items)))
        graphs = [item for item in items if isinstance(item, Graph)]
        if graphs:
            clock = read(CLOCK).stages[0]
            graphs[-1].launches.append(self._launch(clock, [0, self.world.arrays[Now.tick]]))
        for graph in graphs:
            self.device.begin()
            for together in side_by_side([(x.stage, x.values) for x in graph.launches]):
                self.device.launch([graph.launches[k] for k in together])
            graph.run = self.device.end()
        last = items[-1] if items else None
        if isinstance(last, Plain) and not last.leads and last.may_wait:
            last.deferred = True
            for place, array in enumerate(last.read):
                if array is not None and any(array is p for p in last.pulled):
                    last.staged[place] = self.device.staging(array.nbytes).view(array.dtype).reshape(array.shape)
        return items

    def _plain(self, call: Call, follows: bool) -> Plain:
        system, world = call.system, self.world
        read = [array_of(world, call.table, c) for c in (*system.reads, *system.optional_reads)]
        written = [array_of(world, call.table, c) for c in (*system.writes, *system.optional_writes)]
        known = [a for a in (*read, *written) if a is not None]
        pulled = [a for a in known if region_of(a).meets(self._regions)]
        if system.watches:
            pulled = [a for side, a in self._written if not side]
        pushed = [a for a in written if a is not None and region_of(a).meets(self._touched)]
        return Plain(call, read, written, pulled, pushed, leads=not follows)

    # running ----------------------------------------------------------------------------------------------------
    def step(self) -> None:
        """One tick; the physics of the last body step may still be to come when it returns."""
        world = self.world
        if self._version != world.structure_version:
            self.bind()
        tick = world.tick
        world.arrays[Now.tick][0] = tick
        due = tuple(tick % period == 0 for period, _ in self.plan)
        program = self._programs.get(due)
        if program is None:
            program = self._programs[due] = self._program(due)
        for item in program:
            if isinstance(item, Graph):
                if self._waiting and self._needs(item.touched):
                    self._finish()
                item.run()
            elif item.deferred:
                self._defer(item)
            elif not item.rests():
                if self._waiting:
                    self._finish()
                self._run(item)
        if world.pending:
            self.catch_up(everything=True)  # rows will move
        world.settle()
        world.tick = tick + 1

    def run(self, ticks: int) -> None:
        """So many ticks, and the host is up to date when it returns."""
        for _ in range(ticks):
            self.step()
        self.catch_up()

    def prepare(self) -> None:
        """Bind; kernels are compiled by that."""
        if self._version != self.world.structure_version:
            self.bind()

    def _run(self, item: Plain) -> None:
        self.mirror.bring(item.pulled)
        item.call.function(*item.call.args)
        for array in item.pushed:
            self.mirror.push(array)

    def _needs(self, regions: set[Region]) -> bool:
        """Whether someone touches what the system that was put off writes."""
        return any(region_of(a).meets(regions) for a in self._waiting[0].written if a is not None)

    def _defer(self, item: Plain) -> None:
        """Put the call off; what the device has of its arguments is on its way. Nothing runs here before it is made."""
        if self._waiting:
            self._finish()
        arguments = list(item.call.args)
        for place, staged in item.staged.items():
            self.mirror.pull(item.read[place], staged)
            arguments[1 + place] = staged
        self._waiting = (item, arguments, self.device.mark())

    def _finish(self) -> None:
        """Run the call that was put off."""
        item, arguments, mark = self._waiting
        self._waiting = None
        self.device.wait(mark)
        item.call.function(*arguments)
        for array in item.pushed:
            self.mirror.push(array)

    # the host's copy --------------------------------------------------------------------------------------------
    def catch_up(self, everything: bool = False) -> None:
        """Finish what was put off and bring the host's columns up to date; indices and rings only with `everything`."""
        if self._waiting:
            self._finish()
        self.mirror.bring([array for side, array in self._written if everything or not side])

    def push(self) -> None:
        """Send every column again, after the host's arrays were changed."""
        self._waiting = None
        self.world.arrays[Now.tick][0] = self.world.tick
        for array in self.mirror.arrays.values():
            self.mirror.push(array)


def columns_of(world, call: Call, reads: bool = False, writes: bool = False) -> list[tuple]:
    """(column, array) of a call that are there."""
    system, chosen = call.system, ()
    if reads:
        chosen += (*system.reads, *system.optional_reads)
    if writes:
        chosen += (*system.writes, *system.optional_writes)
    found = ((column, array_of(world, call.table, column)) for column in chosen)
    return [(column, array) for column, array in found if array is not None]


def side_by_side(launches: list[tuple[Stage, list]]) -> list[list[int]]:
    """Numbers of launches (kernel, arguments) in groups: each stands after all that it must not overtake.

    One must wait for another, earlier in order, if either writes what the other touches.
    """
    levels, known = [], []
    for stage, values in launches:
        read, written = ({region_of(a) for a in arrays} for arrays in stage.touched(values))
        level = 0
        for before, (its_read, its_written) in zip(levels, known, strict=True):
            if level <= before and (any(r.meets(its_written) for r in read | written)
                                    or any(r.meets(its_read) for r in written)):  # fmt: skip
                level = before + 1
        levels.append(level)
        known.append((read, written))
    return [[k for k, at in enumerate(levels) if at == level] for level in range(max(levels, default=-1) + 1)]
