"""A network and n-grams of bytes that begin from scratch, and learn while they read.

The encoder and the decoder make the same updates with the same bits, so a compressed file needs no model.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from charrnn.compression.blocks import BlockCoder
from charrnn.compression.compressor import LEARNING_BLOCK, Method, arithmetic
from charrnn.compression.container import Header
from charrnn.compression.recipe import Recipe
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.inference import online_ngrams, row_coder
from charrnn.inference.online_ngrams import OnlineNgrams
from charrnn.kernels import compiler
from charrnn.kernels.optimizers import Adam
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.optimizer import Optimizer

BYTES = 256
_SEED = 1
_TRAINING = TrainConfig(optimizer="adam", weight_decay=0.0, clip=1.0)


class ScratchMethod(Method):
    """Compression without a model, see :class:`charrnn.compression.compressor.Method`.

    Args:
        recipe: the network's sizes, and how it learns.
        threads: how many to use; None for all that this process may use.
    """

    block = LEARNING_BLOCK

    def __init__(self, recipe: Recipe | None = None, threads: int | None = None):
        self._recipe, self._threads = recipe or Recipe(), threads
        self._config = ModelConfig(BYTES, self._recipe.hidden, self._recipe.layers)
        forward, backward, _ = Network.kernels(self._config)
        optimizer = Optimizer.kernels(_TRAINING)
        compiler.prepare(*backward, *forward, *row_coder.kernels(self._config), *online_ngrams.kernels, *optimizer)
        super().__init__(self._network(), Vocabulary(range(BYTES)), b"")

    @property
    def learns(self) -> bool:
        """Yes."""
        return True

    @property
    def steps(self) -> int:
        """How many bytes the network learns from at once."""
        return self._recipe.steps

    def header(self, rows: int) -> Header:
        """The header of a file.

        Raises:
            ConfigError: there are several rows, and n-grams learn one text.
        """
        if rows != 1:
            raise ConfigError(f"from scratch there is one stream, not {rows}: leave --streams out, or give a --model")
        return Header(rows, arithmetic(), recipe=self._recipe)

    @contextmanager
    def coder(self, rows: int) -> Iterator[BlockCoder]:
        """A coder of blocks that has learnt nothing yet."""
        network, ngrams = self._network(), OnlineNgrams(BYTES)
        try:
            yield BlockCoder(network, self.alphabet, rows, _Learner(network, ngrams, self._recipe), ngrams)
        finally:
            network.team.close()

    def _network(self) -> Network:
        return Network(self._config, seed=_SEED, threads=self._threads)


class _Learner:
    """Makes an update of the network and of the n-grams after so many bytes."""

    def __init__(self, network: Network, ngrams: OnlineNgrams, recipe: Recipe):
        self.steps, self._recipe = recipe.steps, recipe
        self._network, self._ngrams, self._state = network, ngrams, network.initial_state(1)
        self._optimizer = _Adam(_TRAINING, network.parameters, network.team)
        network.refresh(training=True)

    def learn(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from ids x (T, 1) and the ids y that followed."""
        recipe, network = self._recipe, self._network
        self._ngrams.learn(x[:, 0])
        network.loss_and_gradient(x, y, self._state)
        rate = recipe.rate * min(1.0, (self._optimizer.count + 1) / recipe.warmup)
        self._optimizer.update(network.gradient, rate)
        network.parameters_changed()
        network.refresh(training=True)


class _Adam(Optimizer):
    """Adam whose corrections of bias are products: a power from the C library has other bits on other systems."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._powers = [1.0, 1.0]

    def _settings(self, lr: float) -> Adam:
        config, f32 = self.config, np.float32
        self._powers = [power * beta for power, beta in zip(self._powers, (config.beta1, config.beta2), strict=True)]
        first, second = self._powers
        root = f32(np.sqrt(1 - second))  # correctly rounded everywhere
        return Adam(f32(lr / (1 - first)), f32(config.beta1), f32(config.beta2), root, f32(config.epsilon))
