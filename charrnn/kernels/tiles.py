"""The micro-kernel: a tile of a matrix product whose sums stay in registers, as LLVM code.

Every element of C is accumulated over k in ascending order by fused multiply-adds, whatever the tile, the vector width
or the number of threads: that is why results are the same bits everywhere.
"""

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from charrnn.kernels.simd import WIDTH, llvm_call, llvm_pointer, llvm_prefetch, llvm_splat

PANEL = 4 * WIDTH
LINE = 16  # floats of a cache line
RANGE = 3  # int64 numbers that describe a range of rows

_F32, _I64 = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, WIDTH)
_NO = ir.Constant(ir.IntType(1), 0)
_ZEROS = ir.Constant(_VECTOR, [0.0] * WIDTH)


def has_wide_registers():
    """Whether kernels are compiled for 32 registers of 512 bits: then a tile can be a whole panel wide."""
    chosen = numba.config.CPU_FEATURES  # the user's, by NUMBA_CPU_FEATURES
    return "+avx512f" in (chosen if chosen is not None else llvm.get_host_cpu_features().flatten())


TILE_ROWS = 6
# Accumulators live in registers: 6 x 4 of 32 with AVX-512, 6 x 2 of 16 with AVX2 (a vector is two registers).
TILE_VECTORS = 4 if has_wide_registers() else 1


def _emit_tile(function, rows, vectors, c, c_row, row_range, begin, more, anew=None, below=None):
    """Emit C[rows, 16 vectors] += Σ a_k b_k over the k of every row range, with all of C in registers.

    If the value ``anew`` is not 0, C starts from zeros and is not read.  If the value ``below`` is not 0, the result is
    added to the elements that many bytes before C, and C is not written.
    The rows of a range are neighbours in memory; ``row_range`` is the address of the first range's description.
    ``begin(builder, row_range)`` emits what happens once a range, and returns the number of its k and a function
    ``operands(k)``.  ``operands(k)`` emits the prefetches of step k, and returns pointers to the elements of a_k and
    the address of b_k.  ``more(builder, row_range)`` returns the next range's address and whether there is a next one.
    """
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    tiles = [(row, column) for row in range(rows) for column in range(vectors)]

    def pointer(base, row, column):
        offset = builder.add(builder.mul(c_row, _I64(row)), _I64(column * WIDTH))
        return llvm_pointer(builder, base, offset)

    def load(base):
        return {tile: builder.load(pointer(base, *tile), align=4, typ=_VECTOR) for tile in tiles}

    entry, first, outer = builder.block, *(function.append_basic_block(name) for name in ("first", "range"))
    loop, end, done = (function.append_basic_block(name) for name in ("depth", "end", "done"))
    if anew is None:
        builder.branch(first)
    else:
        builder.cbranch(builder.icmp_signed("!=", anew, _I64(0)), outer, first)
    builder.position_at_end(first)
    before = load(c)
    builder.branch(outer)

    builder.position_at_end(outer)
    this_range = builder.phi(_I64)
    until_range = {tile: builder.phi(_VECTOR) for tile in tiles}
    depth, operands = begin(builder, this_range)
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(_I64)
    sums = {tile: builder.phi(_VECTOR) for tile in tiles}
    values, b = operands(k)
    weights = [
        builder.load(llvm_pointer(builder, b, _I64(column * WIDTH)), align=4, typ=_VECTOR) for column in range(vectors)
    ]
    after = {}
    for row in range(rows):
        value = llvm_splat(builder, builder.load(values[row], typ=_F32))
        for column in range(vectors):
            after[row, column] = llvm_call(
                builder, f"llvm.fma.v{WIDTH}f32", _VECTOR, [value, weights[column], sums[row, column]]
            )
    next_k = builder.add(k, _I64(1))
    builder.cbranch(builder.icmp_signed("<", next_k, depth), loop, end)

    builder.position_at_end(end)
    next_range, goes_on = more(builder, this_range)
    builder.cbranch(goes_on, outer, done)

    begins = [first] if anew is None else [first, entry]
    for block in begins:
        this_range.add_incoming(row_range, block)
        for tile in tiles:
            until_range[tile].add_incoming(before[tile] if block is first else _ZEROS, block)
    for phi, others in [(this_range, next_range), *((until_range[tile], after[tile]) for tile in tiles)]:
        phi.add_incoming(others, end)
    for phi, one, others in [(k, _I64(0), next_k), *((sums[tile], until_range[tile], after[tile]) for tile in tiles)]:
        phi.add_incoming(one, outer)
        phi.add_incoming(others, loop)

    builder.position_at_end(done)
    if below is not None:
        with builder.if_then(builder.icmp_signed("!=", below, _I64(0))):
            base = builder.sub(c, below)
            for tile, others in load(base).items():
                builder.store(builder.fadd(others, after[tile]), pointer(base, *tile), align=4)
            builder.ret_void()
    for tile in tiles:
        builder.store(after[tile], pointer(c, *tile), align=4)
    builder.ret_void()


