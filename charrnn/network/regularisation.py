"""Dropout of outputs, weights and characters in a training step, a penalty on changes, smoothing and soft targets.

All masks are functions of (seed, step, place), so they need no state, are the same for any number of threads, and are
the same after a resume.  Values that are kept are divided by the probability of keeping them, so a trained model needs
no rescaling.
"""

from dataclasses import dataclass, field

import numpy as np

from charrnn.errors import ConfigError
from charrnn.kernels.cross_entropy import NO_SOFT, Soft
from charrnn.kernels.dropout import Mask, dropout
from charrnn.kernels.output_changes import add_change_gradient
from charrnn.kernels.packing import Group
from charrnn.network.parameters import Parameters, aligned_zeros
from charrnn.network.workspace import padded

# A mask's key begins with (seed, step, layer); a further number tells masks of weights and characters from a layer's.
_RECURRENT, _CHARACTERS = 1, 2
ATTENTION, RESIDUAL, MLP, EMBEDDING = 3, 4, 5, 6  # of a Transformer
NO_MASK = Mask(np.uint64(0), np.uint32(0), np.float32(1), 0, 0)
"""A mask of scale 1: nothing is dropped."""

_ONE_ROW = Group(0, 1)


@dataclass(frozen=True)
class Regularisation:
    """The regularisation of training step ``step``.

    - ``dropout``: of every layer's outputs, to the next layer and to the output layer (Zaremba et al. 2014); one mask
      for the whole window if ``variational`` (Gal & Ghahramani 2016).
    - ``recurrent_dropout``: of the recurrent matrices' weights, one mask a window (DropConnect, Merity et al. 2018).
    - ``input_dropout``: of characters, whole rows of the embedding or of the first layer's input matrix, one mask a
      window (Gal & Ghahramani 2016).
    - ``tar``: temporal activation regularisation (Merity, McCann & Socher 2017): tar/(N H) Σ (h_t - h_{t-1})² is added
      to the loss of N targets, where h is the output of the top layer's H units before dropout.
    - ``label_smoothing``: the part of the target's probability that is spread over all characters (Szegedy et al.
      2016).
    - ``soft``: what teachers expect at the places of the window (Hinton, Vinyals & Dean 2015).

    If several computers share a window's batch rows, ``rows`` is the number of all of them and ``first_row`` the number
    of the first one here.

    Raises:
        ConfigError: a part is not from 0 to below 1, or the penalty is below 0.
    """

    dropout: float = 0.0
    seed: int = 0
    step: int = 0
    variational: bool = False
    recurrent_dropout: float = 0.0
    input_dropout: float = 0.0
    label_smoothing: float = 0.0
    tar: float = 0.0
    soft: Soft = field(default=NO_SOFT, compare=False)
    rows: int | None = None
    first_row: int = 0

    def __post_init__(self) -> None:
        for name in ("dropout", "recurrent_dropout", "input_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be from 0 to below 1, not {getattr(self, name)!r}")
        if not self.tar >= 0:
            raise ConfigError(f"tar must be at least 0, not {self.tar!r}")

    @property
    def thins_weights(self) -> bool:
        """Whether weights are left out, so that they must be packed for this step alone."""
        return bool(self.recurrent_dropout or self.input_dropout)

    def mask(self, batch: int, *place: int) -> Mask:
        """The mask of a layer's outputs for a window of ``batch`` batch rows.

        ``place`` is the layer, and what inside of it tells this mask from others.
        """
        stride = 0 if self.variational else self.rows or batch
        return _mask(self.dropout, stride, self.first_row, self.seed, self.step, *place)

    def drop(self, place: tuple[int, ...], source: np.ndarray, batch: int, group: Group, target: np.ndarray) -> None:
        """target = source ⊙ mask, for values (panels, R, 64) and a group of the ``batch`` batch rows."""
        dropout(source, self.mask(batch, *place), batch, group, target)

    def penalise_changes(self, h: np.ndarray, scale: float, batch: int, group: Group, dh: np.ndarray) -> None:
        """Add the gradient of the penalty on changes to dh (Q, R, 64), for the top layer's output h (Q, R, 64).

        ``scale`` is 1 / (N H).
        """
        if self.tar:
            add_change_gradient(h, np.float32(2 * self.tar * scale), batch, group, dh)

    def thin(self, values: Parameters) -> None:
        """Leave out weights, or with the same masks their gradient: in place."""
        if self.recurrent_dropout:
            for layer, name in enumerate(name for name in values if name.startswith("w_hh")):
                weights = values.padded(name).reshape(1, 1, -1)
                mask = _mask(self.recurrent_dropout, 0, 0, self.seed, self.step, layer, _RECURRENT)
                dropout(weights, mask, 1, _ONE_ROW, weights)
        if self.input_dropout:
            rows = values["embedding" if "embedding" in values else "w_ih_l0"]
            factors = aligned_zeros(1, 1, padded(len(rows))) + np.float32(1)
            mask = _mask(self.input_dropout, 0, 0, self.seed, self.step, 0, _CHARACTERS)
            dropout(factors, mask, 1, _ONE_ROW, factors)
            rows *= factors[0, 0, : len(rows), None]


NOTHING = Regularisation()
"""A step without any."""


def _mask(rate: float, stride: int, first_row: int, *key: int) -> Mask:
    keep = 1 - rate
    below = np.uint32(min(round(keep * 2**32), 2**32 - 1))
    return Mask(np.uint64(hash_key(*key)), below, np.float32(1 / keep), stride, first_row)


def hash_key(*numbers: int) -> int:
    """One 64-bit number for several: SplitMix64 over their sequence."""
    key = 0
    for number in numbers:
        key = (key + number + 0x9E3779B97F4A7C15) % 2**64
        key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        key = (key ^ (key >> 27)) * 0x94D049BB133111EB % 2**64
        key ^= key >> 31
    return key
