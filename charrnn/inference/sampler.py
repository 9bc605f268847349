"""Drawing text from a model, a chunk of characters at a time.  Knows ids only.

Which of some ways to do the same thing is the quickest here and now.
"""

import itertools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.kernels import compiler
from charrnn.kernels.barrier import ABANDONED, BOARD
from charrnn.kernels.sampling import write
from charrnn.network.network import CharLSTM
from charrnn.network.packed_weights import padded
from charrnn.network.parameters import aligned_zeros

SEVERALLY, TOGETHER = 0, 1  # every thread writes texts of its own, or all write one
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
    """What a network remembers of ``streams`` texts that begin alike: it has read all of ``prime`` but the last id."""

    def __init__(self, network: CharLSTM, prime: np.ndarray, streams: int):
        self.network = network
        config, hidden = network.config, padded(network.config.hidden)
        state = network.initial_state(1)
        for start in range(0, len(prime) - 1, 256):
            network.read(np.ascontiguousarray(prime[start : min(start + 256, len(prime) - 1), None]), state)
        self._h = aligned_zeros(2, config.layers, streams, hidden)
        self._c = aligned_zeros(config.layers, streams, hidden)
        self._h[0, :, :, : config.hidden] = state.h
        self._c[:, :, : config.hidden] = state.c
        self.gates = aligned_zeros(streams, 4 * hidden)

    def model(self) -> tuple[np.ndarray, ...]:
        """The model as the kernels take it."""
        packed = self.network.forward_weights()
        layers = packed.table, packed.recurrent_stack, packed.input_stack, packed.bias
        return *layers, packed.output.forward, packed.output_bias

    def state(self, ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """The state as the kernels take it, with the characters ``ids`` (B,) that are read next."""
        return self._h, self._c, ids


class BaseSampler(ABC):
    """What samplers share: random numbers, the choice, and the sharing out of streams to threads.

    A sampler says in :meth:`_write` how its streams are written.
    """

    def __init__(self, networks: Sequence[CharLSTM], prime: np.ndarray, streams: int, choice: Choice | None, seed: int):
        self._vocabulary, self._team = networks[0].config.vocabulary, networks[0].team
        prime = np.asarray(prime, np.int32)
        if not (prime.ndim == 1 and prime.size and 0 <= prime.min() <= prime.max() < self._vocabulary):
            raise ConfigError(f"a prime is at least one id, each from 0 to {self._vocabulary - 1}")
        if streams < 1:
            raise ConfigError(f"there must be at least 1 text, not {streams}")
        self.choice = choice or Choice()
        self._generators = [np.random.default_rng([seed, stream]) for stream in range(streams)]
        self._ids = np.full(streams, prime[-1], np.int32)
        self._turn = 0  # the half of h that holds the state
        self._streams = [Streams(network, prime, streams) for network in networks]
        width = padded(self._vocabulary)
        self._logits = aligned_zeros(len(networks), streams, width)
        self._scratch = aligned_zeros(streams, width), np.zeros((streams, width), np.int32)

    def draw(self, characters: int) -> np.ndarray:
        """The next ids of every stream: (characters, streams) int32."""
        uniforms = np.stack([generator.random(characters) for generator in self._generators], axis=1)
        uniforms = np.ascontiguousarray(uniforms)
        drawn = np.zeros(uniforms.shape, np.int32)
        self._write(uniforms, drawn)
        self._turn = (self._turn + characters) % 2
        return drawn

    def _groups(self) -> list[tuple[int, int]]:
        """The streams in groups (first, last), one a thread."""
        streams = len(self._ids)
        groups = min(self._team.threads, streams)
        return list(itertools.pairwise([streams * group // groups for group in range(groups + 1)]))

    @abstractmethod
    def _write(self, uniforms: np.ndarray, drawn: np.ndarray) -> None:
        """Fill ``drawn`` (N, B) by ``uniforms`` (N, B)."""

    def _filters(self) -> tuple:
        """The choice, and the characters there are, as the kernels take them."""
        choice = self.choice
        temperature = min(choice.temperature, HOTTEST) if choice.temperature >= COLDEST else 0.0
        top_k = min(choice.top_k, self._vocabulary)
        return np.float32(temperature), top_k, np.float32(choice.top_p), np.float32(choice.min_p), self._vocabulary


class Sampler(BaseSampler):
    """``streams`` texts drawn side by side, each from random numbers of its own.

    Stream s with seed n writes the same text whatever the number of streams, threads or chunks.

    Args:
        network: the model.
        prime: ids (N,), N >= 1, that all streams have read before they write.
        streams: how many texts.
        choice: how characters are drawn.
        seed: of the random numbers.

    Raises:
        ConfigError: the prime or the number of texts is out of range.
    """

    def __init__(
        self, network: CharLSTM, prime: np.ndarray, streams: int = 1, choice: Choice | None = None, seed: int = 0
    ):
        compiler.prepare(write)
        super().__init__((network,), prime, streams, choice, seed)
        # A single text is written by one thread, or by all of them, who wait for one another several times a character:
        # the quicker by far where weights come from a shared cache, the slower by far where a processor is busy.
        self._ways = Pace(2 if streams == 1 < self._team.threads else 1)
        self._board = np.zeros(BOARD, np.int64)

    def _write(self, uniforms, drawn):
        (streams,), (logits,) = self._streams, self._logits
        model, state, filters = streams.model(), streams.state(self._ids), self._filters()
        scratch = streams.gates, logits, *self._scratch

        def work(_, first, last, part=0, parts=1):
            share = first, last, part, parts
            write(model, state, self._turn, uniforms, filters, share, self._board, *scratch, drawn)

        way, begun = self._ways.next(), time.perf_counter()
        if way == TOGETHER:
            self._board[:] = 0
            parts = self._team.threads
            self._team.run(work, [(0, 1, part, parts) for part in range(parts)], self._abandon)
        else:
            self._team.run(work, self._groups())
        self._ways.took(way, time.perf_counter() - begun, len(drawn))

    def _abandon(self) -> None:
        self._board[ABANDONED] = 1


class Pace:
    """Finds the quickest way by going each, time and again.

    Another way than the quickest gets a turn when what it took last is a twentieth of the time since.
    """

    def __init__(self, ways: int):
        self._pace = [math.nan] * ways  # seconds for one of what there is to do
        self._last = [0.0] * ways  # seconds that the last turn took
        self._since = [0.0] * ways  # seconds since then

    def next(self) -> int:
        """The way to go now."""
        for way, pace in enumerate(self._pace):
            if math.isnan(pace) or self._since[way] > 20 * self._last[way]:
                return way
        return self._pace.index(min(self._pace))

    def took(self, way: int, seconds: float, count: int) -> None:
        """So many were done this way in so long."""
        self._since = [since + seconds for since in self._since]
        self._pace[way], self._last[way], self._since[way] = seconds / max(count, 1), seconds, 0.0
