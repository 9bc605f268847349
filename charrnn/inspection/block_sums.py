"""Sums of products over many places, by the kernel of the weights' gradients: Σ xᵀ y on the network's own threads."""

import numpy as np

from charrnn.kernels import compiler
from charrnn.kernels.weight_gradients import scratch_size, weight_gradient
from charrnn.network.parameters import aligned_empty
from charrnn.network.workspace import in_order, weight_calls
from charrnn.system.threads import Team


class Products:
    """Σ xᵀ y (K, N) float64, added up block by block; the order, and so every bit, is the same for any threads."""

    def __init__(self, team: Team, depth: int, columns: int):
        compiler.prepare(weight_gradient)
        self._team = team
        self._scratch = [aligned_empty(scratch_size(depth)) for _ in range(team.threads)]
        self._block = np.zeros((depth, columns), np.float32)
        self.total = np.zeros((depth, columns))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Add places x and y, whose K and N columns are in panels (panels, n, 64)."""
        calls = weight_calls(x, y, in_order(x.shape[1]), self._block, None, self._team.threads, gated=False)
        self._team.share_out(calls, self._scratch)
        self.total += self._block
