"""Watching the cells while the model writes."""

from collections.abc import Iterator

import numpy as np

from charrnn.inspection.reading import Reader, Reading
from charrnn.model import Model
from charrnn.sampling import Choice, Sampler


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
