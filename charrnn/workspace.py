"""The arrays that a window needs, made once for T steps of B lanes and used for every window of that size."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.gradients import scratch_size
from charrnn.packed import padded
from charrnn.parameters import aligned_empty, aligned_zeros


class Workspace:
    """Activations of every layer, T steps of B lanes, units padded to Hp and characters to Vp.

    ``gates[l]`` (T, B, 4Hp), ``h[l]`` and ``c[l]`` (T+1, B, Hp), ``logits`` (T, B, Vp), ``losses`` (T, B);
    for training also ``dh`` (T, B, Hp), ``dc`` (B, Hp), ``dropped[l]`` (T, B, Hp) with dropout, and a scratch
    for each thread.
    """

    def __init__(self, config: ModelConfig, steps: int, lanes: int, threads: int, training: bool, dropout: bool):
        self.steps, self.lanes, self.training = steps, lanes, training
        hidden, layers = padded(config.hidden), range(config.layers)
        self.gates = [aligned_zeros(steps, lanes, 4 * hidden) for _ in layers]
        self.h = [aligned_zeros(steps + 1, lanes, hidden) for _ in layers]
        self.c = [aligned_zeros(steps + 1, lanes, hidden) for _ in layers]
        self.logits = aligned_zeros(steps, lanes, padded(config.vocabulary))
        self.losses = np.zeros((steps, lanes), np.float32)
        self.dropped = [aligned_zeros(steps, lanes, hidden) for _ in layers] if dropout else None
        if training:
            self.dh = aligned_zeros(steps, lanes, hidden)
            self.dc = aligned_zeros(lanes, hidden)
            deepest = max(config.hidden, config.embedding or 0)
            self.scratch = [aligned_empty(scratch_size(padded(deepest))) for _ in range(threads)]
            self.dtable = aligned_zeros(1, config.vocabulary, 4 * hidden)
            if config.embedding:
                self.dembedding = aligned_zeros(1, config.vocabulary, padded(config.embedding))

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
