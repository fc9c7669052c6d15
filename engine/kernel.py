"""Compiled kernels: one Python function, a serial and a two-or-more-thread form, cached on disk across runs.

numba's own cache does not notice a change in an imported file, so the cache folder carries a hash of every kernel
source. `prange` over parts is the only parallelism used; each part owns its outputs, so results are the same bits.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent


@functools.cache
def source_hash() -> str:
    """Hash of all files that hold kernels or what kernels call (they name numba's compiler), and of numba's version."""
    from importlib.metadata import version

    digest = hashlib.blake2b(version("numba").encode(), digest_size=8)
    for folder in ("engine", "systems", "systems/spawn"):
        for path in sorted((ROOT / folder).glob("*.py")):
            source = path.read_bytes()
            if any(word in source for word in (b"@kernel", b"njit", b"@intrinsic")):
                digest.update(source)
    return digest.hexdigest()


def cache_dir() -> pathlib.Path:
    """Where compiled kernels are kept, e.g. ~/.cache/encephagen/kernels-<hash>."""
    base = os.environ.get("ENCEPHAGEN_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "encephagen"
    )
    return pathlib.Path(base) / f"kernels-{source_hash()}"


def is_warm() -> bool:
    """True if kernels of this very source were compiled on this machine before."""
    folder = cache_dir()
    return folder.is_dir() and any(folder.rglob("*.nbi"))


@functools.cache
def _numba():
    # threads that wait for each other must sleep, not spin: beside other work on the same cores spinning made a
    # tick of 100,000 neurons 12 times as long (9.3 ms against 0.78 ms, two threads on two busy cores)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import numba

    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        numba.config.CACHE_DIR = str(folder)
    except OSError:
        return numba, False
    return numba, True


def _copy(function, suffix: str):
    """The same function under another name: numba's disk cache tells functions apart by qualified name alone."""
    twin = types.FunctionType(function.__code__, function.__globals__, function.__name__ + suffix)
    twin.__qualname__ = function.__qualname__ + suffix
    twin.__module__, twin.__doc__ = function.__module__, function.__doc__
    return twin


class Kernel:
    """A function that compiles on first call; `.serial` and `.parallel` give the two forms of the same source."""

    def __init__(self, function):
        self.function = function
        functools.update_wrapper(self, function)

    def _compile(self, parallel: bool):
        numba, cache = _numba()
        return numba.njit(cache=cache, nogil=True, error_model="numpy", fastmath=False, parallel=parallel)(
            _copy(self.function, "_parallel") if parallel else self.function
        )

    @functools.cached_property
    def serial(self):
        return self._compile(False)

    @functools.cached_property
    def parallel(self):
        return self._compile(True)

    def form(self, threads: int):
        """The compiled form for this number of threads."""
        numba, _ = _numba()
        numba.get_num_threads()  # starts the pool: kernels ask for their thread's number, which needs it
        if threads <= 1 or "prange" not in self.function.__code__.co_names:
            return self.serial
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        return self.parallel

    def __call__(self, *args):
        return self.serial(*args)


def kernel(function) -> Kernel:
    """Mark `function` as a numba kernel (see `Kernel`)."""
    return Kernel(function)


def entry(function, arguments: tuple):
    """What to call with these very arguments: a compiled kernel without numba's look at their types, half of a call."""
    if not hasattr(function, "overloads"):
        return function
    numba, _ = _numba()
    types = tuple(numba.typeof(argument) for argument in arguments)
    function.compile(types)
    return function.overloads[types].entry_point
