"""Sixteen neighbours at once inside kernels: vector registers that LLVM fits to the machine at hand.

A loop over many columns stays scalar, since the compiler cannot know that columns do not overlap. Written with lanes it
is vector code whatever the columns are, and every lane rounds as one number does: the results are the same bits.

    x = load(column, k, m)          # column[k : k + m], m <= 16, zeros beyond
    x = where(x > floats(0), x + y, x)
    store(column, k, m, x)
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic, overload

LANES = 16
BYTES = ir.Constant(ir.IntType(32), 4)  # columns are aligned to their elements, no more


class Lanes(types.Type):
    """Numba's type of sixteen values in registers."""

    def __init__(self, name: str, element: ir.Type):
        super().__init__(name=f"lanes({name})")
        self.vector = ir.VectorType(element, LANES)


@register_default(Lanes)
class LanesModel(models.PrimitiveModel):
    """Held as an LLVM vector."""

    def __init__(self, manager, kind):
        super().__init__(manager, kind, kind.vector)


FLOATS = Lanes("float32", ir.FloatType())
INTS = Lanes("int32", ir.IntType(32))
FLAGS = Lanes("flag", ir.IntType(1))
KINDS = {types.float32: FLOATS, types.int32: INTS}


def _place(context, builder, kind, array, k):
    """Address of array[k] as a vector; no bounds or sign check."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [k]), KINDS[kind.dtype].vector.as_pointer())


def _spread(builder, value, kind):
    """The same value in all lanes."""
    whole = builder.insert_element(ir.Constant(kind.vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    every = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(whole, ir.Constant(kind.vector, ir.Undefined), every)


def _first(builder, m):
    """Flags of the first m lanes."""
    m = _spread(builder, builder.trunc(m, ir.IntType(32)), INTS)
    return builder.icmp_unsigned("<", ir.Constant(INTS.vector, list(range(LANES))), m)


def _masked(builder, name: str, result, vector, arguments):
    """Call llvm.masked.load or llvm.masked.store."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    name = f"llvm.masked.{name}.v{LANES}{vector.element.intrinsic_name}.p0"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


@intrinsic
def load(typing, array, k, m):
    """array[k : k + m] of a contiguous column; lanes from m on are 0."""
    kind = KINDS[array.dtype]

    def generate(context, builder, signature, values):
        place = _place(context, builder, array, values[0], values[1])
        few = _first(builder, values[2])
        nothing = ir.Constant(kind.vector, [kind.vector.element(0)] * LANES)
        return _masked(builder, "load", kind.vector, kind.vector, [place, BYTES, few, nothing])

    return kind(array, types.intp, types.intp), generate


@intrinsic
def store(typing, array, k, m, lanes):
    """array[k : k + m] = the first m lanes."""

    def generate(context, builder, signature, values):
        place = _place(context, builder, array, values[0], values[1])
        few = _first(builder, values[2])
        _masked(builder, "store", ir.VoidType(), lanes.vector, [values[3], place, BYTES, few])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, KINDS[array.dtype]), generate


@intrinsic
def put(typing, array, k, flags, lanes):
    """array[k + lane] = the lane, where its flag is set; nothing else is touched."""

    def generate(context, builder, signature, values):
        place = _place(context, builder, array, values[0], values[1])
        _masked(builder, "store", ir.VoidType(), lanes.vector, [values[3], place, BYTES, values[2]])
        return context.get_dummy_value()

    return types.void(array, types.intp, FLAGS, KINDS[array.dtype]), generate


@intrinsic
def floats(typing, x):
    """A number in all lanes, or int32 lanes as float32."""
    if x is INTS or x == INTS:
        return FLOATS(INTS), lambda context, builder, signature, values: builder.sitofp(values[0], FLOATS.vector)

    def generate(context, builder, signature, values):
        return _spread(builder, values[0], FLOATS)

    return FLOATS(types.float32), generate


