"""The micro-kernel: a tile of a matrix product whose sums stay in registers, as LLVM code.

Every element of C is accumulated over k in ascending order by fused multiply-adds, whatever the tile, the vector width
or the number of threads: that is why results are the same bits everywhere.
"""

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core.cgutils import for_range
from numba.extending import intrinsic

from charrnn.kernels.simd import WIDTH, llvm_call, llvm_pointer, llvm_prefetch, llvm_splat

PANEL = 4 * WIDTH
LINE = 16  # floats of a cache line
PLACE = 2  # int64 numbers of a place: where its rows of two panels are

_F32, _I64 = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, WIDTH)
_ZEROS = ir.Constant(_VECTOR, [0.0] * WIDTH)


def has_wide_registers():
    """Whether kernels are compiled for 32 registers of 512 bits: then a tile can be a whole panel wide."""
    chosen = numba.config.CPU_FEATURES  # the user's, by NUMBA_CPU_FEATURES
    return "+avx512f" in (chosen if chosen is not None else llvm.get_host_cpu_features().flatten())


TILE_ROWS = 6
# Accumulators live in registers: 6 x 4 of 32 with AVX-512, 6 x 2 of 16 with AVX2 (a vector is two registers).
TILE_VECTORS = 4 if has_wide_registers() else 1
# A large tile has time to look up where each row is; for a small one they have to lie one behind the other.
TILES_LIST_ROWS = has_wide_registers()


class _Sums:
    """Emits code for C[rows, 16 vectors], whose rows are ``c_row`` elements apart.

    Each vector of C is a variable of the function.  LLVM keeps them all in registers.
    """

    def __init__(self, builder, rows, vectors, c_row):
        self._builder, self._c_row, self._vectors = builder, c_row, vectors
        self._sums = {(row, column): builder.alloca(_VECTOR) for row in range(rows) for column in range(vectors)}

    def _elements(self, c):
        """For each vector of C its variable, and a pointer to its elements at the address ``c``."""
        for (row, column), variable in self._sums.items():
            offset = self._builder.add(self._builder.mul(self._c_row, _I64(row)), _I64(column * WIDTH))
            yield variable, llvm_pointer(self._builder, c, offset)

    def clear(self):
        for variable in self._sums.values():
            self._builder.store(_ZEROS, variable)

    def load(self, c):
        for variable, elements in self._elements(c):
            self._builder.store(self._builder.load(elements, align=4, typ=_VECTOR), variable)

    def add(self, c):
        for variable, elements in self._elements(c):
            others = self._builder.load(elements, align=4, typ=_VECTOR)
            self._builder.store(self._builder.fadd(others, self._builder.load(variable, typ=_VECTOR)), variable)

    def add_product(self, a, b):
        """C += a_k b_k: ``a`` are pointers to the elements of a_k, one a row, and ``b`` is the address of b_k."""
        builder = self._builder
        weights = [
            builder.load(llvm_pointer(builder, b, _I64(column * WIDTH)), align=4, typ=_VECTOR)
            for column in range(self._vectors)
        ]
        values = [llvm_splat(builder, builder.load(element, typ=_F32)) for element in a]
        for (row, column), variable in self._sums.items():
            operands = [values[row], weights[column], builder.load(variable, typ=_VECTOR)]
            builder.store(llvm_call(builder, f"llvm.fma.v{WIDTH}f32", _VECTOR, operands), variable)

    def store(self, c):
        for variable, elements in self._elements(c):
            self._builder.store(self._builder.load(variable, typ=_VECTOR), elements, align=4)


def _emit_product(builder, rows, vectors, lines):
    """Emit a product with rows of A ``a_row`` elements apart and B contiguous; each k prefetches ``lines`` lines."""
    a, a_row, b, c, c_row, depth, ahead = builder.function.args
    sums = _Sums(builder, rows, vectors, c_row)
    a_rows = [builder.add(a, builder.shl(builder.mul(a_row, _I64(row)), _I64(2))) for row in range(rows)]
    sums.load(c)
    with for_range(builder, depth) as loop:
        for line in range(lines):
            at = builder.add(builder.mul(depth, _I64(line)), loop.index)
            llvm_prefetch(builder, ahead, builder.mul(at, _I64(LINE)))
        elements = [llvm_pointer(builder, row, loop.index) for row in a_rows]
        sums.add_product(elements, builder.add(b, builder.mul(loop.index, _I64(4 * PANEL))))
    sums.store(c)


