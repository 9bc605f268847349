"""What a kind of layer computes in one step, forward and back: the interface, for recurrent cells and Transformers.

Every function computes one named value after the other, and hands each to ``say``, which keeps it and returns it.  (A
``say`` that returns a value a little changed gives the finite differences.)  The gradients are of a number L: d["z"] is
dL/dz.  All values are (…, H): any number of texts, or of numbers L, are computed side by side.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from charrnn.config import ModelConfig

Values = dict[str, np.ndarray]
State = dict[str, Any]  # (…, H), or a list of them, one for each character read
Say = Callable[[str, np.ndarray], np.ndarray]


def sigmoid(z: np.ndarray) -> np.ndarray:
    """σ(z) = 1 / (1 + exp(-z)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def softmax(logits: np.ndarray) -> np.ndarray:
    """exp(logits) divided by its sum, along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


class Equations(ABC):
    """What the layers of a network compute."""

    @abstractmethod
    def layers(self, config: ModelConfig, parameters: Values) -> list[Any]:
        """The weights of each layer, in float64, of parameters by charrnn's names."""

    @abstractmethod
    def begin(self, config: ModelConfig, texts: tuple[int, ...] = ()) -> State:
        """The state of a layer before the first character, of texts in an array of the shape ``texts``."""

    @abstractmethod
    def forward(self, weights: Any, x: np.ndarray, before: State, say: Say) -> tuple[np.ndarray, State]:
        """One step of the input x (…, D): what the layer above reads (…, H), and the new state."""

    @abstractmethod
    def back(
        self, weights: Any, v: Values, before: State, doutput: np.ndarray, later: State
    ) -> tuple[Values, np.ndarray, State]:
        """The gradients of a step whose values are v, but those of weights.

        ``doutput`` (…, H) is the gradient of what the layer above reads, and ``later`` that of the new state, from
        later steps. Also returns the gradients of x, and of the state before the step.
        """

    @abstractmethod
    def weight_gradients(self, v: Values, before: State, d: Values) -> Values:
        """The gradients at this step of the weights that were said, of one text, from those of the values."""


def no_gradient(state: State) -> State:
    """Zeros in the form of a state: the gradient that comes to it from beyond the end of the text."""
    return {
        name: [np.zeros_like(each) for each in value] if isinstance(value, list) else np.zeros_like(value)
        for name, value in state.items()
    }
