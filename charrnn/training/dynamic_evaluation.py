"""The loss of a model that goes on learning from the text it is tested on: dynamic evaluation.

Krause, Kahembwe, Murray & Renals (2018), "Dynamic evaluation of neural sequence models".  The text is scored segment
by segment, and each segment before the weights learn from it, so every character is predicted by weights that have
seen only what stands before it: the loss is a code length that a receiver, who learns along, could decode.

As in the paper, a gradient is divided by the root of its mean square, and weights are drawn back to what they were,
those with large gradients more than others.  Unlike there, the mean is over the segments read so far, not over the
training text, which so need not be at hand.
"""

import itertools
from collections.abc import Callable

import numpy as np

from charrnn.config import OnlineConfig
from charrnn.errors import ConfigError
from charrnn.inference.loss import Evaluation, scorable
from charrnn.kernels import compiler
from charrnn.kernels.optimizers import Adaptation, Adapted, adapt, mean_squares
from charrnn.network.network import CharLSTM
from charrnn.network.parameters import aligned_zeros
from charrnn.training.optimizer import RANGE

_EPSILON = 0.01  # in means of the roots of mean squares


def evaluate_online(
    network: CharLSTM,
    ids: np.ndarray,
    before: int | None = None,
    config: OnlineConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score ids (N,), learning from each segment of them after they are scored; the network is left as it was.

    N characters are scored if the id ``before`` the first is given, else N - 1, from a state of zeros.  ``progress``
    is called with the characters scored and their number.

    Raises:
        ConfigError: nothing can be scored, or the weights are no longer numbers.
    """
    text = scorable(ids, before)
    scored = len(text) - 1
    compiler.prepare(mean_squares, adapt)
    config = config or OnlineConfig()
    parameters = network.parameters.flat
    original, squares = aligned_zeros(parameters.size), aligned_zeros(parameters.size)
    original[:] = parameters
    state, loss = network.initial_state(1), 0.0
    try:
        for number, start in enumerate(range(0, scored, config.steps), 1):
            window = text[start : start + config.steps + 1, None].astype(np.int32)
            loss += network.loss_and_gradient(window[:-1], window[1:], state) * (len(window) - 1)
            _learn(network, squares, original, 1 / number, config)
            if progress is not None:
                progress(min(start + config.steps, scored), scored)
    finally:
        parameters[:] = original
        network.parameters_changed()
    if not np.isfinite(loss):
        raise ConfigError(f"the weights are no longer numbers with --online-lr {config.lr:g}: choose a lower one")
    return Evaluation(loss / scored, scored)


def _learn(network: CharLSTM, squares, original, part: float, config: OnlineConfig) -> None:
    """One update from the network's gradient, shared out in ranges."""
    buffers = Adapted(network.parameters.flat, network.gradient.flat, squares, original)
    bounds = [*range(0, squares.size, RANGE), squares.size]
    ranges = list(itertools.pairwise(bounds))
    sums = np.zeros(len(ranges))
    first = [
        (mean_squares, (buffers, start, stop, np.float32(part), chunk, sums))
        for chunk, (start, stop) in enumerate(ranges)
    ]
    network.team.share_out(first)
    mean = sums.sum() / network.parameters.size
    if not mean:
        return  # nothing to learn: every gradient so far is 0
    settings = Adaptation(*map(np.float32, (config.lr, config.decay, mean, _EPSILON * mean)))
    network.team.share_out([(adapt, (buffers, start, stop, settings)) for start, stop in ranges])
    network.parameters_changed()
