"""Text that the model writes: with clamped cells, or with its cells read along.

:func:`write_clamped` writes many texts while cells are clamped and counts how often a hypothesis holds in them.
:func:`follow` writes one text and yields what all cells do at each character.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.inference.sampler import Choice, Sampler
from charrnn.inspection.clamping import Cell, clamp
from charrnn.inspection.heads import Head, silence
from charrnn.inspection.hypotheses import Hypothesis, label_passages
from charrnn.inspection.passage import EncodedText
from charrnn.inspection.reading import Reader
from charrnn.model import Model
from charrnn.model.reading import Reading
from charrnn.records import ProgressCallback, in_steps, no_progress

_CHUNK = 50  # characters between reports


@dataclass(frozen=True)
class ClampedSamples:
    """Texts ``ids`` (B, N) int32 written with the cells of ``clamped`` at their values, from the same random numbers.

    ``share_inside`` is the part of the characters at which the hypothesis holds, ``runs_per_1000`` how often in 1,000
    characters it begins to hold, ``run_length`` for how many characters it then holds on average. They are NaN if no
    hypothesis was given.
    """

    clamped: dict[Cell, float]
    ids: np.ndarray
    share_inside: float
    runs_per_1000: float
    run_length: float

    def rate(self, symbol: int) -> float:
        """How often the character with id ``symbol`` stands in 1,000 characters."""
        return 1000 * float((self.ids == symbol).mean())


def write_clamped(
    model: Model,
    clamped: Mapping[Cell, float],
    prime: np.ndarray,
    *,
    texts: int = 32,
    length: int = 500,
    choice: Choice | None = None,
    seed: int = 0,
    hypothesis: Hypothesis | None = None,
    silenced: Sequence[Head] = (),
    progress: ProgressCallback = no_progress,
) -> ClampedSamples:
    """Write ``texts`` of ``length`` characters that continue ids ``prime`` (P,), P >= 1, with some cells ``clamped``.

    Heads that are ``silenced`` add nothing to what the network computes.
    ``hypothesis`` must be able to label any text: a mask from a file cannot. ``progress`` is called with the number of
    characters that each text has, and with ``length``.

    Raises:
        ConfigError: there is no such cell or head.
    """
    network = clamp(model.network, clamped) if clamped else model.network
    network = silence(network, silenced) if silenced else network
    sampler, ids = Sampler(network, prime, texts, choice, seed), np.empty((texts, length), np.int32)
    for start, stop in in_steps(length, _CHUNK, progress):
        ids[:, start:stop] = sampler.draw(stop - start).T
    if hypothesis is None:
        return ClampedSamples(dict(clamped), ids, np.nan, np.nan, np.nan)
    whole = np.concatenate([np.tile(prime, (texts, 1)), ids], axis=1)
    passages = [EncodedText(model.vocabulary, row).passage(0, len(row)) for row in whole]
    inside = np.stack(label_passages(passages, hypothesis))[:, len(prime) :].astype(bool)
    begins = inside.copy()
    begins[:, 1:] &= ~inside[:, :-1]
    runs = int(begins.sum())
    run_length = float(inside.sum()) / runs if runs else np.nan
    return ClampedSamples(dict(clamped), ids, float(inside.mean()), 1000 * runs / inside.size, run_length)


def follow(
    model: Model,
    prime: np.ndarray,
    length: int,
    signal: str | None = None,
    *,
    choice: Choice | None = None,
    seed: int = 0,
    chunk: int = 1,
    others: Sequence[str] = (),
) -> Iterator[Reading]:
    """Write ``length`` characters that continue ids ``prime`` (P,), P >= 1; yield a reading of every ``chunk`` of them.

    The text is the same as from :meth:`charrnn.model.Model.sample` with the same seed. The sampler keeps no gates, so
    each character is also read by a :class:`Reader`. That costs as much as reading a text, and gives ``signal``, the
    ``others`` and every probability.

    Raises:
        ConfigError: there is no such signal.
    """
    sampler, reader = Sampler(model.network, prime, 1, choice, seed), Reader(model, signal, prime, others)
    for start, stop in in_steps(length, chunk):
        yield reader.read(sampler.draw(stop - start)[:, 0])