def _emit_product(function, rows, vectors, lines):
    """Emit a product with rows of A ``a_row`` elements apart and B contiguous; each k prefetches ``lines`` lines."""
    a, a_row, b, c, c_row, depth, ahead = function.args

    def begin(builder, row_range):
        a_rows = [builder.add(a, builder.shl(builder.mul(a_row, _I64(row)), _I64(2))) for row in range(rows)]

        def operands(k):
            for line in range(lines):
                llvm_prefetch(builder, ahead, builder.mul(builder.add(builder.mul(depth, _I64(line)), k), _I64(LINE)))
            values = [llvm_pointer(builder, a_row, k) for a_row in a_rows]
            return values, builder.add(b, builder.mul(k, _I64(4 * PANEL)))

        return depth, operands

    _emit_tile(function, rows, vectors, c, c_row, _I64(0), begin, lambda builder, row_range: (row_range, _NO))


def _emit_gradient(function, rows, vectors, _):
    """Emit a product with the transpose of A, whose rows and B's are given as ranges; each k prefetches one line."""
    a, b, c, anew, below, ranges, ranges_end, ahead, ahead_by = function.args

    def begin(builder, row_range):
        x, y, depth, shift_ahead = (
            builder.load(builder.inttoptr(builder.add(row_range, shift), ir.PointerType()), typ=_I64)
            for shift in (*(_I64(8 * number) for number in range(RANGE)), ahead_by)
        )
        x, y, rows_ahead = builder.add(a, x), builder.add(b, y), builder.add(ahead, shift_ahead)

        def operands(k):
            offset = builder.mul(k, _I64(4 * PANEL))
            llvm_prefetch(builder, rows_ahead, builder.mul(k, _I64(PANEL)))
            x_row = builder.add(x, offset)
            return [llvm_pointer(builder, x_row, _I64(column)) for column in range(rows)], builder.add(y, offset)

        return depth, operands

    def more(builder, row_range):
        following = builder.add(row_range, _I64(8 * RANGE))
        return following, builder.icmp_unsigned("<", following, ranges_end)

    _emit_tile(function, rows, vectors, c, _I64(PANEL), ranges, begin, more, anew, below)


def _tile_function(module, emit, rows, vectors, lines, arguments):
    """The function for one tile size, emitted once a module."""
    name = f"charrnn{emit.__name__}_{rows}x{vectors}_{lines}"
    if name not in module.globals:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64] * arguments), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        emit(function, rows, vectors, lines)
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
def emit_gradient_tile(typing, rows, vectors, x, y, c, anew, below, ranges, ranges_end, ahead, ahead_by):
    """The code of :func:`charrnn.kernels.tile_kernels.multiply_tile_of_ranges`."""

    def codegen(context, builder, signature, args):
        return _call_tile(context, builder, _emit_gradient, _ONE_LINE, *args[:2], _I64(1), args[2:])

    addresses = _ADDRESS, _ADDRESS, _ADDRESS
    return types.void(_INDEX, _INDEX, *addresses, _INDEX, _INDEX, *addresses, _INDEX), codegen
