"""Vectors of sixteen numbers as Numba types, so that kernels read like their equations.

``float32x16`` and ``uint32x16`` are LLVM vectors.  LLVM gives sixteen elements one register on AVX-512, two on
AVX2, four on NEON.  Every element goes through the same operations in the same order everywhere, so results are the
same bits on all of them.  Numba does not vectorise such loops by itself: LLVM cannot prove that arrays do not overlap,
and ``exp`` and ``tanh`` of the C library are scalar calls.

Memory is read and written by address (``array.ctypes.data``) and offset in elements, without a bounds check.
There is no fast-math: a NaN propagates.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

WIDTH = 16

_I32, _I64 = ir.IntType(32), ir.IntType(64)


class Vector(types.Type):
    """The Numba type of ``WIDTH`` numbers of one kind in a register."""

    def __init__(self, element, llvm_element):
        self.element = element
        self.llvm = ir.VectorType(llvm_element, WIDTH)
        super().__init__(name=f"{element}x{WIDTH}")


float32x16 = Vector(types.float32, ir.FloatType())
uint32x16 = Vector(types.uint32, _I32)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, fe_type.llvm)


def llvm_pointer(builder, base, offset):
    """Pointer to the 4-byte element ``offset`` after address ``base``; both are i64 values."""
    return builder.inttoptr(builder.add(base, builder.shl(offset, _I64(2))), ir.PointerType())


def llvm_splat(builder, scalar):
    """A vector with ``scalar`` in every element."""
    kind = ir.VectorType(scalar.type, WIDTH)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def llvm_call(builder, name, kind, values):
    """Call the LLVM intrinsic ``name`` for vectors of ``kind``."""
    function = ir.FunctionType(kind, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), values)


def llvm_prefetch(builder, base, offset):
    """Prefetch the cache line ``offset`` elements after ``base`` into the L2 cache; any address is safe."""
    function = ir.FunctionType(ir.VoidType(), [ir.PointerType(), _I32, _I32, _I32])
    prefetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
    to_read, second_cache, data = _I32(0), _I32(2), _I32(1)
    builder.call(prefetch, [llvm_pointer(builder, base, offset), to_read, second_cache, data])


# ---- memory and conversion ----------------------------------------------------------------------------


@intrinsic
def load(typing, base, offset):
    """The sixteen floats at ``base`` + ``offset`` elements."""

    def codegen(context, builder, signature, args):
        return builder.load(llvm_pointer(builder, *args), align=4, typ=float32x16.llvm)

    return float32x16(types.uintp, types.intp), codegen


@intrinsic
def store(typing, base, offset, value):
    """Write sixteen floats to ``base`` + ``offset`` elements."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], llvm_pointer(builder, *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, float32x16), codegen


@intrinsic
def fetch(typing, base, offset):
    """Prefetch the cache line at ``base`` + ``offset`` elements into the L2 cache; any address is safe."""

    def codegen(context, builder, signature, args):
        llvm_prefetch(builder, *args)
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp), codegen


@intrinsic
def load_one(typing, base, offset):
    """The float at ``base`` + ``offset`` elements."""

    def codegen(context, builder, signature, args):
        return builder.load(llvm_pointer(builder, *args), align=4, typ=ir.FloatType())

    return types.float32(types.uintp, types.intp), codegen


