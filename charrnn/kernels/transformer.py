"""One step of a layer of a Transformer for streams of text, in five parts with a barrier after each.

The window's forward pass is a sequence of kernels over all rows: :mod:`charrnn.kernels.rms_norm`,
:mod:`charrnn.kernels.linear`, :mod:`charrnn.kernels.attention_window`, :mod:`charrnn.kernels.rows`.  The parts of a
step do the same for one row of each stream, in the same order of sums.

Threads share out the panels of a product, or the heads.  All of them need the normalised row first.  Each thread
computes it for itself, and all write the same numbers to the same place.  So they need not wait for each other.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from charrnn.kernels.attention import Drops, attend, block_at, block_floats, finish_row
from charrnn.kernels.compiler import intp, kernel
from charrnn.kernels.dropout import Mask
from charrnn.kernels.key_cache import ROW, Ring, gather, remember_keys, remember_value, to_parts
from charrnn.kernels.matmul import Size, multiply_panel
from charrnn.kernels.rms_norm import normalise
from charrnn.kernels.rotation import fill_turns, rotate
from charrnn.kernels.rows import copy_row, gate_row
from charrnn.kernels.simd import WIDTH, load, splat, store
from charrnn.kernels.step import STEP, load_id, struct_loader
from charrnn.kernels.tiles import PANEL

f32, u32, u64 = np.float32, np.uint32, np.uint64


class Layer(NamedTuple):
    """Addresses of a layer's arrays, packed weights and caches, and sizes.

    Arrays of rows have ``panel`` elements from panel to panel.  ``embedding_at`` is 0 unless the layer reads
    characters, ``normed_at`` is 0 unless it is the last one.  ``positions_at`` has an int64 for each stream; the other
    strides are bytes from stream to stream, and of scratch from head to head.
    """

    panel: int
    width: int
    mlp_panels: int
    heads: int
    context: int
    pairs: int
    ring_panels: int
    embedding_at: int
    x_at: int
    norm_at: int
    qkv_at: int
    attended_at: int
    middle_at: int
    middle_norm_at: int
    gates_at: int
    gated_at: int
    h_at: int
    normed_at: int
    w_qkv_at: int
    w_att_at: int
    w_up_at: int
    w_down_at: int
    thetas_at: int
    positions_at: int
    keys_at: int
    keys_stride: int
    values_at: int
    values_stride: int
    scratch_at: int
    scratch_stride: int


load_layer = struct_loader(types.NamedUniTuple(intp, len(Layer._fields), Layer))


def step_floats(size: int) -> int:
    """Floats of scratch for a head of a stream: turns, a row, its parts, and a block of queries."""
    pairs, parts = -(-(size // 2) // WIDTH) * WIDTH or WIDTH, -(-size // PANEL)
    return 2 * pairs + 2 * parts * PANEL + block_floats(size)


@intrinsic
def load_long(typing, base, index):
    """The int64 number ``index`` after the address ``base``."""

    def codegen(context, builder, signature, args):
        address = builder.add(args[0], builder.shl(args[1], ir.Constant(args[1].type, 3)))
        return builder.load(builder.inttoptr(address, ir.PointerType()), align=8, typ=ir.IntType(64))

    return types.intp(types.uintp, types.intp), codegen


@intrinsic
def store_long(typing, base, index, value):
    """Write an int64 number, ``index`` after the address ``base``."""

    def codegen(context, builder, signature, args):
        address = builder.add(args[0], builder.shl(args[1], ir.Constant(args[1].type, 3)))
        builder.store(args[2], builder.inttoptr(address, ir.PointerType()), align=8)
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, types.intp), codegen


@njit
def multiply_rows(x_at, w_at, y_at, depth, columns, panel, place, share):
    """One thread's panels of y = x W, for rows from ``place`` on of its streams.

    W is packed (panels, ``depth``, 64) with ``columns`` columns; the panels of x and y are ``panel`` elements apart.
    """
    panels, rows = (columns + PANEL - 1) // PANEL, share.last - share.first
    first, last = panels * share.worker // share.workers, panels * (share.worker + 1) // share.workers
    x_at += ROW * (place + share.first)
    for number in range(first, last):
        target_at = y_at + 4 * panel * number + ROW * (place + share.first)
        vectors = min(PANEL // WIDTH, (columns - PANEL * number + WIDTH - 1) // WIDTH)
        for row in range(rows):
            for k in range(0, vectors * WIDTH, WIDTH):
                store(target_at, row * PANEL + k, splat(f32(0.0)))
        block = w_at + ROW * depth * number
        size = Size(depth, rows, vectors)
        multiply_panel(x_at, PANEL, panel, block, target_at, PANEL, size, block + ROW * depth)


@njit
def add_panels(x_at, y_at, columns, panel, place, share):
    """y += x for the panels that :func:`multiply_rows` has just given this thread."""
    panels = (columns + PANEL - 1) // PANEL
    first, last = panels * share.worker // share.workers, panels * (share.worker + 1) // share.workers
    for number in range(first, last):
        shift = 4 * panel * number + ROW * (place + share.first)
        for k in range(0, (share.last - share.first) * PANEL, WIDTH):
            store(y_at + shift, k, load(x_at + shift, k) + load(y_at + shift, k))


@kernel(STEP)
def project(arguments_at, ids_at, before, place, share):
    """Part 1: the character's row if the layer reads characters, its norm, and queries, keys and values."""
    layer = load_layer(arguments_at)
    for stream in range(share.first, share.last):
        shift = ROW * (place + stream)
        if layer.embedding_at:
            source_at = layer.embedding_at + 4 * layer.width * load_id(ids_at, stream)
            copy_row(source_at, layer.width, layer.x_at + shift, layer.panel)
        normalise(layer.x_at + shift, layer.panel, layer.norm_at + shift, layer.panel, layer.width)
    multiply_rows(layer.norm_at, layer.w_qkv_at, layer.qkv_at, layer.width, 3 * layer.width, layer.panel, place, share)


