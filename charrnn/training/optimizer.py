"""The optimisers: clip the gradient, update the parameters and average them, in ranges of the flat parameter buffer."""

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
from charrnn.network.cells import is_decayed
from charrnn.network.parameters import Parameters, aligned_zeros
from charrnn.system.exact import power
from charrnn.system.threads import Team, divided

RANGE = 16_384  # elements; few enough for a sum of squares in float32
RANGES_A_THREAD = 32  # fewer ranges are not worth the waking of a thread

SLOTS = {"adamw": ("m", "v"), "adam": ("m", "v"), "rmsprop": ("v",), "adagrad": ("v",), "sgd": ("m",)}
KERNELS = {"adamw": adam, "adam": adam, "rmsprop": rmsprop, "adagrad": rmsprop, "sgd": sgd}

f32 = np.float32


class Optimizer:
    """Updates ``parameters`` in place.

    ``slots`` holds buffers (P,) float32, flat like the parameters: the moments ``m`` and ``v``, as far as the optimiser
    has them, and with ``config.ema`` the moving average ``ema`` of the parameters. ``count`` is the number of updates.
    Weight decay and L1 apply to the embedding and all weights, not to biases.
    """

    def __init__(self, config: TrainConfig, parameters: Parameters, team: Team):
        self.config, self.parameters, self.team = config, parameters, team
        self._kernel = KERNELS[config.optimizer]
        compiler.prepare(*self.kernels(config))
        self.slots = {name: aligned_zeros(parameters.flat.size) for name in SLOTS[config.optimizer]}
        self._moments = tuple(self.slots.values())
        self._buffers = Moments2 if len(self._moments) == 2 else Moments1
        if config.ema:
            self.slots["ema"] = aligned_zeros(parameters.flat.size)
            self.slots["ema"][:] = parameters.flat
        self.count = 0
        ranges = [(start, stop, is_decayed(name)) for name, start, stop in parameters.chunks(RANGE)]
        self._ranges = np.array(ranges, np.int64)
        self._sums = np.zeros(len(ranges))

    def norm(self, gradient: Parameters, bound: float = math.inf) -> float:
        """The Euclidean norm of the gradient, each element of which is limited to ± ``bound``."""

        def squares(worker, first, last):
            sum_of_squares(gradient.flat, self._ranges, first, last, f32(bound), self._sums)

        self._run_on_ranges(squares)
        return math.sqrt(self._sums.sum())

    @staticmethod
    def kernels(config: TrainConfig) -> list:
        """The kernels of an optimiser with these settings."""
        return [KERNELS[config.optimizer], sum_of_squares, *([update_average] if config.ema else [])]

    def update(self, gradient: Parameters, lr: float) -> float:
        """Make one update with the learning rate ``lr``; returns the norm of the gradient before clipping.

        If the norm is not finite, nothing changes, and the caller decides what to do.
        """
        norm = self.norm(gradient)
        if not math.isfinite(norm):
            return norm
        self.count += 1
        regimes = self._regimes(gradient, norm, lr)
        settings = self._settings(lr)
        # The decay is lower at the start, so that the average soon forgets the first weights (TensorFlow: num_updates).
        weight = f32(1 - min(self.config.ema, (1 + self.count) / (10 + self.count)))

        def update(worker, first, last):
            buffers = self._buffers(self.parameters.flat, gradient.flat, *self._moments)
            self._kernel(buffers, self._ranges, first, last, regimes, settings)
            if self.config.ema:
                update_average(self.slots["ema"], self.parameters.flat, self._ranges, first, last, weight)

        self._run_on_ranges(update)
        return norm

    def _regimes(self, gradient: Parameters, norm: float, lr: float) -> Regimes:
        """Clipping by value, then by norm, and regularisation: the constants for biases, and those for weights."""
        config = self.config
        bound, clip = math.inf, 1.0
        if config.clip_value:
            bound = config.clip_value
            norm = self.norm(gradient, bound) if config.clip else norm
        if config.clip:
            clip = min(1.0, config.clip / (norm + 1e-6))  # 1e-6 as in PyTorch's clip_grad_norm_
        biases = Regime(f32(bound), f32(clip), f32(0), f32(0), f32(1))
        if config.optimizer == "adamw":
            return Regimes(biases, biases._replace(l1=f32(config.l1), decay=f32(1 - lr * config.decay)))
        return Regimes(biases, biases._replace(l1=f32(config.l1), l2=f32(config.decay)))

    def _settings(self, lr: float) -> Adam | RMSprop | SGD:
        """The settings that only this optimiser's kernel has."""
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
                root = f32(math.sqrt(1 - power(config.beta2, self.count)))
                return Adam(f32(lr / (1 - power(config.beta1, self.count))), beta1, beta2, root, epsilon)

    def _run_on_ranges(self, work):
        """Call ``work(worker, first, last)`` on all threads, so that together they cover all ranges."""
        count = len(self._ranges)
        parts = min(self.team.threads, max(1, count // RANGES_A_THREAD))
        self.team.run(work, divided(count, parts))
