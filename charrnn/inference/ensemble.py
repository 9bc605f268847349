"""An ensemble: several networks whose probabilities are averaged.

The networks may differ in size, but have one vocabulary.  By Jensen's inequality the loss of the mean is never above
the mean of the losses; an ensemble of networks that err in different places is better than each of them (Hansen &
Salamon 1990).
"""

import math
from collections.abc import Sequence

import numpy as np

from charrnn.errors import ConfigError, VocabularyError
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

    @property
    def warm_up(self) -> int:
        """The longest warm-up of a network."""
        return max(network.warm_up for network in self.networks)

    def initial_state(self, batch: int) -> list[State]:
        """States of zeros for ``batch`` batch rows, one state for each network."""
        return [network.initial_state(batch) for network in self.networks]

    def log_probabilities(self, x: np.ndarray, state: Sequence[State]) -> np.ndarray:
        """log of the mean probability of every character after each of x (T, B): (T, B, V) float64 in nats.

        Each network's ``state`` moves on.
        """
        members = zip(self.networks, state, strict=True)
        each = np.stack([network.log_probabilities(x, own) for network, own in members])
        return np.logaddexp.reduce(each, axis=0) - math.log(len(each))

    def losses(self, x: np.ndarray, y: np.ndarray, state: Sequence[State]) -> np.ndarray:
        """-log of the mean probability of every target y (T, B), 0 where y < 0: (T, B) float64 in nats.

        Each network's ``state`` moves on.
        """
        members = zip(self.networks, state, strict=True)
        each = np.stack([network.losses(x, y, own).astype(np.float64) for network, own in members])
        least = each.min(axis=0)
        return least - np.log(np.exp(least - each).mean(axis=0))


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
