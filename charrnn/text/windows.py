"""Cuts a text into windows of B batch rows and T steps; the rows are computed side by side.

The text is cut into B contiguous rows.  A window is T columns of the rows.  The next window continues every row,
so a row's state is carried from window to window::

                 window 0      window 1      window 2
              |<- T steps ->|<- T steps ->|<- the rest
    row 0      a b c d e f g h i j k l m n o p
    row 1      q r s t u v w x y z ...
    row B-1    ...

``TrainingWindows`` cuts the text anew for every epoch; ``ReadingWindows`` reads a text once, from its start.  Arrays
are time-major: (T, B).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from charrnn.records import ProgressCallback, in_steps, no_progress

ROW_LENGTH = 4  # warm-ups; in a shorter row the warm-up would take too large a share of the time


class TrainingWindows:
    """Windows of training epochs over ``ids`` (N,).

    An epoch reads the text as a ring: it begins at a different character each time, and the first character follows
    the last.  The B rows have floor(N/B) or ceil(N/B) characters.  Every character is a target exactly once an epoch,
    except the first one of the text, which has no predecessor.

    Args:
        ids: the text.
        batch: B, at most N.
        steps: T; the last window of an epoch may be shorter.
        seed: together with the number of an epoch it decides where the epoch begins.
        rows: the first of the batch rows to read and the one behind the last; None for all of them.

    Attributes:
        rows: the batch rows that windows have.
        row_length: characters of the longest row, ceil(N/B).
        count: windows in an epoch.
    """

    def __init__(self, ids: np.ndarray, batch: int, steps: int, seed: int, rows: tuple[int, int] | None = None):
        self.ids, self.batch, self.steps, self.seed = ids, batch, steps, seed
        self.rows = (0, batch) if rows is None else rows
        self.row_length = -(-len(ids) // batch)
        self.count = -(-self.row_length // steps)
        bounds = _row_bounds(len(ids), batch)
        self._starts, self._lengths = bounds[:-1], np.diff(bounds)

    def offset(self, epoch: int) -> int:
        """The position in the text where row 0 of ``epoch`` begins. It depends on the seed and the epoch alone."""
        return int(np.random.default_rng([self.seed, epoch]).integers(len(self.ids)))

    def places(self, epoch: int, number: int) -> np.ndarray:
        """Places in the text (T + 1, B) of window ``number`` (from 0) of ``epoch``: of x, and of the last row of y."""
        first = number * self.steps
        last = min(first + self.steps, self.row_length)
        starts = self._starts[slice(*self.rows)]
        return (self.offset(epoch) + starts + np.arange(first, last + 1)[:, None]) % len(self.ids)

    def targets(self, epoch: int, number: int) -> int:
        """How many characters window ``number`` of ``epoch`` predicts, in all batch rows."""
        first = number * self.steps
        found = int(np.clip(self._lengths - first, 0, self.steps).sum())
        # The last character of the text has no successor: where in its batch row is it?
        place = (len(self.ids) - 1 - self.offset(epoch)) % len(self.ids)
        step = place - self._starts[np.searchsorted(self._starts, place, "right") - 1]
        return found - int(first <= step < first + self.steps)

    def window(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Window ``number`` (from 0) of ``epoch``: x and y (T, B), int32.

        y is x one character later.  It is -1 where there is no target: after the last character of the text, and beyond
        the end of a shorter row.
        """
        places = self.places(epoch, number)
        text = self.ids[places].astype(np.int32)
        beyond = number * self.steps + np.arange(len(places) - 1)[:, None] >= self._lengths[slice(*self.rows)]
        y = np.where(beyond | (places[:-1] == len(self.ids) - 1), np.int32(-1), text[1:])
        return text[:-1], y


def fitting_window(length: int, batch: int, steps: int) -> tuple[int, int]:
    """The batch rows and steps, at least 1 and at most as many as asked for, that ``length`` characters can fill."""
    steps = max(1, min(steps, length - 1))
    return max(1, min(batch, length // steps)), steps


class Places(NamedTuple):
    """One window of ``ReadingWindows``.

    Attributes:
        at: (T, B) positions in the text of the characters to read.
        counted: (T, B) bool, which of them count.  Over all windows every character counts once.  The others are
            warm-up, or fill a row that has ended.
    """

    at: np.ndarray
    counted: np.ndarray


class ReadingWindows:
    """Windows that read a text once, in several batch rows at once, with the result of one row from start to end.

    A row begins ``warm_up`` characters before the first one that it counts, so that its state there is practically the
    state of a network that has read the text from the beginning.  A network knows its ``warm_up``.

    Args:
        characters: length of the text, 1 or more.
        batch: the largest number of rows; short texts get fewer.
        steps: T.
        most: the largest number of characters to count, if not all.  Each row counts its first ones, so that they are
            spread over the whole text.
        progress: called after each window with the steps done and the steps of all windows.
        warm_up: in characters.

    Attributes:
        batch: B, the number of rows.
        steps: T.
        length: steps of all windows together.
    """

    def __init__(
        self,
        characters: int,
        batch: int = 32,
        steps: int = 64,
        most: int | None = None,
        progress: ProgressCallback = no_progress,
        *,
        warm_up: int,
    ):
        self.batch = max(1, min(batch, characters // (ROW_LENGTH * warm_up)))
        self.steps, self._characters, self._progress = steps, characters, progress
        bounds = _row_bounds(characters, self.batch)
        self._firsts, self._ends = bounds[:-1], bounds[1:]
        if most is not None and most < characters:
            self._ends = np.minimum(self._ends, self._firsts + max(1, most // self.batch))
        self._starts = np.maximum(self._firsts - warm_up, 0)
        self.length = int((self._ends - self._starts).max())

    def __iter__(self) -> Iterator[Places]:
        """The windows in order. The caller carries a state of ``batch`` rows from one to the next."""
        for begin, end in in_steps(self.length, self.steps, self._progress):
            at = self._starts + np.arange(begin, end)[:, None]
            counted = (at >= self._firsts) & (at < self._ends)
            yield Places(np.minimum(at, self._characters - 1), counted)


def _row_bounds(length: int, batch: int) -> np.ndarray:
    """Where the rows begin and end in a text: (B + 1,)."""
    return np.array([length * b // batch for b in range(batch + 1)])
