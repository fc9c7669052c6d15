"""One compiled function for a stretch of the tick: the calls of the schedule in their order, without Python in between.

A call of a kernel from Python costs about as long as a thousand neurons, most of it spent on looking at the arrays. A
driver is generated from the schedule's bound calls; it holds the places of their arrays as numbers and makes arrays of
them inside. Its source lies in the kernel cache, so that it is compiled once per set of tables.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Sequence

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj

from engine import kernel

LEAST = 2  # calls that are worth a driver


def viewer(kind: types.Array):
    """Function (address, shape) -> array of this very type, contiguous, of memory that others own."""

    @intrinsic
    def view(typing, address, shape):
        def generate(context, builder, signature, values):
            made = arrayobj.make_array(kind)(context, builder)
            item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
            sizes = cgutils.unpack_tuple(builder, values[1], kind.ndim)
            strides, stride = [], context.get_constant(types.intp, item)
            for size in reversed(sizes):
                strides.insert(0, stride)
                stride = builder.mul(stride, size)
            data = builder.inttoptr(values[0], context.get_data_type(kind.dtype).as_pointer())
            arrayobj.populate_array(made, data=data, shape=sizes, strides=strides,
                                    itemsize=context.get_constant(types.intp, item), meminfo=None)  # fmt: skip
            return made._getvalue()

        return kind(types.intp, types.UniTuple(types.intp, kind.ndim)), generate

    return view


def fits(call) -> bool:
    """Whether a driver can make this call: a compiled kernel of contiguous arrays, whole numbers and nothing."""
    return hasattr(call.function, "py_func") and all(
        a is None or isinstance(a, int) or (isinstance(a, np.ndarray) and a.flags.c_contiguous and a.ndim > 0)
        for a in call.args
    )


def fuse(calls: Sequence) -> tuple:
    """(function, arguments) that make the calls one after another."""
    numba, cached = kernel._numba()
    numbers: list[int] = []
    arrays: dict[tuple, str] = {}
    kinds: dict[types.Array, str] = {}
    functions: dict[object, str] = {}
    head, body = [], []

    def number(value: int) -> str:
        numbers.append(int(value))
        return f"p[{len(numbers) - 1}]"

    for call in calls:
        words = []
        for a in call.args:
            if not isinstance(a, np.ndarray):
                words.append("None" if a is None else number(a))
                continue
            kind = numba.typeof(a)
            key = (a.ctypes.data, a.shape, kind)
            if key not in arrays:
                arrays[key] = f"a{len(arrays)}"
                view = kinds.setdefault(kind, f"view{len(kinds)}")
                head.append(f"    {arrays[key]} = {view}({number(a.ctypes.data)}, "
                            f"({''.join(number(size) + ', ' for size in a.shape)}))  # {kind}")  # fmt: skip
            words.append(arrays[key])
        name = functions.setdefault(call.function, f"f{len(functions)}")
        body.append(f"    {name}({', '.join(words)})  # {call.function.__module__}.{call.function.__qualname__}")
    source = "\n".join(["# made by engine/driver.py from the schedule", "def drive(p):", *head, *body, ""])
    module = module_of(source, cached)
    for name_of, thing in (*((name, viewer(kind)) for kind, name in kinds.items()),
                           *((name, function) for function, name in functions.items())):  # fmt: skip
        setattr(module, name_of, thing)
    drive = module.compiled = numba.njit(cache=cached, nogil=True, error_model="numpy")(module.drive)
    arguments = (np.array(numbers, np.int64),)
    return kernel.entry(drive, arguments), arguments


def module_of(source: str, cached: bool):
    """The source as a module; from a file in the kernel cache where that can be written."""
    name = f"driver_{hashlib.blake2b(source.encode(), digest_size=8).hexdigest()}"
    path = kernel.cache_dir() / f"{name}.py"
    spec = importlib.util.spec_from_loader(name, None)
    if cached and not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(source)
        os.replace(part, path)
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), module.__dict__)
    sys.modules[name] = module  # where numba's cache looks for it
    return module
