"""The gradient of a window whose batch rows are read in parts, one after the other, to take less memory.

The sums of the parts are added in the order of the tree, as those of ranks are.  So the result is, bit for bit, that of
the whole window (:mod:`charrnn.network.sum_tree`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from charrnn.kernels.cross_entropy import Soft
from charrnn.network.network import Elsewhere, Network, State
from charrnn.network.regularisation import Regularisation
from charrnn.network.sum_tree import merges

AddUp = Callable[[Sequence[np.ndarray], float], float]


def loss_and_gradient(
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    state: State,
    regular: Regularisation,
    elsewhere: Elsewhere,
    parts: int,
) -> float:
    """As :meth:`charrnn.network.network.Network.loss_and_gradient`, in ``parts`` that divide the batch rows."""
    rows, sums, loss = x.shape[1] // parts, _Sums(parts), 0.0
    for part in range(parts):
        own = slice(part * rows, (part + 1) * rows)
        states = State({name: np.ascontiguousarray(array[:, own]) for name, array in state.arrays.items()})
        x_part, y_part = np.ascontiguousarray(x[:, own]), np.ascontiguousarray(y[:, own])
        of_part = replace(regular, first_row=regular.first_row + own.start, soft=_soft_of(regular.soft, own))
        is_last = part == parts - 1
        add_up = sums.added_to(elsewhere.add_up) if is_last else sums.kept
        loss = network.loss_and_gradient(x_part, y_part, states, of_part, Elsewhere(elsewhere.count, add_up))
        for name, array in state.arrays.items():
            array[:, own] = states[name]
    return loss


def _soft_of(soft: Soft, rows: slice) -> Soft:
    """The soft targets of some batch rows; those without any have no rows."""
    if not soft.ids.size:
        return soft
    return Soft(soft.weight, np.ascontiguousarray(soft.ids[:, rows]), np.ascontiguousarray(soft.q[:, rows]))


class _Sums:
    """The stack of sums over parts: each is a list of arrays and a loss."""

    def __init__(self, parts: int):
        self._merges = iter(merges(parts))
        self._stack: list[tuple[list[np.ndarray], float]] = []

    def kept(self, arrays: Sequence[np.ndarray], loss: float) -> float:
        """Keep the sums of a part, which is not the last one."""
        self._stack.append(self._merged([array.copy() for array in arrays], loss))
        return loss

    def added_to(self, add_up: AddUp) -> AddUp:
        """Add the sums of all parts to those of the last one, and then ``add_up`` those of other ranks."""

        def add(arrays: Sequence[np.ndarray], loss: float) -> float:
            _, total = self._merged(arrays, loss)
            return add_up(arrays, total)

        return add

    def _merged(self, arrays, loss: float):
        """The sum of a part and of those on the stack that the tree adds to it, in ``arrays``."""
        for _ in range(next(self._merges)):
            before, of_before = self._stack.pop()
            for left, right in zip(before, arrays, strict=True):
                np.add(left, right, out=right)
            loss = of_before + loss
        return arrays, loss
