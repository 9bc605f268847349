"""The tiles of :mod:`charrnn.kernels.tiles` as kernels that all products call, see :mod:`charrnn.kernels.external`.

A tile comes in up to thirty sizes, and most of the time that a product takes to compile would be spent on them.
"""

from typing import NamedTuple

from numba import types
from numba.extending import intrinsic

from charrnn.kernels.compiler import intp, kernel, void
from charrnn.kernels.external import call_by_symbol
from charrnn.kernels.tiles import emit_gradient_tile, emit_product_tile

_ADDRESS = types.uintp


class TileSize(NamedTuple):
    """Rows, vectors of 16 columns, and cache lines that each k prefetches."""

    rows: int
    vectors: int
    lines: int


class Product(NamedTuple):
    """What :func:`multiply_tile` multiplies."""

    a: int
    a_row: int
    b: int
    c: int
    c_row: int
    depth: int
    ahead: int


class Gradient(NamedTuple):
    """What :func:`multiply_tile_of_ranges` multiplies."""

    x: int
    y: int
    c: int
    anew: int
    below: int
    ranges: int
    ranges_end: int
    ahead: int
    ahead_by: int


_SIZE = (intp, intp, intp)
_PRODUCT = (_ADDRESS, intp, _ADDRESS, _ADDRESS, intp, intp, _ADDRESS)
_GRADIENT = (_ADDRESS, _ADDRESS, _ADDRESS, intp, intp, _ADDRESS, _ADDRESS, _ADDRESS, intp)
TILE_SIZE = types.NamedUniTuple(intp, len(_SIZE), TileSize)
PRODUCT = types.NamedTuple(_PRODUCT, Product)
GRADIENT = types.NamedTuple(_GRADIENT, Gradient)
AHEAD_BY_X, AHEAD_BY_Y = 0, 8  # bytes behind the beginning of a range's description where X and Y are


@kernel(void(TILE_SIZE, PRODUCT), symbol="charrnn_product_tile")
def product_tile(size, product):
    """See :func:`multiply_tile`."""
    a, a_row, b, c, c_row, depth, ahead = product
    emit_product_tile(size.rows, size.vectors, size.lines, a, a_row, b, c, c_row, depth, ahead)


@kernel(void(TILE_SIZE, GRADIENT), symbol="charrnn_gradient_tile")
def gradient_tile(size, gradient):
    """See :func:`multiply_tile_of_ranges`."""
    x, y, c, anew, below, ranges, ranges_end, ahead, ahead_by = gradient
    emit_gradient_tile(size.rows, size.vectors, x, y, c, anew, below, ranges, ranges_end, ahead, ahead_by)


@intrinsic
def multiply_tile(typing, rows, vectors, lines, a, a_row, b, c, c_row, depth, ahead):
    """C += A B for one tile of 1 to TILE_ROWS rows and 1 to TILE_VECTORS vectors, and depth >= 1.

    ``a``, ``b``, ``c`` are addresses; ``a_row``, ``c_row`` the strides from row to row.  The tile also
    prefetches ``lines`` * ``depth`` cache lines from the address ``ahead`` on; ``lines`` is 1, or 2 if the tile has
    TILE_VECTORS vectors.
    """
    return types.void(*_SIZE, *_PRODUCT), call_by_symbol(product_tile, _SIZE + _PRODUCT)


@intrinsic
def multiply_tile_of_ranges(typing, rows, vectors, lines, x, y, c, anew, below, ranges, ranges_end, ahead, ahead_by):
    """C += Σ xᵀ y over row ranges, for one tile of C: ``rows`` columns of x by 16 ``vectors`` columns of y.

    ``x``, ``y`` and ``c`` are addresses in panels.  If ``anew`` is not 0, C starts from zeros.  If ``below`` is not 0,
    the result is added to the sums that many bytes before C, and C is not written.

    Between the addresses ``ranges`` and ``ranges_end`` each row range has RANGE int64 numbers X, Y and N: its N rows
    begin X bytes after x and Y bytes after y.  The tile also prefetches one cache line of each row of the same ranges
    at another address ``ahead``: X bytes after it if ``ahead_by`` is AHEAD_BY_X, Y bytes after it if that is
    AHEAD_BY_Y.  ``lines`` is 1.
    """
    return types.void(*_SIZE, *_GRADIENT), call_by_symbol(gradient_tile, _SIZE + _GRADIENT)
