"""The matrix product: a register-tiled FMA micro-kernel over packed panels.

Legend: C (m, n) += A (m, k) B (k, n).  Weights and activations are kept in panels of ``PANEL`` columns, each stored
(rows, PANEL): what a product reads lies together in memory, and its result is the operand of the next as it is.
(Rows of full length lie a power of two apart as a rule, and such share the same few places of a cache.)

B is used in blocks of 64 rows, 16 KB that stay in the nearest cache while all rows of A meet them.  Meanwhile what is
used next is fetched into the second, because a model does not fit there.

Every element of C is accumulated over k in ascending order by fused multiply-adds, whatever the tile, the
vector width or the number of threads: that is why results are the same bits everywhere.
"""

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from charrnn.kernels.simd import LANES, fetch, llvm_call, llvm_pointer, llvm_prefetch, llvm_splat

PANEL = 4 * LANES
LINE = 16  # floats of a cache line

_F32, _I64 = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, LANES)


def has_wide_registers():
    """Whether kernels are compiled for 32 registers of 512 bits: then a tile can be a whole panel wide."""
    chosen = numba.config.CPU_FEATURES  # the user's, by NUMBA_CPU_FEATURES
    return "+avx512f" in (chosen if chosen is not None else llvm.get_host_cpu_features().flatten())


TILE_ROWS = 6
# Accumulators live in registers: 6 x 4 of 32 with AVX-512, 6 x 2 of 16 with AVX2 (a vector is two registers).
TILE_VECTORS = 4 if has_wide_registers() else 1


def _emit_tile(function, rows, vectors, lines):
    """C[rows, 16 vectors] += A[rows, depth] B[depth, 16 vectors] with all of C in registers."""
    a, a_row, a_step, b, c, c_row, depth, ahead = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    tiles = [(row, column) for row in range(rows) for column in range(vectors)]

    def c_pointer(row, column):
        offset = builder.add(builder.mul(c_row, _I64(row)), _I64(column * LANES))
        return llvm_pointer(builder, c, offset)

    before = {tile: builder.load(c_pointer(*tile), align=4, typ=_VECTOR) for tile in tiles}
    a_rows = [builder.add(a, builder.shl(builder.mul(a_row, _I64(row)), _I64(2))) for row in range(rows)]
    entry, loop, done = builder.block, function.append_basic_block("depth"), function.append_basic_block("done")
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(_I64)
    a_offset, b_offset = builder.phi(_I64), builder.phi(_I64)
    sums = {tile: builder.phi(_VECTOR) for tile in tiles}
    for line in range(lines):
        llvm_prefetch(builder, ahead, builder.mul(builder.add(builder.mul(depth, _I64(line)), k), _I64(LINE)))
    weights = [
        builder.load(llvm_pointer(builder, b, builder.add(b_offset, _I64(column * LANES))), align=4, typ=_VECTOR)
        for column in range(vectors)
    ]
    after = {}
    for row in range(rows):
        value = llvm_splat(builder, builder.load(llvm_pointer(builder, a_rows[row], a_offset), typ=_F32))
        for column in range(vectors):
            after[row, column] = llvm_call(
                builder, f"llvm.fma.v{LANES}f32", _VECTOR, [value, weights[column], sums[row, column]]
            )
    for phi, start, following in [
        (k, _I64(0), builder.add(k, _I64(1))),
        (a_offset, _I64(0), builder.add(a_offset, a_step)),
        (b_offset, _I64(0), builder.add(b_offset, _I64(PANEL))),
        *((sums[tile], before[tile], after[tile]) for tile in tiles),
    ]:
        phi.add_incoming(start, entry)
        phi.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", k.incomings[1][0], depth), loop, done)

    builder.position_at_end(done)
    for tile in tiles:
        builder.store(after[tile], c_pointer(*tile), align=4)
    builder.ret_void()


def _tile_function(module, rows, vectors, lines):
    """The function for one tile size, emitted once a module."""
    name = f"charrnn_tile_{rows}x{vectors}_{lines}"
    if name not in module.globals:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64] * 8), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        _emit_tile(function, rows, vectors, lines)
    return module.globals[name]


