"""The last good state of a run, in memory and in its checkpoints, and when to go back to it."""

import math
from collections.abc import Mapping

import numpy as np

from charrnn.errors import CheckpointError
from charrnn.network.network import CharLSTM
from charrnn.training.optimizer import Optimizer

SNAPSHOT_STEPS = 100  # between two snapshots
EXPLOSION = 3.0  # a loss so many times the running mean …
JUDGED_CHARACTERS = 64  # … over a window of at least so many characters
IN_A_ROW = 3  # the setback that ends a run


class Rollback:
    """Keeps the parameters and moments of a step that was good: of ``step``, when there had been ``updates``.

    A loss is in trouble if it is not a number, or if it is over three times the running mean and worse than to know
    nothing (log V): text that is only new to the model can be the first, hardly both.
    """

    def __init__(self, network: CharLSTM, optimizer: Optimizer):
        self._network, self._optimizer = network, optimizer
        self._buffers = {"kept": network.parameters.flat}
        self._buffers |= {f"kept_{slot}": buffer for slot, buffer in optimizer.slots.items()}
        self._kept = {name: np.empty_like(buffer) for name, buffer in self._buffers.items()}
        self.keep(0)

    def keep(self, step: int) -> None:
        """Remember the state after ``step`` steps."""
        self.step, self.updates = step, self._optimizer.count
        for name, buffer in self._buffers.items():
            np.copyto(self._kept[name], buffer)

    def go_back(self) -> None:
        """Restore what was kept."""
        for name, buffer in self._buffers.items():
            np.copyto(buffer, self._kept[name])
        self._optimizer.count = self.updates
        self._network.parameters_changed()

    def kept(self) -> dict[str, np.ndarray]:
        """What a checkpoint has to hold of it: buffers (P,) by name, or nothing if all are as they were when kept."""
        same = all(np.array_equal(_bits(self._kept[name]), _bits(now)) for name, now in self._buffers.items())
        return {} if same else self._kept

    def restore(self, kept: Mapping[str, np.ndarray], step: int, updates: int) -> None:
        """Take over what :meth:`kept` gave to a checkpoint.

        Raises:
            CheckpointError: the buffers are not those of such a run.
        """
        self.keep(step)
        self.updates = updates
        if kept and kept.keys() != self._kept.keys():
            raise CheckpointError("the checkpoint has not all that a resume needs")
        for name, buffer in kept.items():
            np.copyto(self._kept[name], buffer)

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


def _bits(buffer: np.ndarray) -> np.ndarray:
    """Floats as their bits, of which -0 and 0 have different ones."""
    return buffer.view(np.int32)
