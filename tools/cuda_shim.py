"""Run shaders/cuda/*.cu on the host: g++ compiles them through shaders/cuda/host_shim.h into one library.

The library is a device (engine/device.py) like a GPU is, only slow: its memory is a copy, its kernels are the very .cu
files. That makes everything but the driver's calls testable where there is no GPU.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from engine.device import Device, Launch
from engine.errors import UserError
from engine.kernel import cache_dir
from engine.twin import FOLDER, Stage, Twin, shipped

FLAGS = ("-O2", "-std=c++17", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC", "-shared", "-w")
COMPILER = os.environ.get("CXX", "g++")
BLOCKS = 3  # at most: kernels must be right for any number of blocks
FIBERS = 64  # threads of a block that has barriers


def program(twins: list[Twin]) -> str:
    """One C++ source of all kernels, and for each a function that runs it over a grid."""
    lines = ['#include "host_shim.h"']
    for twin in twins:
        lines.append(f'#include "{twin.name}.cu"')
        for stage in twin.stages:
            way = "run_fibers" if stage.barriers else "run_threads"
            typed, named = (", ".join(texts) for texts in zip(*((p.c, p.name) for p in stage.parameters), strict=True))
            lines.append(f'extern "C" void run_{stage.name}(const Shape* shape, {typed}) '
                         f"{{ {way}(*shape, [&] {{ {stage.name}({named}); }}); }}")  # fmt: skip
    return "\n".join(lines) + "\n"


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled kernels, from the cache if these very sources were compiled before; UserError without g++."""
    twins = shipped()
    text = program(twins)
    digest = hashlib.blake2b(" ".join(FLAGS).encode() + text.encode(), digest_size=8)
    for path in (FOLDER / "host_shim.h", *(FOLDER / f"{twin.name}.cu" for twin in twins)):
        digest.update(path.read_bytes())
    folder = cache_dir().parent / "shim"
    made = folder / f"kernels-{digest.hexdigest()}.so"
    if not made.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source, built = Path(work) / "kernels.cpp", Path(work) / "kernels.so"
            source.write_text(text)
            command = [COMPILER, *FLAGS, f"-I{FOLDER}", str(source), "-o", str(built)]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True)
            except FileNotFoundError:
                raise UserError(f"{command[0]}: not found; it compiles the CUDA kernels for the host") from None
            except subprocess.CalledProcessError as error:
                raise UserError(f"{command[0]}: {error.stderr.strip()[:2000]}") from None
            os.replace(built, made)
    return ctypes.CDLL(str(made))


class Shape(ctypes.Structure):
    """Of a grid: blocks, threads of each, and whether they run from the last to the first."""

    _fields_ = [("blocks", ctypes.c_int), ("threads", ctypes.c_int), ("backwards", ctypes.c_int)]


def launcher(stage: Stage, values: list, addresses: list[int | None], *, blocks: int = BLOCKS,
             threads: int | None = None, backwards: bool = False):  # fmt: skip
    """A function that runs the kernel; `addresses` are where its columns lie, `values` its numbers."""
    call = getattr(library(), f"run_{stage.name}")
    call.restype = None
    block = threads or (min(FIBERS, stage.block) if stage.barriers else stage.block)
    grid = 1 if stage.barriers else min(blocks, -(-stage.count(values) // block))
    shape = Shape(grid, block, backwards)
    arguments = [ctypes.byref(shape)]
    for p, value, address in zip(stage.parameters, values, addresses, strict=True):
        arguments.append(ctypes.c_void_p(address) if p.pointer else ctypes.c_int(value))
    keep = (shape, arguments)
    return lambda: call(*keep[1])


class Shim(Device):
    """The host as a device. `log` counts what is done, so that tests can ask for what must not happen in a tick."""

    name = "shim"

    def __init__(self, *, backwards: bool = False):
        self.backwards = backwards
        self.log = {"launches": 0, "graphs": 0, "waits": 0, "pushed": 0, "pulled": 0}
        self._capturing: list | None = None
        library()

    def allocate(self, size: int) -> np.ndarray:
        return np.zeros(-(-size // 8) * 8, np.uint64).view(np.uint8)[:size] if size else np.zeros(0, np.uint8)

    def address(self, memory: np.ndarray) -> int:
        return memory.ctypes.data

    def push(self, memory: np.ndarray, offset: int, host: np.ndarray) -> None:
        assert self._capturing is None, "a captured tick may not copy from the host"
        memory[offset : offset + host.nbytes] = host.reshape(-1).view(np.uint8)
        self.log["pushed"] += 1

    def pull(self, memory: np.ndarray, offset: int, host: np.ndarray) -> None:
        assert self._capturing is None, "a captured tick may not copy to the host"
        host.reshape(-1).view(np.uint8)[:] = memory[offset : offset + host.nbytes]
        self.log["pulled"] += 1

    def launch(self, together: list[Launch]) -> None:
        for one in reversed(together) if self.backwards else together:
            self._capturing.append(launcher(one.stage, one.values, one.addresses, backwards=self.backwards))

    def begin(self) -> None:
        self._capturing = []

    def end(self):
        captured, self._capturing = self._capturing, None

        def graph() -> None:
            self.log["graphs"] += 1
            self.log["launches"] += len(captured)
            for run in captured:
                run()

        return graph

    def mark(self) -> None:
        """Nothing is under way when a call returns."""

    def wait(self, mark=None) -> None:
        self.log["waits"] += 1
