"""One compiled function for a stretch of the tick: the calls of the schedule in their order, without Python in between.

A call of a kernel from Python costs about as long as a thousand neurons, most of it spent on looking at the arrays. A
driver is generated from the schedule's bound calls; it holds the places of their arrays as numbers and makes arrays of
them inside. Its source lies in the kernel cache, so that it is compiled once per set of tables. With a crew
(engine/crew.py) the parts of kernels that share them out are done by several threads.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import os
import sys
from collections.abc import Sequence

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj

from engine import kernel
from engine.crew import SECTION, finish, post

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


class Text:
    """A function of a driver's source in the making: arrays it needs first, then calls. `numbers` is shared by all."""

    def __init__(self, numbers: list[int], kinds: dict[types.Array, str], functions: dict[object, str]):
        self.numbers, self.kinds, self.functions = numbers, kinds, functions
        self.arrays: dict[tuple, str] = {}
        self.head: list[str] = []
        self.body: list[str] = []

    def number(self, value: int) -> str:
        self.numbers.append(int(value))
        return f"p[{len(self.numbers) - 1}]"

    def kind(self, array: np.ndarray) -> tuple[types.Array, str]:
        """numba's type of the array, and the name of the function that makes one."""
        kind = kernel._numba()[0].typeof(array)
        return kind, self.kinds.setdefault(kind, f"view{len(self.kinds)}")

    def array(self, a: np.ndarray) -> str:
        kind, view = self.kind(a)
        key = (a.ctypes.data, a.shape, kind)
        if key not in self.arrays:
            self.arrays[key] = f"a{len(self.arrays)}"
            shape = "".join(self.number(size) + ", " for size in a.shape)
            self.head.append(f"    {self.arrays[key]} = {view}({self.number(a.ctypes.data)}, ({shape}))  # {kind}")
        return self.arrays[key]

    def call(self, call, own: np.ndarray | None = None) -> None:
        """Make the call; where `own` is given, the function's variable of that name stands for this array."""
        words = []
        for a in call.args:
            if not isinstance(a, np.ndarray):
                words.append("None" if a is None else self.number(a))
            elif own is not None and a.ctypes.data == own.ctypes.data:
                words.append("own")
            else:
                words.append(self.array(a))
        name = self.functions.setdefault(call.function, f"f{len(self.functions)}")
        self.body.append(f"    {name}({', '.join(words)})  # {call.function.__module__}.{call.function.__qualname__}")


def fuse(calls: Sequence, crew=None, own: np.ndarray | None = None) -> tuple:
    """(function, arguments) that make the calls one after another.

    With a crew, neighbours that share their parts (`own` is among their arguments) become a section: each of its parts
    goes through all of their calls, whoever does it, and the next call begins when all parts are done.
    """
    numba, cached = kernel._numba()
    parts = int(own[1]) if own is not None else 1
    numbers: list[int] = []
    kinds: dict[types.Array, str] = {}
    functions: dict[object, str] = {}
    if crew is not None and parts > 1:
        numbers.extend(k + end for k in range(parts) for end in (0, 1))  # what `own` is in each part
    main = Text(numbers, kinds, functions)
    sections: list[tuple[Text, int]] = []
    itself = None
    for shared, stretch in itertools.groupby(calls, lambda call: crew is not None and parts > 1 and call.shares):
        if not shared:
            for call in stretch:
                main.call(call)
            continue
        section = Text(numbers, kinds, functions)
        for call in stretch:
            mine = next(a for a in call.args if isinstance(a, np.ndarray) and a.ctypes.data == own.ctypes.data)
            section.call(call, own)
        _, view = section.kind(mine)
        section.head.insert(0, f"    own = {view}(address + 16 * part, (2,))")
        block = main.array(crew.block)
        function = main.number(0)
        sections.append((section, len(numbers) - 1))
        itself = itself or main.number(0)
        main.body.append(f"    post({block}, {SECTION}, {function}, {itself}, 0, {main.number(parts)})")
        main.body.append(f"    finish({block}, {SECTION})")
    table = np.array(numbers, np.int64)
    lines = ["# made by engine/driver.py from the schedule"]
    for k, (section, _) in enumerate(sections):
        lines += [f"def section{k}(address, part):", f"    p = places(address, ({len(numbers)},))", *section.head,
                  *section.body]  # fmt: skip
    lines += ["def drive(p):", *main.head, *main.body, ""]
    module = module_of("\n".join(lines), cached)
    for name_of, thing in (*((name, viewer(kind)) for kind, name in kinds.items()),
                           *((name, function) for function, name in functions.items()),
                           ("places", viewer(numba.typeof(table))), ("post", post), ("finish", finish)):  # fmt: skip
        setattr(module, name_of, thing)
    for k, (_, place) in enumerate(sections):
        compiled = numba.cfunc("void(int64, int64)", cache=cached, error_model="numpy")(getattr(module, f"section{k}"))
        table[place] = compiled.address
        setattr(module, f"compiled{k}", compiled)  # kept as long as its address is used
    if itself is not None:
        table[int(itself[2:-1])] = table.ctypes.data
    drive = module.compiled = numba.njit(cache=cached, nogil=True, error_model="numpy")(module.drive)
    return kernel.entry(drive, (table,)), (table,)


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
