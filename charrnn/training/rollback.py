"""The last good weights of a run: when to keep them, when to return to them, and how checkpoints hold them."""

import contextlib
import math
from collections.abc import Iterator, Mapping

import numpy as np

from charrnn.checkpoints.checkpoint import LARGEST_MOMENT, is_within
from charrnn.errors import CheckpointError
from charrnn.network.network import Network
from charrnn.network.parameters import aligned_zeros
from charrnn.training.optimizer import Optimizer

KEEP_STEPS = 100  # steps between two copies of the weights
LOSS_JUMP = 3.0  # a loss is too high if it is this many times the running mean …
JUDGED_CHARACTERS = 64  # … in a window of at least so many characters
TOO_LARGE = "the weights are no longer numbers, or too large"
MOST_IN_A_ROW = 3  # this rollback in a row ends the run


class Rollback:
    """A copy of the weights and of the optimiser's slots after a good step.

    ``step`` is the step after which the copy was made, ``updates`` the optimiser's count of updates at that time.
    """

    def __init__(self, network: Network, optimizer: Optimizer):
        self._network, self._optimizer = network, optimizer
        self._buffers = {"kept": network.parameters.flat}
        self._buffers |= {f"kept_{slot}": buffer for slot, buffer in optimizer.slots.items()}
        self._kept = {name: np.empty_like(buffer) for name, buffer in self._buffers.items()}
        self.keep(0)

    def keep(self, step: int) -> None:
        """Copy the current weights and slots, which are those after ``step`` steps."""
        self.step, self.updates = step, self._optimizer.count
        for name, buffer in self._buffers.items():
            np.copyto(self._kept[name], buffer)

    def restore_kept(self) -> None:
        """Put the kept weights and slots back into the network and the optimiser."""
        for name, buffer in self._buffers.items():
            np.copyto(buffer, self._kept[name])
        self._optimizer.count = self.updates
        self._network.parameters_changed()

    def to_checkpoint(self) -> dict[str, np.ndarray]:
        """The kept buffers (P,) by name; empty if all are equal, bit for bit, to the current ones."""
        # Compare bits: 0 and -0 are equal as floats.
        same = all(np.array_equal(_bits(self._kept[name]), _bits(now)) for name, now in self._buffers.items())
        return {} if same else self._kept

    def from_checkpoint(self, kept: Mapping[str, np.ndarray], step: int, updates: int) -> None:
        """Take over the buffers that :meth:`to_checkpoint` returned; the current ones if it returned none.

        Raises:
            CheckpointError: the buffers belong to a run with another optimiser.
        """
        self.keep(step)
        self.updates = updates
        if kept and kept.keys() != self._kept.keys():
            raise CheckpointError("the checkpoint lacks something that a resume needs")
        for name, buffer in kept.items():
            np.copyto(self._kept[name], buffer)

    def weights_are_good(self) -> bool:
        """Whether a checkpoint with the current weights could be read: they are finite and not too large."""
        return is_within(self._network.parameters.flat)

    def problem_of_weights(self) -> str | None:
        """What is wrong with the current weights or slots, or None. Look before they are kept, evaluated or saved."""
        if not self.weights_are_good():
            return TOO_LARGE
        if not all(is_within(slot, LARGEST_MOMENT) for slot in self._optimizer.slots.values()):
            return "the moments of the optimizer are no longer numbers"
        return None

    def problem(self, loss: float, characters: int, mean: float | None) -> str | None:
        """What is wrong with the loss of a window of ``characters`` characters, or None.

        A loss is wrong if it is not finite, or if it is both over three times the running mean and worse than guessing
        among all V characters (log V). Text that is merely new to the model rarely causes both. A few characters can be
        surprising: in a window of fewer than 64 the loss may be as much larger as the window is shorter.
        """
        if not math.isfinite(loss):
            return "the loss is no longer a number"
        guessing = math.log(self._network.config.vocabulary)
        allowed = max(JUDGED_CHARACTERS / max(characters, 1), 1)
        if mean is None or loss <= allowed * max(LOSS_JUMP * mean, guessing):
            return None
        return f"the loss jumped from {mean:.3f} to {loss:.3g}"


@contextlib.contextmanager
def restored_weights(network: Network) -> Iterator[np.ndarray]:
    """Within the block the weights may change; after it they are what they were. Yields a copy of them, flat (P,)."""
    before = aligned_zeros(network.parameters.flat.size)
    before[:] = network.parameters.flat
    try:
        yield before
    finally:
        network.parameters.flat[:] = before
        network.parameters_changed()


def _bits(buffer: np.ndarray) -> np.ndarray:
    return buffer.view(np.int32)