@intrinsic
def ints(typing, x):
    """A whole number in all lanes."""

    def generate(context, builder, signature, values):
        return _spread(builder, values[0], INTS)

    return INTS(types.int32), generate


@intrinsic
def tally(typing, number, m):
    """How many of the m <= 15 lowest groups of four bits hold 0, 1, .. 15: one lane each."""
    word = ir.IntType(64)
    wide = ir.VectorType(word, LANES)

    def spread(builder, value):
        whole = builder.insert_element(ir.Constant(wide, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(whole, ir.Constant(wide, ir.Undefined), ir.Constant(INTS.vector, [0] * LANES))

    def generate(context, builder, signature, values):
        places = ir.Constant(wide, [4 * k for k in range(LANES)])
        fifteen = ir.Constant(wide, [15] * LANES)
        groups = builder.and_(builder.lshr(spread(builder, values[0]), places), fifteen)
        shift = builder.shl(groups, ir.Constant(wide, [2] * LANES))
        ones = builder.shl(ir.Constant(wide, [1] * LANES), shift)  # four bits count up to 15
        ones = builder.select(_first(builder, values[1]), ones, ir.Constant(wide, [0] * LANES))
        add = cgutils.get_or_insert_function(builder.module, ir.FunctionType(word, [wide]),
                                             f"llvm.vector.reduce.add.v{LANES}i64")  # fmt: skip
        total = spread(builder, builder.call(add, [ones]))
        return builder.trunc(builder.and_(builder.lshr(total, places), fifteen), INTS.vector)

    return INTS(types.uint64, types.intp), generate


@intrinsic
def where(typing, flags, yes, no):
    """yes where the flag is set, else no."""

    def generate(context, builder, signature, values):
        return builder.select(*values)

    return yes(FLAGS, yes, yes), generate


@intrinsic
def bits(typing, flags):
    """The flags as a whole number, lane 0 in bit 0."""

    def generate(context, builder, signature, values):
        return builder.zext(builder.bitcast(values[0], ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(FLAGS), generate


@intrinsic
def first(typing, m):
    """Flags of the first m lanes."""
    return FLAGS(types.intp), lambda context, builder, signature, values: _first(builder, values[0])


@intrinsic
def lowest(typing, number):
    """Place of the lowest bit that is set, of a number that is not 0."""

    def generate(context, builder, signature, values):
        found = builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))
        return found

    return types.intp(types.uint64), generate


def _binary(symbol, kinds, generate, result=None):
    """Give the operator its meaning for two lanes of the same kind."""

    @intrinsic
    def apply(typing, a, b):
        def code(context, builder, signature, values):
            return generate(builder, *values)

        return (result or a)(a, a), code

    @overload(symbol, inline="always")
    def choose(a, b):
        if isinstance(a, Lanes) and a == b and a in kinds:
            return lambda a, b: apply(a, b)
        return None


def _arithmetic(symbol, floating: str, whole: str):
    """Give an operator its instruction for floats and the one for ints."""

    def generate(builder, a, b):
        return getattr(builder, floating if a.type.element == FLOATS.vector.element else whole)(a, b)

    _binary(symbol, (FLOATS, INTS), generate)


_arithmetic(operator.add, "fadd", "add")
_arithmetic(operator.sub, "fsub", "sub")
_arithmetic(operator.mul, "fmul", "mul")
_binary(operator.and_, (FLAGS,), lambda builder, a, b: builder.and_(a, b))
_binary(operator.or_, (FLAGS,), lambda builder, a, b: builder.or_(a, b))


def _compare(symbol, name: str):
    """Give a comparison its meaning: ordered for floats, signed for ints."""

    def generate(builder, a, b):
        floating = a.type.element == FLOATS.vector.element
        return builder.fcmp_ordered(name, a, b) if floating else builder.icmp_signed(name, a, b)

    _binary(symbol, (FLOATS, INTS), generate, FLAGS)


for _symbol, _name in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _compare(_symbol, _name)
