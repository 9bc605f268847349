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
    """What :func:`multiply_transposed_tile` multiplies."""

    x: int
    y: int
    c: int
    anew: int
    below: int
    merges: int
    depth: int
    listed: int
    ahead: int
    ahead_listed: int


_SIZE = (intp, intp, intp)
_PRODUCT = (_ADDRESS, intp, _ADDRESS, _ADDRESS, intp, intp, _ADDRESS)
_GRADIENT = (_ADDRESS, _ADDRESS, _ADDRESS, intp, intp, intp, intp, _ADDRESS, _ADDRESS, _ADDRESS)
TILE_SIZE = types.NamedUniTuple(intp, len(_SIZE), TileSize)
PRODUCT = types.NamedTuple(_PRODUCT, Product)
GRADIENT = types.NamedTuple(_GRADIENT, Gradient)


@kernel(void(TILE_SIZE, PRODUCT), symbol="charrnn_product_tile")
def product_tile(size, product):
    """See :func:`multiply_tile`."""
    a, a_row, b, c, c_row, depth, ahead = product
    emit_product_tile(size.rows, size.vectors, size.lines, a, a_row, b, c, c_row, depth, ahead)


@kernel(void(TILE_SIZE, GRADIENT), symbol="charrnn_gradient_tile")
def gradient_tile(size, gradient):
    """See :func:`multiply_transposed_tile`."""
    x, y, c, anew, below, merges, depth, listed, ahead, ahead_listed = gradient
    emit_gradient_tile(size.rows, size.vectors, x, y, c, anew, below, merges, depth, listed, ahead, ahead_listed)


@intrinsic
def multiply_tile(typing, rows, vectors, lines, a, a_row, b, c, c_row, depth, ahead):
    """C += A B for one tile of 1 to TILE_ROWS rows and 1 to TILE_VECTORS vectors, and depth >= 1.

    ``a``, ``b``, ``c`` are addresses; ``a_row``, ``c_row`` the strides from row to row.  The tile also
    prefetches ``lines`` * ``depth`` cache lines from the address ``ahead`` on; ``lines`` is 1, or 2 if the tile has
    TILE_VECTORS vectors.
    """
    return types.void(*_SIZE, *_PRODUCT), call_by_symbol(product_tile, _SIZE + _PRODUCT)


@intrinsic
def multiply_transposed_tile(
    typing, rows, vectors, lines, x, y, c, anew, below, merges, depth, listed, ahead, ahead_listed
):
    """C += xᵀ y for one tile of C: ``rows`` columns of x by 16 ``vectors`` columns of y, and ``depth`` rows of both.

    ``x``, ``y`` and ``c`` are addresses in panels.  The address ``listed`` has ``depth`` places, PLACE int64 numbers
    each: how many bytes behind x and behind y a row is.  They are read if TILES_LIST_ROWS, otherwise the rows lie one
    behind the other.  The tile also prefetches ``depth`` cache lines, each as many bytes behind the address ``ahead``
    as a place at the address ``ahead_listed`` says first.

    If ``anew`` is not 0, C starts from zeros.  The result is added to the sums ``below`` bytes before C, their sum to
    those ``below`` bytes before them, and so on, ``merges`` times; the last sum is stored.  ``lines`` is 1.
    """
    return types.void(*_SIZE, *_GRADIENT), call_by_symbol(gradient_tile, _SIZE + _GRADIENT)