@intrinsic
def store_one(typing, base, offset, value):
    """Write one float to ``base`` + ``offset`` elements."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], llvm_pointer(builder, *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, types.float32), codegen


@intrinsic
def splat(typing, scalar):
    """A vector with one number in every element (float32 or uint32)."""
    vectors = {types.float32: float32x16, types.uint32: uint32x16}
    if scalar not in vectors:
        return None

    def codegen(context, builder, signature, args):
        return llvm_splat(builder, args[0])

    return vectors[scalar](scalar), codegen


@intrinsic
def element_numbers(typing):
    """0, 1, 2, … 15 as uint32."""

    def codegen(context, builder, signature, args):
        return ir.Constant(uint32x16.llvm, list(range(WIDTH)))

    return uint32x16(), codegen


def _reinterpretation(source, target):
    @intrinsic
    def reinterpret(typing, x):
        """The same bits as the other type."""

        def codegen(context, builder, signature, args):
            return builder.bitcast(args[0], target.llvm)

        return target(source), codegen

    return reinterpret


bits_of = _reinterpretation(float32x16, uint32x16)
float_of_bits = _reinterpretation(uint32x16, float32x16)


@intrinsic
def transpose(typing, source, source_row, target, target_row):
    """Write the transpose of 16 x 16 floats; ``source_row`` and ``target_row`` are strides in elements."""

    def codegen(context, builder, signature, args):
        source, source_row, target, target_row = args

        def pointer(base, row, number):
            return llvm_pointer(builder, base, builder.mul(row, _I64(number)))

        rows = [builder.load(pointer(source, source_row, k), align=4, typ=float32x16.llvm) for k in range(WIDTH)]
        half = WIDTH // 2
        zipped = [[element // 2 + start + element % 2 * WIDTH for element in range(WIDTH)] for start in (0, half)]
        masks = [ir.Constant(uint32x16.llvm, mask) for mask in zipped]
        # Interleaving rows k and k + 8 rotates the eight bits of an element's index (row, column) by one. Four such
        # rotations exchange row and column.
        for _ in range(4):
            rows = [builder.shuffle_vector(rows[k], rows[k + half], mask) for k in range(half) for mask in masks]
        for k, row in enumerate(rows):
            builder.store(row, pointer(target, target_row, k), align=4)
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, types.uintp, types.intp), codegen


# ---- operators ----------------------------------------------------------------------------------------


def _operator(symbol, vector, instruction):
    @intrinsic
    def of_vectors(typing, x, y):
        def codegen(context, builder, signature, args):
            return getattr(builder, instruction)(*args)

        return vector(vector, vector), codegen

    @overload(symbol, inline="never")
    def overloaded(x, y):
        if x == vector and y == vector:
            return lambda x, y: of_vectors(x, y)
        if x == vector and y == vector.element:
            return lambda x, y: of_vectors(x, splat(y))
        if x == vector.element and y == vector:
            return lambda x, y: of_vectors(splat(x), y)
        return None


for _symbol, _instruction in [
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
]:
    _operator(_symbol, float32x16, _instruction)

for _symbol, _instruction in [
    (operator.add, "add"),
    (operator.sub, "sub"),
    (operator.mul, "mul"),
    (operator.xor, "xor"),
    (operator.and_, "and_"),
    (operator.or_, "or_"),
    (operator.lshift, "shl"),
    (operator.rshift, "lshr"),
]:
    _operator(_symbol, uint32x16, _instruction)


# ---- functions ----------------------------------------------------------------------------------------


@intrinsic
def fma(typing, x, y, z):
    """x y + z, rounded once."""

    def codegen(context, builder, signature, args):
        return llvm_call(builder, f"llvm.fma.v{WIDTH}f32", float32x16.llvm, args)

    return float32x16(float32x16, float32x16, float32x16), codegen


@intrinsic
def sqrt(typing, x):
    """Square root, correctly rounded."""

    def codegen(context, builder, signature, args):
        return llvm_call(builder, f"llvm.sqrt.v{WIDTH}f32", float32x16.llvm, args)

    return float32x16(float32x16), codegen


def _selection(comparison):
    @intrinsic
    def select(typing, x, y):
        def codegen(context, builder, signature, args):
            x, y = args
            return builder.select(builder.fcmp_ordered(comparison, x, y), y, x)

        return float32x16(float32x16, float32x16), codegen

    return select


at_most = _selection(">")
"""``at_most(x, limit)``: the smaller of the two; a NaN in ``x`` stays."""
at_least = _selection("<")
"""``at_least(x, limit)``: the larger of the two; a NaN in ``x`` stays."""


@intrinsic
def where_below(typing, x, limit, then, otherwise):
    """Element by element: ``then`` where uint32 ``x`` < ``limit``, else ``otherwise``."""

    def codegen(context, builder, signature, args):
        x, limit, then, otherwise = args
        return builder.select(builder.icmp_unsigned("<", x, limit), then, otherwise)

    return float32x16(uint32x16, uint32x16, float32x16, float32x16), codegen


def _reduction(combine):
    @intrinsic
    def reduce(typing, x):
        def codegen(context, builder, signature, args):
            values = [builder.extract_element(args[0], _I32(element)) for element in range(WIDTH)]
            while len(values) > 1:
                half = len(values) // 2
                values = [combine(builder, values[k], values[k + half]) for k in range(half)]
            return values[0]

        return types.float32(float32x16), codegen

    return reduce


def _larger(builder, x, y):
    return builder.select(builder.fcmp_unordered("<", x, y), y, x)


total = _reduction(lambda builder, x, y: builder.fadd(x, y))
"""Sum of the elements: halves are added to halves, the same order on every machine."""
largest = _reduction(_larger)
"""The largest element; NaN if any element is NaN."""
