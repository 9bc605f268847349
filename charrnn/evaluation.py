"""The loss on a text, every character scored once, the state carried.

A long text is read in several lanes at once.  A lane then starts ``WARM_UP`` characters before the first one it
scores, so that its state is what it would be had it read from the beginning, to well below the fourth decimal.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.network import CharLSTM
from charrnn.records import bits

WARM_UP = 256
LANE_LENGTH = 1024  # a lane shorter than this would spend too much on its warm-up


@dataclass(frozen=True)
class Evaluation:
    """``loss`` in nats per character over ``characters`` scored characters."""

    loss: float
    characters: int

    @property
    def bpc(self) -> float:
        """Bits per character."""
        return bits(self.loss)

    @property
    def perplexity(self) -> float:
        """exp(loss): how many characters the model hesitates between."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


def scorable(ids: np.ndarray, before: int | None) -> np.ndarray:
    """ids (N,), behind the id ``before`` if it is given: all but the first of the result can be predicted.

    Raises:
        ConfigError: nothing can.
    """
    text = np.asarray(ids)
    if before is not None:
        text = np.concatenate([np.array([before], text.dtype), text])
    if len(text) < 2:
        raise ConfigError("there is nothing to predict in fewer than 2 characters")
    return text


def evaluate(
    network: CharLSTM,
    ids: np.ndarray,
    before: int | None = None,
    lanes: int = 32,
    steps: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score ids (N,): N characters if the id ``before`` the first is given, else N - 1, from a state of zeros.

    ``progress`` is called with the steps done and their number.

    Raises:
        ConfigError: nothing can be scored.
    """
    text = scorable(ids, before)
    scored = len(text) - 1
    lanes = max(1, min(lanes, scored // LANE_LENGTH))
    bounds = np.array([scored * lane // lanes for lane in range(lanes + 1)])
    starts = np.maximum(bounds[:-1] - WARM_UP, 0)
    length = int((bounds[1:] - starts).max())
    state = network.initial_state(lanes)
    loss = 0.0
    for begin in range(0, length, steps):
        places = starts + np.arange(begin, min(begin + steps, length))[:, None]
        inside = (places >= bounds[:-1]) & (places < bounds[1:])
        places = np.minimum(places, scored - 1)
        x = text[places].astype(np.int32)
        y = np.where(inside, text[places + 1].astype(np.int32), np.int32(-1))
        loss += float(network.losses(x, y, state).sum(dtype=np.float64))
        if progress is not None:
            progress(min(begin + steps, length), length)
    return Evaluation(loss / scored, scored)
