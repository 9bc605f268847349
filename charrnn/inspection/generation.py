"""Text written while cells are held, and what of a hypothesis is to be seen in it.

Watching the cells while the model writes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from charrnn.inference.sampler import Choice, Sampler
from charrnn.inspection.clamping import Cell, clamp
from charrnn.inspection.hypotheses import Hypothesis, labels_of_all
from charrnn.inspection.passage import Script
from charrnn.inspection.reading import Reader, Reading
from charrnn.model import Model

Progress = Callable[[int, int], None]
_CHUNK = 50  # characters between reports


@dataclass(frozen=True)
class Samples:
    """Texts ``ids`` (B, N) written with the cells ``held``, all from the same random numbers.

    ``share`` is the part of the characters after which the hypothesis holds, ``runs`` how often in 1,000 characters it
    begins to, ``length`` for how many characters on the mean; NaN without a hypothesis that can be asked of any text.
    """

    held: dict[Cell, float]
    ids: np.ndarray
    share: float
    runs: float
    length: float

    def rate(self, symbol: int) -> float:
        """How often the character ``symbol`` comes in 1,000."""
        return 1000 * float((self.ids == symbol).mean())


def write_held(
    model: Model,
    held: Mapping[Cell, float],
    prime: np.ndarray,
    *,
    texts: int = 32,
    length: int = 500,
    choice: Choice | None = None,
    seed: int = 0,
    hypothesis: Hypothesis | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Write ``texts`` of ``length`` characters that go on from ids ``prime`` (P,), P >= 1, with c of cells held.

    ``progress`` is called with the characters that each text has, and will have.

    Raises:
        ConfigError: there is no such cell.
    """
    network = clamp(model.network, held) if held else model.network
    sampler, ids = Sampler(network, prime, texts, choice, seed), np.empty((texts, length), np.int32)
    for start in range(0, length, _CHUNK):
        stop = min(start + _CHUNK, length)
        ids[:, start:stop] = sampler.draw(stop - start).T
        if progress is not None:
            progress(stop, length)
    if hypothesis is None:
        return Samples(dict(held), ids, np.nan, np.nan, np.nan)
    whole = np.concatenate([np.tile(prime, (texts, 1)), ids], axis=1)
    passages = [Script(model.vocabulary, row).passage(0, len(row)) for row in whole]
    inside = np.stack(labels_of_all(passages, hypothesis))[:, len(prime) :]
    return Samples(dict(held), ids, *_runs(inside.astype(bool)))


def _runs(inside: np.ndarray) -> tuple[float, float, float]:
    """Of (B, N): share inside, runs in 1,000 characters, their mean length (as far as the texts go)."""
    begun = inside.copy()
    begun[:, 1:] &= ~inside[:, :-1]
    count = int(begun.sum())
    return float(inside.mean()), 1000 * count / inside.size, float(inside.sum()) / count if count else np.nan


def follow(
    model: Model,
    prime: np.ndarray,
    length: int,
    signal: str = "c",
    *,
    choice: Choice | None = None,
    seed: int = 0,
    chunk: int = 1,
) -> Iterator[Reading]:
    """Write ``length`` characters that go on from ids ``prime`` (P,), P >= 1; a reading of every ``chunk`` of them.

    The text is that of :meth:`charrnn.model.Model.sample` with the same seed. Each character is read once more beside
    the sampler, which keeps no gates: that costs what reading costs, and shows every signal and every probability.

    Raises:
        ConfigError: there is no such signal.
    """
    sampler, reader = Sampler(model.network, prime, 1, choice, seed), Reader(model, signal, prime)
    for start in range(0, length, chunk):
        yield reader.read(sampler.draw(min(chunk, length - start))[:, 0])