def _emit_gradient(builder, rows, vectors, _):
    """Emit C += Aᵀ B over the rows k of A and B, which are in panels; each k prefetches one cache line."""
    a, b, c, anew, below, merges, depth, listed, ahead, ahead_listed = builder.function.args
    sums = _Sums(builder, rows, vectors, _I64(PANEL))
    with builder.if_else(builder.icmp_signed("!=", anew, _I64(0))) as (begins, goes_on):
        with begins:
            sums.clear()
        with goes_on:
            sums.load(c)

    def row(panel, rows_at, k):
        number = llvm_pointer(builder, rows_at, builder.mul(k, _I64(2 * PLACE)))
        return builder.add(panel, builder.load(number, typ=_I64))

    with for_range(builder, depth) as loop:
        k = loop.index
        llvm_prefetch(builder, row(ahead, ahead_listed, k), _I64(0))
        if TILES_LIST_ROWS:
            a_at, b_at = row(a, listed, k), row(b, builder.add(listed, _I64(8)), k)
        else:
            offset = builder.mul(k, _I64(4 * PANEL))
            a_at, b_at = builder.add(a, offset), builder.add(b, offset)
        sums.add_product([llvm_pointer(builder, a_at, _I64(number)) for number in range(rows)], b_at)
    target = builder.alloca(_I64)
    builder.store(c, target)
    with for_range(builder, merges):
        builder.store(builder.sub(builder.load(target, typ=_I64), below), target)
        sums.add(builder.load(target, typ=_I64))
    sums.store(builder.load(target, typ=_I64))


def _tile_function(module, emit, rows, vectors, lines, arguments):
    """The function for one tile size, emitted once a module."""
    name = f"charrnn{emit.__name__}_{rows}x{vectors}_{lines}"
    if name not in module.globals:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64] * arguments), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        emit(builder, rows, vectors, lines)
        builder.ret_void()
    return module.globals[name]


def _call_tile(context, builder, emit, sizes, rows, vectors, lines, arguments):
    """Emit a call of the function for a tile whose size, one of ``sizes`` (vectors, lines), is known at run time."""
    done = builder.append_basic_block("tiled")
    size = builder.add(builder.add(builder.mul(rows, _I64(16)), builder.mul(vectors, _I64(2))), lines)
    switch = builder.switch(size, done)
    for r in range(1, TILE_ROWS + 1):
        for v, n in sizes:
            case = builder.append_basic_block(f"tile_{r}x{v}_{n}")
            switch.add_case(_I64(16 * r + 2 * v + n), case)
            with builder.goto_block(case):
                builder.call(_tile_function(builder.module, emit, r, v, n, len(arguments)), arguments)
                builder.branch(done)
    builder.position_at_end(done)
    return context.get_dummy_value()


_INDEX, _ADDRESS = types.intp, types.uintp
_ONE_LINE = [(vectors, 1) for vectors in range(1, TILE_VECTORS + 1)]


@intrinsic
def emit_product_tile(typing, rows, vectors, lines, a, a_row, b, c, c_row, depth, ahead):
    """The code of :func:`charrnn.kernels.tile_kernels.multiply_tile`."""

    def codegen(context, builder, signature, args):
        return _call_tile(context, builder, _emit_product, [*_ONE_LINE, (TILE_VECTORS, 2)], *args[:3], args[3:])

    sizes = _INDEX, _INDEX, _INDEX
    return types.void(*sizes, _ADDRESS, _INDEX, _ADDRESS, _ADDRESS, _INDEX, _INDEX, _ADDRESS), codegen


@intrinsic
def emit_gradient_tile(typing, rows, vectors, x, y, c, anew, below, merges, depth, listed, ahead, ahead_listed):
    """The code of :func:`charrnn.kernels.tile_kernels.multiply_tile_of_ranges`."""

    def codegen(context, builder, signature, args):
        return _call_tile(context, builder, _emit_gradient, _ONE_LINE, *args[:2], _I64(1), args[2:])

    addresses = _ADDRESS, _ADDRESS, _ADDRESS
    return types.void(_INDEX, _INDEX, *addresses, _INDEX, _INDEX, _INDEX, _INDEX, *addresses), codegen
