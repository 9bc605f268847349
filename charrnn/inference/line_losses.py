"""The losses of many lines, each read for itself: side by side in batch rows, sorted by length.

Lines of similar length are read together, so that few steps of a batch row are left empty.  A batch row's losses do not
depend on the other rows, on the number of rows, or on how its steps are cut into windows; so a line has the same losses
whatever lines are read beside it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from charrnn.errors import ConfigError
from charrnn.inference.loss import Scorer
from charrnn.records import ProgressCallback, no_progress
from charrnn.system.threads import divided

BATCH, STEPS = 64, 64  # rows and steps of a window
_FULL = 3 / 4  # the shortest line of a batch has at least so much of the length of the longest one


def line_losses(
    model: Scorer,
    lines: Sequence[npt.NDArray[np.integer]],
    before: int | None,
    batch: int = BATCH,
    steps: int = STEPS,
    progress: ProgressCallback = no_progress,
) -> list[npt.NDArray[np.float32]]:
    """The loss of every character of each line in nats, each line read from a state of zeros.

    Args:
        model: a network, an ensemble or a mixture.
        lines: the ids (N,) of each line.  A line whose end is to be scored too has the id of the newline for its last.
        before: the id that the model reads before each line, usually that of the newline.  Without it the first
            character of each line is not scored.
        batch: the most lines that are read side by side.
        steps: the most steps of a window; a longer line goes on in the next window.
        progress: called with the number of characters scored and of all that will be.

    Returns:
        For each line an array (N,) float32, or (N - 1,) without ``before``; it is empty if no character can be scored.
        The bits depend on the line and the model alone.

    Raises:
        ConfigError: ``batch`` or ``steps`` is below 1, or an id is not one of the model's.
    """
    if batch < 1 or steps < 1:
        raise ConfigError(f"lines are read in at least 1 batch row and 1 step, not {batch} and {steps}")
    head = np.array([] if before is None else [before], np.int32)
    text = np.concatenate([np.zeros(0, np.int32), *(part for line in lines for part in (head, line))], dtype=np.int32)
    if text.min(initial=0) < 0:  # as a target the network would leave it out
        raise ConfigError("ids must be from 0")
    sizes = np.array([len(line) for line in lines], np.int64) + len(head)
    starts, lengths = np.cumsum(sizes) - sizes, np.maximum(sizes - 1, 0)
    result = np.zeros(int(lengths.sum()), np.float32)
    ends, done = np.cumsum(lengths), 0
    for rows in batches(lengths, batch):
        state = model.initial_state(len(rows))
        longest = int(lengths[rows[0]])
        for begin, end in divided(longest, -(-longest // steps)):
            step = np.arange(begin, end)[:, None]
            counted = step < lengths[rows]
            at = np.minimum(starts[rows] + step, len(text) - 2)
            y = np.where(counted, text[at + 1], np.int32(-1))
            # An id behind the end of a line belongs to another one; the losses of the row are over by then.
            found = model.losses(np.ascontiguousarray(text[at]), y, state)
            places = (ends - lengths)[rows] + step
            result[places[counted]] = found[counted]
            done += int(np.count_nonzero(counted))
            progress(done, len(result))
    return np.split(result, ends[:-1]) if len(lines) else []


def batches(lengths: npt.NDArray[np.int64], most: int) -> Iterator[npt.NDArray[np.int64]]:
    """The numbers of the lines that have a length, in batches: the longest first, in each batch and over all of them.

    The rows of a batch are ``most``, or ``most`` halved again and again, so that few different sizes come.  The
    shortest line of a batch has at least 3/4 of the length of its longest.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    first = 0
    while first < len(order):
        alike = np.searchsorted(-lengths[order], -_FULL * lengths[order[first]], "right") - first
        size = most
        while size > alike:
            size = -(-size // 2)
        yield order[first : first + size]
        first += size
