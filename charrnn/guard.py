"""The last good state of a run, in memory, and when to go back to it."""

import math

import numpy as np

from charrnn.network import CharLSTM
from charrnn.optimizer import Optimizer

SNAPSHOT_STEPS = 100  # between two snapshots
EXPLOSION = 3.0  # a loss so many times the running mean …
JUDGED_CHARACTERS = 64  # … over a window of at least so many characters
IN_A_ROW = 3  # the setback that ends a run


class Guard:
    """Keeps the parameters and moments of a step that was good.

    A loss is in trouble if it is not a number, or if it is over three times the running mean and worse than to know
    nothing (log V): text that is only new to the model can be the first, hardly both.
    """

    def __init__(self, network: CharLSTM, optimizer: Optimizer):
        self._network, self._optimizer = network, optimizer
        self._buffers = [network.parameters.flat, *optimizer.slots.values()]
        self.keep(0)

    def keep(self, step: int) -> None:
        """Remember the state after ``step`` steps."""
        self.step, self._count = step, self._optimizer.count
        self._kept = [buffer.copy() for buffer in self._buffers]

    def go_back(self) -> None:
        """Restore what was kept."""
        for buffer, kept in zip(self._buffers, self._kept, strict=True):
            np.copyto(buffer, kept)
        self._optimizer.count = self._count
        self._network.parameters_changed()

    def has_numbers(self) -> bool:
        """Whether the weights, as they are now, are numbers: others must be neither evaluated nor saved."""
        with np.errstate(over="ignore", invalid="ignore"):
            return math.isfinite(self._network.parameters.flat.sum())

    def trouble(self, loss: float, characters: int, mean: float | None) -> str | None:
        """What is wrong with the loss of a window of so many characters, if anything is."""
        if not math.isfinite(loss):
            return "the loss is no longer a number"
        ignorance = math.log(self._network.config.vocabulary)
        if mean is None or characters < JUDGED_CHARACTERS or loss <= max(EXPLOSION * mean, ignorance):
            return None
        return f"the loss jumped from {mean:.3f} to {loss:.3g}"
