"""The loss on a text, every character scored once, the state carried."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.lanes import Lanes
from charrnn.network import CharLSTM
from charrnn.records import bits


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
    shared = Lanes(scored, lanes, steps)
    state = network.initial_state(shared.count)
    loss, done = 0.0, 0
    for at, own in shared.windows():
        y = np.where(own, text[at + 1].astype(np.int32), np.int32(-1))
        loss += float(network.losses(text[at].astype(np.int32), y, state).sum(dtype=np.float64))
        done += len(at)
        if progress is not None:
            progress(done, shared.length)
    return Evaluation(loss / scored, scored)
