"""Guess numbers by Monte Carlo: how many lines a model finds likelier than a given one.

Somebody who guesses lines in the order of their probabilities, as for passwords, finds a line after so many guesses.
The lines are far too many to be counted.  With n lines drawn from the model with their own probabilities p_j,

    C(p) = Σ 1 / (n p_j)   over the drawn lines with p_j > p

is an unbiased estimate of the number of lines likelier than p (Dell'Amico & Filippone 2015, "Monte Carlo Strength
Evaluation: Fast and Reliable Password Checking", section 3).  Its variance is that of a mean of n independent numbers
1 / p_j, or 0 where p_j <= p.  All is kept as logarithms, because 1 / p of a long line is no float.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.inference.ensemble import Ensemble
from charrnn.inference.line_losses import line_losses
from charrnn.inference.mixture import Mixture
from charrnn.inference.sampler import Sampler
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress

SAMPLES = 10_000  # lines drawn
LONGEST = 1000  # characters of a drawn line
_EQUAL = 1e-9  # the sums of two equal lines may differ by so much of them
_STREAMS, _CHUNK = 256, 16  # lines drawn side by side, and characters drawn between two looks for those that have ended


@dataclass(frozen=True)
class Guesses:
    """An estimate of the number of lines that are likelier than one.

    Attributes:
        log2: its logarithm; -inf if no drawn line is likelier.
        error: its standard error as a share of it; NaN if no drawn line is likelier.
    """

    log2: float
    error: float

    @property
    def count(self) -> float:
        """The estimate, or infinity if it is no float."""
        return 2**self.log2 if self.log2 < 1024 else math.inf


class GuessNumbers:
    """Estimates from lines that were drawn from a model.

    Args:
        nats: (n,) -log of the probability of each drawn line.
    """

    def __init__(self, nats: npt.NDArray[np.float64]):
        self._nats = np.sort(np.asarray(nats, np.float64))
        count = len(self._nats)
        self._sums = np.logaddexp.accumulate(self._nats) - math.log(count)  # of 1 / p
        self._squares = np.logaddexp.accumulate(2 * self._nats) - math.log(count)

    def estimate(self, nats: float) -> Guesses:
        """The estimate for a line whose probability has the negative logarithm ``nats``."""
        likelier = int(np.searchsorted(self._nats, nats * (1 - _EQUAL), "left"))
        if math.isnan(nats) or not likelier:
            return Guesses(-math.inf, math.nan)
        mean, square = self._sums[likelier - 1], self._squares[likelier - 1]
        # The variance of the mean, as a share of its square: (E[1/p²] / E[1/p]² - 1) / n
        spread = max(math.expm1(min(square - 2 * mean, 700.0)), 0.0)
        return Guesses(float(mean / math.log(2)), math.sqrt(spread / len(self._nats)))


def drawn_lines(
    model: Network | Ensemble | Mixture,
    newline: int,
    count: int = SAMPLES,
    seed: int = 0,
    longest: int = LONGEST,
    progress: ProgressCallback = no_progress,
) -> list[npt.NDArray[np.int32]]:
    """``count`` lines that the model writes after a newline, each with its newline, from the model's own probabilities.

    A line that has not ended after ``longest`` characters has no newline.  Its probability is that of its beginning.
    """
    lines: list[npt.NDArray[np.int32]] = []
    for number in range(-(-count // _STREAMS)):
        streams = min(_STREAMS, count - len(lines))
        sampler = Sampler(model, np.array([newline], np.int32), streams, seed=(seed + number) % 2**63)
        drawn = np.zeros((0, streams), np.int32)
        while len(drawn) < longest and not (drawn == newline).any(axis=0).all():
            drawn = np.concatenate([drawn, sampler.draw(min(_CHUNK, longest - len(drawn)))])
        ends = np.where((drawn == newline).any(axis=0), (drawn == newline).argmax(axis=0) + 1, len(drawn))
        lines += [drawn[:end, stream].copy() for stream, end in enumerate(ends.tolist())]
        progress(len(lines), count)
    return lines


def guess_numbers(
    model: Network | Ensemble | Mixture,
    newline: int,
    count: int = SAMPLES,
    seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> GuessNumbers:
    """Draw ``count`` lines from the model, and have estimates from them."""
    lines = drawn_lines(model, newline, count, seed, progress=progress)
    found = line_losses(model, lines, newline)
    return GuessNumbers(np.array([each.sum(dtype=np.float64) for each in found]))
