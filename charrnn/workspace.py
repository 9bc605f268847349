"""The arrays that a window needs, made once for T steps of B lanes and used for every window of that size."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.gradients import scratch_size
from charrnn.kernels.simd import LANES
from charrnn.kernels.tiles import PANEL
from charrnn.packed import padded, panels
from charrnn.parameters import aligned_empty, aligned_zeros


class Workspace:
    """Memory for the activations of every layer, T steps of B lanes, columns in panels as the kernels want them.

    With U = ⌈H/16⌉, Q = ⌈H/64⌉ and R = B (T+1) rows, whose order is that of a :class:`charrnn.layout.Layout`:
    ``gates[l]`` (U, R, 64), ``h[l]`` (Q, R, 64), ``c[l]`` (U, R, 16), ``logits`` (⌈V/64⌉, R, 64), ``losses`` (T, B);
    for training also ``dh`` (Q, R, 64), with dropout ``dropped[l]`` (Q, R, 64), ``dc`` (U, B, 16), and a scratch for
    each thread.
    """

    def __init__(self, config: ModelConfig, steps: int, lanes: int, threads: int, training: bool, dropout: bool):
        self.steps, self.lanes, self.training = steps, lanes, training
        blocks, wide, layers = padded(config.hidden) // LANES, panels(config.hidden), range(config.layers)
        rows = lanes * (steps + 1)
        self.gates = [aligned_zeros(blocks, rows, PANEL) for _ in layers]
        self.h = [aligned_zeros(wide, rows, PANEL) for _ in layers]
        self.c = [aligned_zeros(blocks, rows, LANES) for _ in layers]
        self.logits = aligned_zeros(panels(config.vocabulary), rows, PANEL)
        self.losses = np.zeros((steps, lanes), np.float32)
        self.dropped = [aligned_zeros(wide, rows, PANEL) for _ in layers] if dropout else None
        if training:
            self.dh = aligned_zeros(wide, rows, PANEL)
            self.dc = aligned_zeros(blocks, lanes, LANES)
            deepest = max(config.hidden, config.embedding or 0)
            self.scratch = [aligned_empty(scratch_size(deepest)) for _ in range(threads)]
            self.dtable = aligned_zeros(blocks, config.vocabulary, PANEL)
            if config.embedding:
                self.dembedding = aligned_zeros(panels(config.embedding), config.vocabulary, PANEL)

    def fits(self, steps: int, lanes: int, training: bool, dropout: bool) -> bool:
        """Whether a window of this size can use these arrays."""
        return (
            steps <= self.steps
            and lanes == self.lanes
            and training <= self.training
            and (self.dropped is not None or not dropout)
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return array_bytes(vars(self).values())


def array_bytes(values) -> int:
    """Bytes of the arrays among ``values``, lists of arrays included."""
    found = [array for value in values for array in (value if isinstance(value, list) else [value])]
    return sum(array.nbytes for array in found if isinstance(array, np.ndarray))
