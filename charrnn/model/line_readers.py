"""Ways to read the lines of a text whose losses are wanted: in order, each alone, as they come, learning, both ways."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from charrnn.errors import ConfigError
from charrnn.inference.line_losses import line_losses
from charrnn.inference.loss import Scorer, losses
from charrnn.inference.online_mixture import OnlineMixture
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.training.dynamic_evaluation import DynamicLearner
from charrnn.training.rollback import restored_weights

_BATCH = 64  # batch rows
_STEPS = 256  # of a window that one row reads

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Known = npt.NDArray[np.bool_]


class LineReader(Protocol):
    """A way to read lines."""

    def losses(
        self, ids: Ids, known: Known, lengths: Sequence[int], progress: ProgressCallback = no_progress
    ) -> Floats:
        """The losses (M,) in nats of the ids (M,) of lines with these lengths, which follow those read before.

        A character that is not ``known`` has the id that is read in its place.  ``progress`` is called with the work
        done and all work by a reader that takes long.
        """


class InOrder:
    """Reads the lines as one text, several parts of it side by side.

    A part begins behind a warm-up, so that its state is practically that of a network that has read all before.
    """

    def __init__(self, model: Scorer, newline: int):
        self._model, self._read = model, np.array([newline], np.int32)

    def losses(
        self, ids: Ids, known: Known, lengths: Sequence[int], progress: ProgressCallback = no_progress
    ) -> Floats:
        """As :meth:`LineReader.losses`."""
        text = np.concatenate([self._read, ids])
        found = losses(self._model, text, batch=_BATCH)[-len(ids) :]
        self._read = text[-self._model.warm_up - 1 :]
        return found


class EachAlone:
    """Reads each line for itself, as if nothing stood before it but a line end."""

    def __init__(self, model: Scorer, newline: int):
        self._model, self._newline = model, newline

    def losses(
        self, ids: Ids, known: Known, lengths: Sequence[int], progress: ProgressCallback = no_progress
    ) -> Floats:
        """As :meth:`LineReader.losses`."""
        lines = np.split(ids, np.cumsum(lengths)[:-1])
        return np.concatenate(line_losses(self._model, lines, self._newline, _BATCH))


class OneRow:
    """Reads the lines as one text, one character after the other, as they come."""

    def __init__(self, model: Scorer, newline: int):
        self._model, self._last, self._state = model, newline, model.initial_state(1)

    def losses(
        self, ids: Ids, known: Known, lengths: Sequence[int], progress: ProgressCallback = no_progress
    ) -> Floats:
        """As :meth:`LineReader.losses`."""
        x = np.concatenate([[self._last], ids[:-1]]).astype(np.int32)[:, None]
        found = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), _STEPS):
            window = slice(start, start + _STEPS)
            found[window] = self._model.losses(x[window], ids[window, None], self._state)[:, 0]
        self._last = int(ids[-1])
        return found


class Learning:
    """Reads as :class:`OneRow`, and learns from each line after it is scored (dynamic evaluation).

    Short lines are put together until they have as many characters as an update learns from.  A mixture learns each
    line, too.
    """

    def __init__(self, newline: int, learner: DynamicLearner, steps: int, mixture: OnlineMixture | None):
        self._network, self._learner, self._steps, self._mixture = learner.network, learner, steps, mixture
        self._state, self._last = self._network.initial_state(1), newline
        self._learnt = self._state.copy()  # the state before what is to be learnt next
        self._waiting: list[tuple[Ids, Ids]] = []

    def losses(
        self, ids: Ids, known: Known, lengths: Sequence[int], progress: ProgressCallback = no_progress
    ) -> Floats:
        """As :meth:`LineReader.losses`."""
        found, stop = np.empty(len(ids), np.float32), 0
        for length in filter(None, lengths):
            line = slice(stop, stop + length)
            found[line] = self._line(ids[line], known[line])
            stop += length
            progress(stop, len(ids))
        return found

    def _line(self, ids: Ids, known: Known) -> Floats:
        x = np.concatenate([[self._last], ids[:-1]]).astype(np.int32)
        self._last = int(ids[-1])
        found = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), _STEPS):
            window = slice(start, start + _STEPS)
            found[window] = self._score(x[window], ids[window], known[window])
        if self._mixture is not None:
            self._mixture.learn(x)  # the last character is learnt with the next line
        self._waiting.append((x, np.where(known, ids, np.int32(-1))))
        if sum(len(x) for x, _ in self._waiting) >= self._steps:
            self._learn()
        if not np.isfinite(found).all():
            raise ConfigError("the weights are no longer numbers: choose a lower learning rate")
        return found

    def _score(self, x: Ids, y: Ids, known: Known) -> Floats:
        if self._mixture is None:
            found = self._network.losses(x[:, None], np.ascontiguousarray(y[:, None]), self._state)[:, 0]
            return cast("Floats", found.copy())
        logs = self._network.log_probabilities(x[:, None], self._state)[:, 0]
        return self._mixture.score(logs, x, np.where(known, y, -1), self._network.team).astype(np.float32)

    def _learn(self) -> None:
        x, y = (np.concatenate(parts)[:, None] for parts in zip(*self._waiting, strict=True))
        self._waiting.clear()
        pieces = max(len(x) // self._steps, 1)
        for piece in range(pieces):
            part = slice(len(x) * piece // pieces, len(x) * (piece + 1) // pieces)
            if (y[part] >= 0).any():
                self._network.loss_and_gradient(x[part], y[part], self._learnt)
                self._learner.update()
            else:
                self._network.read(x[part], self._learnt)
        # With the weights of now the state would be another one; it is carried on, as everywhere.
        self._state = self._learnt.copy()


class BothWays:
    """Reads all lines of a text from the last to the first, then in their order, and learns each time.

    The probability of a character is the mean of its two probabilities.  So what comes again later in the text is less
    odd than it is when the text is read in order alone.

    Args:
        network: reads the text.  Its weights before the first reading are restored before the second.
        in_order: the reader of the second reading.  What it learns stays.
        from_the_end: makes a reader for the first one.
        newline: the id that ends a line; None if the model knows none.
    """

    def __init__(self, network: Network, in_order: Learning, from_the_end: Callable[[], Learning], newline: int | None):
        self._network, self._in_order, self._from_the_end, self._newline = network, in_order, from_the_end, newline

    def losses(
        self, ids: Ids, known: Known, lengths: Sequence[int], progress: ProgressCallback = no_progress
    ) -> Floats:
        """As :meth:`LineReader.losses`.  The lines must be those of a whole text."""
        lines = np.split(np.arange(len(ids)), self._line_ends(ids, lengths))[::-1]
        reverse, first = np.concatenate(lines), np.empty(len(ids), np.float32)
        with restored_weights(self._network):
            first[reverse] = self._from_the_end().losses(
                ids[reverse], known[reverse], list(map(len, lines)), lambda done, total: progress(done, 2 * total)
            )
        second = self._in_order.losses(ids, known, lengths, lambda done, total: progress(total + done, 2 * total))
        return cast("Floats", math.log(2) - np.logaddexp(-first, -second))

    def _line_ends(self, ids: Ids, lengths: Sequence[int]) -> npt.NDArray[np.intp]:
        """Where lines end.  A line may have several lengths, those of its parts; only the last of them ends it."""
        stops = np.cumsum(lengths)
        return stops if self._newline is None else stops[ids[stops - 1] == self._newline]
