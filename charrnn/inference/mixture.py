"""A mixture: a network, or an ensemble, and n-grams that have learnt the same text.

The probabilities of both are multiplied, each with an exponent, and normalised (log-linear interpolation; Klakow 1998):

    p(x) = p_network(x)^a p_ngrams(x)^b / Σ_v p_network(v)^a p_ngrams(v)^b

The n-grams know rare sequences by heart, the network what they have in common.  docs/LOG.md has what other ways to mix
them gave.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from charrnn.inference.ensemble import Ensemble
from charrnn.inference.loss import scorable
from charrnn.inference.ngrams import Ngrams, new_readers
from charrnn.network.cell import Cell
from charrnn.network.network import Network, State
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.windows import ReadingWindows

Weights = tuple[float, float]
"""The exponents a and b."""

MOST = 4.0  # a weight is from 0 to this
_USUAL, _DEVIATION = (0.65, 0.35), 0.2  # what the weights are on other texts
_ITERATIONS = 5  # more than Newton's method needs
_FITTED = 2_000_000  # probabilities that the weights are fitted to: 30,000 characters, where there are 65 of them


class Mixture:
    """A network, or an ensemble, with n-grams.  It has those methods of a network that scoring and inspecting use.

    Args:
        network: a network or an ensemble.
        ngrams: n-grams over the same V characters.
        weights: the exponents of the network's probabilities and of the n-grams'.
    """

    def __init__(self, network: Network | Ensemble, ngrams: Ngrams, weights: Weights):
        self.network, self.ngrams, self.weights = network, ngrams, weights

    @property
    def warm_up(self) -> int:
        """The network's."""
        return self.network.warm_up

    def initial_state(self, batch: int) -> tuple:
        """The network's state, and the n-grams' readers, at the beginning of ``batch`` texts."""
        return self.network.initial_state(batch), new_readers(batch)

    def log_probabilities(self, x: np.ndarray, state: tuple) -> np.ndarray:
        """log p of every character after each of x (T, B): (T, B, V) float64 in nats; ``state`` moves on."""
        return mixed(*both_log_probabilities(self.network, self.ngrams, x, state), self.weights)

    @property
    def cell(self) -> Cell:
        """The cell of the network."""
        return self.network.cell

    def trace(self, x: np.ndarray, state: tuple) -> dict[str, np.ndarray]:
        """As :meth:`charrnn.network.network.Network.trace`, with the log-probabilities of the mixture.

        The network must not be an ensemble.
        """
        own, readers = state
        found = self.network.trace(x, own)
        column = np.ascontiguousarray(x, np.int32).reshape(-1, 1)
        ngrams = self.ngrams.read(column, readers, self.network.team)[:, 0]
        return found | {"log_probabilities": mixed(found["log_probabilities"], ngrams, self.weights)}

    def losses(self, x: np.ndarray, y: np.ndarray, state: tuple) -> np.ndarray:
        """-log p of every target y (T, B), 0 where y < 0: (T, B) float64 in nats; ``state`` moves on."""
        logs = self.log_probabilities(x, state)
        return np.where(y < 0, 0.0, -np.take_along_axis(logs, np.maximum(y, 0)[..., None], axis=-1)[..., 0])


def networks_of(model: Network | Ensemble | Mixture) -> tuple[Network, ...]:
    """The networks in a model."""
    if isinstance(model, Mixture):
        model = model.network
    return model.networks if isinstance(model, Ensemble) else (model,)


def states_of(model: Network | Ensemble | Mixture, state: Any) -> Sequence[State]:
    """The state of each network in a model, from a state of the model as its ``initial_state`` makes one."""
    if isinstance(model, Mixture):
        model, state = model.network, state[0]
    return state if isinstance(model, Ensemble) else (state,)


def both_log_probabilities(network: Network | Ensemble, ngrams: Ngrams, x: np.ndarray, state: tuple) -> tuple:
    """The network's and the n-grams' log p of every character after each of x (T, B), (T, B, V) each."""
    own, readers = state
    return network.log_probabilities(x, own), ngrams.read(x, readers, networks_of(network)[0].team)


def mixed(network: np.ndarray, ngrams: np.ndarray, weights: Weights) -> np.ndarray:
    """log p of the mixture from the log probabilities of both, (…, V) each."""
    return normalised(weights[0] * network + weights[1] * ngrams)


def normalised(logs: np.ndarray) -> np.ndarray:
    """logs (…, V) minus the logarithm of the sum of their exponentials."""
    logs = logs - logs.max(axis=-1, keepdims=True)
    return logs - np.log(np.exp(logs).sum(axis=-1, keepdims=True))


class Fitted(NamedTuple):
    """The weights of a mixture, and the loss of its n-grams alone on the text that the weights were fitted to."""

    weights: Weights
    ngram_loss: float


def fit_weights(
    network: Network | Ensemble,
    ngrams: Ngrams,
    ids: np.ndarray,
    before: int | None = None,
    progress: ProgressCallback = no_progress,
) -> Fitted:
    """The weights with the least loss on ids (N,), a text that neither the network nor the n-grams have learnt.

    A part of the training text would not do: there the network is better than on new text, and would get too large a
    weight.  About 30,000 characters of a long text are read, spread over it.  Two numbers that are fitted to so many
    characters make the mixture look better on them than it is by less than 0.0001 nats.
    """
    text = scorable(ids, before)
    most = max(_FITTED // ngrams.vocabulary, 1000)
    windows = ReadingWindows(len(text) - 1, most=most, progress=progress, warm_up=network.warm_up)
    state, found = (network.initial_state(windows.batch), new_readers(windows.batch)), []
    for places in windows:
        both = both_log_probabilities(network, ngrams, text[places.at].astype(np.int32), state)
        target = text[places.at + 1]
        found.append([part[places.counted] for part in (target, *both)])
    target, *both = (np.concatenate(parts) for parts in zip(*found, strict=True))
    target = target.astype(np.int64)
    ngram_loss = -np.take_along_axis(both[1], target[:, None], axis=-1).mean()
    return Fitted(_least_loss(np.stack(both), target), float(ngram_loss))


def derivatives(logs: np.ndarray, target: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (K,) and Hessian (K, K) of the summed loss of targets (M,) by the K weights, from logs (K, M, V)."""
    p = np.exp(normalised((weights[:, None, None] * logs).sum(axis=0)))
    means = (logs * p).sum(axis=-1)
    wanted = np.take_along_axis(logs, target[None, :, None], axis=-1)[..., 0].sum(axis=1)
    products = np.einsum("imv,jmv,mv->ij", logs, logs, p, optimize=True)
    return means.sum(axis=1) - wanted, products - means @ means.T


def _least_loss(both: np.ndarray, target: np.ndarray) -> Weights:
    """The weights with the least loss of targets (M,), from log probabilities both (2, M, V), by Newton's method.

    The loss is convex in the weights.  A normal prior around ``_USUAL`` keeps a short text from moving them far.  The
    weights are rounded to float32: the last bits of a logarithm of doubles differ from processor to processor.
    """
    weights = usual = np.array(_USUAL)
    prior = np.eye(2) / _DEVIATION**2
    for _ in range(_ITERATIONS):
        gradient, hessian = derivatives(both, target, weights)
        weights = weights - np.linalg.solve(hessian + prior, gradient + prior @ (weights - usual))
    network, ngrams = np.clip(weights, 0, MOST).astype(np.float32)
    return float(network), float(ngrams)
