"""The matrix product alone, in turns with a loop over registers: what is left of the peak for operands in memory.

    python benchmarks/product.py

A product of rows x depth by depth x columns, again and again, on one thread.  With 64 x 64 weights everything stays in
the nearest cache; the others are a recurrence's: batch rows of a thread, hidden units, and four gates of these.
"""

import time
from statistics import median

import numpy as np
from numba import njit

from charrnn.kernels.matmul import Size, multiply_panel
from charrnn.kernels.tiles import PANEL
from charrnn.network.parameters import aligned_zeros
from charrnn.system.threads import Team
from charrnn.training.speed import fma_peak

SIZES = [(30, 64, 1), (32, 64, 1), (25, 128, 8), (32, 256, 16), (24, 300, 19), (32, 512, 32), (16, 1024, 64)]
ROUNDS, OPERATIONS = 25, 4_000_000_000  # of one turn


@njit(nogil=True)
def multiply(a, b, c, panels, repeats):
    """c (panels, rows, 64) += a (panels over depth, rows, 64) b (panels, depth, 64), so many times."""
    rows, depth = c.shape[1], b.shape[1]
    for _ in range(repeats):
        for panel in range(panels):
            b_at, c_at = b.ctypes.data + panel * b.strides[0], c.ctypes.data + panel * c.strides[0]
            size, following = Size(depth, rows, 4), b_at + b.strides[0]
            multiply_panel(a.ctypes.data, PANEL, a.strides[0] // 4, b_at, c_at, PANEL, size, following)


def main():
    team, rng = Team(1), np.random.default_rng(0)
    print("| rows x depth x columns | weights, KB | GFLOP/s | of peak |\n|---|---|---|---|")
    for rows, depth, panels in SIZES:
        a, b, c = (
            aligned_zeros(*size, PANEL) for size in ((-(-depth // PANEL), rows), (panels, depth), (panels, rows))
        )
        a[:], b[:] = rng.normal(size=a.shape), rng.normal(scale=0.01, size=b.shape)
        operations = 2 * rows * depth * PANEL * panels
        repeats = max(1, OPERATIONS // operations)
        multiply(a, b, c, panels, 1)
        rates, shares = [], []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            multiply(a, b, c, panels, repeats)
            rates.append(repeats * operations / (time.perf_counter() - begun))
            shares.append(rates[-1] / fma_peak(team))
        label = f"{rows} x {depth} x {PANEL * panels}"
        print(f"| {label} | {b.nbytes // 1024:,} | {median(rates) / 1e9:.0f} | {median(shares):.0%} |", flush=True)


if __name__ == "__main__":
    main()