@intrinsic
def multiply_tile(typing, rows, vectors, lines, a, a_row, a_step, b, c, c_row, depth, ahead):
    """C += A B for one tile of 1 to TILE_ROWS rows and 1 to TILE_VECTORS vectors, and depth >= 1.

    ``a``, ``b``, ``c`` are addresses; ``a_row``, ``c_row`` the strides from row to row, ``a_step`` that from
    one k to the next.  Meanwhile ``lines`` (1 or, if the tile has TILE_VECTORS, 2) times ``depth`` lines of memory from
    the address ``ahead`` on are fetched.
    """
    index, address = types.intp, types.uintp
    signature = types.void(index, index, index, address, index, index, address, address, index, index, address)

    def codegen(context, builder, signature, args):
        rows, vectors, lines, *rest = args
        done = builder.append_basic_block("tiled")
        size = builder.add(builder.add(builder.mul(rows, _I64(16)), builder.mul(vectors, _I64(2))), lines)
        switch = builder.switch(size, done)
        for r in range(1, TILE_ROWS + 1):
            for v, n in [*((v, 1) for v in range(1, TILE_VECTORS + 1)), (TILE_VECTORS, 2)]:
                case = builder.append_basic_block(f"tile_{r}x{v}_{n}")
                switch.add_case(_I64(16 * r + 2 * v + n), case)
                with builder.goto_block(case):
                    builder.call(_tile_function(builder.module, r, v, n), rest)
                    builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


@njit
def offset(column, panel_step):
    """Where a column of a row is, if from one panel of 64 columns to the next there are so many elements."""
    return column // PANEL * panel_step + column % PANEL


@njit
def fetch_row(panels_at, offset):
    """Have the row of a panel that is ``offset`` elements after the address come near."""
    for k in range(0, PANEL, LANES):
        fetch(panels_at, offset + k)


@njit
def multiply_block(a, a_row, a_step, b, c, c_row, depth, rows, vectors, ahead, further):
    """C[rows, 16 vectors] += A[rows, depth] B[depth, 16 vectors].

    Rows are shared out evenly over the tiles, so that 25 rows are five tiles of 5 and not four of 6 and one of 1.
    Four tiles, or two of three or two, fetch as much as B is, from the address ``ahead`` on; more, if there are, go on
    at ``further``.  (One alone would spend more time on fetching than it saves.)
    """
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    least, larger = rows // tiles, rows % tiles
    for first_vector in range(0, vectors, TILE_VECTORS):
        width = min(TILE_VECTORS, vectors - first_vector)
        shift = 4 * LANES * first_vector
        tile_a, tile_c = a, c + shift
        lines = 2 if 1 < tiles < 4 and width == TILE_VECTORS else 1
        coming = b if first_vector else ahead  # fetched once, whatever the width of a tile
        for tile in range(tiles):
            count = least + (tile < larger)
            multiply_tile(count, width, lines, tile_a, a_row, a_step, b + shift, tile_c, c_row, depth, coming)
            tile_a += 4 * count * a_row
            tile_c += 4 * count * c_row
            coming = further if lines * (tile + 1) == 4 else coming + 4 * LINE * lines * depth


@njit
def multiply_panel(a, a_row, panel_step, b, c, c_row, depth, rows, vectors, following):
    """C[rows, 16 vectors] += A[rows, depth] B[depth, 16 vectors]: a panel of C, any number of rows.

    ``panel_step`` is the stride from one panel of A to the next.  With the last of B what stands at ``following`` is
    fetched: as a rule the panel of B that is used next.
    """
    for k in range(0, depth, PANEL):
        size = min(PANEL, depth - k)
        panel_at, block = a + 4 * (k // PANEL) * panel_step, b + 4 * k * PANEL
        ahead = block + 4 * size * PANEL if k + PANEL < depth else following
        multiply_block(panel_at, a_row, 1, block, c, c_row, size, rows, vectors, ahead, ahead + 4 * size * PANEL)
