"""As much of CuPy as engine/cuda.py calls, with kernels that run on the host (tools/cuda_shim.py).

It is strict where CUDA is: kernels get the types their signatures ask for, a captured graph holds only what was
launched on streams that were forked from the captured one, and all of them are joined before it ends.
"""

import ctypes
import types

import numpy as np

from engine.twin import shipped
from tools.cuda_shim import launcher

STAGES = {stage.name: stage for twin in shipped() for stage in twin.stages}
current: list = []


class Memory:
    def __init__(self, size: int):
        self.held = np.zeros(size, np.uint8)
        self.ptr = self.held.ctypes.data

    def __buffer__(self, flags):
        return memoryview(self.held)


class Graph:
    def __init__(self):
        self.runs, self.open = [], set()

    def launch(self, stream) -> None:
        assert stream.capture is None
        for run in self.runs:
            run()


class Event:
    def __init__(self, *, disable_timing: bool):
        assert disable_timing

    def record(self, stream) -> None:
        self.stream, self.capture = stream, stream.capture

    def synchronize(self) -> None:
        assert self.capture is None


class Stream:
    def __init__(self, *, non_blocking: bool):
        self.capture, self.ptr = None, id(self)

    def __enter__(self):
        current.append(self)

    def __exit__(self, *_):
        current.pop()

    def begin_capture(self) -> None:
        assert self.capture is None
        self.capture = Graph()

    def end_capture(self) -> Graph:
        graph, self.capture = self.capture, None
        assert not graph.open, "a branch was not joined"
        return graph

    def wait_event(self, event: Event) -> None:
        if self.capture is None:  # forked
            self.capture = event.capture
            self.capture.open.add(self)
        else:  # joined
            assert event.capture is self.capture
            self.capture.open.discard(event.stream)
            event.stream.capture = None

    def synchronize(self) -> None:
        assert self.capture is None


class Function:
    def __init__(self, name: str):
        self.name, self.compiled = name, False

    def compile(self) -> None:
        self.compiled = True

    def __call__(self, grid, block, arguments) -> None:
        stage, stream = STAGES[self.name], current[-1]
        assert self.compiled and stream.capture is not None
        for p, value in zip(stage.parameters, arguments, strict=True):
            assert type(value) is (np.uint64 if p.pointer else np.int32)
        values = [None if p.pointer else int(v) for p, v in zip(stage.parameters, arguments, strict=True)]
        places = [int(v) or None if p.pointer else None for p, v in zip(stage.parameters, arguments, strict=True)]
        assert block == (stage.block,) and grid[0] * block[0] >= stage.count(values) > (grid[0] - 1) * block[0]
        stream.capture.runs.append(launcher(stage, values, places))


class RawModule:
    def __init__(self, *, code: str, options: tuple):
        assert "__global__" in code and "--fmad=false" in options
        self.code = code

    def get_function(self, name: str) -> Function:
        assert f" {name}(" in self.code
        return Function(name)


def memcpy_async(to: int, source: int, size: int, kind: int, stream: int) -> None:
    assert kind in (1, 2) and size > 0
    ctypes.memmove(to, source, size)


def make() -> types.SimpleNamespace:
    runtime = types.SimpleNamespace(memcpyAsync=memcpy_async, getDeviceCount=lambda: 1)
    cuda = types.SimpleNamespace(
        runtime=runtime, Stream=Stream, Event=Event, alloc=Memory,
        alloc_pinned_memory=lambda size: memoryview(bytearray(size)),
    )  # fmt: skip
    return types.SimpleNamespace(cuda=cuda, RawModule=RawModule)
