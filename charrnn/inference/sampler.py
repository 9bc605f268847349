"""Drawing text from a model, a chunk of characters at a time.  Knows ids only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.constraint import Constraint, Masked, masked, no_constraint
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.mixture import Mixture, networks_of, states_of
from charrnn.inference.ngrams import new_readers, no_trie
from charrnn.inference.stream_team import StreamTeam
from charrnn.kernels import compiler
from charrnn.kernels.compiler import address_of
from charrnn.kernels.constraint import ENDED
from charrnn.kernels.sampling import Draws, Filters, Scratch, Steps, write
from charrnn.kernels.sampling import Mixture as MixtureArrays
from charrnn.kernels.step import Share
from charrnn.network.network import Network, State
from charrnn.network.parameters import aligned_zeros
from charrnn.network.workspace import padded

COLDEST, HOTTEST = 1e-6, 1e9  # below and above, a temperature is as good as 0 and as infinite


@dataclass(frozen=True)
class Choice:
    """How characters are drawn: softmax(logits / temperature), then ``top_k``, ``min_p``, ``top_p`` in this order.

    Raises:
        ConfigError: a value is out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ConfigError(f"the temperature must be 0 (greedy) or more, not {self.temperature!r}")
        if self.top_k < 0:
            raise ConfigError(f"top-k must be 0 (all characters) or more, not {self.top_k!r}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top-p must be above 0 and at most 1, not {self.top_p!r}")
        if not 0 <= self.min_p <= 1:
            raise ConfigError(f"min-p must be from 0 to 1, not {self.min_p!r}")


class Streams:
    """A network's state for each of ``streams`` texts, after it has read all of ``prime`` but the last id.

    It begins with ``state``, which stays as it is, or with zeros.

    ``steps`` are the network's layers and head for the kernels, ``logits`` (B, Vp) what the head writes.
    """

    def __init__(
        self, network: Network, prime: np.ndarray, streams: int, logits: np.ndarray, state: State | None = None
    ):
        self._network = network
        network.require_memory(streams)
        state = network.initial_state(1) if state is None else state.copy()
        for start in range(0, len(prime) - 1, 256):
            network.read(np.ascontiguousarray(prime[start : min(start + 256, len(prime) - 1), None]), state)
        self._arrays = [layer.begin_steps(streams, state.layer(k)) for k, layer in enumerate(network.layers)]
        below, calls = None, []
        for layer, arrays in zip(network.layers, self._arrays, strict=True):
            calls += [(step, layer.step_arguments(arrays, below)) for step in layer.steps]
            below = arrays[layer.output]
        calls += [(step, network.head.step_arguments(below, logits)) for step in network.head.steps]
        table = np.zeros((len(calls), max(len(arguments) for _, arguments in calls)), np.int64)
        for row, (_, arguments) in zip(table, calls, strict=True):
            row[: len(arguments)] = arguments
        self._steps = Steps(np.array([address_of(step) for step, _ in calls], np.int64), table)

    def steps(self) -> Steps:
        """The network's steps, with its weights up to date."""
        self._network.refresh(training=False)
        return self._steps


def kernels(config: ModelConfig) -> list:
    """The kernels that draw text from a network with these settings, beside those that read a prime."""
    return [write, *Network.kernels(config)[2]]


