"""Optimisers over the flat parameter buffer: clip, update and average in one pass, shared out in ranges."""

import itertools
import math

import numpy as np

from charrnn.config import TrainConfig
from charrnn.kernels import compiler
from charrnn.kernels.optimizers import (
    SGD,
    Adam,
    Moments1,
    Moments2,
    Regime,
    Regimes,
    RMSprop,
    adam,
    rmsprop,
    sgd,
    sum_of_squares,
    update_average,
)
from charrnn.network.cells import is_bias
from charrnn.network.parameters import ALIGNMENT, Parameters, aligned_zeros
from charrnn.system.threads import Team

RANGE = 16_384  # elements, short enough for a sum of squares in float32
SHARE = 32  # ranges that are worth waking a thread for

SLOTS = {"adamw": ("m", "v"), "adam": ("m", "v"), "rmsprop": ("v",), "adagrad": ("v",), "sgd": ("m",)}
KERNELS = {"adamw": adam, "adam": adam, "rmsprop": rmsprop, "adagrad": rmsprop, "sgd": sgd}

f32 = np.float32


class Optimizer:
    """Updates ``parameters`` in place.

    ``slots`` holds the moments by name, each flat like the parameters, and with ``config.ema`` the parameters' moving
    average, ``ema``; ``count`` is the number of updates made.  Weight decay and L1 leave biases alone; the embedding
    and all weights are decayed.
    """

    def __init__(self, config: TrainConfig, parameters: Parameters, team: Team):
        self.config, self.parameters, self.team = config, parameters, team
        self._kernel = KERNELS[config.optimizer]
        compiler.prepare(sum_of_squares, self._kernel, *([update_average] if config.ema else []))
        self.slots = {name: aligned_zeros(parameters.flat.size) for name in SLOTS[config.optimizer]}
        self._moments = tuple(self.slots.values())
        self._buffers = Moments2 if len(self._moments) == 2 else Moments1
        if config.ema:
            self.slots["ema"] = aligned_zeros(parameters.flat.size)
            self.slots["ema"][:] = parameters.flat
        self.count = 0
        ranges = []
        for name, (start, stop) in parameters.ranges.items():
            stop = -(-stop // ALIGNMENT) * ALIGNMENT
            is_weight = not is_bias(name)
            for first in range(start, stop, RANGE):
                ranges.append((first, min(first + RANGE, stop), is_weight))
        self._ranges = np.array(ranges, np.int64)
        self._sums = np.zeros(len(ranges))

    def norm(self, gradient: Parameters, bound: float = math.inf) -> float:
        """The gradient's Euclidean norm, with each element limited to ± bound."""

        def squares(worker, first, last):
            sum_of_squares(gradient.flat, self._ranges, first, last, f32(bound), self._sums)

        self._share(squares)
        return math.sqrt(self._sums.sum())

    def update(self, gradient: Parameters, lr: float) -> float:
        """One update at rate ``lr``; returns the gradient's norm before clipping.

        If the norm is not finite nothing is changed: the caller decides what to do.
        """
        norm = self.norm(gradient)
        if not math.isfinite(norm):
            return norm
        self.count += 1
        regimes = self._regimes(gradient, norm, lr)
        settings = self._settings(lr)
        # The average forgets its beginning faster while it is young, as TensorFlow's num_updates has it.
        weight = f32(1 - min(self.config.ema, (1 + self.count) / (10 + self.count)))

        def update(worker, first, last):
            buffers = self._buffers(self.parameters.flat, gradient.flat, *self._moments)
            self._kernel(buffers, self._ranges, first, last, regimes, settings)
            if self.config.ema:
                update_average(self.slots["ema"], self.parameters.flat, self._ranges, first, last, weight)

        self._share(update)
        return norm

    def _regimes(self, gradient: Parameters, norm: float, lr: float) -> Regimes:
        """What is done to biases, and to weights: clipping by value, then by norm, then regularisation."""
        config = self.config
        bound, clip = math.inf, 1.0
        if config.clip_value:
            bound = config.clip_value
            norm = self.norm(gradient, bound) if config.clip else norm
        if config.clip:
            # PyTorch's clip_grad_norm_ adds the same small number.
            clip = min(1.0, config.clip / (norm + 1e-6))
        biases = Regime(f32(bound), f32(clip), f32(0), f32(0), f32(1))
        if config.optimizer == "adamw":
            return Regimes(biases, biases._replace(l1=f32(config.l1), decay=f32(1 - lr * config.decay)))
        return Regimes(biases, biases._replace(l1=f32(config.l1), l2=f32(config.decay)))

    def _settings(self, lr: float) -> Adam | RMSprop | SGD:
        """The kernel's own settings."""
        config = self.config
        beta1, beta2, epsilon = f32(config.beta1), f32(config.beta2), f32(config.epsilon)
        match config.optimizer:
            case "sgd":
                return SGD(f32(lr), beta1, config.nesterov)
            case "adagrad":
                return RMSprop(f32(lr), f32(1), f32(1), epsilon)
            case "rmsprop":
                return RMSprop(f32(lr), beta2, f32(1) - beta2, epsilon)
            case _:
                root = f32(math.sqrt(1 - config.beta2**self.count))
                return Adam(f32(lr / (1 - config.beta1**self.count)), beta1, beta2, root, epsilon)

    def _share(self, work):
        count = len(self._ranges)
        parts = min(self.team.threads, max(1, count // SHARE))
        bounds = [count * part // parts for part in range(parts + 1)]
        self.team.run(work, list(itertools.pairwise(bounds)))
