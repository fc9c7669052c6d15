"""GPU twins of systems, read from their sources: `shaders/cuda/<system>.cu` holds one or more kernels.

A file's kernels are stages: they take the same arguments, and run in the order they stand in, each after the one before
has finished. Arguments are those of the system, `const` exactly where it reads; after them come the lengths that numba
takes from its arrays, as `int ring_0` for ring.shape[0]. A comment `// threads: EXPRESSION` before each kernel says how
many threads there is work for (in `n` and lengths); every kernel is right for any number of blocks.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.system import System

FOLDER = Path(__file__).resolve().parent.parent / "shaders" / "cuda"
CLOCK = "advance_tick"  # the one kernel that is no system's twin
TYPES = {
    "unsigned char": "u1", "int": "i4", "unsigned": "u4", "long long": "i8", "unsigned long long": "u8",
    "float": "f4", "double": "f8",
}  # fmt: skip
KERNEL = re.compile(
    r'// threads: (?P<threads>[^\n]+)\n(?:(?!// threads:)[\s\S])*?extern "C" __global__ void '
    r"__launch_bounds__\((?P<block>\d+)\) (?P<name>\w+)\(\s*(?P<parameters>[^)]*)\)"
)
LENGTH = re.compile(r"(\w+)_(\d)$")


@dataclass(frozen=True)
class Parameter:
    """One argument of a kernel: `int n`, a column (pointer) or a length."""

    name: str
    dtype: str
    pointer: bool
    const: bool

    @property
    def c(self) -> str:
        kind = next(c for c, dtype in TYPES.items() if dtype == self.dtype)
        return f"{'const ' if self.const else ''}{kind}{'*' if self.pointer else ''} {self.name}"


@dataclass(frozen=True)
class Stage:
    """One `__global__` function."""

    name: str
    parameters: tuple[Parameter, ...]
    block: int
    threads: str
    barriers: bool
    used: frozenset[str]  # arguments it looks at; the others it only takes

    def touched(self, values: list) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """(arrays it reads, arrays it writes), of what it is called with."""
        kinds = ([], [])
        for p, value in zip(self.parameters, values, strict=True):
            if p.pointer and value is not None and p.name in self.used:
                kinds[0 if p.const else 1].append(value)
        return kinds

    def values(self, columns: tuple) -> list[int | np.ndarray | None]:
        """What to call it with, from (n, array or None ...): the lengths are looked up by name."""
        named = dict(zip((p.name for p in self.parameters), columns, strict=False))
        return [named[p.name] if p.name in named else length(named, p.name) for p in self.parameters]

    def count(self, values: list) -> int:
        """Threads that there is work for."""
        numbers = {p.name: v for p, v in zip(self.parameters, values, strict=True) if not p.pointer}
        return max(1, int(eval(self.threads, {"__builtins__": {}}, numbers)))


def length(named: dict, name: str) -> int:
    """ring_0 -> ring.shape[0]."""
    column, axis = LENGTH.match(name).groups()
    return int(named[column].shape[int(axis)])


@dataclass(frozen=True)
class Twin:
    """The kernels of one file."""

    name: str
    source: str
    stages: tuple[Stage, ...]


def parameter(text: str) -> Parameter:
    """`const float* v` -> name, dtype, pointer, const."""
    words = re.fullmatch(r"(const )?([a-z ]+?)(\*?) (\w+)", " ".join(text.split()))
    if words is None or words[2] not in TYPES:
        raise ValueError(f"unreadable argument {text!r}")
    return Parameter(words[4], TYPES[words[2]], bool(words[3]), bool(words[1]))


@functools.cache
def read(name: str, folder: Path = FOLDER) -> Twin | None:
    """The twin of the system `name`; None if there is no such file."""
    path = folder / f"{name}.cu"
    if not path.is_file():
        return None
    source = path.read_text()
    found = list(KERNEL.finditer(source))
    if len(found) != source.count("__global__"):
        raise ValueError(f"{path.name}: a kernel without its line of threads")
    ends = [*(m.start() for m in found[1:]), len(source)]
    stages = []
    for m, end in zip(found, ends, strict=True):
        parameters = tuple(parameter(p) for p in m["parameters"].split(","))
        code = re.sub(r"//[^\n]*", "", source[m.end() : end])
        used = frozenset(re.findall(r"\w+", code)) & {p.name for p in parameters}
        stages.append(
            Stage(m["name"], parameters, int(m["block"]), m["threads"].strip(), "__syncthreads" in code, used)
        )
    return Twin(name, source, tuple(stages))


def twin_of(system: System) -> Twin | None:
    return read(system.name)


def shipped() -> list[Twin]:
    """All twins, by name."""
    return [read(path.stem) for path in sorted(FOLDER.glob("*.cu"))]


def disagreements(system: System, names: list[str], twin: Twin) -> list[str]:
    """Where the twin differs from the declaration or from the Python signature `names`."""
    found = []
    columns = [(c, True) for c in (*system.reads, *system.optional_reads)]
    columns += [(c, False) for c in (*system.writes, *system.optional_writes)]
    for stage in twin.stages:
        own, lengths = stage.parameters[: len(columns) + 1], stage.parameters[len(columns) + 1 :]
        if [p.name for p in own] != names:
            found.append(f"{stage.name}: arguments {[p.name for p in own]}, expected {names}")
            continue
        if own[0] != Parameter("n", "i4", False, False):
            found.append(f"{stage.name}: expected int n first")
        for p, (column, read_only) in zip(own[1:], columns, strict=True):
            if not p.pointer or np.dtype(p.dtype) != column.dtype:
                found.append(f"{stage.name}: {p.c}: expected a pointer to {column.dtype}")
            if p.const != read_only:
                found.append(f"{stage.name}: {p.c}: {column!r} is {'read' if read_only else 'written'}")
        for p in lengths:
            match = LENGTH.match(p.name)
            if p.pointer or p.dtype != "i4" or match is None or match[1] not in names:
                found.append(f"{stage.name}: {p.c} is neither a column nor the length of one")
    return found