class Sampler(StreamTeam):
    """``streams`` texts drawn side by side, each from random numbers of its own.

    Stream s with seed n writes the same text whatever the number of streams, threads or chunks.

    Args:
        model: a network; an ensemble, from whose mean probabilities characters are drawn; or a mixture.  Temperature
            and filters act on the logarithm of its probabilities as on a network's logits.
        prime: ids (N,), N >= 1, that all streams have read before they write.
        streams: how many texts.
        choice: how characters are drawn.
        seed: of the random numbers.
        constraint: what the texts must be like; characters are chosen among those that it permits.
        state: the model's state before the prime, as ``model.initial_state(1)`` is one; it stays as it is.
        generators: the random numbers of each stream, instead of those of ``seed``.

    Raises:
        ConfigError: the prime or the number of texts is out of range.
    """

    def __init__(
        self,
        model: Network | Ensemble | Mixture,
        prime: npt.NDArray[np.int32],
        streams: int = 1,
        choice: Choice | None = None,
        seed: int = 0,
        constraint: Constraint | None = None,
        state: Any = None,
        generators: Sequence[np.random.Generator] | None = None,
    ):
        networks = networks_of(model)
        compiler.prepare(*(kernel for network in networks for kernel in kernels(network.config)))
        self._vocabulary = networks[0].config.vocabulary
        prime = np.asarray(prime, np.int32)
        if not (prime.ndim == 1 and prime.size and 0 <= prime.min() <= prime.max() < self._vocabulary):
            raise ConfigError(f"a prime is at least one id, each from 0 to {self._vocabulary - 1}")
        if streams < 1:
            raise ConfigError(f"there must be at least 1 text, not {streams}")
        super().__init__(networks[0].team, streams)
        self.choice = choice or Choice()
        self._generators = generators or [np.random.default_rng([seed, stream]) for stream in range(streams)]
        self._ids = np.full(streams, prime[-1], np.int32)
        self._turn = 0  # the half of the rows that holds the state
        width = padded(self._vocabulary)
        self._logits = aligned_zeros(len(networks), streams, width)
        states = [None] * len(networks) if state is None else states_of(model, state)
        each = zip(networks, self._logits, states, strict=True)
        self._streams = [Streams(network, prime, streams, logits, own) for network, logits, own in each]
        self._mixture = _mixture(model, prime, streams, state)
        self._constraint = constraint.arrays(streams) if constraint else no_constraint()
        self._weights, self._order = aligned_zeros(streams, width), np.zeros((streams, width), np.int32)

    def draw(self, characters: int) -> npt.NDArray[np.int32]:
        """The next ids of every stream: (characters, streams) int32; -1 behind the end of a text."""
        uniforms = np.stack([generator.random(characters) for generator in self._generators], axis=1)
        ids = np.full(uniforms.shape, ENDED, np.int32)
        draws = Draws(np.ascontiguousarray(uniforms), ids, self._constraint)
        steps, filters = _joined([streams.steps() for streams in self._streams]), self._filters()
        scratch = Scratch(self._logits, self._weights, self._order, self._flags)

        def work(_, first: int, last: int, part: int = 0, parts: int = 1) -> None:
            share = Share(first, last, part, parts)
            write(steps, self._ids, self._turn, draws, filters, share, self._mixture, scratch)

        self._share_out(work, characters)
        self._turn = (self._turn + characters) % 2
        return draws.ids

    @property
    def streams(self) -> int:
        """How many texts there are."""
        return len(self._ids)

    @property
    def ended(self) -> bool:
        """Whether the texts of all streams have ended, which only a constraint makes them do."""
        return self._constraint.states.size > 0 and bool((self._constraint.states == ENDED).all())

    @property
    def masked(self) -> Masked:
        """How much the constraint has forced the texts of the B streams so far; (0,) without one."""
        return masked(self._constraint)

    def _filters(self) -> Filters:
        """The choice as the kernels take it."""
        choice = self.choice
        temperature = min(choice.temperature, HOTTEST) if choice.temperature >= COLDEST else 0.0
        top_k = min(choice.top_k, self._vocabulary)
        numbers = np.float32(choice.top_p), np.float32(choice.min_p)
        return Filters(np.float32(temperature), top_k, *numbers, self._vocabulary)


def _joined(members: Sequence[Steps]) -> Steps:
    """The steps of several networks, one after another."""
    if len(members) == 1:
        return members[0]
    width = max(steps.arguments.shape[1] for steps in members)
    arguments = [np.pad(steps.arguments, ((0, 0), (0, width - steps.arguments.shape[1]))) for steps in members]
    return Steps(np.concatenate([steps.addresses for steps in members]), np.concatenate(arguments))


def _mixture(model: Network | Ensemble | Mixture, prime: np.ndarray, streams: int, state: Any) -> MixtureArrays:
    """The n-grams of a mixture, after each stream's reader has read all of ``prime`` but the last id."""
    if not isinstance(model, Mixture):
        return MixtureArrays(no_trie(), np.zeros(0))
    reader = new_readers(1) if state is None else state[1].copy()
    for start in range(0, len(prime) - 1, 256):
        stop = min(start + 256, len(prime) - 1)
        model.ngrams.read(np.ascontiguousarray(prime[start:stop, None]), reader, networks_of(model)[0].team)
    return MixtureArrays(model.ngrams.trie(np.repeat(reader, streams, axis=0)), np.array(model.weights))
