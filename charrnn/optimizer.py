"""Optimisers over the flat parameter buffer: clip and update in one pass, shared out in ranges."""

import itertools
import math

import numpy as np

from charrnn.config import TrainConfig
from charrnn.kernels import compiler
from charrnn.kernels.updates import adam, rmsprop, sgd, sum_of_squares
from charrnn.parameters import ALIGNMENT, Parameters, aligned_zeros
from charrnn.threads import Team

RANGE = 16_384  # elements of one task, short enough for a sum of squares in float32

SLOTS = {"adamw": ("m", "v"), "adam": ("m", "v"), "rmsprop": ("v",), "sgd": ("m",)}


class Optimizer:
    """Updates ``parameters`` in place.

    ``slots`` holds the moments by name, each flat like the parameters; ``count`` is the number of updates made.
    Weight decay leaves biases alone; the embedding and all weights are decayed.
    """

    def __init__(self, config: TrainConfig, parameters: Parameters, team: Team):
        compiler.prepare(sum_of_squares, {"rmsprop": rmsprop, "sgd": sgd}.get(config.optimizer, adam))
        self.config, self.parameters, self.team = config, parameters, team
        self.slots = {name: aligned_zeros(parameters.flat.size) for name in SLOTS[config.optimizer]}
        self.count = 0
        self._ranges = []
        for name, (start, stop) in parameters.ranges.items():
            stop = -(-stop // ALIGNMENT) * ALIGNMENT
            decayed = not name.startswith("b_")
            for first in range(start, stop, RANGE):
                self._ranges.append((first, min(first + RANGE, stop), decayed))
        self._sums = np.zeros(len(self._ranges))

    def norm(self, gradient: Parameters) -> float:
        """The gradient's Euclidean norm."""

        def squares(worker, first, last):
            for number in range(first, last):
                start, stop, _ = self._ranges[number]
                sum_of_squares(gradient.flat, start, stop, number, self._sums)

        self._share(squares)
        return math.sqrt(self._sums.sum())

    def update(self, gradient: Parameters, lr: float) -> float:
        """One update at rate ``lr``; returns the gradient's norm before clipping.

        If the norm is not finite nothing is changed: the caller decides what to do.
        """
        norm = self.norm(gradient)
        if not math.isfinite(norm):
            return norm
        config = self.config
        # PyTorch's clip_grad_norm_ adds the same small number.
        clip = min(1.0, config.clip / (norm + 1e-6)) if config.clip else 1.0
        self.count += 1
        p, g, s = self.parameters.flat, gradient.flat, self.slots
        f32 = np.float32

        def update(worker, first, last):
            for start, stop, decayed in self._ranges[first:last]:
                weight_decay = config.decay if decayed else 0.0
                decoupled = config.optimizer == "adamw"
                l2 = f32(0 if decoupled else weight_decay)
                decay = f32(1 - lr * weight_decay if decoupled else 1)
                common = (start, stop, f32(clip), l2, decay)
                if config.optimizer in ("adamw", "adam"):
                    size = f32(lr / (1 - config.beta1**self.count))
                    root = f32(math.sqrt(1 - config.beta2**self.count))
                    betas = (f32(config.beta1), f32(config.beta2))
                    adam(p, g, s["m"], s["v"], *common, size, *betas, root, f32(config.epsilon))
                elif config.optimizer == "rmsprop":
                    rmsprop(p, g, s["v"], *common, f32(lr), f32(config.beta2), f32(config.epsilon))
                else:
                    sgd(p, g, s["m"], *common, f32(lr), f32(config.beta1))

        self._share(update)
        return norm

    def _share(self, work):
        count = len(self._ranges)
        parts = min(self.team.threads, max(1, count // 4))
        bounds = [count * part // parts for part in range(parts + 1)]
        self.team.run(work, list(itertools.pairwise(bounds)))
