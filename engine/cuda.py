"""A CUDA GPU as a device, through CuPy: the only place that imports it, and only when asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np

from engine.device import Device, Launch
from engine.errors import UserError
from engine.twin import Twin

OPTIONS = ("--fmad=false", "--std=c++17")  # no multiply-add with one rounding: the CPU has two
TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyKind
PACKAGE = 'pip install -e ".[cuda]"'


def missing() -> str | None:
    """Why there is no CUDA device here, in a few words; None if there is one."""
    if importlib.util.find_spec("cupy") is None:
        return f"CuPy is not installed ({PACKAGE})"
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # a broken installation raises what it likes
        return " ".join(str(error).split())[:160] or type(error).__name__
    return None if count else "no CUDA device was found"


class Cuda(Device):
    """One GPU with one stream: everything is done in the order asked for, but for launches that go together."""

    name = "cuda"

    def __init__(self):
        if reason := missing():
            raise UserError(f"CUDA: {reason}")
        import cupy

        self._cupy, self._runtime = cupy, cupy.cuda.runtime
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._branches: list = []
        self._functions: dict[str, Callable] = {}

    def prepare(self, twin: Twin) -> None:
        if twin.stages[0].name in self._functions:
            return
        module = self._cupy.RawModule(code=twin.source, options=OPTIONS)
        for stage in twin.stages:
            function = module.get_function(stage.name)
            function.compile()  # a module cannot be loaded while a graph is captured
            self._functions[stage.name] = function

    def allocate(self, size: int):
        return self._cupy.cuda.alloc(max(size, 1))

    def staging(self, size: int) -> np.ndarray:
        """Pinned memory: copies to and from it do not hold the host up."""
        return np.frombuffer(self._cupy.cuda.alloc_pinned_memory(max(size, 1)), np.uint8, size)

    def address(self, memory) -> int:
        return memory.ptr

    def push(self, memory, offset: int, host: np.ndarray) -> None:
        if host.nbytes:
            place = memory.ptr + offset
            self._runtime.memcpyAsync(place, host.ctypes.data, host.nbytes, TO_DEVICE, self._stream.ptr)

    def pull(self, memory, offset: int, host: np.ndarray) -> None:
        if host.nbytes:
            place = memory.ptr + offset
            self._runtime.memcpyAsync(host.ctypes.data, place, host.nbytes, TO_HOST, self._stream.ptr)

    def begin(self) -> None:
        self._stream.begin_capture()

    def launch(self, together: list[Launch]) -> None:
        """Each on a stream of its own, forked from the first and joined to it: branches of the captured graph."""
        while len(self._branches) < len(together) - 1:
            self._branches.append(self._cupy.cuda.Stream(non_blocking=True))
        branches = self._branches[: len(together) - 1]
        if branches:
            fork = self.mark()
            for branch in branches:
                branch.wait_event(fork)
        for stream, one in zip((self._stream, *branches), together, strict=True):
            with stream:
                self._launch(one)
        for branch in branches:
            self._stream.wait_event(self.mark(branch))

    def _launch(self, one: Launch) -> None:
        stage = one.stage
        arguments = tuple(
            np.uint64(address or 0) if p.pointer else np.int32(value)
            for p, value, address in zip(stage.parameters, one.values, one.addresses, strict=True)
        )
        blocks = 1 if stage.barriers else -(-stage.count(one.values) // stage.block)
        self._functions[stage.name]((blocks,), (stage.block,), arguments)

    def end(self) -> Callable[[], None]:
        graph = self._stream.end_capture()
        return lambda: graph.launch(self._stream)

    def mark(self, stream=None):
        event = self._cupy.cuda.Event(disable_timing=True)
        event.record(stream or self._stream)
        return event

    def wait(self, mark=None) -> None:
        (mark or self._stream).synchronize()


def describe() -> str:
    """The GPU in a few words, or why there is none."""
    if reason := missing():
        return f"none: {reason}"
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(0)
    return f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 1e9:.0f} GB, CuPy {cupy.__version__}"
