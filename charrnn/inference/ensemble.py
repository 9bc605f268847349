"""An ensemble: several networks whose probabilities are averaged, to score a text and to write one.

The networks may differ in size, but have one vocabulary.  By Jensen's inequality the loss of the mean is never above
the mean of the losses; an ensemble of networks that err in different places is better than each of them (Hansen &
Salamon 1990).
"""

from collections.abc import Sequence

import numpy as np

from charrnn.errors import ConfigError, VocabularyError
from charrnn.inference.sampler import BaseSampler, Choice
from charrnn.kernels import compiler
from charrnn.kernels.sampling import choose_from_mean, predict
from charrnn.network.network import Network, State
from charrnn.text.vocabulary import Vocabulary


class Ensemble:
    """Networks whose mean probabilities :func:`charrnn.inference.loss.evaluate` can score like those of a network.

    Args:
        networks: one or more, of one vocabulary; one that is listed twice counts twice.

    Raises:
        ConfigError: there are none, or their vocabularies differ in size.
    """

    def __init__(self, networks: Sequence[Network]):
        sizes = sorted({network.config.vocabulary for network in networks})
        if len(sizes) != 1:
            raise ConfigError(f"an ensemble is one or more networks of one vocabulary, not of {sizes or 'none'}")
        self.networks = tuple(networks)

    def initial_state(self, batch: int) -> list[State]:
        """States of zeros for ``batch`` batch rows, one state for each network."""
        return [network.initial_state(batch) for network in self.networks]

    def losses(self, x: np.ndarray, y: np.ndarray, state: Sequence[State]) -> np.ndarray:
        """-log of the mean probability of every target y (T, B), 0 where y < 0: (T, B) float64 in nats.

        Each network's ``state`` moves on.
        """
        members = zip(self.networks, state, strict=True)
        each = np.stack([network.losses(x, y, own).astype(np.float64) for network, own in members])
        least = each.min(axis=0)
        return least - np.log(np.exp(least - each).mean(axis=0))


class EnsembleSampler(BaseSampler):
    """Like :class:`charrnn.inference.sampler.Sampler`, but draws from the mean of the networks' probabilities.

    The mean is taken at temperature 1; temperature and filters then act on its logarithm as on a network's logits.

    Args:
        networks: the models, of one vocabulary.
        prime: ids (N,), N >= 1, that all streams have read before they write.
        streams: how many texts.
        choice: how characters are drawn.
        seed: of the random numbers.

    Raises:
        ConfigError: the networks are not of one vocabulary, or the prime or the number of texts is out of range.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        prime: np.ndarray,
        streams: int = 1,
        choice: Choice | None = None,
        seed: int = 0,
    ):
        compiler.prepare(predict, choose_from_mean)
        super().__init__(Ensemble(networks).networks, prime, streams, choice, seed)

    def _write(self, uniforms, drawn):
        members, filters, turn = [streams.steps() for streams in self._streams], self._filters(), self._turn

        def work(worker: int, first: int, last: int) -> None:
            for number, (row, ids) in enumerate(zip(uniforms, drawn, strict=True)):
                for steps in members:
                    predict(steps, self._ids, (turn + number) % 2, first, last)
                choose_from_mean(self._logits, row, filters, first, last, self._weights, self._order, self._ids)
                ids[first:last] = self._ids[first:last]

        self._team.run(work, self._groups())


def require_one_vocabulary(models: Sequence[tuple[str, Vocabulary]]) -> None:
    """Check that ``models``, names and vocabularies, have the same characters in the same order.

    Raises:
        VocabularyError: two have not; with their names and the first difference.
    """
    name, vocabulary = models[0]
    for other, its in models[1:]:
        if its.symbols != vocabulary.symbols:
            raise VocabularyError(
                f"{other} has not the characters of {name}: {_difference(its, vocabulary)}; "
                "only models of one vocabulary can be averaged: give some that were trained on the same text"
            )


def _difference(one: Vocabulary, other: Vocabulary) -> str:
    """The first difference, as "this, not that"."""
    if one.is_bytes != other.is_bytes:
        return "bytes, not characters" if one.is_bytes else "characters, not bytes"
    for index, (this, that) in enumerate(zip(one.symbols, other.symbols, strict=False)):
        if this != that:
            return f"number {index} is {one.name(index)}, not {other.name(index)}"
    return f"{len(one):,} of them, not {len(other):,}"
