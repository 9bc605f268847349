"""Sums Σ xᵀ y over many characters, added up block by block on several threads.

The kernel of the weight gradients multiplies a block. Permutation tests and the probe need such sums.
"""

import numpy as np

from charrnn.kernels import compiler
from charrnn.kernels.weight_gradients import scratch_size, weight_gradient
from charrnn.network.parameters import aligned_empty
from charrnn.network.workspace import in_order, weight_calls
from charrnn.system.threads import Team


class ProductSums:
    """``total`` (K, N) float64 = Σ xᵀ y. The sum has one order, so it is the same bits for any number of threads."""

    def __init__(self, team: Team, depth: int, columns: int):
        compiler.prepare(weight_gradient)
        self._team = team
        self._scratch = [aligned_empty(scratch_size(depth)) for _ in range(team.threads)]
        self._block = np.zeros((depth, columns), np.float32)
        self.total = np.zeros((depth, columns))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Add xᵀ y for n characters; x and y have K and N columns, stored in panels (panels, n, 64) float32."""
        calls = weight_calls(x, y, in_order(x.shape[1]), self._block, None, self._team.threads)
        self._team.share_out(calls, self._scratch)
        self.total += self._block