@kernel(STEP)
def look_back(arguments_at, ids_at, before, place, share):
    """Part 2: the attention of a thread's heads."""
    layer = load_layer(arguments_at)
    size, pairs = layer.width // layer.heads, layer.pairs
    parts = (size + PANEL - 1) // PANEL
    first, last = layer.heads * share.worker // share.workers, layer.heads * (share.worker + 1) // share.workers
    nowhere = Drops(Mask(u64(0), u32(0), f32(1.0), 0, 0), 0, 0, 0)
    heads = StepHeads(layer.context, f32(1.0) / f32(np.sqrt(f32(size))))
    for stream in range(share.first, share.last):
        position = load_long(layer.positions_at, stream)
        row = place + stream
        for head in range(first, last):
            turns_at = layer.scratch_at + layer.scratch_stride * (stream * layer.heads + head)
            temporary_at = turns_at + 8 * pairs
            query_at = temporary_at + ROW * parts
            block = block_at(query_at + ROW * parts, parts)
            ring = Ring(
                layer.keys_at + layer.keys_stride * stream + ROW * head * layer.ring_panels * size,
                layer.values_at + layer.values_stride * stream + ROW * PANEL * head * layer.ring_panels * parts,
                layer.ring_panels,
                size,
                parts,
            )
            fill_turns(layer.thetas_at, pairs, position, turns_at)
            row_at, column = layer.qkv_at + ROW * row, head * size
            gather(row_at, layer.panel, 2 * layer.width + column, size, temporary_at)
            remember_value(ring, temporary_at, position)
            gather(row_at, layer.panel, layer.width + column, size, temporary_at)
            rotate(temporary_at, size, turns_at, pairs, f32(1.0))
            remember_keys(ring, temporary_at, PANEL * parts, 1, position)
            gather(row_at, layer.panel, column, size, temporary_at)
            rotate(temporary_at, size, turns_at, pairs, f32(1.0))
            to_parts(temporary_at, size, query_at, ROW)
            attend(heads, ring, query_at, ROW, position, 1, block, nowhere)
            finish_row(ring, block, 0, layer.attended_at + ROW * row, layer.panel, column, temporary_at)


class StepHeads(NamedTuple):
    """What :func:`charrnn.kernels.attention.attend` asks of :class:`charrnn.kernels.attention.Heads`."""

    context: int
    scale: np.float32


@kernel(STEP)
def combine(arguments_at, ids_at, before, place, share):
    """Part 3: x plus the heads' attention times W_att; the position moves on."""
    layer = load_layer(arguments_at)
    width, panel = layer.width, layer.panel
    multiply_rows(layer.attended_at, layer.w_att_at, layer.middle_at, width, width, panel, place, share)
    add_panels(layer.x_at, layer.middle_at, width, panel, place, share)
    if share.worker == 0:
        for stream in range(share.first, share.last):
            store_long(layer.positions_at, stream, load_long(layer.positions_at, stream) + 1)


@kernel(STEP)
def widen(arguments_at, ids_at, before, place, share):
    """Part 4: the norm, and a thread's panels of the MLP: silu(gate) ⊙ up."""
    layer = load_layer(arguments_at)
    width, panel, count = layer.width, layer.panel, layer.mlp_panels
    for stream in range(share.first, share.last):
        shift = ROW * (place + stream)
        normalise(layer.middle_at + shift, panel, layer.middle_norm_at + shift, panel, width)
    further, up = ROW * width * count, 4 * panel * count  # from a gate to its partner: in the weights, and in the rows
    x_at, w_at, gates_at = layer.middle_norm_at, layer.w_up_at, layer.gates_at
    multiply_rows(x_at, w_at, gates_at, width, PANEL * count, panel, place, share)
    multiply_rows(x_at, w_at + further, gates_at + up, width, PANEL * count, panel, place, share)
    first, last = count * share.worker // share.workers, count * (share.worker + 1) // share.workers
    for number in range(first, last):
        for stream in range(share.first, share.last):
            shift = 4 * panel * number + ROW * (place + stream)
            gate_row(gates_at + shift, gates_at + up + shift, layer.gated_at + shift)


@kernel(STEP)
def narrow(arguments_at, ids_at, before, place, share):
    """Part 5: the output, x plus attention plus the MLP."""
    layer = load_layer(arguments_at)
    depth, panel = PANEL * layer.mlp_panels, layer.panel
    multiply_rows(layer.gated_at, layer.w_down_at, layer.h_at, depth, layer.width, panel, place, share)
    add_panels(layer.middle_at, layer.h_at, layer.width, panel, place, share)


@kernel(STEP)
def normalise_last(arguments_at, ids_at, before, place, share):
    """After the last layer: the norm that the output layer reads."""
    layer = load_layer(arguments_at)
    if share.worker == 0:
        for stream in range(share.first, share.last):
            shift = ROW * (place + stream)
            normalise(layer.h_at + shift, layer.panel, layer.normed_at + shift, layer.panel, layer.width)
