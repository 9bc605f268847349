"""Sums of products over many places, by the kernel of the weights' gradients: Σ xᵀ y on the network's own threads."""

import numpy as np

from charrnn.kernels import compiler
from charrnn.kernels.gradients import panel_groups, scratch_size, weight_gradient
from charrnn.kernels.matmul import PANEL
from charrnn.kernels.simd import LANES
from charrnn.parameters import aligned_empty, aligned_zeros
from charrnn.threads import OWN, Team


def padded_rows(rows: int, columns: int) -> np.ndarray:
    """Zeros (1, rows, columns or a few more), as :class:`Products` wants them."""
    return aligned_zeros(1, rows, -(-columns // LANES) * LANES)


class Products:
    """Σ xᵀ y (K, N) float64, added up block by block; the order, and so every bit, is the same for any threads."""

    def __init__(self, team: Team, depth: int, columns: int):
        compiler.prepare(weight_gradient)
        self._team, panels = team, -(-columns // PANEL)
        self._scratch = [aligned_empty(scratch_size(-(-depth // LANES) * LANES)) for _ in range(team.threads)]
        self._groups = panel_groups(panels, team.threads)
        self._block = np.zeros((depth, columns), np.float32)
        self._no_bias = np.zeros((0, columns), np.float32)
        self.total = np.zeros((depth, columns))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Add places x (1, n, K padded) and y (1, n, N padded) float32; the first K and N columns count."""
        self._team.share_out(
            [
                (weight_gradient, (x, y, first, last, OWN, False, self._block, self._no_bias))
                for first, last in self._groups
            ],
            self._scratch,
        )
        self.total += self._block
