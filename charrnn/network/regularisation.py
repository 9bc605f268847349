"""What is left out of a training step at random, and how sure its targets are.

All masks are functions of (seed, step, place), so they need no state, are the same for any number of threads, and
come again after a resume.  What is kept is divided by the probability of keeping it, so nothing changes when a
model is used.
"""

from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.kernels.dropout import dropout
from charrnn.network.packed_weights import padded
from charrnn.network.parameters import Parameters, aligned_zeros

# What the keys of masks say beside (seed, step): a layer's outputs have the layer alone.
_RECURRENT, _CHARACTERS = 1, 2


@dataclass(frozen=True)
class Regularisation:
    """The regularisation of training step ``step``.

    - ``dropout``: of every layer's outputs, to the next layer and to the output layer (Zaremba et al. 2014); one mask
      for the whole window if ``variational`` (Gal & Ghahramani 2016).
    - ``recurrent_dropout``: of the recurrent matrices' weights, one mask a window (DropConnect, Merity et al. 2018).
    - ``input_dropout``: of characters, whole rows of the embedding or of the first layer's input matrix, one mask a
      window (Gal & Ghahramani 2016).
    - ``label_smoothing``: the part of the target's probability that is spread over all characters (Szegedy et al.
      2016).

    Raises:
        ConfigError: a part is not from 0 to below 1.
    """

    dropout: float = 0.0
    seed: int = 0
    step: int = 0
    variational: bool = False
    recurrent_dropout: float = 0.0
    input_dropout: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("dropout", "recurrent_dropout", "input_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be from 0 to below 1, not {getattr(self, name)!r}")

    @property
    def thins_weights(self) -> bool:
        """Whether weights are left out, so that they are to be packed for this step alone."""
        return bool(self.recurrent_dropout or self.input_dropout)

    def drop(self, layer: int, source: np.ndarray, batch: int, first: int, last: int, target: np.ndarray) -> None:
        """target = source ⊙ mask, for a layer's outputs (panels, R, 64) and batch rows ``first`` to ``last``."""
        key = hash_key(self.seed, self.step, layer)
        _mask(source, key, self.dropout, not self.variational, batch, first, last, target)

    def thin(self, values: Parameters) -> None:
        """Leave out weights, or, the same way, their gradient: in place."""
        if self.recurrent_dropout:
            for layer in range(sum(name.startswith("w_hh") for name in values)):
                weights = values.padded(f"w_hh_l{layer}").reshape(1, 1, -1)
                key = hash_key(self.seed, self.step, layer, _RECURRENT)
                _mask(weights, key, self.recurrent_dropout, False, 1, 0, 1, weights)
        if self.input_dropout:
            rows = values["embedding" if "embedding" in values else "w_ih_l0"]
            mask = aligned_zeros(1, 1, padded(len(rows))) + np.float32(1)
            _mask(mask, hash_key(self.seed, self.step, 0, _CHARACTERS), self.input_dropout, False, 1, 0, 1, mask)
            rows *= mask[0, 0, : len(rows), None]


def _mask(source, key, rate, each_step, batch, first, last, target):
    keep = 1 - rate
    below = min(round(keep * 2**32), 2**32 - 1)
    dropout(source, np.uint64(key), np.uint32(below), np.float32(1 / keep), int(each_step), batch, first, last, target)


def hash_key(*numbers: int) -> int:
    """One 64-bit number for several: SplitMix64 over their sequence."""
    key = 0
    for number in numbers:
        key = (key + number + 0x9E3779B97F4A7C15) % 2**64
        key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        key = (key ^ (key >> 27)) * 0x94D049BB133111EB % 2**64
        key ^= key >> 31
    return key
