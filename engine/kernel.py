"""Compiled kernels: Python functions compiled on first call, cached on disk across runs.

numba's own cache does not notice a change in an imported file, so the cache folder carries a hash of every kernel
source. Threads are not numba's: kernels do the parts they are told to (engine/schedule.py: Parts), and a crew
(engine/crew.py) shares those out.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib

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
    import numba

    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        numba.config.CACHE_DIR = str(folder)
    except OSError:
        return numba, False
    return numba, True


class Kernel:
    """A function that compiles on first call; `.compiled` is what numba makes of it."""

    def __init__(self, function):
        self.function = function
        functools.update_wrapper(self, function)

    @functools.cached_property
    def compiled(self):
        numba, cache = _numba()
        return numba.njit(cache=cache, nogil=True, error_model="numpy", fastmath=False)(self.function)

    def __call__(self, *args):
        return self.compiled(*args)


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
