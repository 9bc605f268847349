"""Dynamic evaluation: the loss of a model that goes on learning from the text it is tested on.

Krause, Kahembwe, Murray & Renals (2018), "Dynamic evaluation of neural sequence models". Each segment of the text is
scored first, and then the weights learn from it. So the weights that predict a character have only seen earlier text,
and the loss is a code length: a receiver who learns in the same way could decode the text.

As in the paper, an update divides the gradient by the root of its mean square, and draws the weights back to their
original values, more where gradients are large. Unlike in the paper, the mean square is taken over the segments read so
far, not over the training text, which then need not be available. Also unlike in the paper, some weights learn more
slowly than others (:attr:`charrnn.network.cell.Cell.slow`).
"""

from typing import NamedTuple

import numpy as np

from charrnn.config import DynamicEvaluationConfig, ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.loss import Evaluation, scorable
from charrnn.inference.online_mixture import OnlineMixture
from charrnn.kernels import compiler
from charrnn.kernels.optimizers import Adaptation, Adapted, adapt, mean_squares
from charrnn.network.cells import kind_of
from charrnn.network.network import Network
from charrnn.network.parameters import aligned_zeros
from charrnn.records import ProgressCallback, in_steps, no_progress
from charrnn.training.optimizer import RANGE
from charrnn.training.rollback import restored_weights

_EPSILON = 0.01  # added to each root mean square, as a multiple of their mean


class DynamicEvaluation(NamedTuple):
    """The scores of a network, and of a mixture that it is a part of, if there is one."""

    network: Evaluation
    mixture: Evaluation | None


def kernels(config: ModelConfig) -> list:
    """The kernels with which a network learns from the text that it is tested on."""
    return [*Network.kernels(config)[1], mean_squares, adapt]


class DynamicLearner:
    """Makes the updates of dynamic evaluation.

    Args:
        network: what learns; its weights change.
        original: its weights before the first update, flat (P,).
        config: how it learns.
    """

    def __init__(self, network: Network, original: np.ndarray, config: DynamicEvaluationConfig):
        compiler.prepare(*kernels(network.config))
        self.network, self._original, self._config = network, original, config
        self._squares, self._updates = aligned_zeros(network.parameters.flat.size), 0
        self._ranges = list(in_steps(self._squares.size, RANGE))
        self._sums = np.zeros(len(self._ranges))
        slow = network.cell.slow
        self._chunks = [(start, stop, kind_of(name) in slow) for name, start, stop in network.parameters.chunks(RANGE)]

    def update(self) -> None:
        """Make one update from the network's gradient."""
        network, config = self.network, self._config
        self._updates += 1
        buffers = Adapted(network.parameters.flat, network.gradient.flat, self._squares, self._original)
        weight = np.float32(1 / self._updates)  # of the gradient's square in the mean of all so far
        network.team.share_out(
            [
                (mean_squares, (buffers, start, stop, weight, number, self._sums))
                for number, (start, stop) in enumerate(self._ranges)
            ]
        )
        mean = self._sums.sum() / network.parameters.size
        if not mean:
            return  # every gradient so far is 0
        fast, slow = (
            Adaptation(*map(np.float32, (rate, config.decay, mean, _EPSILON * mean)))
            for rate in (config.lr, config.lr * config.slow_factor)
        )
        network.team.share_out(
            [(adapt, (buffers, start, stop, slow if is_slow else fast)) for start, stop, is_slow in self._chunks]
        )
        network.parameters_changed()


def evaluate_dynamically(
    network: Network,
    ids: np.ndarray,
    before: int | None = None,
    config: DynamicEvaluationConfig | None = None,
    progress: ProgressCallback = no_progress,
    mixture: OnlineMixture | None = None,
) -> DynamicEvaluation:
    """Score ids (N,) segment by segment, and learn from each segment after it is scored.

    Scores N characters if ``before``, the id before the first one, is given, else N - 1. The state starts at zeros. The
    network's parameters are restored at the end. A ``mixture`` of this network learns on too, and is scored beside it.
    ``progress`` is called with the number of characters scored so far and the number of all.

    Raises:
        ConfigError: the text is too short, or the weights are no longer numbers.
    """
    text = scorable(ids, before)
    scored = len(text) - 1
    config = config or DynamicEvaluationConfig()
    state, loss, mixture_loss = network.initial_state(1), 0.0, 0.0
    with restored_weights(network) as original:
        learner = DynamicLearner(network, original, config)
        for start, stop in in_steps(scored, config.steps, progress):
            window = text[start : stop + 1, None].astype(np.int32)
            x, y = window[:-1], window[1:]
            if mixture is not None:
                logs = network.log_probabilities(x, state.copy())[:, 0]
                mixture_loss += float(mixture.score(logs, x[:, 0], y[:, 0], network.team).sum())
                mixture.learn(x[:, 0])  # the next window begins with this one's last target
            loss += network.loss_and_gradient(x, y, state) * len(x)
            learner.update()
    if not np.isfinite(loss):
        raise ConfigError(f"the weights are no longer numbers with --online-lr {config.lr:g}: choose a lower one")
    return DynamicEvaluation(
        Evaluation(loss / scored, scored), None if mixture is None else Evaluation(mixture_loss / scored, scored)
    )
