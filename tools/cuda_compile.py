"""Compile shaders/cuda/*.cu with NVRTC for GPUs that need not be there, and report registers and spills."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from engine.cuda import OPTIONS
from engine.errors import UserError
from engine.twin import Twin

ARCHITECTURES = ("sm_80", "sm_90", "sm_120")
USED = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Compiled:
    """What the compiler said of one kernel."""

    name: str
    architecture: str
    registers: int
    spilled: int  # bytes stored and loaded
    shared: int  # bytes


@functools.cache
def nvrtc() -> ctypes.CDLL:
    """NVIDIA's run-time compiler, from the package nvidia-cuda-nvrtc or the system; UserError if it is not there."""
    spec = importlib.util.find_spec("nvidia")
    places = [p for base in (spec.submodule_search_locations if spec else ()) for p in Path(base).rglob("libnvrtc.so*")]
    for place in (*sorted(map(str, places), reverse=True), "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"):
        try:
            return ctypes.CDLL(place)
        except OSError:
            continue
    raise UserError("NVRTC: not found; pip install nvidia-cuda-nvrtc")


def version() -> str:
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def compile_source(name: str, source: str, architecture: str) -> tuple[bytes, str]:
    """(machine code, or PTX for `compute_..`; log) of a source; UserError with the compiler's words if it fails."""
    library, made = nvrtc(), ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(made), source.encode(), f"{name}.cu".encode(), 0, None, None)
    try:
        machine = architecture.startswith("sm_")
        options = [*OPTIONS, f"--gpu-architecture={architecture}", *(["--ptxas-options=-v"] if machine else [])]
        failed = library.nvrtcCompileProgram(made, len(options), (ctypes.c_char_p * len(options))(
            *(o.encode() for o in options)))  # fmt: skip
        log = _text(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, made).rstrip(b"\0").decode()
        if failed:
            raise UserError(f"{name}.cu: {architecture}: {log.strip() or f'NVRTC error {failed}'}")
        if machine:
            return _text(library.nvrtcGetCUBINSize, library.nvrtcGetCUBIN, made), log
        return _text(library.nvrtcGetPTXSize, library.nvrtcGetPTX, made), log
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(made))


def _text(size_of, get, program) -> bytes:
    size = ctypes.c_size_t()
    size_of(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    get(program, buffer)
    return buffer.raw


def compile_twin(twin: Twin, architecture: str) -> list[Compiled]:
    """Every kernel of a file, compiled to machine code."""
    _, log = compile_source(twin.name, twin.source, architecture)
    found = {}
    for m in USED.finditer(log):
        shared = re.search(r"(\d+) bytes smem", m["rest"])
        found[m["name"]] = Compiled(m["name"], architecture, int(m["registers"]), int(m["stores"]) + int(m["loads"]),
                                    int(shared[1]) if shared else 0)  # fmt: skip
    return [found[stage.name] for stage in twin.stages]
