"""The loss on a text, every character scored once, the state carried."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.network.network import CharLSTM
from charrnn.records import bits
from charrnn.text.windows import Places, ReadingWindows


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
    batch: int = 32,
    steps: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score ids (N,): N characters if the id ``before`` the first is given, else N - 1, from a state of zeros.

    ``progress`` is called with the steps done and their number.

    Raises:
        ConfigError: nothing can be scored.
    """
    text = scorable(ids, before)
    loss = 0.0
    for _, losses in _windows(network, text, batch, steps, progress):
        loss += float(losses.sum(dtype=np.float64))
    return Evaluation(loss / (len(text) - 1), len(text) - 1)


def losses(
    network: CharLSTM,
    ids: np.ndarray,
    before: int | None = None,
    batch: int = 32,
    steps: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The loss of each scored character in nats, (N,) float32, or (N - 1,) without ``before``; else as above.

    Raises:
        ConfigError: nothing can be scored.
    """
    text = scorable(ids, before)
    found = np.empty(len(text) - 1, np.float32)
    for places, values in _windows(network, text, batch, steps, progress):
        found[places.at[places.counted]] = values[places.counted]
    return found


def _windows(network, text, batch, steps, progress) -> Iterator[tuple[Places, np.ndarray]]:
    """The places k of windows and the losses (T, B) of text[k + 1] there, 0 where they do not count."""
    windows = ReadingWindows(len(text) - 1, batch, steps)
    state, done = network.initial_state(windows.batch), 0
    for places in windows:
        y = np.where(places.counted, text[places.at + 1].astype(np.int32), np.int32(-1))
        yield places, network.losses(text[places.at].astype(np.int32), y, state)
        done += len(places.at)
        if progress is not None:
            progress(done, windows.length)
